// One request of a client at layer 7, from its head to the end of the answer. Read serve_request() at the end
// of the .cc first.
//
// Place on the path: serve_client.cc calls it for each request of a connection. One worker's thread.
#pragma once

#include "apps/balancer/visit.h"
#include "base/task.h"

namespace rejoin::balancer {

/// Hears a request, has a server answer it, passes the answer on. After::tunnel: both connections were given
/// away. `visit` outlives the task.
Task<After> serve_request(Visit& visit);

}  // namespace rejoin::balancer
