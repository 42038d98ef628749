// The balancer's part of a configuration, made ready: pools with their live state, listeners that know their
// pool, keys.
//
// Made once by run_balancer (or a simulation), shared by all workers, constant but for what
// route::SharedRoute says is shared. Outlives them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"
#include "route/router.h"
#include "watch/access_record.h"
#include "watch/admin_server.h"

namespace rejoin::balancer {

struct PoolPlan {
  std::unique_ptr<route::SharedRoute> route;
  Duration connect_timeout{};
};

struct ListenerPlan {
  config::Listener rules;
  std::size_t pool = 0;    // index into Plan::pools
  std::size_t number = 0;  // its own index in Plan::listeners
};

struct Plan {
  std::vector<PoolPlan> pools;
  std::vector<ListenerPlan> listeners;
  route::KeyRing keys;
  std::optional<watch::AdminDoor> admin = {};  // none: no admin port
  watch::AccessRules access = {};              // of the access log, where there is one
};

/// Error: config, when routing refuses what the configuration allows (route::SharedRoute::make). `random` is
/// used here only.
Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random);

}  // namespace rejoin::balancer
