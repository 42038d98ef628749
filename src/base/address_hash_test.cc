#include "base/address_hash.h"

#include <gtest/gtest.h>

#include <set>

namespace rejoin {
namespace {

TEST(AddressHash, says_the_same_of_equal_addresses_and_depends_on_its_key) {
  const Address one = *Address::parse("10.0.0.1:80"), same = *Address::parse("10.0.0.1:80");
  const AddressHash hash(1, 2), other(1, 3);
  EXPECT_EQ(hash(one), hash(same));
  EXPECT_NE(hash(one), other(one));
  EXPECT_NE(hash(one), hash(*Address::parse("10.0.0.1:81")));
  EXPECT_NE(hash(one), hash(*Address::parse("[a00:1::]:80"))) << "the same bytes of another family";
}

TEST(AddressHash, spreads_addresses_over_any_bits_of_it) {
  const AddressHash hash(0x0706050403020100, 0x0f0e0d0c0b0a0908);
  for (const unsigned shift : {0u, 20u, 40u, 52u}) {
    std::set<std::size_t> buckets;
    for (int i = 0; i < 4096; ++i) {
      const auto text = "10.0." + std::to_string(i / 256) + '.' + std::to_string(i % 256);
      buckets.insert(hash(*Address::parse_ip(text)) >> shift & 4095);
    }
    // Of 4,096 balls in 4,096 bins, 1 - 1/e of the bins have one: 2,589.
    EXPECT_NEAR(static_cast<double>(buckets.size()), 2589, 150) << shift;
  }
}

}  // namespace
}  // namespace rejoin
