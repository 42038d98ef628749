#include "apps/config/address_hint.h"

#include <algorithm>
#include <optional>

namespace rejoin::config {
namespace {

std::optional<std::string> put_right(std::string_view text, AddressUse use) {
  for (const std::string_view scheme : {"http://", "ws://", "tcp://"}) {
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  const auto colon = text.rfind(':');
  const std::string_view port = colon == text.npos ? text : text.substr(colon + 1);
  const std::string_view host = colon == text.npos ? std::string_view() : text.substr(0, colon);
  const bool digits =
      !port.empty() && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  if (host == "localhost") return "127.0.0.1:" + std::string(port);
  if (host.empty() || host == "*") {
    // A server is never "any address".
    return (use == AddressUse::listen ? "0.0.0.0:" : "127.0.0.1:") + std::string(port);
  }
  if (host.find(':') != host.npos && !host.starts_with('[')) {
    return '[' + std::string(host) + "]:" + std::string(port);
  }
  return std::string(text);
}

}  // namespace

std::string address_hint(std::string_view text, AddressUse use) {
  const auto better = put_right(text, use);
  if (better && Address::parse(*better)) return "did you mean \"" + *better + "\"?";
  if (Address::parse_ip(text))
    return "the port is missing: write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000";
  return "write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up)";
}

}  // namespace rejoin::config
