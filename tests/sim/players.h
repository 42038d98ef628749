// Clients for simulations. Each has a number, puts it into all that it sends, and checks that nothing but its
// own comes back.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/scope.h"
#include "io/stream.h"
#include "io/world.h"

namespace rejoin::sim_test {

/// What all clients of a run saw.
struct Tally {
  std::uint64_t dials = 0, opened = 0;      // connections tried, and those with an answer
  std::uint64_t echoes = 0;                 // messages, or bodies, that came back right
  std::uint64_t crossed = 0;                // bytes that were not the client's own: must stay 0
  std::uint64_t returned = 0, strayed = 0;  // came back to the server of the cookie; to another one
  std::map<int, std::uint64_t> statuses;    // of refused handshakes and of HTTP responses
};

struct PlayerOptions {
  Address to;
  std::uint64_t number = 0;
  int connections = 3;
  int messages = 6;                // at most, on each
  std::size_t message_max = 3000;  // bytes
};

/// WebSocket, with a cookie jar of one cookie ("REJOIN"). Messages of random size; ends by a close frame, a
/// FIN or a RST.
Task<void> websocket_player(io::World& world, PlayerOptions options, Stop& stop, Tally& tally);
/// HTTP keep-alive: requests with bodies of known length, chunked, or none; HEAD too.
Task<void> http_player(io::World& world, PlayerOptions options, Stop& stop, Tally& tally);
/// Messages behind a 4-byte length; the first one that comes is a greeting.
Task<void> tcp_player(io::World& world, PlayerOptions options, Stop& stop, Tally& tally);

}  // namespace rejoin::sim_test
