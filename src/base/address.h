// An IP address and a port, as values: no lookup, no socket.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace rejoin {

/// 20 bytes, ordered and comparable. IPv4 stands in the first four bytes of `ip`, the rest is zero, so that
/// equal addresses are equal bytes. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is made the IPv4 address it
/// means.
struct Address {
  enum class Family : std::uint8_t { none, ipv4, ipv6 };

  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;
  Family family = Family::none;

  auto operator<=>(const Address&) const = default;
  explicit operator bool() const { return family != Family::none; }

  /// "127.0.0.1:8000", "[::1]:8000". Names are not resolved. Error: bad_input, `detail` says what would be
  /// right.
  static Result<Address> parse(std::string_view text);
  /// "127.0.0.1" or "::1", without a port; `port` is given.
  static Result<Address> parse_ip(std::string_view text, std::uint16_t port = 0);

  /// The address with all bits behind the first `bits` cleared, and no port: the key of "a client's /24".
  Address prefix(unsigned bits) const;
  std::string ip_text() const;
  /// "127.0.0.1:8000", "[::1]:8000"; "-" when there is none.
  std::string text() const;
};

}  // namespace rejoin
