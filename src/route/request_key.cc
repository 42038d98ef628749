#include "route/request_key.h"

#include "proto/cookie.h"
#include "route/hash.h"

namespace rejoin::route {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// As forms encode (WHATWG URL, application/x-www-form-urlencoded). A '%' that begins no escape stands for
/// itself.
std::string decoded(Bytes text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::optional<std::uint64_t> in_query(Bytes name, Bytes target) {
  const std::size_t begin = target.find('?');
  if (begin == target.npos) return std::nullopt;
  Bytes rest = target.substr(begin + 1);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const Bytes pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos || equals + 1 == pair.size()) continue;
    if (pair.substr(0, equals) != name && decoded(pair.substr(0, equals)) != name) continue;
    return hash_of(decoded(pair.substr(equals + 1)));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> in_cookies(Bytes name, const proto::RequestHead& head) {
  for (const proto::Field& field : head.all(proto::KnownField::cookie)) {
    proto::CookieReader cookies(head.value(field));
    while (const auto cookie = cookies.next()) {
      if (cookie->name == name && !cookie->value.empty()) return hash_of(cookie->value);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> hash_of_key(const KeyPlace& place, const proto::RequestHead* head) {
  if (head == nullptr) return std::nullopt;
  switch (place.in) {
    case KeyPlace::In::query: return in_query(place.name, head->path_and_query());
    case KeyPlace::In::cookie: return in_cookies(place.name, *head);
    case KeyPlace::In::header: break;
  }
  const proto::Field* const field = head->find(place.name);
  if (field == nullptr || head->value(*field).empty()) return std::nullopt;
  return hash_of(head->value(*field));
}

std::uint64_t hash_of_address(const Address& client) {
  return hash_of(Bytes(reinterpret_cast<const char*>(client.ip.data()), client.ip.size()),
                 static_cast<std::uint64_t>(client.family));
}

}  // namespace rejoin::route
