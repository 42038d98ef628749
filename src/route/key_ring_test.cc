#include "route/key_ring.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

const std::string kDigits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

TEST(KeyRing, a_key_is_64_hex_digits_with_blanks_around) {
  const struct {
    std::string text;
    bool is_good;
  } cases[] = {
      {kDigits, true},
      {kDigits + "\n", true},
      {"  \t" + kDigits + "\r\n", true},
      {"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", true},
      {"", false},
      {"\n", false},
      {kDigits.substr(1), false},
      {kDigits + "0", false},
      {kDigits.substr(0, 63) + "g", false},
      {"g" + kDigits.substr(1), false},
      {"0x" + kDigits.substr(2), false},
      {kDigits.substr(0, 32) + "\n" + kDigits.substr(33), false},
      {kDigits + "\n" + kDigits, false},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_key_hex(c.text);
    EXPECT_EQ(parsed.ok(), c.is_good) << c.text;
    if (parsed.ok()) {
      EXPECT_EQ(parsed->hex(), kDigits);
      continue;
    }
    EXPECT_EQ(parsed.error().kind, ErrorKind::config);
    if (c.text.size() > 8) {
      EXPECT_EQ(parsed.error().detail.find(c.text.substr(0, 8)), std::string::npos)
          << "a secret in a message";
    }
  }
}

TEST(KeyRing, the_id_is_the_begin_of_the_keys_sha256) {
  // printf 000102..1f | xxd -r -p | sha256sum = 630dcd2966c4336691125448bbb25b4f...
  EXPECT_EQ(parse_key_hex(kDigits)->id(), (KeyId{0x63, 0x0d, 0xcd, 0x29}));
}

TEST(KeyRing, generated_keys_differ_and_survive_their_own_text) {
  SystemRandom random;
  const Key one = generate_key(random), other = generate_key(random);
  EXPECT_NE(one.bytes(), other.bytes());
  EXPECT_EQ(parse_key_hex(one.hex())->bytes(), one.bytes());
}

TEST(KeyRing, keeps_the_order_and_refuses_none_twice_and_too_many) {
  const auto ring = KeyRing::make({test::key(1), test::key(2)});
  ASSERT_TRUE(ring.ok());
  EXPECT_EQ(ring->keys()[0].bytes(), test::key(1).bytes());
  EXPECT_EQ(ring->keys()[1].bytes(), test::key(2).bytes());

  EXPECT_FALSE(KeyRing::make({}).ok());
  EXPECT_FALSE(KeyRing::make({test::key(1), test::key(2), test::key(1)}).ok());
  std::vector<Key> many;
  for (std::size_t i = 0; i < limits::kKeysMax; ++i) many.push_back(test::key(i));
  EXPECT_TRUE(KeyRing::make(many).ok());
  many.push_back(test::key(limits::kKeysMax));
  EXPECT_FALSE(KeyRing::make(many).ok());
}

}  // namespace
}  // namespace rejoin::route
