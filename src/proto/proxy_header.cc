#include "proto/proxy_header.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace rejoin::proto {
namespace {

using Family = Address::Family;

// Chosen by the protocol so that no other server takes it for a request: a line end, a NUL, and a word.
constexpr Bytes kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr char kVersion2Proxy = 0x21;
constexpr std::size_t kFixedBytes = 16;  // signature, version and command, family, length
constexpr std::size_t kTlvHeadBytes = 3;

/// Both addresses in the family in which both can be written; `none` when one of them is missing.
struct Pair {
  Family family = Family::none;
  Address client, local;
};

Address mapped(const Address& from) {
  if (from.family != Family::ipv4) return from;
  Address out;
  out.family = Family::ipv6;
  out.port = from.port;
  out.ip[10] = out.ip[11] = 0xff;
  std::copy_n(from.ip.begin(), 4, out.ip.begin() + 12);
  return out;
}

Pair pair_of(const Address& client, const Address& local) {
  if (!client || !local) return {};
  if (client.family == local.family) return {client.family, client, local};
  return {Family::ipv6, mapped(client), mapped(local)};
}

class Writer {
 public:
  explicit Writer(ProxyHeader& out) : out_(out) {}
  void put(Bytes bytes) {
    std::memcpy(out_.bytes + out_.size, bytes.data(), bytes.size());
    out_.size = static_cast<std::uint16_t>(out_.size + bytes.size());
  }
  void put(char byte) { put(Bytes(&byte, 1)); }
  void put_u16(std::size_t number) {
    char bytes[2];
    store_u16(bytes, static_cast<std::uint16_t>(number));
    put({bytes, sizeof bytes});
  }

 private:
  ProxyHeader& out_;
};

std::size_t ip_bytes(Family family) {
  if (family == Family::none) return 0;
  return family == Family::ipv4 ? 4 : 16;
}

}  // namespace

ProxyHeader write_proxy_v1(const Address& client, const Address& local) {
  const Pair pair = pair_of(client, local);
  std::string line = "PROXY UNKNOWN";
  if (pair.family != Family::none) {
    line = pair.family == Family::ipv4 ? "PROXY TCP4 " : "PROXY TCP6 ";
    line += pair.client.ip_text() + ' ' + pair.local.ip_text();
    line += ' ' + std::to_string(pair.client.port) + ' ' + std::to_string(pair.local.port);
  }
  line += "\r\n";
  ProxyHeader out;
  Writer(out).put(line);
  return out;
}

Result<ProxyHeader> write_proxy_v2(const Address& client, const Address& local,
                                   std::span<const ProxyTlv> tlvs) {
  const Pair pair = pair_of(client, local);
  const std::size_t address_bytes = pair.family == Family::none ? 0 : 2 * (ip_bytes(pair.family) + 2);
  std::size_t behind = address_bytes;
  for (const ProxyTlv& tlv : tlvs) behind += kTlvHeadBytes + tlv.value.size();
  if (kFixedBytes + behind > limits::kProxyHeaderBytesMax) {
    return Error{ErrorKind::too_large, Side::ours, Retry::no,
                 "a PROXY header of " + std::to_string(kFixedBytes + behind) + " bytes"};
  }
  ProxyHeader out;
  Writer to(out);
  to.put(kSignature);
  to.put(kVersion2Proxy);
  to.put(pair.family == Family::none ? '\x00' : pair.family == Family::ipv4 ? '\x11' : '\x21');
  to.put_u16(behind);
  if (pair.family != Family::none) {
    for (const Address& address : {pair.client, pair.local})
      to.put(as_bytes(std::span(address.ip).first(ip_bytes(pair.family))));
    to.put_u16(pair.client.port);
    to.put_u16(pair.local.port);
  }
  for (const ProxyTlv& tlv : tlvs) {
    to.put(static_cast<char>(tlv.type));
    to.put_u16(tlv.value.size());
    to.put(tlv.value);
  }
  return out;
}

std::string proxy_ssl_value(const ProxyTls& tls) {
  // PP2_CLIENT_SSL, _CERT_CONN (and _CERT_SESS: we cannot tell them apart after a resumption).
  std::string out(1, static_cast<char>(tls.certificate ? 0x01 | 0x02 | 0x04 : 0x01));
  // 0: the client gave a certificate and it was good.
  out.append(3, '\0').push_back(static_cast<char>(tls.certificate && tls.verified ? 0 : 1));
  const auto put = [&out](ProxyTlvType type, Bytes value) {
    if (value.empty()) return;
    char length[2];
    store_u16(length, static_cast<std::uint16_t>(value.size()));
    out.push_back(static_cast<char>(type));
    out.append(length, sizeof length).append(value);
  };
  put(ProxyTlvType::ssl_version, tls.version);
  put(ProxyTlvType::ssl_common_name, tls.common_name);
  put(ProxyTlvType::ssl_cipher, tls.cipher);
  return out;
}

}  // namespace rejoin::proto
