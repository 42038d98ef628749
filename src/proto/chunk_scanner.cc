#include "proto/chunk_scanner.h"

#include <algorithm>
#include <bit>

#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

constexpr std::uint8_t kSizeDigitsMax = 16;
constexpr std::uint64_t kSizeMax = ~std::uint64_t{0} >> 1;

/// -1 for what is no digit.
int hex_value(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

/// What may stand in a field value, and in a quoted text behind a backslash: no control characters but tabs.
bool is_text_byte(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value == '\t' || (value >= ' ' && value != 0x7f);
}

char folded(char byte) {
  if (byte == '_') return '-';
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
}

/// The names that a trailer must not have, one bit each.
std::uint64_t forbidden_names() {
  std::uint64_t mask = 0;
  for (int i = 1; i < static_cast<int>(KnownField::count_); ++i) {
    if (traits_of(static_cast<KnownField>(i)).forbidden_in_trailer) mask |= std::uint64_t{1} << i;
  }
  return mask;
}

}  // namespace

ChunkScanner::Step ChunkScanner::step(Bytes bytes) {
  std::size_t consumed = 0;
  while (true) {
    if (at_ == At::done) return {consumed, ChunkState::done, "", {}};
    if (at_ == At::refused) return {consumed, ChunkState::refused, "refused before", {}};
    if (consumed == bytes.size()) return {consumed, ChunkState::more, "", {}};
    if (at_ == At::data) {
      const Bytes payload = bytes.substr(consumed, number_);
      number_ -= payload.size();
      if (number_ == 0) at_ = At::data_cr;
      return {consumed + payload.size(), ChunkState::more, "", payload};
    }
    if (const char* reason = take(bytes[consumed])) {
      at_ = At::refused;
      return {consumed, ChunkState::refused, reason, {}};
    }
    ++consumed;
  }
}

ChunkScanner::Fed ChunkScanner::feed(Bytes bytes) {
  Fed fed;
  do {
    const Step next = step(bytes.substr(fed.consumed));
    fed.consumed += next.consumed;
    fed.state = next.state;
    fed.reason = next.reason;
  } while (fed.state == ChunkState::more && fed.consumed < bytes.size());
  return fed;
}

const char* ChunkScanner::take(char byte) {
  switch (at_) {
    case At::size_first:
    case At::size:
    case At::size_lf: return take_size(byte);
    case At::data_cr:
      if (byte != '\r') return "chunk data longer than its size";
      at_ = At::data_lf;
      return nullptr;
    case At::data_lf:
      if (byte != '\n') return "CR without LF behind chunk data";
      at_ = At::size_first;
      number_ = 0;
      line_bytes_ = 0;
      count_ = 0;
      return nullptr;
    case At::trailer_first:
    case At::trailer_name:
    case At::trailer_value:
    case At::trailer_lf:
    case At::end_lf: return take_trailer(byte);
    default: return take_extension(byte);
  }
}

const char* ChunkScanner::take_size(char byte) {
  if (at_ == At::size_lf) {
    if (byte != '\n') return "CR without LF behind a chunk size";
    at_ = number_ == 0 ? At::trailer_first : At::data;
    return nullptr;
  }
  ++line_bytes_;
  const int digit = hex_value(byte);
  if (digit < 0) {
    if (at_ == At::size_first) return "chunk size without digits";
    return end_of_extension(byte) == nullptr ? nullptr : "chunk size with a byte that is no digit";
  }
  if (count_ == kSizeDigitsMax) return "chunk size of more than 16 digits";
  if (number_ > kSizeMax >> 4) return "chunk size too large";
  number_ = number_ << 4 | static_cast<std::uint64_t>(digit);
  ++count_;
  at_ = At::size;
  return nullptr;
}

// Behind a size, an extension's name or its value: the next extension or the end of the line.
const char* ChunkScanner::end_of_extension(char byte) {
  if (byte == '\r') {
    at_ = At::size_lf;
    return nullptr;
  }
  if (byte != ';') return "malformed chunk extension";
  at_ = At::extension_name_first;
  return nullptr;
}

const char* ChunkScanner::take_extension(char byte) {
  if (byte != '\r' && ++line_bytes_ > limits::kChunkLineBytesMax) return "chunk line too long";
  switch (at_) {
    case At::extension_name_first:
    case At::extension_name:
      if (is_token_byte(byte)) {
        at_ = At::extension_name;
        return nullptr;
      }
      if (at_ == At::extension_name_first) return "chunk extension without name";
      if (byte != '=') break;
      at_ = At::extension_value_first;
      return nullptr;
    case At::extension_value_first:
      if (byte == '"') {
        at_ = At::extension_quoted;
        return nullptr;
      }
      if (!is_token_byte(byte)) return "chunk extension without value";
      at_ = At::extension_token;
      return nullptr;
    case At::extension_token:
      if (is_token_byte(byte)) return nullptr;
      break;
    case At::extension_quoted:
      if (!is_text_byte(byte)) return "control character in a chunk extension";
      if (byte == '"') at_ = At::extension_quoted_end;
      if (byte == '\\') at_ = At::extension_escaped;
      return nullptr;
    case At::extension_escaped:
      if (!is_text_byte(byte)) return "control character in a chunk extension";
      at_ = At::extension_quoted;
      return nullptr;
    default: break;  // extension_quoted_end
  }
  return end_of_extension(byte);
}

const char* ChunkScanner::take_trailer(char byte) {
  if (++trailer_bytes_ > limits::kTrailerBytesMax) return "trailers too large";
  switch (at_) {
    case At::trailer_first:
      if (byte == '\r') {
        at_ = At::end_lf;
        return nullptr;
      }
      if (byte == ' ' || byte == '\t') return "obs-fold in trailers";
      if (!is_token_byte(byte)) return "malformed trailer name";
      number_ = forbidden_names();
      count_ = 0;
      narrow_names(byte);
      at_ = At::trailer_name;
      return nullptr;
    case At::trailer_name:
      if (is_token_byte(byte)) {
        narrow_names(byte);
        return nullptr;
      }
      if (byte != ':') return "malformed trailer name";
      if (name_is_forbidden()) return "trailer that may not be one";
      at_ = At::trailer_value;
      return nullptr;
    case At::trailer_value:
      if (byte == '\r') {
        at_ = At::trailer_lf;
        return nullptr;
      }
      return is_text_byte(byte) ? nullptr : "control character in a trailer";
    case At::trailer_lf:
      if (byte != '\n') return "CR without LF in trailers";
      at_ = At::trailer_first;
      return nullptr;
    default:  // end_lf
      if (byte != '\n') return "CR without LF in trailers";
      at_ = At::done;
      return nullptr;
  }
}

// A name is compared while it comes, byte by byte, with all the forbidden ones at once: keeping its bytes
// until the colon would cost more state than everything else here.
void ChunkScanner::narrow_names(char byte) {
  if (number_ == 0) return;
  std::uint64_t still = 0;
  for (std::uint64_t left = number_; left != 0; left &= left - 1) {
    const Bytes name = name_of(static_cast<KnownField>(std::countr_zero(left)));
    if (count_ < name.size() && folded(name[count_]) == folded(byte)) still |= left & (~left + 1);
  }
  number_ = still;
  ++count_;
}

bool ChunkScanner::name_is_forbidden() const {
  for (std::uint64_t left = number_; left != 0; left &= left - 1) {
    if (name_of(static_cast<KnownField>(std::countr_zero(left))).size() == count_) return true;
  }
  return false;
}

}  // namespace rejoin::proto
