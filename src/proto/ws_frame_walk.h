// Follows the frames of one direction of a WebSocket that others speak: where they begin and end, and what
// their headers say (RFC 6455 5.2). For who passes a WebSocket on and has to know where a frame of its own
// may stand.
//
// Place: beside a relay's bytes (upstream/relay_care.h). A calculator; it keeps no payload, and no header
// once it is whole. Less is checked than FrameReader checks: what would make us lose the borders of frames,
// and the rules by which somebody could make two parties see different ones. The rest is for the two ends to
// judge.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "proto/ws_frame.h"

namespace rejoin::proto {

class WsFrameWalk {
 public:
  /// Who sends these frames: a client masks all of them, a server none (RFC 6455 5.1).
  explicit WsFrameWalk(WsRole sender) : sender_(sender) {}

  enum class Is : std::uint8_t {
    header_part,  // the header goes on behind these bytes
    header,       // it is whole with them: opcode(), fin(), length() and so on are its
    payload,
    refused,  // no frame begins so; said for ever, and nothing is taken
  };
  struct Step {
    Is is;
    std::size_t bytes;  // taken from the front of what was given
  };
  /// The next piece, never more than one header or one frame's payload. `bytes` is not empty.
  Step step(Bytes bytes);

  /// Between two frames.
  bool at_boundary() const { return have_ == 0 && left_ == 0; }
  bool in_payload() const { return left_ != 0; }
  bool refused() const { return why_ != nullptr; }
  /// Which rule was broken: static text.
  Bytes reason() const { return why_ != nullptr ? Bytes(why_) : Bytes(); }

  // --- of the last header that was whole, until the next one begins ---
  /// As it came, 2 to 14 bytes; also the beginning of one that is not whole.
  Bytes header() const { return {header_, have_ != 0 ? have_ : whole_}; }
  /// Also numbers that RFC 6455 leaves for later.
  WsOpcode opcode() const { return static_cast<WsOpcode>(header_[0] & 15); }
  bool control() const { return (header_[0] & 8) != 0; }
  bool fin() const { return (header_[0] & 0x80) != 0; }
  std::uint64_t length() const { return length_; }
  /// Of a client's frame.
  MaskKey mask() const;
  /// Payload bytes of the present message, this frame's included.
  std::uint64_t message_bytes() const { return message_bytes_; }

 private:
  std::size_t header_bytes() const;
  const char* wrong_beginning() const;
  const char* read_length();
  void begin_frame();

  std::uint64_t length_ = 0;         // 8
  std::uint64_t left_ = 0;           // 8, payload bytes of the frame that have not come
  std::uint64_t message_bytes_ = 0;  // 8
  const char* why_ = nullptr;        // 8
  char header_[14] = {};             // 14
  std::uint8_t have_ = 0;            // 1, bytes of a header that is not whole
  std::uint8_t whole_ = 0;           // 1, bytes of the last whole one
  WsRole sender_;                    // 1
};

}  // namespace rejoin::proto
