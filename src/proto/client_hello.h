// The first message of a TLS client, read and not answered: which name it asks for (RFC 8446 4.1.2, RFC 6066
// 3), so that layer 4 can choose a pool for a connection whose TLS somebody else ends.
//
// Place: the first bytes of a connection on a listener with `sni` (apps/balancer/serve_client.cc). A
// calculator without memory: it is given all that has arrived so far, each time from the first byte. The
// message may be spread over several records, and records may be cut anywhere.
//
// Strict: records of the handshake with a version 3.x and no empty ones, a ClientHello whose parts fill their
// lengths exactly, at most one list of names with at most one host name in it, which is a host name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace rejoin::proto {

/// The most that a ClientHello may take with the heads of its records. Real ones have 200 to 2,000 bytes.
inline constexpr std::size_t kClientHelloBytesMax = 16 * 1024;
/// Records over which it may be spread: a message in pieces of one byte is no client's.
inline constexpr std::size_t kClientHelloRecordsMax = 64;

struct ClientHello {
  /// In small letters; empty: it asks for none.
  std::string name;
};

enum class HelloState : std::uint8_t {
  need_more,
  complete,
  refused,  // this is no ClientHello
};

struct HelloVerdict {
  HelloState state = HelloState::need_more;
  /// refused: which rule was broken. Static text.
  Bytes reason = {};
};

HelloVerdict read_client_hello(Bytes arrived, ClientHello& hello);

}  // namespace rejoin::proto
