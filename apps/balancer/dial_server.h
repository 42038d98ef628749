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

}  // namespace rejoin::balancer
