// The addresses that people type: ws://host:port/path?query and its kin.
//
// Place: the command line of `rejoin connect`, the client library, configured upstreams. A calculator: names
// are not resolved here. Errors are written for the person who typed the address.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace rejoin::proto {

enum class Scheme : std::uint8_t { ws, wss, tcp, tls, http, https };

/// What stands between "//" and the port.
enum class HostKind : std::uint8_t { name, ipv4, ipv6 };

struct Url {
  Scheme scheme = Scheme::ws;
  HostKind host_kind = HostKind::name;
  std::uint16_t port = 0;  // never 0 after parse()
  std::string host;        // lower case; IPv6 without brackets, in its shortest form
  std::string
      target;  // path and query as they go into a request line: "/", "/play?room=1". Empty for tcp and tls

  /// Accepts scheme://host[:port][/path][?query], the scheme in any case. Default ports: ws and http 80, wss
  /// and https 443; tcp and tls have none, so theirs must be written. Error (bad_input): no or unknown
  /// scheme, a user name, a fragment (RFC 6455 3 forbids it), a wrong host or port, a path behind tcp or tls,
  /// characters that must be percent-encoded. `detail` names the address and says what would be right.
  static Result<Url> parse(std::string_view text);

  /// True where the connection begins with TLS: wss, tls, https.
  bool secure() const;
  /// What goes into `Host:` (RFC 9110 7.2): "game.example", "game.example:8080", "[::1]:8000"; without the
  /// port when it is the scheme's default.
  std::string authority() const;
  /// The target without its query: "/play". "/" for tcp and tls. Cookies are matched against it.
  std::string_view path() const;
  /// The whole address again, normalised: parse(text()) gives an equal Url.
  std::string text() const;

  bool operator==(const Url&) const = default;
};

/// "ws", "wss", ...
std::string_view to_string(Scheme scheme);

}  // namespace rejoin::proto
