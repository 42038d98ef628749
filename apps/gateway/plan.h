// The gateway's part of a configuration, made ready: keys, and how its game server is reached.
//
// Made once by run_gateway (or a simulation), shared by all workers, constant but for what route::SharedRoute
// says is shared. Outlives them.
#pragma once

#include <optional>
#include <vector>

#include "apps/config/config.h"
#include "apps/gateway/client_address.h"
#include "apps/gateway/game_plan.h"
#include "apps/gateway/pages.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"

namespace rejoin::gateway {

struct Plan {
  config::Gateway rules;
  route::KeyRing keys;
  GamePlan game;
  std::vector<AddressRange> trusted_proxies;
  std::optional<config::Admin> admin;
  Pages pages = {};
};

/// `config.gateway` is there. Error: config, when routing refuses what the configuration allows, or its pages
/// cannot be read. `random` is used here only.
Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random);

}  // namespace rejoin::gateway
