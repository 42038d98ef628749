// WebSocket frames, RFC 6455 section 5, read and written in both roles.
//
// Place: after the handshake, between a link's lent bytes (io) and whole messages (ws_message.h, or
// ws_compression.h where permessage-deflate was agreed on) or a session. A calculator: bytes in, events out,
// no I/O, no clock. One FrameReader per connection, owned by it, on its thread.
//
//   MutableBytes input = lent;
//   for (;;) {
//     WsEvent event = reader.feed(input);
//     if (event.kind == WsEvent::Kind::more) break;
//     ...
//   }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/random.h"
#include "proto/utf8.h"

namespace rejoin::proto {

/// Who we are on this connection. A server's peer masks every frame, a client's peer masks none (RFC
/// 6455 5.1).
enum class WsRole : std::uint8_t { server, client };

enum class WsOpcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// RFC 6455 7.4.1 and the IANA registry. Other numbers are legal values too: 3000-3999 registered, 4000-4999
/// private.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  none = 1005,      // "the close frame had no code"; never on the wire
  abnormal = 1006,  // "the connection ended without a close frame"; never on the wire
  bad_payload = 1007,
  policy = 1008,
  too_big = 1009,
  extension_missing = 1010,
  internal_error = 1011,
  restart = 1012,
  try_again_later = 1013,
  bad_gateway = 1014,
  tls_failed = 1015,  // never on the wire
};
inline std::uint16_t number(CloseCode code) { return static_cast<std::uint16_t>(code); }
/// May a close frame bear this number? 1000-1003, 1007-1014, 3000-4999.
bool is_wire_close_code(std::uint16_t code);

/// Four random bytes, new for every frame of a client (RFC 6455 5.3).
using MaskKey = std::array<char, 4>;
MaskKey make_mask_key(Random& random);
/// Masks, or unmasks, in place. `offset` is the place of bytes[0] in the frame's payload.
void apply_mask(MutableBytes bytes, const MaskKey& key, std::size_t offset = 0);

/// What feed() found. Views lie in the input or in a block that the reader holds: valid until the next call
/// of feed(), and no longer than the input.
struct WsEvent {
  enum class Kind : std::uint8_t {
    more,     // the input is used up
    data,     // a piece of a message: opcode, first, last, payload. A message that came whole is one piece
    ping,     // complete: answer with a pong bearing the same payload (RFC 6455 5.5.2)
    pong,     // complete
    close,    // complete: code (CloseCode::none if it had none) and the reason in payload. What follows is
              // ignored
    refused,  // the peer broke a rule: send a close with `code` and end the connection. feed() repeats it for
              // ever
  };
  Kind kind = Kind::more;
  WsOpcode opcode =
      WsOpcode::continuation;  // data: text or binary, also in later fragments; else what arrived
  bool first = false;          // data: the message begins here
  bool last = false;           // data: the message ends here
  bool compressed = false;     // data: the message's first frame had RSV1 (permessage-deflate, RFC 7692)
  CloseCode code = CloseCode::none;  // close, refused
  MutableBytes payload;              // unmasked
  std::string_view reason;           // refused: static text, fit for the log and for the close frame

  Bytes view() const { return {payload.data(), payload.size()}; }
};

/// Whether the first frame of a message may bear RSV1. `allowed` once permessage-deflate was negotiated: such
/// messages are handed on compressed and without a UTF-8 check, which is then MessageCompression's
/// (ws_compression.h), as is the bound on what they inflate to.
enum class Rsv1 : std::uint8_t { refused, allowed };

/// Reads one direction of one connection. 48 bytes; holds no other memory, except 125 bytes while the payload
/// of a control frame is cut in two by the end of the input.
///
/// Refuses: wrong masking, reserved bits and opcodes, lengths not in their shortest form or with the top bit,
/// control frames that are fragmented or longer than 125 bytes, a continuation of nothing, a new message
/// inside a message, wrong close payloads (all 1002), text or a close reason that is not UTF-8 (1007), and
/// messages above `message_max` (1009): as soon as the header is there, before the payload arrives.
class FrameReader {
 public:
  /// `message_max`: bytes of a whole message's payload over all its fragments. 0xffffffff at most: such a
  /// reader refuses messages of 4 GiB. A compressed message may have an eighth and 64 bytes more: what does
  /// not shrink is a little longer when compressed, and must not be refused for that.
  FrameReader(WsRole role, std::uint32_t message_max, Rsv1 rsv1 = Rsv1::refused)
      : message_max_(message_max), role_(role), rsv1_(rsv1) {}

  /// From the next frame on.
  void set_message_max(std::uint32_t bytes) { message_max_ = bytes; }

