// A small game server as somebody else might have written it: TCP, each message behind a 4-byte big-endian
// length, one connection per player, one scene per connection. It knows nothing of Rejoin, and never learns
// that a player's phone lost its network.
//
// In a scene a clock ticks 20 times a second, and the player walks:
//   the server says   "scene 7 tick 41 x 12"    each 50 ms; ticks count 1, 2, 3, ...
//   the player says   "step 13"                 x becomes 13; a step out of order is "fault expected 13"
#pragma once

#include <string>

namespace game_server {

/// Listens on `ip`:`port` (0: any), prints "listening on IP:PORT" and "ready" on stderr, and a line per scene
/// that ends. Until SIGTERM; returns the exit status.
int serve(const std::string& ip, int port);

}  // namespace game_server
