#include "base/prefix_set.h"

#include <algorithm>
#include <charconv>

namespace rejoin {
namespace {

/// The next key after `key`, for telling neighbours; of the last one of all, the first.
template <typename Key>
Key after(Key key) {
  for (std::size_t i = key.size(); i-- > 0;) {
    if (++key[i] != 0) break;
  }
  return key;
}

}  // namespace

PrefixSet::Key PrefixSet::key_of(const Address& address) {
  Key key;
  key[0] = static_cast<std::uint8_t>(address.family);
  std::copy(address.ip.begin(), address.ip.end(), key.begin() + 1);
  return key;
}

Result<PrefixSet::Range> PrefixSet::range_of(std::string_view network) {
  const std::size_t slash = network.find('/');
  const Error wrong{ErrorKind::bad_input, Side::ours, Retry::no,
                    "\"" + std::string(network) + "\" is no network such as 10.0.0.0/8 or 2001:db8::/32"};
  const Result<Address> address = Address::parse_ip(network.substr(0, slash));
  if (!address) return wrong;
  const unsigned most = address->family == Address::Family::ipv4 ? 32 : 128;
  unsigned bits = most;
  if (slash != network.npos) {
    const std::string_view digits = network.substr(slash + 1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (failed != std::errc() || end != digits.data() + digits.size() || bits > most) return wrong;
  }
  const Address first = address->prefix(bits);
  Address last = first;
  for (unsigned bit = bits; bit < most; ++bit) {
    last.ip[bit / 8] = static_cast<std::uint8_t>(last.ip[bit / 8] | 0x80u >> (bit % 8));
  }
  // Behind an IPv4 address a key has zeros; ones, so that the next network is the next key.
  if (most == 32) std::fill(last.ip.begin() + 4, last.ip.end(), std::uint8_t{0xff});
  return Range{key_of(first), key_of(last)};
}

Result<PrefixSet> PrefixSet::parse(std::span<const std::string> networks) {
  std::vector<Range> all;
  for (const std::string& network : networks) {
    Result<Range> range = range_of(network);
    if (!range) return std::move(range.error());
    all.push_back(*range);
  }
  std::sort(all.begin(), all.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  PrefixSet set;
  for (const Range& range : all) {
    if (!set.ranges_.empty() && range.first <= after(set.ranges_.back().last)) {
      set.ranges_.back().last = std::max(set.ranges_.back().last, range.last);
    } else {
      set.ranges_.push_back(range);
    }
  }
  return set;
}

bool PrefixSet::has(const Address& address) const {
  if (!address) return false;
  const Key key = key_of(address);
  const auto behind = std::upper_bound(ranges_.begin(), ranges_.end(), key,
                                       [](const Key& k, const Range& range) { return k < range.first; });
  return behind != ranges_.begin() && key <= std::prev(behind)->last;
}

}  // namespace rejoin
