#include "apps/gateway/plan.h"

namespace rejoin::gateway {

Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random) {
  Result<GamePlan> game = make_game_plan(config, random);
  if (!game) return std::move(game.error());
  Plan plan{.rules = *config.gateway,
            .keys = std::move(keys),
            .game = std::move(*game),
            .trusted_proxies = {},
            .admin = config.admin};
  for (const std::string& proxy : plan.rules.trusted_proxies) {
    Result<AddressRange> range = AddressRange::parse(proxy);
    if (!range) return std::move(range.error());
    plan.trusted_proxies.push_back(*range);
  }
  if (!plan.rules.pages.empty()) {
    Result<Pages> pages = Pages::load(config.resolve(plan.rules.pages));
    if (!pages) return std::move(pages.error());
    plan.pages = std::move(*pages);
  }
  return plan;
}

}  // namespace rejoin::gateway
