// TLS on both sides of the balancer: the handshakes that come before a client's first byte, and before a
// server's.
//
// Place on the path: after the accept (and whatever is said in the clear), before serve_request.cc and the
// tunnel; after the connect, before the request is sent. Everything behind it reads and writes plaintext. One
// worker's thread.
#pragma once

#include "apps/balancer/visit.h"
#include "base/result.h"
#include "base/task.h"
#include "io/stream.h"
#include "route/router.h"

namespace rejoin::balancer {

/// Where the listener has TLS: visit.client becomes what is inside of it, and visit says who the client is.
/// visit.arrived, read already, belongs to TLS and is taken. False: the client did not do it in time, or not
/// well; the connection is over. `visit` outlives the task.
Task<bool> enter_tls(Visit& visit);

/// Where the pool has TLS: what `server`, just connected, becomes. Error: Side::server; retry with another.
Task<Status> enter_tls_to_server(Visit& visit, route::ServerIndex index, io::Stream& server,
                                 TimePoint deadline);

}  // namespace rejoin::balancer
