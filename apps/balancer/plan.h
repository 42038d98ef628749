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

#include "apps/balancer/http_plan.h"
#include "apps/config/config.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"
#include "route/router.h"

namespace rejoin::balancer {

/// When a request that may be repeated is sent to another server.
struct RetryOn {
  bool connect = true, reset = true, timeout = false;
  std::vector<int> statuses;
};

struct PoolPlan {
  std::unique_ptr<route::SharedRoute> route;
  Duration connect_timeout{};
  std::optional<Duration> response_timeout;  // none: the listener's idle_timeout
  config::KeepAlive keep_alive;
  RetryOn retry;
};

struct ListenerPlan {
  config::Listener rules;
  std::size_t pool = 0;  // index into Plan::pools
  HttpPlan http;         // of mode http
};

struct Plan {
  std::vector<PoolPlan> pools;
  std::vector<ListenerPlan> listeners;
  route::KeyRing keys;
};

/// Error: config, when routing refuses what the configuration allows (route::SharedRoute::make). `random` is
/// used here only.
Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random);

}  // namespace rejoin::balancer
