// A session on its way to the next process of its gateway: all that a LiveSession is, as bytes, but for the
// game server's socket, which travels beside them.
//
// Place: LiveSession::pack_up() writes one, read() takes it apart, LiveSession::arrive() goes on from it. A
// value; its views lie in the bytes that it was read from.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "session/session.h"
#include "upstream/message.h"

namespace rejoin::gateway {

struct SessionParcel {
  /// Error: unsupported, when the bytes are not of a form that this version knows.
  static Result<SessionParcel> read(Bytes bytes, const session::SessionRules& rules, TimePoint now);
  void write(std::string& out, TimePoint now) const;

  /// To be written: what `session` is; after reading, `restored`.
  const session::Session* session = nullptr;
  std::optional<session::Session> restored;
  Address client;
  std::uint32_t links = 0;
  std::uint32_t taking_bytes = 0;
  std::uint32_t ticket_renewal = 0;
  std::uint16_t closing_code = 0;
  bool game_over = false;
  bool finished = false;
  bool has_stalled = false;
  upstream::MessageKind stalled_kind = upstream::MessageKind::binary;
  Bytes stalled;
  TimePoint rate_messages = kNever, rate_bytes = kNever;  // kNever: no bound was kept
  Bytes game;                                             // empty: no connection goes along
  bool has_socket = false;                                // one that has a socket
};

}  // namespace rejoin::gateway
