// A client gets its place at a server: at once where there is room, else in the pool's queue.
//
// Place on the path: before the connect, in dial_server.cc, and before a kept connection is used again. One
// worker's thread.
#pragma once

#include "apps/balancer/visit.h"
#include "base/result.h"
#include "base/task.h"
#include "route/router.h"

namespace rejoin::balancer {

/// Without waiting: `use` counts at choice.server when true. Else there is no server, and choice.how says
/// why; Chosen::waits: wait_for_room().
bool take_room(Visit& visit, route::Choice& choice, route::ServerUse& use);

/// After Chosen::waits: in the queue, for at most RouteRules::queue.timeout. Ok: `use` counts at
/// choice.server, or there is no server, or take_room() has to be asked again. Error, Side::client: the
/// client has gone, and so has its place; ours: stopping. What the client says meanwhile is in visit.arrived.
/// A client that says FIN is taken for gone. All arguments outlive the task.
Task<Status> wait_for_room(Visit& visit, route::Choice& choice, route::ServerUse& use);

}  // namespace rejoin::balancer
