// The balancer's part of a configuration, made ready: pools with their live state, listeners that know their
// pool, keys.
//
// Made once by run_balancer (or a simulation), shared by all workers, constant but for what
// route::SharedRoute says is shared. Outlives them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "apps/serve/gate.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"
#include "route/router.h"
#include "upstream/relay_care.h"

namespace rejoin::balancer {

struct PoolPlan {
  std::unique_ptr<route::SharedRoute> route;
  Duration connect_timeout{};
  config::ProxyProtocol proxy_protocol = config::ProxyProtocol::off;
};

struct ListenerPlan {
  config::Listener rules;
  std::size_t pool = 0;               // index into Plan::pools
  upstream::CareRules care;           // of its tunnels
  std::shared_ptr<serve::Gate> gate;  // nullptr: everybody may come in, and speaks for themselves
};

struct Plan {
  std::vector<PoolPlan> pools;
  std::vector<ListenerPlan> listeners;
  route::KeyRing keys;
  config::Drain drain = {};
  int workers = 1;  // that share what is counted in a second
};

/// Error: config, when routing refuses what the configuration allows (route::SharedRoute::make). `random` is
/// used here only.
Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random);

}  // namespace rejoin::balancer
