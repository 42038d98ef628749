#include "base/address.h"

#include <gtest/gtest.h>

#include <set>

namespace rejoin {
namespace {

TEST(Address, is_small_and_plain) {
  EXPECT_LE(sizeof(Address), 20u);
  EXPECT_FALSE(Address{});
  EXPECT_EQ(Address{}.text(), "-");
  EXPECT_EQ(Address{}.ip_text(), "-");
}

TEST(Address, parses_and_prints) {
  const struct {
    const char* text;
    const char* prints;
  } cases[] = {
      {"127.0.0.1:8000", "127.0.0.1:8000"},
      {"0.0.0.0:0", "0.0.0.0:0"},
      {"255.255.255.255:65535", "255.255.255.255:65535"},
      {"[::1]:8000", "[::1]:8000"},
      {"[::]:1", "[::]:1"},
      {"[2001:0DB8:0::00:1]:443", "[2001:db8::1]:443"},
      {"[::ffff:10.1.2.3]:80", "10.1.2.3:80"},
      {"[::ffff:a01:203]:80", "10.1.2.3:80"},
      {"[fe80::1]:9", "[fe80::1]:9"},
  };
  for (const auto& one : cases) {
    const Result<Address> parsed = Address::parse(one.text);
    ASSERT_TRUE(parsed) << one.text << ": " << to_string(parsed.error());
    EXPECT_EQ(parsed->text(), one.prints);
    EXPECT_EQ(*Address::parse(parsed->text()), *parsed) << "what it prints means the same";
  }
}

TEST(Address, refuses_what_is_none) {
  const char* const cases[] = {
      "",
      ":",
      ":80",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:x",
      "127.0.0.1:-1",
      "127.0.0.1:+1",
      "127.0.0.1: 80",
      "127.0.0.1:65536",
      "127.0.0.1:80x",
      "127.0.0.1:999999999999",
      "localhost:80",
      "::1:8000",
      "::1",
      "[::1]",
      "[::1]:",
      "[::1:80",
      "::1]:80",
      "[]:80",
      "[127.0.0.1:80",
      "127.0.0:80",
      "127.0.0.1.1:80",
      "127.0.0.256:80",
      " 127.0.0.1:80",
      "127.0.0.1 :80",
      "[::g]:80",
      "[::1%lo]:80",
      "[1:2:3:4:5:6:7:8:9]:80",
      "127.0.0.1:0x50",
  };
  for (const char* text : cases) {
    const Result<Address> parsed = Address::parse(text);
    ASSERT_FALSE(parsed) << text << " was taken for " << parsed->text();
    EXPECT_EQ(parsed.error().kind, ErrorKind::bad_input);
    EXPECT_NE(parsed.error().detail.find("127.0.0.1:8000"), std::string::npos) << "says what would be right";
  }
  EXPECT_FALSE(Address::parse(std::string(300, '1') + ":80"));
  EXPECT_FALSE(Address::parse_ip("127.0.0.1:80"));
  EXPECT_FALSE(Address::parse_ip(std::string_view("127.0.0.1\0x", 11))) << "no bytes behind a zero";
}

TEST(Address, equal_addresses_are_equal_values) {
  EXPECT_EQ(*Address::parse_ip("::ffff:1.2.3.4", 5), *Address::parse("1.2.3.4:5"));
  EXPECT_NE(*Address::parse("1.2.3.4:5"), *Address::parse("1.2.3.4:6"));
  EXPECT_NE(*Address::parse_ip("1.2.3.4"), *Address::parse_ip("102:304::"))
      << "the same bytes in another family";
  const std::set<Address> ordered{*Address::parse("1.2.3.4:5"), *Address::parse("1.2.3.4:4"),
                                  *Address::parse("1.2.3.4:5")};
  EXPECT_EQ(ordered.size(), 2u);
}

TEST(Address, prefixes_cut_bits_and_port) {
  const struct {
    const char* ip;
    unsigned bits;
    const char* prefix;
  } cases[] = {
      {"10.11.12.13", 32, "10.11.12.13"},
      {"10.11.12.13", 24, "10.11.12.0"},
      {"10.11.12.13", 31, "10.11.12.12"},
      {"10.11.12.13", 12, "10.0.0.0"},
      {"10.11.12.13", 0, "0.0.0.0"},
      {"10.11.12.13", 1, "0.0.0.0"},
      {"200.11.12.13", 1, "128.0.0.0"},
      {"10.11.12.13", 128, "10.11.12.13"},
      {"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
      {"2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"},
      {"2001:db8:1:2:3:4:5:6", 127, "2001:db8:1:2:3:4:5:6"},
      {"2001:db8:1:2:3:4:5:7", 127, "2001:db8:1:2:3:4:5:6"},
      {"2001:db8:ffff::", 33, "2001:db8:8000::"},
      {"2001:db8::1", 0, "::"},
      {"2001:db8::1", 1000, "2001:db8::1"},
  };
  for (const auto& one : cases) {
    const Address prefix = Address::parse_ip(one.ip, 77)->prefix(one.bits);
    EXPECT_EQ(prefix.ip_text(), one.prefix) << one.ip << "/" << one.bits;
    EXPECT_EQ(prefix.port, 0);
    EXPECT_EQ(prefix.prefix(one.bits), prefix);
  }
}

}  // namespace
}  // namespace rejoin