  /// Takes bytes from the front of `input` (which shrinks), unmasks them where they lie, and returns the next
  /// event; call it until it says `more`. The caller may stop between any two events (a slow reader behind
  /// it) and come back with the rest of the input. Bytes not yet taken are untouched.
  WsEvent feed(MutableBytes& input);

  /// True between messages and frames: a parked connection may be in this state only, or in_message().
  bool idle() const { return phase_ == Phase::header && have_ == 0 && !in_message_; }
  /// A message has begun and its last fragment has not arrived whole.
  bool in_message() const { return in_message_; }
  /// A close frame arrived; feed() swallows what follows (RFC 6455 5.5.1).
  bool closed() const { return phase_ == Phase::closed; }
  /// Bytes that the present frame still lacks. A hint for who gathers messages; a peer may announce and never
  /// send.
  std::uint32_t frame_left() const { return phase_ == Phase::payload ? left_ : 0; }

  /// Where it stands in the stream, for a reader of the same role in another process. False: `from` is no
  /// such text, and nothing changed.
  void save(std::string& out) const;
  bool restore(Bytes from);

 private:
  enum class Phase : std::uint8_t { header, payload, closed, refused };
  enum class Refusal : std::uint8_t;
  struct RefusalText;

  bool gather_header(MutableBytes& input);
  Refusal check_first_bytes(unsigned char first, unsigned char second) const;
  Refusal begin_frame();
  std::uint32_t wire_bytes_max() const;
  void end_frame();
  WsEvent take_data(MutableBytes& input);
  WsEvent take_control(MutableBytes& input);
  WsEvent finish_control(MutableBytes payload);
  WsEvent finish_close(MutableBytes payload);
  MutableBytes take(MutableBytes& input, std::size_t count);
  WsEvent refuse(Refusal why);

  std::unique_ptr<char[]> control_;  // 8, a control payload that was cut in two; else null
  std::uint32_t message_max_;        // 4
  std::uint32_t message_bytes_ = 0;  // 4, announced so far by the frames of the present message
  std::uint32_t left_ = 0;           // 4, bytes of the present frame still to come
  MaskKey mask_{};                   // 4, turned so that mask_[0] is for the next byte
  Utf8Validator utf8_;               // 4
  unsigned char header_[14] = {};    // 14, header bytes of the present frame
  std::uint8_t have_ = 0;  // 1, how many of them are there; in a control frame's payload: bytes in control_
  WsRole role_;            // 1
  Rsv1 rsv1_;              // 1
  Phase phase_ = Phase::header;          // 1
  Refusal refusal_{};                    // 1
  std::uint8_t message_opcode_ : 4 = 0;  // 1 with the three flags: text or binary
  bool in_message_ : 1 = false;
  bool first_piece_ : 1 = false;  // no piece of the present message was handed on yet
  bool compressed_ : 1 = false;
};

/// Whether this frame ends its message.
enum class Fin : std::uint8_t { no, yes };

/// What the header of a frame to be sent says. A client must give a mask, a server must not.
struct FrameSpec {
  WsOpcode opcode = WsOpcode::binary;
  std::uint64_t payload_bytes = 0;
  std::optional<MaskKey> mask;
  Fin fin = Fin::yes;
  bool compressed = false;  // RSV1
};

/// A header ready to be sent before its payload. 2 to 14 bytes.
struct FrameHeader {
  char bytes[14];
  std::uint8_t size = 0;
  Bytes view() const { return {bytes, size}; }
};
/// Always succeeds; the length takes its shortest form (RFC 6455 5.2). The payload itself is masked by the
/// caller.
FrameHeader write_frame_header(const FrameSpec& spec);

/// A whole control frame, payload included and masked if need be. No allocation.
struct ControlFrame {
  char bytes[2 + 4 + limits::kControlPayloadBytesMax];
  std::uint8_t size = 0;
  Bytes view() const { return {bytes, size}; }
};
/// ping or pong; `payload` must have at most 125 bytes (asserted: a pong's is a ping's, which the reader has
/// checked).
ControlFrame write_control(WsOpcode opcode, Bytes payload, std::optional<MaskKey> mask);
/// A close. CloseCode::none makes one without code and reason; other codes must be is_wire_close_code
/// (asserted). A reason longer than 123 bytes is cut at a character's border; one that is not UTF-8 is left
/// out.
ControlFrame write_close(CloseCode code, Bytes reason, std::optional<MaskKey> mask);

/// Appends one whole frame, FIN set, to `out`: header and payload, masked if `mask` is given. For programs
/// and tests; a byte path writes the header and sends the payload from where it lies.
void append_frame(std::string& out, WsOpcode opcode, Bytes payload, std::optional<MaskKey> mask);

static_assert(sizeof(FrameReader) == 48);

}  // namespace rejoin::proto
