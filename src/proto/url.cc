#include "proto/url.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/address.h"
#include "base/limits.h"
#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

struct SchemeFacts {
  std::string_view name;
  std::uint16_t default_port;  // 0: must be written
  bool secure;
  bool has_target;
};
constexpr std::array<SchemeFacts, 6> kSchemes{{
    {"ws", 80, false, true},
    {"wss", 443, true, true},
    {"tcp", 0, false, false},
    {"tls", 0, true, false},
    {"http", 80, false, true},
    {"https", 443, true, true},
}};
const SchemeFacts& facts(Scheme scheme) { return kSchemes[static_cast<std::size_t>(scheme)]; }

constexpr std::string_view kShapes = "write it as ws://host:port/path or tcp://host:port";

/// What is shown of a wrong address: printable, and not longer than a line.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 80)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > 80 ? out + "..." : out;
}

Error wrong(std::string_view text, std::string_view why) {
  return {ErrorKind::bad_input, Side::ours, Retry::no, "address '" + shown(text) + "': " + std::string(why)};
}

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Letters, digits, '-', '_' and '.', no empty label: names as they are used, '_' included.
bool is_host_name(std::string_view host) {
  if (host.size() > 253 || host.front() == '.') return false;
  char before = '.';
  for (const char c : host) {
    if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_' && c != '.') return false;
    if (c == '.' && before == '.') return false;
    before = c;
  }
  return true;
}

/// All digits and dots: meant as an IPv4 address, and no name (the last label of a name is never a number).
bool looks_like_ipv4(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
}

/// Nothing if `target` may stand in a request line (RFC 3986: pchar, '/', '?', whole percent escapes); else
/// why not.
std::optional<std::string> target_fault(std::string_view target) {
  constexpr std::string_view kOthers = "-._~!$&'()*+,;=:@/?";
  for (std::size_t i = 0; i < target.size(); ++i) {
    const char c = target[i];
    if (is_alpha(c) || is_digit(c) || kOthers.find(c) != std::string_view::npos) continue;
    if (c == '%') {
      if (i + 2 < target.size() && is_hex(target[i + 1]) && is_hex(target[i + 2])) continue;
      return "'%' must be followed by two hexadecimal digits ('%25' is a percent sign)";
    }
    constexpr char kHex[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    const std::string named = c > 0x20 && c < 0x7f ? std::string("'") + c + "'"
                              : c == ' '           ? "a space"
                                                   : "a character";
    return named + " must be written as %" + kHex[byte >> 4] + kHex[byte & 15];
  }
  return std::nullopt;
}

/// Splits host and port, sets host, host_kind and port. Nothing on success; else why not.
std::optional<std::string> take_authority(std::string_view authority, Url& url) {
  if (authority.find('@') != std::string_view::npos) {
    return "a user name does not belong here; it would show in process lists and logs";
  }
  std::string_view host = authority, port;
  bool port_written = false;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return "']' is missing behind the IPv6 address";
    host = authority.substr(1, close - 1);
    const std::string_view behind = authority.substr(close + 1);
    if (!behind.empty() && behind.front() != ':') return "only ':' and a port may follow ']'";
    port_written = !behind.empty();
    port = port_written ? behind.substr(1) : behind;
    const Result<Address> address = Address::parse_ip(host);
    if (!address || host.find(':') == std::string_view::npos)
      return "'" + shown(host) + "' is no IPv6 address";
    // "::ffff:1.2.3.4" is the IPv4 address that it means (base/address.h).
    url.host_kind = address->family == Address::Family::ipv6 ? HostKind::ipv6 : HostKind::ipv4;
    url.host = address->ip_text();
  } else {
    const std::size_t colon = authority.find(':');
    if (colon != authority.rfind(':')) return "an IPv6 address stands in brackets, as in [::1]:8000";
    port_written = colon != std::string_view::npos;
    if (port_written) port = authority.substr(colon + 1), host = authority.substr(0, colon);
    if (host.empty()) return "the host is missing; " + std::string(kShapes);
    if (looks_like_ipv4(host)) {
      const Result<Address> address = Address::parse_ip(host);
      if (!address) return "'" + shown(host) + "' is no IPv4 address (four numbers of 0 to 255)";
      url.host_kind = HostKind::ipv4;
      url.host = address->ip_text();
    } else {
      if (!is_host_name(host)) return "'" + shown(host) + "' is no host name";
      url.host_kind = HostKind::name;
      url.host = std::string(host);
      for (char& c : url.host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  }
  if (!port_written) {
    url.port = facts(url.scheme).default_port;
    if (url.port == 0) return std::string(facts(url.scheme).name) + ":// needs a port, as in tcp://host:7000";
    return std::nullopt;
  }
  std::uint32_t number = 0;
  for (const char c : port) {
    if (!is_digit(c) || port.size() > 5)
      return "the port must be a number of 1 to 65535, not '" + shown(port) + "'";
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (number == 0 || number > 65535)
    return "the port must be a number of 1 to 65535, not '" + shown(port) + "'";
  url.port = static_cast<std::uint16_t>(number);
  return std::nullopt;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  if (text.size() > limits::kUrlBytesMax) {
    return wrong(text, "longer than " + std::to_string(limits::kUrlBytesMax) + " bytes");
  }
  const std::size_t mark = text.find("://");
  if (mark == std::string_view::npos) return wrong(text, "it has no scheme; " + std::string(kShapes));
  Url url;
  const std::string_view scheme = text.substr(0, mark);
  const auto known = std::find_if(kSchemes.begin(), kSchemes.end(), [&](const SchemeFacts& entry) {
    return equals_ignoring_case(entry.name, scheme);
  });
  if (known == kSchemes.end()) {
    return wrong(text, "'" + shown(scheme) + "' is not known; use ws, wss, tcp, tls, http or https");
  }
  url.scheme = static_cast<Scheme>(known - kSchemes.begin());

  const std::string_view rest = text.substr(mark + 3);
  if (rest.find('#') != std::string_view::npos)
    return wrong(text, "nothing may stand behind a '#'; write it as %23");
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  if (const auto fault = take_authority(rest.substr(0, slash), url)) return wrong(text, *fault);
  const std::string_view target = rest.substr(slash);
  if (!known->has_target) {
    if (target.empty() || target == "/") return url;
    return wrong(text, std::string(known->name) + ":// has no path; nothing may follow the port");
  }
  if (const auto fault = target_fault(target)) return wrong(text, *fault);
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

bool Url::secure() const { return facts(scheme).secure; }

std::string Url::authority() const {
  std::string out = host_kind == HostKind::ipv6 ? "[" + host + "]" : host;
  if (port != facts(scheme).default_port) out += ":" + std::to_string(port);
  return out;
}

std::string_view Url::path() const {
  const std::string_view whole = target;
  return whole.empty() ? std::string_view("/") : whole.substr(0, whole.find('?'));
}

std::string Url::text() const { return std::string(to_string(scheme)) + "://" + authority() + target; }

std::string_view to_string(Scheme scheme) { return facts(scheme).name; }

}  // namespace rejoin::proto
