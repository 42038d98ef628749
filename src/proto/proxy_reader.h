// The PROXY protocol, as a receiver reads it: who the client behind a connection is, told by a proxy in front
// before the first byte of the connection itself (HAProxy's proxy-protocol.txt, versions 1 and 2).
//
// Place: the first bytes of an accepted connection, before TLS and before HTTP (apps/serve/hear_proxy.h). A
// calculator without memory: it is given all that has arrived so far, each time from the first byte.
//
// Strict, since what it says is believed: a header of version 1 is the line that the text describes and no
// other (one space, no leading zeros, addresses in their family's form, CRLF); version 2 has a known command,
// a known family with its exact room, fields that fill their length, and a right checksum where one is given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "proto/proxy_header.h"

namespace rejoin::proto {

/// The longest line of version 1 (proxy-protocol.txt 2.1), CRLF included.
inline constexpr std::size_t kProxyLineBytesMax = 107;
/// The longest header of version 2 that we take: addresses and fields of ten times what real proxies send.
inline constexpr std::size_t kProxyHeardBytesMax = 4096;

/// What a header says. Views lie in the bytes that were given.
struct ProxyHeard {
  /// LOCAL: the proxy speaks for itself (a health check). The connection's own addresses count.
  bool local = false;
  /// None when it did not say: UNKNOWN, AF_UNSPEC, or a socket that is no TCP over IP. The connection's own
  /// address counts then.
  Address client;
  /// Where the client had dialled.
  Address dialled;
  Bytes alpn, authority, unique_id, session_id;
  /// Whether there was a field `ssl` that says that the client spoke TLS.
  bool tls = false;
  ProxyTls tls_facts;
};

enum class ProxyState : std::uint8_t {
  need_more,  // all that came may be the beginning of a header
  complete,
  absent,   // this is no header
  refused,  // it begins as one, and is none
};

struct ProxyVerdict {
  ProxyState state = ProxyState::need_more;
  /// complete: bytes of the header; what stands behind them is the connection.
  std::size_t consumed = 0;
  /// refused: which rule was broken. Static text.
  Bytes reason = {};
};

/// Reads a header at the front of `arrived`. `heard` is meaningful when it is complete.
ProxyVerdict read_proxy_header(Bytes arrived, ProxyHeard& heard);

/// CRC-32C (Castagnoli; RFC 3720 B.4), as the field `crc32c` has it.
std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0);

}  // namespace rejoin::proto
