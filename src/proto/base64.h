// Base64 (RFC 4648 section 4) and base64url (section 5), encoded and strictly decoded.
//
// Place: the WebSocket handshake's key and accept, sealed cookies, tickets in the sub-protocol list. A
// calculator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace rejoin::proto {

/// Which alphabet, and whether the last group is filled up with '='.
enum class Base64 : std::uint8_t {
  standard,           // "+/", padded: HTTP and WebSocket headers
  standard_unpadded,  // "+/"
  url,  // "-_", not padded: cookie values, URLs, sub-protocol items. Every character is an RFC 9110 tchar
  url_padded,  // "-_", padded
};

/// Characters that `bytes` bytes make.
std::size_t base64_size(std::size_t bytes, Base64 form);

std::string base64_encode(Bytes bytes, Base64 form);
/// Writes base64_size(bytes.size(), form) characters to `out`, which must have that room, and returns their
/// number.
std::size_t base64_encode_to(char* out, Bytes bytes, Base64 form);

/// Strict: only characters of the form's alphabet, padding exactly as the form has it, unused bits of the
/// last character zero (RFC 4648 3.5). So each byte string has one text per form, and a token cannot be
/// changed without notice. Nothing when `text` is anything else. The empty text is the empty byte string.
std::optional<std::string> base64_decode(std::string_view text, Base64 form);
/// The same without allocation: into `out`, the number of bytes written. Nothing also when `out` is too small
/// (text.size() / 4 * 3 + 3 is always enough); `out` may have been written to in part then.
std::optional<std::size_t> base64_decode_to(MutableBytes out, std::string_view text, Base64 form);

}  // namespace rejoin::proto
