#include "apps/gateway/plan.h"

namespace rejoin::gateway {

Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random&) {
  Plan plan{.rules = *config.gateway, .keys = std::move(keys), .game = {}, .game_servers = nullptr};
  plan.game.kind = upstream::GameKind::echo;
  return plan;
}

}  // namespace rejoin::gateway
