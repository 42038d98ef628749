#include "apps/gateway/client_address.h"

#include <vector>

namespace rejoin::gateway {
namespace {

Bytes trimmed(Bytes text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "10.0.0.1", "10.0.0.1:4711", "[::1]:4711", "::1".
Address address_in(Bytes item) {
  if (Result<Address> whole = Address::parse_ip(item)) return *whole;
  if (Result<Address> with_port = Address::parse(item))
    return Address(*Address::parse_ip(with_port->ip_text()));
  return {};
}

}  // namespace

Address client_behind(const proto::RequestHead& request, const Address& peer, const PrefixSet& trusted) {
  if (!trusted.has(peer)) return peer;
  Address client = peer;
  // From the last item of the last field backwards, for as long as those who told are believed.
  std::vector<Bytes> items;
  for (const proto::Field& field : request.all(proto::KnownField::x_forwarded_for)) {
    Bytes rest = request.value(field);
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      items.push_back(trimmed(rest.substr(0, comma)));
      rest = comma == rest.npos ? Bytes() : rest.substr(comma + 1);
    }
  }
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    const Address told = address_in(*item);
    if (!told) return client;
    client = told;
    if (!trusted.has(client)) return client;
  }
  return client;
}

}  // namespace rejoin::gateway
