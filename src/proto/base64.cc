#include "proto/base64.h"

#include <array>

namespace rejoin::proto {
namespace {

constexpr char kStandard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kUrl[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNone = 0xff;

constexpr std::array<std::uint8_t, 256> values_of(const char* alphabet) {
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = kNone;
  for (std::uint8_t i = 0; i < 64; ++i) table[static_cast<unsigned char>(alphabet[i])] = i;
  return table;
}
constexpr std::array<std::uint8_t, 256> kStandardValues = values_of(kStandard);
constexpr std::array<std::uint8_t, 256> kUrlValues = values_of(kUrl);

bool is_url(Base64 form) { return form == Base64::url || form == Base64::url_padded; }
bool is_padded(Base64 form) { return form == Base64::standard || form == Base64::url_padded; }

}  // namespace

std::size_t base64_size(std::size_t bytes, Base64 form) {
  if (is_padded(form)) return (bytes + 2) / 3 * 4;
  return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

std::size_t base64_encode_to(char* out, Bytes bytes, Base64 form) {
  const char* alphabet = is_url(form) ? kUrl : kStandard;
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  char* const begin = out;
  std::size_t left = bytes.size();
  for (; left >= 3; left -= 3, at += 3) {
    const std::uint32_t group = std::uint32_t{at[0]} << 16 | std::uint32_t{at[1]} << 8 | at[2];
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    *out++ = alphabet[group >> 6 & 63];
    *out++ = alphabet[group & 63];
  }
  if (left != 0) {
    const std::uint32_t group = std::uint32_t{at[0]} << 16 | (left == 2 ? std::uint32_t{at[1]} << 8 : 0);
    *out++ = alphabet[group >> 18];
    *out++ = alphabet[group >> 12 & 63];
    if (left == 2) *out++ = alphabet[group >> 6 & 63];
    if (is_padded(form)) {
      if (left == 1) *out++ = '=';
      *out++ = '=';
    }
  }
  return static_cast<std::size_t>(out - begin);
}

std::string base64_encode(Bytes bytes, Base64 form) {
  std::string out(base64_size(bytes.size(), form), '\0');
  base64_encode_to(out.data(), bytes, form);
  return out;
}

std::optional<std::size_t> base64_decode_to(MutableBytes out, std::string_view text, Base64 form) {
  if (is_padded(form)) {
    if (text.size() % 4 != 0) return std::nullopt;
    // At most two '=' go; a third, or one elsewhere, is then met as a character that is not of the alphabet.
    if (text.ends_with('=')) text.remove_suffix(1);
    if (text.size() % 4 == 3 && text.ends_with('=')) text.remove_suffix(1);
  }
  const std::size_t tail = text.size() % 4;
  if (tail == 1) return std::nullopt;
  const std::size_t bytes = text.size() / 4 * 3 + (tail == 0 ? 0 : tail - 1);
  if (out.size() < bytes) return std::nullopt;

  const auto& values = is_url(form) ? kUrlValues : kStandardValues;
  const auto value = [&](std::size_t i) {
    return std::uint32_t{values[static_cast<unsigned char>(text[i])]};
  };
  char* to = out.data();
  std::uint32_t seen = 0;  // all values, or-ed: 0xff (kNone) sets bits that no value of 0..63 has
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const std::uint32_t a = value(i), b = value(i + 1), c = value(i + 2), d = value(i + 3);
    seen |= a | b | c | d;
    *to++ = static_cast<char>(a << 2 | b >> 4);
    *to++ = static_cast<char>(b << 4 | c >> 2);
    *to++ = static_cast<char>(c << 6 | d);
  }
  if (tail != 0) {
    const std::uint32_t a = value(i), b = value(i + 1), c = tail == 3 ? value(i + 2) : 0;
    seen |= a | b | c;
    const std::uint32_t unused = tail == 2 ? b & 15 : c & 3;
    if (unused != 0) return std::nullopt;
    *to++ = static_cast<char>(a << 2 | b >> 4);
    if (tail == 3) *to++ = static_cast<char>(b << 4 | c >> 2);
  }
  if (seen > 63) return std::nullopt;
  return bytes;
}

std::optional<std::string> base64_decode(std::string_view text, Base64 form) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  const std::optional<std::size_t> bytes = base64_decode_to(out, text, form);
  if (!bytes) return std::nullopt;
  out.resize(*bytes);
  return out;
}

}  // namespace rejoin::proto
