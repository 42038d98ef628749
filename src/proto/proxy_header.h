// The PROXY protocol, as a sender writes it: who the client behind a connection is, said before the first
// byte of the connection itself (HAProxy's proxy-protocol.txt, versions 1 and 2).
//
// Place: in front of everything else on a connection to a server (apps/balancer/dial_server.h) or a game
// server (upstream/tcp_connection.h). proxy_reader.h reads what another proxy wrote. A calculator: addresses
// in, bytes out; no memory of its own. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace rejoin::proto {

/// Types of the fields behind the addresses of version 2 (proxy-protocol.txt 2.2).
enum class ProxyTlvType : std::uint8_t {
  alpn = 0x01,       // the protocol agreed on by ALPN
  authority = 0x02,  // the name that the client asked for (SNI), UTF-8
  crc32c = 0x03,     // of the whole header
  noop = 0x04,       // to be ignored
  unique_id = 0x05,  // names the connection; opaque, at most 128 bytes
  ssl = 0x20,        // flags, a verdict on the certificate, and fields of its own
  ssl_version = 0x21,
  ssl_common_name = 0x22,
  ssl_cipher = 0x23,
  netns = 0x30,
  session_id = 0xE0,  // ours, the first of those that everybody may use: the session's id as text
};

/// What is known of the TLS that a client spoke to the first proxy (proxy-protocol.txt 2.2.6). Lent.
struct ProxyTls {
  bool certificate = false;  // the client gave one, on this connection or in its session
  bool verified = false;     // and it was good
  Bytes version;             // "TLSv1.3"
  Bytes cipher = {};         // "TLS_AES_256_GCM_SHA384"
  Bytes common_name = {};    // of its certificate
};

/// One such field. `value` is lent.
struct ProxyTlv {
  ProxyTlvType type = ProxyTlvType::unique_id;
  Bytes value;
};

/// A header ready to be sent.
struct ProxyHeader {
  char bytes[limits::kProxyHeaderBytesMax];
  std::uint16_t size = 0;
  Bytes view() const { return {bytes, size}; }
};

/// Version 1: one line of text, "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000\r\n", at most 107 bytes. `client`
/// and `local` are the two ends of the client's own connection. When they are of two families, both are
/// written as IPv6; when one of them is none, the line says UNKNOWN, and a receiver takes the connection's
/// own address.
ProxyHeader write_proxy_v1(const Address& client, const Address& local);

/// Version 2: binary, PROXY over TCP4 or TCP6 (AF_UNSPEC in the place of UNKNOWN), then `tlvs` in their
/// order. Error (too_large, ours) when all of it exceeds limits::kProxyHeaderBytesMax.
Result<ProxyHeader> write_proxy_v2(const Address& client, const Address& local,
                                   std::span<const ProxyTlv> tlvs = {});

/// The value of the field `ssl`.
std::string proxy_ssl_value(const ProxyTls& tls);

}  // namespace rejoin::proto
