#include "proto/utf8.h"

#include <simdjson.h>

namespace rejoin::proto {
namespace {

// Below this the plain loop with its ASCII skip is faster; above it simdjson is, by 25 times on 16 KiB
// (shared facts, section 3).
constexpr std::size_t kSimdBytesMin = 64;

/// Bytes of the character that `lead` begins; 0 if none may begin so (Unicode table 3-7).
std::size_t sequence_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;  // a continuation, or an overlong form of ASCII
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

/// May `second` follow `lead`? Only here are overlong forms, surrogates and what lies above U+10FFFF to be
/// seen.
bool second_fits(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xe0: return second >= 0xa0 && second <= 0xbf;
    case 0xed: return second >= 0x80 && second <= 0x9f;
    case 0xf0: return second >= 0x90 && second <= 0xbf;
    case 0xf4: return second >= 0x80 && second <= 0x8f;
    default: return second >= 0x80 && second <= 0xbf;
  }
}

/// `count` bytes, at least one: the front of a character, or a whole one? A longer text is not looked at.
bool is_front_of_character(const unsigned char* at, std::size_t count) {
  const std::size_t whole = sequence_bytes(at[0]);
  if (whole == 0) return false;
  if (count > 1 && whole > 1 && !second_fits(at[0], at[1])) return false;
  for (std::size_t i = 2; i < count && i < whole; ++i) {
    if ((at[i] & 0xc0) != 0x80) return false;
  }
  return true;
}

/// Bytes at the end that begin a character which needs more than is there; 0 if there are none, or if the end
/// is wrong in a way that the check of the whole will see.
std::size_t unfinished_tail(Bytes bytes) {
  const std::size_t most = bytes.size() < 3 ? bytes.size() : 3;
  for (std::size_t back = 1; back <= most; ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    return sequence_bytes(byte) > back ? back : 0;
  }
  return 0;
}

/// `bytes` from end to end, by hand: eight bytes of ASCII at a time, else character by character.
bool check_short(Bytes bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto* end = at + bytes.size();
  while (at != end) {
    std::uint64_t eight;
    if (end - at >= 8 && (std::memcpy(&eight, at, 8), (eight & 0x8080808080808080) == 0)) {
      at += 8;
      continue;
    }
    const std::size_t whole = sequence_bytes(*at);
    if (whole == 0 || whole > static_cast<std::size_t>(end - at) || !is_front_of_character(at, whole))
      return false;
    at += whole;
  }
  return true;
}

bool check(Bytes bytes) {
  if (bytes.size() < kSimdBytesMin) return check_short(bytes);
  return simdjson::validate_utf8(bytes.data(), bytes.size());
}

}  // namespace

bool is_utf8(Bytes bytes) { return check(bytes); }

std::size_t utf8_cut(Bytes bytes, std::size_t max_bytes) {
  if (bytes.size() <= max_bytes) return bytes.size();
  std::size_t cut = max_bytes;
  while (cut != 0 && (static_cast<unsigned char>(bytes[cut]) & 0xc0) == 0x80) --cut;
  return cut;
}

bool Utf8Validator::feed(Bytes piece) {
  if (have_ == kBroken) return false;
  if (have_ != 0 && !finish_carried(piece)) return false;
  const std::size_t tail = unfinished_tail(piece);
  if (!check(piece.substr(0, piece.size() - tail))) {
    have_ = kBroken;
    return false;
  }
  return tail == 0 || carry(piece.substr(piece.size() - tail));
}

/// Gives the carried character the bytes it lacks, from the front of `piece`. False when they do not fit.
bool Utf8Validator::finish_carried(Bytes& piece) {
  unsigned char character[4];
  std::memcpy(character, carried_, have_);
  const std::size_t whole = sequence_bytes(character[0]);
  std::size_t have = have_;
  while (have < whole && !piece.empty()) {
    character[have++] = static_cast<unsigned char>(piece.front());
    piece.remove_prefix(1);
  }
  if (!is_front_of_character(character, have)) {
    have_ = kBroken;
    return false;
  }
  if (have == whole) {
    have_ = 0;
    return true;
  }
  std::memcpy(carried_, character, have);
  have_ = static_cast<std::uint8_t>(have);
  return true;
}

bool Utf8Validator::carry(Bytes tail) {
  std::memcpy(carried_, tail.data(), tail.size());
  const bool fits = is_front_of_character(carried_, tail.size());
  have_ = fits ? static_cast<std::uint8_t>(tail.size()) : kBroken;
  return fits;
}

}  // namespace rejoin::proto
