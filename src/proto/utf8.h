// Is it UTF-8 (RFC 3629)? Asked of text messages while they arrive in pieces, and of close reasons.
//
// Place: under ws_frame. A calculator: no allocation, no I/O. One validator per message, used on one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace rejoin::proto {

/// True if `bytes` is UTF-8 from end to end: no overlong forms, no surrogates, nothing above U+10FFFF,
/// nothing cut off.
bool is_utf8(Bytes bytes);

/// The length of the longest front of `bytes` that is at most `max_bytes` long and does not cut a character
/// in two. `bytes` must be UTF-8. For texts that go into a field of bounded size (a close reason).
std::size_t utf8_cut(Bytes bytes, std::size_t max_bytes);

/// Checks a text that arrives in pieces, cut anywhere. 4 bytes of state: the up to three bytes of a character
/// that the last piece began and did not end.
///
/// A wrong byte is found in the piece that brings it, even inside a character that is not complete yet, so
/// that a peer can be refused at once (RFC 6455 8.1) and not only when the message ends.
class Utf8Validator {
 public:
  /// Takes the next piece. False: the text is not UTF-8, whatever may follow; every later feed() is false
  /// too.
  bool feed(Bytes piece);
  /// True if what came so far is UTF-8 and ends with a whole character (also when nothing came). Ask at the
  /// end.
  bool complete() const { return have_ == 0; }
  /// Ready for the next text.
  void reset() { have_ = 0; }

  /// Its whole state, for a validator in another process.
  std::array<unsigned char, 4> state() const { return {carried_[0], carried_[1], carried_[2], have_}; }
  void set_state(const std::array<unsigned char, 4>& state) {
    std::copy_n(state.begin(), 3, carried_);
    have_ = state[3] <= 3 ? state[3] : kBroken;
  }

 private:
  static constexpr std::uint8_t kBroken = 0xff;
  bool finish_carried(Bytes& piece);
  bool carry(Bytes tail);

  unsigned char carried_[3] = {};
  std::uint8_t have_ = 0;  // bytes in carried_, or kBroken
};
static_assert(sizeof(Utf8Validator) == 4);

}  // namespace rejoin::proto
