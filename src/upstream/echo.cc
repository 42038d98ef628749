#include "upstream/echo.h"

#include "base/limits.h"

namespace rejoin::upstream {
namespace {

// Four lines instead of a JSON library: its header costs seconds a unit, and this is the only text that is
// written here.
void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out += c;
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += '"';
}

}  // namespace

std::string Echo::greeting(const Address& client, const std::optional<SeenCookie>& cookie) const {
  std::string out = "{\"server\":";
  append_json_string(out, server_);
  out += ",\"client\":";
  append_json_string(out, client.text());
  if (cookie) {
    out += ",\"cookie\":";
    if (cookie->value) {
      append_json_string(out, cookie->value->substr(0, limits::kGreetingCookieBytesMax));
    } else {
      out += "null";
    }
  }
  out += '}';
  return out;
}

}  // namespace rejoin::upstream
