#include "apps/gateway/client_address.h"

#include <algorithm>
#include <charconv>

namespace rejoin::gateway {
namespace {

bool is_trusted(const Address& address, const std::vector<AddressRange>& trusted) {
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const AddressRange& range) { return range.has(address); });
}

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

Result<AddressRange> AddressRange::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  Result<Address> address = Address::parse_ip(text.substr(0, slash));
  if (!address) return std::move(address.error());
  const unsigned most = address->family == Address::Family::ipv4 ? 32 : 128;
  AddressRange range{*address, most};
  if (slash != text.npos) {
    const std::string_view bits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), range.bits);
    if (error != std::errc() || end != bits.data() + bits.size() || range.bits > most) {
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   "no number of bits up to " + std::to_string(most)};
    }
  }
  range.from = address->prefix(range.bits);
  return range;
}

bool AddressRange::has(const Address& address) const {
  return address.family == from.family && address.prefix(bits) == from;
}

Address client_behind(const proto::RequestHead& request, const Address& peer,
                      const std::vector<AddressRange>& trusted) {
  if (!is_trusted(peer, trusted)) return peer;
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
    if (!is_trusted(client, trusted)) return client;
  }
  return client;
}

}  // namespace rejoin::gateway
