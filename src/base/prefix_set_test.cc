#include "base/prefix_set.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace rejoin {
namespace {

PrefixSet set_of(const std::vector<std::string>& networks) {
  Result<PrefixSet> set = PrefixSet::parse(networks);
  EXPECT_TRUE(set.ok());
  return set ? std::move(*set) : PrefixSet();
}

TEST(PrefixSet, has_the_addresses_of_its_networks_and_no_other) {
  const PrefixSet set = set_of({"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "203.0.113.128/25"});
  const struct {
    const char* address;
    bool in;
  } cases[] = {
      {"10.0.0.0", true},
      {"10.255.255.255", true},
      {"9.255.255.255", false},
      {"11.0.0.0", false},
      {"192.0.2.7", true},
      {"192.0.2.6", false},
      {"192.0.2.8", false},
      {"2001:db8::", true},
      {"2001:db9::", false},
      {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true},
      {"::1", true},
      {"::2", false},
      {"203.0.113.127", false},
      {"203.0.113.128", true},
      {"::ffff:10.1.2.3", true},  // what an IPv6 socket says of an IPv4 client
      {"a00::", false},           // the bytes of 10.0.0.0, and another family
  };
  for (const auto& it : cases) EXPECT_EQ(set.has(*Address::parse_ip(it.address)), it.in) << it.address;
  EXPECT_FALSE(set.has(Address()));
  EXPECT_FALSE(PrefixSet().has(*Address::parse_ip("10.0.0.1")));
}

TEST(PrefixSet, merges_what_overlaps_or_touches) {
  EXPECT_EQ(set_of({"10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8"}).ranges(), 1u);
  EXPECT_EQ(set_of({"10.0.1.0/24", "10.0.0.0/24"}).ranges(), 1u);
  EXPECT_EQ(set_of({"10.0.2.0/24", "10.0.0.0/24"}).ranges(), 2u);
  const PrefixSet all = set_of({"0.0.0.0/0", "::/0"});
  for (const char* any : {"0.0.0.0", "255.255.255.255", "::", "ffff::ffff"})
    EXPECT_TRUE(all.has(*Address::parse_ip(any))) << any;
  EXPECT_FALSE(set_of({"0.0.0.0/0"}).has(*Address::parse_ip("::")));
  EXPECT_TRUE(set_of({"10.1.0.0/16", "10.0.0.0/8"}).has(*Address::parse_ip("10.200.0.1")));
}

TEST(PrefixSet, says_what_is_no_network) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "::/129", "10.0.0/8", "all"}) {
    const std::vector<std::string> networks{"10.0.0.0/8", text};
    const Result<PrefixSet> set = PrefixSet::parse(networks);
    ASSERT_FALSE(set.ok()) << text;
    EXPECT_NE(set.error().detail.find(text), std::string::npos) << set.error().detail;
  }
}

TEST(PrefixSet, agrees_with_looking_at_each_network) {
  SeededRandom random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> networks;
    std::vector<std::pair<Address, unsigned>> plain;
    for (int i = 0; i < 40; ++i) {
      const auto bits = static_cast<unsigned>(20 + random.below(13));
      const auto ip = "10.0." + std::to_string(random.below(4)) + '.' + std::to_string(random.below(256));
      networks.push_back(ip + '/' + std::to_string(bits));
      plain.emplace_back(Address::parse_ip(ip)->prefix(bits), bits);
      if (random.below(3) == 0) break;
    }
    const PrefixSet set = set_of(networks);
    for (int i = 0; i < 1024; ++i) {
      const Address at =
          *Address::parse_ip("10.0." + std::to_string(i / 256) + '.' + std::to_string(i % 256));
      const bool in = std::any_of(plain.begin(), plain.end(),
                                  [&](const auto& it) { return at.prefix(it.second) == it.first; });
      ASSERT_EQ(set.has(at), in) << at.ip_text();
    }
  }
}

}  // namespace
}  // namespace rejoin
