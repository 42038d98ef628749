// Messages on a byte stream behind a length: the other transport of the gateway, and what most game servers
// speak.
//
// Place: between a TCP connection (io) and a session. A calculator over *lent* bytes: it copies nothing but a
// length that was cut in two. One reader per connection and direction, owned by the connection, on its
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace rejoin::proto {

enum class LengthBytes : std::uint8_t { two = 2, four = 4 };
enum class Endian : std::uint8_t { big, little };
/// Whether the number in the header includes the header's own bytes.
enum class LengthCounts : std::uint8_t { payload, payload_and_itself };

/// How one peer writes lengths. 8 bytes, a value; comes from the configuration.
struct LengthFormat {
  std::uint32_t message_max = limits::kMessageBytesMax;  // bytes of payload; a longer message is refused
  LengthBytes length = LengthBytes::four;
  Endian endian = Endian::big;
  LengthCounts counts = LengthCounts::payload;

  /// The most that a header of this width can say, in bytes of payload (message_max may be lower or higher).
  std::uint64_t representable_max() const;
  bool operator==(const LengthFormat&) const = default;
};

/// What feed() found. `payload` lies in the input and is valid as long as the input is.
struct LengthEvent {
  enum class Kind : std::uint8_t {
    more,     // the input is used up: come again with what arrives next
    piece,    // bytes of one message: first and last say where they stand. A message that came whole is one
              // piece
    refused,  // the stream cannot be followed any more: close it. `reason` says why; feed() repeats it for
              // ever
  };
  Kind kind = Kind::more;
  bool first = false;
  bool last = false;
  std::uint32_t left = 0;  // piece: bytes of this message that are still to come
  Bytes payload;
  std::string_view reason;  // refused: static text for the log
};

/// Splits a stream into messages. Pure; 24 bytes, also when idle.
class LengthReader {
 public:
  explicit LengthReader(LengthFormat format) : format_(format) {}

  /// From the next message on.
  void set_message_max(std::uint32_t bytes) { format_.message_max = bytes; }

  /// Takes bytes from the front of `input` (which shrinks) and returns the next event; call it until it says
  /// `more`. The caller may stop between any two events and go on later with what is left of the input. An
  /// empty message is one piece without bytes. A length above message_max, or below itself when it counts
  /// itself, is refused as soon as the header is there, before any payload arrives.
  LengthEvent feed(Bytes& input);

  /// True between messages: an end of the stream here is orderly, anywhere else a message was cut off.
  bool between_messages() const { return phase_ == Phase::header && have_ == 0; }
  /// After `refused`: a message was above message_max (else a length was below itself).
  bool too_long() const { return phase_ == Phase::refused_above; }
  const LengthFormat& format() const { return format_; }

  /// Where it stands in the stream, for a reader of the same format in another process. False: `from` is no
  /// such text, and nothing changed.
  void save(std::string& out) const;
  bool restore(Bytes from);

 private:
  enum class Phase : std::uint8_t { header, payload, refused_below, refused_above };
  LengthEvent begin_message(Bytes& input);
  LengthEvent take_payload(Bytes& input, bool first);

  LengthFormat format_;     // 8
  std::uint32_t left_ = 0;  // 4, bytes of the present message still to come
  char header_[4] = {};     // 4, a length that was cut in two
  std::uint8_t have_ = 0;   // 1, bytes in header_; not 0 in a payload until its first piece was handed on
  Phase phase_ = Phase::header;
};
static_assert(sizeof(LengthReader) <= 24);

/// A length header ready to be sent before its payload.
struct LengthHeader {
  char bytes[4] = {};
  std::uint8_t size = 0;
  Bytes view() const { return {bytes, size}; }
};

/// The header of a message of `payload_bytes`. Error (too_large, ours): more than message_max, or than the
/// header's width can say.
Result<LengthHeader> write_length(const LengthFormat& format, std::uint64_t payload_bytes);

}  // namespace rejoin::proto
