// Whole messages from pieces: for who cannot work with fragments (an echo, a bridge, a client program).
//
// Place: behind FrameReader (ws_frame.h) or LengthReader (length_framing.h). One per connection and
// direction, owned by it, on its thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "proto/length_framing.h"
#include "proto/ws_frame.h"

namespace rejoin::proto {

/// Puts pieces together. A message that came in one piece is handed on where it lies, without a copy; else
/// its pieces are copied into memory that is held until the message ends. 16 bytes when idle.
///
/// The memory grows with what has arrived, never with what was announced, so that a peer pays for what it
/// makes us hold. The bound is the reader's message_max, checked there before a piece comes here.
class MessageAssembler {
 public:
  /// Takes the next piece. Returns the message when the piece was its last, else nothing. The view is valid
  /// until the next call of any method, and no longer than `payload` is.
  std::optional<Bytes> add(Bytes payload, bool first, bool last);
  std::optional<Bytes> add(const WsEvent& data) { return add(data.view(), data.first, data.last); }
  std::optional<Bytes> add(const LengthEvent& piece) { return add(piece.payload, piece.first, piece.last); }

  /// Bytes held of a message that has not ended.
  std::size_t held_bytes() const { return held_ && !done_ ? held_->size() : 0; }
  /// What is held of a message that has not ended, for an assembler in another process; empty: nothing. A
  /// message of which nothing but its beginning came is not nothing: `begun`.
  Bytes held() const { return held_ && !done_ ? Bytes(*held_) : Bytes(); }
  bool begun() const { return held_ && !done_; }
  void restore(Bytes held) {
    held_ = std::make_unique<std::string>(held);
    done_ = false;
  }
  /// Gives the memory back now: after the last event of an input, or when the connection ends.
  void release() {
    if (done_) held_.reset();
  }
  /// Forgets a message that has not ended, too.
  void clear() { held_.reset(); }

 private:
  std::unique_ptr<std::string> held_;
  bool done_ = false;  // what is held was handed on
};

}  // namespace rejoin::proto
