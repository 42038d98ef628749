// Networks as a set: is this address in one of them? For lists of who may come in, who may not, and who is
// believed.
//
// Place: made once from the configuration, asked once a connection. Immutable afterwards, so any thread may
// ask. Overlapping and neighbouring networks are merged into ranges, which a binary search finds: 10,000
// networks cost 14 comparisons.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace rejoin {

class PrefixSet {
 public:
  PrefixSet() = default;
  /// "10.0.0.0/8", "::1". Error: bad_input, with the text that is no network.
  static Result<PrefixSet> parse(std::span<const std::string> networks);

  bool empty() const { return ranges_.empty(); }
  /// False for an address that is none.
  bool has(const Address& address) const;
  /// How many ranges are left of what was given.
  std::size_t ranges() const { return ranges_.size(); }

 private:
  // Family, then the 16 bytes of Address::ip: compared as one, so that both families are in one list.
  using Key = std::array<std::uint8_t, 17>;
  struct Range {
    Key first, last;
  };
  static Key key_of(const Address& address);
  static Result<Range> range_of(std::string_view network);

  std::vector<Range> ranges_;  // in order, apart from each other
};

}  // namespace rejoin
