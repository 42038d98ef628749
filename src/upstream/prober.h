// Asks servers how they are: a TCP connect, or an HTTP request whose status is compared (RFC 9110).
//
// One coroutine per server, on one worker (the pool's state is shared by all). Results go to
// route::Pool::observe, which decides; changes are logged here.
#pragma once

#include <functional>

#include "base/scope.h"
#include "base/task.h"
#include "io/world.h"
#include "route/pool.h"

namespace rejoin::upstream {

/// One probe. Ok: the server is well. Otherwise what was wrong, for the log.
Task<Status> probe(io::World& world, const route::HealthRules& rules, Address server, Stop& stop);

/// Told of each change of a server's health, after it was logged.
using OnHealth = std::function<void(route::ServerIndex, route::HealthChange)>;

/// Probes one server of `pool` on its schedule until `stop`. With health checks off it ends at once.
Task<void> probe_for_ever(io::World& world, route::Pool& pool, route::ServerIndex server, OnHealth on_health,
                          Stop& stop);

}  // namespace rejoin::upstream
