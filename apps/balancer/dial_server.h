// A client's way to a server: connect, and fail over to the next one as long as they refuse.
//
// Place on the path: between the Router's choice and the bytes that go to the server; both layers use it. One
// worker's thread.
#pragma once

#include "apps/balancer/visit.h"
#include "base/result.h"
#include "base/task.h"
#include "io/stream.h"
#include "route/router.h"

namespace rejoin::balancer {

/// Connects to the chosen server, or to the next one as long as they refuse, and waits for room where a
/// server has none (wait_for_room.h); `use` counts at the one that took us. Errors with Side::server mean
/// that nobody could be reached; choice.how says what the client is told. Side::client: it has gone. All
/// arguments outlive the task.
Task<Status> dial_server(Visit& visit, route::Choice& choice, route::ServerUse& use, io::Stream& server);

/// A connection to `server` that waits for its next request; empty: there is none. Where servers are told by
/// a PROXY header who their client is, it is one that served this client before. `used_within`: none that has
/// waited longer.
io::Socket take_idle(Visit& visit, route::ServerIndex server, Duration used_within);
/// Keeps `socket`, on which a response has ended, for the next request. `told`: as IdleConnections::put().
void keep_idle(Visit& visit, route::ServerIndex server, io::Socket socket, Duration told);

}  // namespace rejoin::balancer
