// The balancer's part of a configuration, made ready: pools with their live state, listeners that know their
// pool, keys. One Plan is one generation: constant, but for what route::SharedRoute says is shared.
//
// Made by run_balancer (or a simulation) at start and anew at each change; all workers share it, and it lives
// as long as one of them has somebody who began with it (generation.h). A pool that did not change is the
// same PoolPlan in both Plans; of one that did, servers that are still the same keep their live state.
#pragma once

#include <memory>
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
  config::Pool rules;
  std::unique_ptr<route::SharedRoute> route;
  Duration connect_timeout{};
  bool close_on_down = false;  // a server that goes down takes its open connections with it
  RetryOn retry;
};

struct ListenerPlan {
  config::Listener rules;
  std::size_t pool = 0;                  // index into Plan::pools
  std::shared_ptr<const HttpPlan> http;  // what it does with requests; always there

  bool operator==(const ListenerPlan& other) const {
    return rules == other.rules && pool == other.pool && *http == *other.http;
  }
  /// Is it the same door in two Plans? Its clients then go on with the newer one. Doors at port 0, where the
  /// system chooses, are told apart by name.
  bool same_door(const ListenerPlan& other) const {
    return rules.listen == other.rules.listen && (rules.listen.port != 0 || rules.name == other.rules.name);
  }
};

struct Plan {
  config::Config config;
  std::vector<std::shared_ptr<const PoolPlan>> pools;
  std::vector<ListenerPlan> listeners;
  route::KeyRing keys;
};

/// `before`: the Plan in whose place this one will stand. Nothing changes there, and nothing of this one
/// counts, until take_effect(). Error: config, when routing refuses what the configuration allows
/// (route::SharedRoute::make). `random` is used here only. Any thread.
Result<std::shared_ptr<const Plan>> make_plan(const config::Config& config, route::KeyRing keys,
                                              Random& random, const Plan* before = nullptr);

/// The Plan stands in the place of the one before from now on. Once, before any worker uses it.
void take_effect(const Plan& plan, const Plan& before);

}  // namespace rejoin::balancer
