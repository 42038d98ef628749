#include "apps/gateway/plan.h"

namespace rejoin::gateway {

Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random) {
  Result<GamePlan> game = make_game_plan(config, random);
  if (!game) return std::move(game.error());
  Plan plan{.rules = *config.gateway,
            .keys = std::move(keys),
            .game = std::move(*game),
            .trusted_proxies = {},
            .admin = {}};
  if (config.admin) plan.admin = watch::AdminDoor{config.admin->listen};
  Result<PrefixSet> trusted = PrefixSet::parse(plan.rules.trusted_proxies);
  if (!trusted) return std::move(trusted.error());
  plan.trusted_proxies = std::move(*trusted);
  for (const config::GatewayListener& listener : plan.rules.listeners) {
    auto gate = serve::Gate::make(listener.edge, plan.rules.trusted_proxies, random);
    if (!gate) return std::move(gate.error());
    plan.gates.push_back(std::move(*gate));
  }
  if (!plan.rules.pages.empty()) {
    Result<Pages> pages = Pages::load(config.resolve(plan.rules.pages));
    if (!pages) return std::move(pages.error());
    plan.pages = std::move(*pages);
  }
  return plan;
}

}  // namespace rejoin::gateway
