// The lives of connections, as coroutines. See serve_client.cc, which is the place to start reading.
#pragma once

#include "apps/balancer/worker.h"
#include "base/task.h"

namespace rejoin::balancer {

/// Layer 7: requests one after the other, until the client goes or one of them becomes a tunnel.
Task<void> serve_http(Worker& worker, GenerationPtr generation, ListenerPtr listener, io::Socket accepted,
                      Address client, Entry entry);

/// Layer 4: a server, and then bytes.
Task<void> serve_tcp(Worker& worker, GenerationPtr generation, ListenerPtr listener, io::Socket accepted,
                     Address client, Entry entry);

}  // namespace rejoin::balancer
