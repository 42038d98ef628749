// The beginnings of connections. See serve_player.cc, which is the place to start reading.
#pragma once

#include "apps/gateway/worker.h"
#include "base/task.h"

namespace rejoin::gateway {

/// A connection on a websocket listener: requests for /healthz are answered one after the other, and the
/// first that is right for an upgrade makes it a WebSocketLink.
Task<void> serve_websocket(Worker& worker, io::Socket accepted, Address client);

/// A connection on a tcp listener is a TcpLink from the start.
void serve_tcp(Worker& worker, io::Socket accepted, const Address& client);

}  // namespace rejoin::gateway
