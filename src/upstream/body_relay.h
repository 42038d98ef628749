// The body of one HTTP message, from one connection to another, as it comes (RFC 9112 6 and 7).
//
// A coroutine; it lives as long as the message. Nothing is kept but what the receiver does not take at once.
#pragma once

#include "base/task.h"
#include "io/stream.h"
#include "io/world.h"
#include "proto/http_head.h"
#include "upstream/pace.h"

namespace rejoin::upstream {

/// How a chunked body is passed on.
enum class Framing : std::uint8_t {
  as_it_is,      // chunks stay chunks
  content_only,  // for a receiver that speaks HTTP/1.0: it ends with the connection
};

/// Where a body comes from and goes to. All of it outlives the coroutine.
struct BodyRoute {
  io::World& world;
  io::Stream& from;
  io::Stream& to;
  /// Bytes of `from` that were read already: the body begins with the first. What lies behind the body is
  /// left in it.
  Buffer& arrived;
  /// Neither side may be silent for longer.
  Duration silence_max;
  Framing framing = Framing::as_it_is;
  /// A body of more bytes, as they come, is an error: too_large. Zero: no bound.
  std::uint64_t bytes_max = 0;
  /// How fast it may go, and what ends its waits then; nullptr: as fast as it can.
  Pace* pace = nullptr;
  Stop* stop = nullptr;
  /// Bytes of the body so far, as they came.
  std::uint64_t moved = 0;
};

/// Moves `body`, which begins at the front of `route.arrived`, and ends when all of it was handed to `to`'s
/// socket. Errors have the side of the connection that failed: closed or reset or timed_out early, bad_input
/// when chunks are wrong. BodyKind::until_close ends well with the FIN of `from`.
Task<Status> relay_body(BodyRoute& route, proto::Body body);

}  // namespace rejoin::upstream
