// A DNS response's records, as far as finding servers needs them: A, AAAA, SRV and CNAME (RFC 1035 4.1, RFC
// 3596, RFC 2782), with their TTLs. Pure; questions are not written here.
//
// Place: under upstream/resolver.h, which has the message from c-ares. What is not understood (other types,
// other classes) is passed over; what is broken makes the whole message nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"

namespace rejoin::proto {

/// Records taken from one message, of all sections; more are passed over.
inline constexpr std::size_t kDnsRecordsMax = 8192;
/// RFC 1035 2.3.4, as text without the last dot.
inline constexpr std::size_t kDnsNameBytesMax = 253;

enum class DnsType : std::uint16_t { a = 1, cname = 5, aaaa = 28, srv = 33 };

struct DnsRecord {
  DnsType type = DnsType::a;
  std::uint32_t ttl_s = 0;  // at most 2^31 - 1; with the highest bit set it means 0 (RFC 2181 8)
  std::string name;         // whose record it is, in lower case, without the last dot
  Address address;          // a, aaaa: without a port
  std::string target;       // cname, srv: a name in the same form
  std::uint16_t priority = 0, weight = 0, port = 0;  // srv
};

struct DnsAnswer {
  int code = 0;  // RCODE: 0 no error, 3 no such name
  bool truncated = false;
  std::vector<DnsRecord> answers, additional;
};

/// Nothing for what is no response, or is broken. Names with anything but letters, digits, '-', '_' and '.'
/// are broken: they go into logs.
std::optional<DnsAnswer> parse_dns_answer(Bytes message);

}  // namespace rejoin::proto
