// Where a chunked body ends, and whether it is one (RFC 9112 7.1), while it is relayed as it is.
//
// Place on the path: behind a head whose body is BodyKind::chunked. The relay shows every piece to the
// scanner before it sends it on; nothing is unwrapped, copied or kept. Who wants the content asks for the
// payload pieces instead. Strict like the heads: what another reader could end elsewhere is refused.
//
// Owner: the record of the connection, which is parked between reads; so the whole state is 16 bytes. One
// thread.
//
//     ChunkScanner::Fed fed = scanner.feed(arrived);
//     send(arrived.substr(0, fed.consumed));                // refused: send nothing more, close both sides
//     if (fed.state == ChunkState::done) next_message(arrived.substr(fed.consumed));
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/limits.h"

namespace rejoin::proto {

enum class ChunkState : std::uint8_t { more, done, refused };

/// Refused, each at the byte that shows it: a size with anything but 1 to 16 hexadecimal digits (signs, 0x,
/// '_', spaces before or behind), or of 2^63 and more; an extension that is not `;name`, `;name=token` or
/// `;name="quoted"` without spaces between (RFC 9112 7.1.1 lets a recipient take them; no sender makes them);
/// a line of size and extensions of more than limits::kChunkLineBytesMax; CR without LF and LF without CR,
/// everywhere; data longer or shorter than its size; trailers of more than limits::kTrailerBytesMax in all; a
/// trailer line that is no field line, or is obs-fold; a trailer that RFC 9110 6.5.1 forbids
/// (FieldTraits::forbidden_in_trailer: Content-Length, Host, Cookie, Authorization,
/// ...), also with '_' for '-'.
class ChunkScanner {
 public:
  struct Fed {
    /// Bytes that belong to the body: all of them while `more`; up to the end of the body when `done`; when
    /// `refused`, those before the wrong one (which may have been sent on already, when they came in earlier
    /// pieces).
    std::size_t consumed = 0;
    ChunkState state = ChunkState::more;
    /// refused: which rule was broken; a static text. The answer is 400 to a client, 502 for a server.
    const char* reason = "";
  };

  /// Looks at `bytes`, the next of the body, wherever they were cut. The verdict does not depend on the cuts.
  /// After `done` it consumes nothing; after `refused` it stays refused.
  Fed feed(Bytes bytes);

  struct Step {
    std::size_t consumed = 0;
    ChunkState state = ChunkState::more;
    const char* reason = "";
    /// The end of the consumed bytes if they are content; empty otherwise. A view into the fed bytes.
    Bytes payload;
  };

  /// The same for who wants the content: goes on until it met a piece of payload, the end of `bytes` or of
  /// the body. Call it with the rest (`bytes.substr(consumed)`) until nothing is left or the state is not
  /// `more`.
  Step step(Bytes bytes);

  /// Content bytes of the current chunk that have not come yet.
  std::uint64_t payload_left() const { return at_ == At::data ? number_ : 0; }

 private:
  enum class At : std::uint8_t {
    size_first,            // the first digit of a size must come
    size,                  // another digit, an extension, or the end of the line
    extension_name_first,  // behind ';'
    extension_name,
    extension_value_first,  // behind '='
    extension_token,
    extension_quoted,
    extension_escaped,     // behind a backslash in a quoted value
    extension_quoted_end,  // behind its closing quote
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_first,  // the first byte of a trailer line, or the CR of the empty line
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
    refused,
  };

  const char* take(char byte);
  const char* take_size(char byte);
  const char* take_extension(char byte);
  const char* take_trailer(char byte);
  const char* end_of_extension(char byte);
  void narrow_names(char byte);
  bool name_is_forbidden() const;

  std::uint64_t number_ =
      0;  // 8  the size being read, then content left; in trailers the names still possible
  std::uint16_t line_bytes_ = 0;     // 2  of the size line so far, without CRLF
  std::uint16_t trailer_bytes_ = 0;  // 2  of all trailer lines so far
  std::uint8_t count_ =
      0;  // 1  digits of the size; in trailers, bytes of the name that could be a forbidden one
  At at_ = At::size_first;  // 1
};                          // 14, and 2 to align
static_assert(sizeof(ChunkScanner) == 16);
static_assert(limits::kTrailerBytesMax < 0xffff && limits::kChunkLineBytesMax < 0xffff);

}  // namespace rejoin::proto
