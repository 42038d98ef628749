// Asks servers how they are: a TCP connect, or an HTTP request whose status is compared (RFC 9110).
//
// One coroutine per server, on one worker (the pool's state is shared by all). Results go to
// route::Pool::observe, which decides; changes are logged here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/scope.h"
#include "base/task.h"
#include "io/tls_network.h"
#include "io/world.h"
#include "route/pool.h"

namespace rejoin::upstream {

/// A field of a 503 to an HTTP probe: the server is well, takes no new clients, and its own may come back.
/// Without it a gateway that drains would be down, and its sessions lost to those who come for them.
inline constexpr Bytes kStateField = "Rejoin-State";
inline constexpr Bytes kDrainingLine = "Rejoin-State: draining\r\n";

/// With what a server is spoken to; without a context in the clear.
struct ProbeTls {
  io::TlsNetwork* network = nullptr;
  std::shared_ptr<io::TlsContextInUse> context{};
};

/// What a server that is well says of itself.
struct ProbeAnswer {
  bool draining = false;                      // it takes no new clients
  std::optional<std::uint8_t> share_percent;  // of its weight that it wants; nothing: it does not say
};

/// One probe. Ok: the server is well, and `answer` (if given) is what it says. Otherwise what was wrong, for
/// the log. `name`: whom its certificate must be for.
Task<Status> probe(io::World& world, const route::HealthRules& rules, Address server, Stop& stop,
                   ProbeAnswer* answer = nullptr, ProbeTls tls = ProbeTls(),
                   std::string name = std::string());

/// Told of each change of a server's health, after it was logged.
using OnHealth = std::function<void(route::ServerIndex, route::HealthChange)>;

/// Probes one server of `pool` on its schedule until `stop`, and keeps Pool::draining() and share_percent()
/// as the server says; of one that is well and says no share it is 100. With health checks off it ends at
/// once.
Task<void> probe_for_ever(io::World& world, route::Pool& pool, route::ServerIndex server, OnHealth on_health,
                          Stop& stop, ProbeTls tls = ProbeTls());

}  // namespace rejoin::upstream
