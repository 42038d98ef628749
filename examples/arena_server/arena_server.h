// A game server with one world for all, as somebody else might have written it: TCP, each message behind a
// 4-byte big-endian length, one connection per player. It knows nothing of Rejoin. A player whose connection
// ends is out of the game; who connects again begins anew, with nothing.
//
// A field of 1000 x 600 with stars to be gathered, and some that wander by themselves. Texts, no JSON in:
//   the player says   "join 210 Ada"          once: a hue (0 to 359) and a name of at most 12 letters
//                     "go 17 -1 0.5"          its 17th order: a direction, each part from -1 to 1
//   the server says   {"t":"hello","you":3,"door":0}     door: which of its addresses the connection came to
//                     {"t":"state","n":412,"go":17,"bad":0,"p":[[3,500,300,210,4,"Ada"],...],"s":[[120,80],...]}
//                       20 times a second; n counts these messages to this player from 1, `go` is the number
//                       of the last order, `bad` how many came out of order; players: id, x, y, hue, stars,
//                       name; then the stars
#pragma once

#include <string>
#include <vector>

namespace arena_server {

struct Door {
  std::string ip;
  int port = 0;  // 0: any
};

/// Listens at each door, prints "listening on IP:PORT" for each and then "ready" on stderr. Until SIGTERM;
/// returns the exit status.
int serve(const std::vector<Door>& doors);

}  // namespace arena_server
