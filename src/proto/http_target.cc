#include "proto/http_target.h"

#include <array>

#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

enum : std::uint8_t { kTarget = 1, kName = 2, kAddress6 = 4, kDigit = 8, kQuery = 16 };

consteval std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  const auto add = [&table](Bytes bytes, std::uint8_t classes) {
    for (char byte : bytes) table[static_cast<unsigned char>(byte)] |= classes;
  };
  add("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kTarget | kQuery | kName);
  add("0123456789", kTarget | kQuery | kName | kAddress6 | kDigit);
  add("-._~%!$&'()*+;=", kTarget | kQuery | kName);
  add(",:/?[]@", kTarget | kQuery);
  // Outside RFC 3986, and what browsers send: the URL standard (WHATWG, query state) leaves them as they are
  // in a query. None of them can end a line, a target or a name.
  add("{}|\\^`", kQuery);
  add("abcdefABCDEF:.", kAddress6);
  return table;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool all_of(Bytes text, std::uint8_t wanted) {
  std::uint8_t classes = wanted;
  for (char byte : text) classes &= kClasses[static_cast<unsigned char>(byte)];
  return !text.empty() && classes == wanted;
}

constexpr std::size_t kAddress6BytesMax = 45;  // ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255

// What is behind the host: nothing, or ":port".
bool is_port_part(Bytes text, bool needed) {
  if (text.empty()) return !needed;
  if (text[0] != ':' || text.size() < 2 || text.size() > 6 || !all_of(text.substr(1), kDigit)) return false;
  unsigned port = 0;
  for (char byte : text.substr(1)) port = port * 10 + static_cast<unsigned>(byte - '0');
  return port <= 65535;
}

bool is_authority(Bytes text, bool port_needed) {
  if (text.empty()) return false;
  if (text[0] == '[') {
    const std::size_t close = text.find(']');
    if (close == Bytes::npos) return false;
    const Bytes address = text.substr(1, close - 1);
    // Not a whole IPv6 parser: enough that nothing but an address can be meant, and whoever dials it parses
    // it.
    if (address.size() > kAddress6BytesMax || !all_of(address, kAddress6) || address.find(':') == Bytes::npos)
      return false;
    return is_port_part(text.substr(close + 1), port_needed);
  }
  const std::size_t colon = text.find(':');
  if (!all_of(text.substr(0, colon), kName)) return false;
  return is_port_part(colon == Bytes::npos ? Bytes{} : text.substr(colon), port_needed);
}

}  // namespace

bool is_target_text(Bytes text) {
  const std::size_t question = text.find('?');
  if (!all_of(text.substr(0, question), kTarget)) return false;
  return question == Bytes::npos || all_of(text.substr(question), kQuery);
}
bool is_authority(Bytes text) { return is_authority(text, false); }
bool is_authority_with_port(Bytes text) { return is_authority(text, true); }

std::optional<AbsoluteTarget> read_absolute_target(Bytes text) {
  std::size_t begin = 0;
  for (Bytes scheme : {Bytes("http://"), Bytes("https://")}) {
    if (equals_ignoring_case(text.substr(0, scheme.size()), scheme)) begin = scheme.size();
  }
  if (begin == 0) return std::nullopt;
  // Everything up to the path is the authority, a query without a path too: '?' is in no host, so that is
  // refused.
  std::size_t end = text.find('/', begin);
  if (end == Bytes::npos) end = text.size();
  if (!is_authority(text.substr(begin, end - begin))) return std::nullopt;
  return AbsoluteTarget{begin, end - begin};
}

}  // namespace rejoin::proto
