#include "proto/proxy_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace rejoin::proto {
namespace {

constexpr Bytes kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr Bytes kWord("PROXY ", 6);
constexpr std::size_t kFixedBytes = 16;
constexpr std::size_t kTlvHeadBytes = 3;
constexpr std::size_t kUniqueIdBytesMax = 128;
constexpr std::size_t kSslFixedBytes = 5;

ProxyVerdict refused(Bytes why) { return {ProxyState::refused, 0, why}; }
ProxyVerdict complete(std::size_t bytes) { return {ProxyState::complete, bytes}; }

/// One of the two begins with all of the other.
bool agree(Bytes arrived, Bytes wanted) {
  const std::size_t both = std::min(arrived.size(), wanted.size());
  return arrived.substr(0, both) == wanted.substr(0, both);
}

// --- version 1 ---

/// Takes what stands before the next space, or before the end.
Bytes next_word(Bytes& line) {
  const std::size_t space = line.find(' ');
  const Bytes word = line.substr(0, space);
  line = space == line.npos ? Bytes() : line.substr(space + 1);
  return word;
}

std::optional<std::uint16_t> port_in(Bytes word) {
  if (word.empty() || word.size() > 5 || (word.size() > 1 && word.front() == '0')) return std::nullopt;
  unsigned number = 0;
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (failed != std::errc() || end != word.data() + word.size() || number > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(number);
}

/// An address in the form of its family. Of TCP6 also ::ffff:1.2.3.4, which is an IPv4 address to us.
std::optional<Address> address_in(Bytes word, bool ipv6) {
  if ((word.find(':') != word.npos) != ipv6) return std::nullopt;
  const Result<Address> address = Address::parse_ip(word);
  if (!address) return std::nullopt;
  return *address;
}

ProxyVerdict read_line(Bytes line, std::size_t bytes, ProxyHeard& heard) {
  line.remove_prefix(kWord.size());
  const bool ends_behind_a_space = line.ends_with(' ');
  const Bytes family = next_word(line);
  // What follows UNKNOWN is to be ignored (proxy-protocol.txt 2.1).
  if (family == "UNKNOWN") return complete(bytes);
  if (family != "TCP4" && family != "TCP6") return refused("a PROXY line of another protocol than TCP");
  const bool ipv6 = family == "TCP6";
  auto client = address_in(next_word(line), ipv6);
  auto dialled = address_in(next_word(line), ipv6);
  if (!client || !dialled) return refused("a PROXY line with an address that is none of its family");
  const auto client_port = port_in(next_word(line));
  const auto dialled_port = port_in(next_word(line));
  if (!client_port || !dialled_port) return refused("a PROXY line with a port that is no number up to 65535");
  if (!line.empty() || ends_behind_a_space) return refused("a PROXY line with something behind its ports");
  client->port = *client_port;
  dialled->port = *dialled_port;
  heard.client = *client;
  heard.dialled = *dialled;
  return complete(bytes);
}

ProxyVerdict read_version_1(Bytes arrived, ProxyHeard& heard) {
  const Bytes within = arrived.substr(0, kProxyLineBytesMax);
  const std::size_t end = within.find('\n');
  if (end == within.npos) {
    if (within.size() == kProxyLineBytesMax) return refused("a PROXY line without an end");
    return {};
  }
  if (end == 0 || within[end - 1] != '\r') return refused("a PROXY line that does not end with CRLF");
  const Bytes line = within.substr(0, end - 1);
  if (line.find('\r') != line.npos || line.find('\0') != line.npos)
    return refused("a PROXY line with a control character");
  return read_line(line, end + 1, heard);
}

// --- version 2 ---

Address address_at(const char* ip, std::size_t ip_bytes, const char* port) {
  Address out;
  std::memcpy(out.ip.data(), ip, ip_bytes);
  out.family = ip_bytes == 4 ? Address::Family::ipv4 : Address::Family::ipv6;
  if (ip_bytes == 16) {
    // An IPv4-mapped address is made the IPv4 address it means, as everywhere.
    const Result<Address> as_text = Address::parse_ip(out.ip_text());
    if (as_text) out = *as_text;
  }
  out.port = load_u16(port);
  return out;
}

/// A field at the front of `fields`; nothing when it does not fit in them.
struct Tlv {
  std::uint8_t type = 0;
  Bytes value;
};
std::optional<Tlv> next_tlv(Bytes& fields) {
  if (fields.size() < kTlvHeadBytes) return std::nullopt;
  const std::size_t length = load_u16(fields.data() + 1);
  if (fields.size() - kTlvHeadBytes < length) return std::nullopt;
  Tlv tlv{static_cast<std::uint8_t>(fields[0]), fields.substr(kTlvHeadBytes, length)};
  fields.remove_prefix(kTlvHeadBytes + length);
  return tlv;
}

Bytes read_ssl(Bytes value, ProxyHeard& heard) {
  if (value.size() < kSslFixedBytes) return "a PROXY header with a field ssl that is too short";
  const auto flags = static_cast<unsigned char>(value[0]);
  heard.tls = (flags & 0x01) != 0;
  heard.tls_facts.certificate = (flags & 0x06) != 0;
  heard.tls_facts.verified = heard.tls_facts.certificate && load_u32(value.data() + 1) == 0;
  Bytes fields = value.substr(kSslFixedBytes);
  while (!fields.empty()) {
    const std::optional<Tlv> tlv = next_tlv(fields);
    if (!tlv) return "a PROXY header with a field in ssl that is longer than it";
    switch (static_cast<ProxyTlvType>(tlv->type)) {
      case ProxyTlvType::ssl_version: heard.tls_facts.version = tlv->value; break;
      case ProxyTlvType::ssl_common_name: heard.tls_facts.common_name = tlv->value; break;
      case ProxyTlvType::ssl_cipher: heard.tls_facts.cipher = tlv->value; break;
      default: break;
    }
  }
  return {};
}

/// The checksum is that of the whole header with four zeros in the checksum's place.
bool checksum_is_right(Bytes header, Bytes value) {
  constexpr char kZeros[4] = {};
  const auto at = static_cast<std::size_t>(value.data() - header.data());
  std::uint32_t sum = crc32c(header.substr(0, at));
  sum = crc32c({kZeros, sizeof kZeros}, sum);
  sum = crc32c(header.substr(at + sizeof kZeros), sum);
  return sum == load_u32(value.data());
}

/// Empty, or which rule was broken.
Bytes read_fields(Bytes header, Bytes fields, ProxyHeard& heard) {
  while (!fields.empty()) {
    const std::optional<Tlv> tlv = next_tlv(fields);
    if (!tlv) return "a PROXY header with a field that is longer than it";
    switch (static_cast<ProxyTlvType>(tlv->type)) {
      case ProxyTlvType::alpn: heard.alpn = tlv->value; break;
      case ProxyTlvType::authority: heard.authority = tlv->value; break;
      case ProxyTlvType::session_id: heard.session_id = tlv->value; break;
      case ProxyTlvType::unique_id:
        if (tlv->value.size() > kUniqueIdBytesMax)
          return "a PROXY header with a unique id of more than 128 bytes";
        heard.unique_id = tlv->value;
        break;
      case ProxyTlvType::crc32c:
        if (tlv->value.size() != 4 || !checksum_is_right(header, tlv->value))
          return "a PROXY header with a wrong checksum";
        break;
      case ProxyTlvType::ssl:
        if (const Bytes wrong = read_ssl(tlv->value, heard); !wrong.empty()) return wrong;
        break;
      default: break;  // not of interest to us; all types are allowed
    }
  }
  return {};
}

ProxyVerdict read_version_2(Bytes arrived, ProxyHeard& heard) {
  if (arrived.size() > 12) {
    const auto command = static_cast<unsigned char>(arrived[12]);
    if (command >> 4 != 2) return refused("a PROXY header of an unknown version");
    if ((command & 15) > 1) return refused("a PROXY header with an unknown command");
    heard.local = (command & 15) == 0;
  }
  if (arrived.size() < kFixedBytes) return {};
  const std::size_t behind = load_u16(arrived.data() + 14);
  const std::size_t bytes = kFixedBytes + behind;
  if (bytes > kProxyHeardBytesMax) return refused("a PROXY header that is too long");
  const auto family = static_cast<unsigned char>(arrived[13]);
  if (family >> 4 > 3 || (family & 15) > 2) return refused("a PROXY header of an unknown family");
  constexpr std::size_t kAddressBytes[] = {0, 12, 36, 216};
  const std::size_t address_bytes = kAddressBytes[family >> 4];
  // A LOCAL header may have anything behind it, and all of it is ignored (2.2).
  if (!heard.local && behind < address_bytes) return refused("a PROXY header without room for its addresses");
  if (arrived.size() < bytes) return {};
  if (heard.local) return complete(bytes);
  const Bytes header = arrived.substr(0, bytes);
  const char* at = header.data() + kFixedBytes;
  const bool tcp = (family & 15) == 1;
  if (tcp && family >> 4 == 1) {
    heard.client = address_at(at, 4, at + 8);
    heard.dialled = address_at(at + 4, 4, at + 10);
  } else if (tcp && family >> 4 == 2) {
    heard.client = address_at(at, 16, at + 32);
    heard.dialled = address_at(at + 16, 16, at + 34);
  }
  const Bytes wrong = read_fields(header, header.substr(kFixedBytes + address_bytes), heard);
  return wrong.empty() ? complete(bytes) : refused(wrong);
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

}  // namespace

std::uint32_t crc32c(Bytes bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  for (const char byte : bytes) crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

ProxyVerdict read_proxy_header(Bytes arrived, ProxyHeard& heard) {
  heard = ProxyHeard();
  if (agree(arrived, kWord))
    return arrived.size() < kWord.size() ? ProxyVerdict() : read_version_1(arrived, heard);
  if (agree(arrived, kSignature))
    return arrived.size() < kSignature.size() ? ProxyVerdict() : read_version_2(arrived, heard);
  return {ProxyState::absent};
}

}  // namespace rejoin::proto
