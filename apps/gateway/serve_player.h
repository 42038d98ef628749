// The beginnings of connections. See serve_player.cc, which is the place to start reading.
#pragma once

#include "apps/gateway/worker.h"
#include "base/task.h"

namespace rejoin::gateway {

/// A connection on a websocket listener: requests for /healthz are answered one after the other, and the
/// first that is right for an upgrade makes it a WebSocketLink. `said`: what was read from it already, by a
/// worker who found that it is not theirs.
///
/// On a tcp listener there is no handshake: Worker::park_tcp().
Task<void> serve_websocket(Worker& worker, io::Socket accepted, Caller caller,
                           const config::GatewayListener& listener, std::string said,
                           route::Admission::Pass pass);

/// A connection of a proxy in front, on a listener of either kind: its PROXY header tells who the client is.
Task<void> serve_proxied(Worker& worker, io::Socket accepted, Address peer,
                         const config::GatewayListener& listener, serve::Gate& gate,
                         route::Admission::Pass pass);

/// Does the link that a plain client's session has still live? A ping, and two seconds for any sign: two tabs
/// of a browser share one cookie, and the second must not take the session from the first. The session is
/// there when it begins, and may be gone when it has ended.
Task<bool> link_lives(Worker& worker, route::SessionId id);

}  // namespace rejoin::gateway
