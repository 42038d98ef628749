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
  for (const config::GatewayListener& it : plan.rules.listeners)
    plan.listener_tls.push_back(config::tls_in_use(it.tls));
  for (const config::PeerGateway& it : plan.rules.peers) plan.peer_tls.push_back(config::tls_in_use(it.tls));
  plan.config = config;
  plan.tickets = config::make_ticket_keys(config.tls, plan.keys, random);
  if (!plan.rules.pages.empty()) {
    Result<Pages> pages = Pages::load(config.resolve(plan.rules.pages));
    if (!pages) return std::move(pages.error());
    plan.pages = std::move(*pages);
  }
  return plan;
}

void use_tls(const Plan& plan, const config::TlsContexts& contexts) {
  for (std::size_t i = 0; i < plan.listener_tls.size(); ++i)
    config::use(plan.listener_tls[i], contexts.gateway_listeners[i]);
  for (std::size_t i = 0; i < plan.peer_tls.size(); ++i) config::use(plan.peer_tls[i], contexts.peers[i]);
  config::use(plan.game.rules.tls, contexts.upstream);
  config::use(plan.game.probes, contexts.upstream_probes);
}

void renew_certificates(const Plan& plan, Log& log) {
  const config::TlsReading read = config::load_tls(plan.config, plan.tickets, SystemClock().unix_now());
  config::say_reading(read, log);
  if (read.ok()) use_tls(plan, read.contexts);
}

}  // namespace rejoin::gateway
