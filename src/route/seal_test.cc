#include "route/seal.h"

#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "proto/base64.h"
#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

struct Sealer {
  explicit Sealer(std::vector<std::uint64_t> keys) : seal(*KeyRing::make(made(keys)), random) {}
  static std::vector<Key> made(const std::vector<std::uint64_t>& numbers) {
    std::vector<Key> keys;
    for (const auto number : numbers) keys.push_back(test::key(number));
    return keys;
  }
  std::string sealed(std::string_view plaintext, Purpose purpose = Purpose::cookie,
                     std::string_view bound = "pool") {
    std::string out;
    seal.seal(purpose, bound, plaintext, out);
    return out;
  }
  /// "ok:plaintext", or the reason.
  std::string opened(std::string_view text, Purpose purpose = Purpose::cookie,
                     std::string_view bound = "pool") {
    std::string plaintext = "left over";
    const Opened answer = seal.open(purpose, bound, text, plaintext);
    if (answer == Opened::ok) return "ok:" + plaintext;
    EXPECT_EQ(plaintext, "");
    return std::string(to_string(answer));
  }

  SystemRandom random;
  Seal seal;
};

TEST(Seal, opens_what_it_sealed_at_every_size_and_says_how_long_the_text_is) {
  Sealer sealer({1});
  std::string plaintext;
  for (std::size_t size = 0; size <= limits::kSealedPlainBytesMax; size += size < 100 ? 1 : 77) {
    plaintext.assign(size, '\0');
    for (std::size_t i = 0; i < size; ++i) plaintext[i] = static_cast<char>(i * 7);
    const std::string text = sealer.sealed(plaintext);
    EXPECT_EQ(text.size(), Seal::text_bytes(size));
    EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              text.npos);
    EXPECT_EQ(sealer.opened(text), "ok:" + plaintext) << size;
  }
}

TEST(Seal, appends_and_counts) {
  Sealer sealer({1});
  std::string out = "SRV=";
  sealer.seal.seal(Purpose::cookie, "pool", "g1", out);
  EXPECT_EQ(out.substr(0, 4), "SRV=");
  EXPECT_EQ(sealer.opened(out.substr(4)), "ok:g1");
  EXPECT_EQ(sealer.seal.seals(), 1u);
  EXPECT_FALSE(sealer.seal.wants_new_key());
}

TEST(Seal, a_text_of_an_older_key_is_told_from_one_of_the_first) {
  Sealer old_one({1}), two({2, 1}), back({1, 2}), alone({2});
  const std::string old_text = old_one.sealed("g1"), new_text = two.sealed("g1");
  EXPECT_TRUE(two.seal.is_of_older_key(old_text));
  EXPECT_FALSE(two.seal.is_of_older_key(new_text));
  EXPECT_FALSE(back.seal.is_of_older_key(old_text));
  EXPECT_TRUE(back.seal.is_of_older_key(new_text));
  EXPECT_FALSE(alone.seal.is_of_older_key(new_text));
  for (const std::string_view other : {"", "AQ", "AQAAAAAA", "########"})
    EXPECT_FALSE(two.seal.is_of_older_key(other)) << other;
  // A newer ring that other workers have already, and this one not yet: its key is not an older one.
  old_one.seal.open_also(*KeyRing::make(Sealer::made({2, 1})));
  EXPECT_EQ(old_one.opened(new_text), "ok:g1");
  EXPECT_FALSE(old_one.seal.is_of_older_key(new_text));
  old_one.seal.use(*KeyRing::make(Sealer::made({2, 1})));
  EXPECT_TRUE(old_one.seal.is_of_older_key(old_text));
}

TEST(Seal, asks_for_a_new_key_until_there_is_one) {
  SystemRandom random;
  Seal seal(KeyRing(test::key(1)), random, 2);
  std::string out;
  seal.seal(Purpose::cookie, "pool", "g1", out);
  EXPECT_FALSE(seal.wants_new_key());
  seal.seal(Purpose::cookie, "pool", "g1", out);
  EXPECT_TRUE(seal.wants_new_key());
  seal.use(*KeyRing::make(Sealer::made({1, 2})));  // the same one seals
  EXPECT_TRUE(seal.wants_new_key());
  seal.use(*KeyRing::make(Sealer::made({2, 1})));
  EXPECT_FALSE(seal.wants_new_key());
}

TEST(Seal, the_same_plaintext_never_seals_to_the_same_text) {
  Sealer sealer({1});
  std::set<std::string> texts;
  for (int i = 0; i < 1000; ++i) texts.insert(sealer.sealed("g1"));
  EXPECT_EQ(texts.size(), 1000u);
}

TEST(Seal, every_flipped_bit_is_noticed) {
  Sealer sealer({1});
  const std::string text = sealer.sealed("g1");
  const std::string bytes = *proto::base64_decode(text, proto::Base64::url);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const char* expected = bit < 8 ? "malformed" : bit < 40 ? "unknown_key" : "forged";
    EXPECT_EQ(sealer.opened(proto::base64_encode(flipped, proto::Base64::url)), expected) << bit;
  }
}

TEST(Seal, every_other_character_at_every_place_is_noticed) {
  Sealer sealer({1});
  for (const std::string plaintext : {"g", "g1", "g12"}) {  // the three ways in which base64 ends
    const std::string text = sealer.sealed(plaintext);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        if (static_cast<char>(c) == text[at]) continue;
        std::string changed = text;
        changed[at] = static_cast<char>(c);
        EXPECT_EQ(sealer.opened(changed).substr(0, 2) == "ok", false) << plaintext << " " << at << " " << c;
      }
    }
  }
}

TEST(Seal, every_shorter_and_some_longer_texts_are_noticed) {
  Sealer sealer({1});
  const std::string text = sealer.sealed("g1");
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_NE(sealer.opened(text.substr(0, size)).substr(0, 3), "ok:") << size;
    EXPECT_NE(sealer.opened(text.substr(text.size() - size)).substr(0, 3), "ok:") << size;
  }
  for (const std::string tail : {"A", "AA", "AAA", "AAAA", "=", "==", " ", "\n", "~v"}) {
    EXPECT_NE(sealer.opened(text + tail).substr(0, 3), "ok:") << tail;
  }
  EXPECT_EQ(sealer.opened(std::string(100'000, 'A')), "malformed");
  EXPECT_EQ(sealer.opened(std::string(Seal::text_bytes(limits::kSealedPlainBytesMax), 'A')), "malformed");
  EXPECT_EQ(sealer.opened(std::string("AQ").append(Seal::text_bytes(limits::kSealedPlainBytesMax) - 2, 'A')),
            "unknown_key");
}

TEST(Seal, opens_for_its_purpose_and_bound_only) {
  Sealer sealer({1});
  const std::string text = sealer.sealed("g1", Purpose::cookie, "pool");
  const struct {
    Purpose purpose;
    std::string bound;
    std::string expected;
  } cases[] = {
      {Purpose::cookie, "pool", "ok:g1"},
      {Purpose::ticket, "pool", "forged"},
      {Purpose::cookie, "pool2", "forged"},
      {Purpose::cookie, "poo", "forged"},
      {Purpose::cookie, "", "forged"},
      {Purpose::cookie, "Pool", "forged"},
      {Purpose::cookie, {"pool\0", 5}, "forged"},
  };
  for (const auto& c : cases) EXPECT_EQ(sealer.opened(text, c.purpose, c.bound), c.expected) << c.bound;
  EXPECT_EQ(sealer.opened(sealer.sealed("g1", Purpose::ticket, ""), Purpose::ticket, ""), "ok:g1");
}

TEST(Seal, the_ring_rotates_without_loss_until_a_key_leaves) {
  Sealer old_ring({1}), both({2, 1}), reversed({1, 2}), new_ring({2});
  const std::string old_text = old_ring.sealed("g1"), new_text = both.sealed("g1");
  EXPECT_EQ(both.opened(old_text), "ok:g1");
  EXPECT_EQ(both.opened(new_text), "ok:g1");
  EXPECT_EQ(reversed.opened(new_text), "ok:g1");  // a balancer that was not reloaded yet, given both
  EXPECT_EQ(new_ring.opened(new_text), "ok:g1");  // so the first key is the one that seals
  EXPECT_EQ(new_ring.opened(old_text), "unknown_key");
  EXPECT_EQ(old_ring.opened(new_text), "unknown_key");
}

TEST(Seal, what_it_remembers_opens_as_at_first_and_nothing_beside_it_does) {
  Sealer sealer({1});
  // More than are remembered, each asked twice at once and all again at the end.
  std::vector<std::string> texts;
  for (int i = 0; i < 2000; ++i) {
    texts.push_back(sealer.sealed("client " + std::to_string(i)));
    for (int again = 0; again < 2; ++again)
      ASSERT_EQ(sealer.opened(texts.back()), "ok:client " + std::to_string(i));
  }
  for (int i = 0; i < 2000; ++i) {
    std::string& text = texts[static_cast<std::size_t>(i)];
    ASSERT_EQ(sealer.opened(text), "ok:client " + std::to_string(i));
    ASSERT_EQ(sealer.opened(text, Purpose::ticket), "forged");
    ASSERT_EQ(sealer.opened(text, Purpose::cookie, "pool2"), "forged");
    const std::size_t at = 30 + static_cast<std::size_t>(i) % (text.size() - 31);
    text[at] = text[at] == 'A' ? 'B' : 'A';
    ASSERT_EQ(sealer.opened(text), "forged") << at;
  }
}

TEST(Seal, what_it_remembers_is_forgotten_with_its_key) {
  Sealer sealer({1});
  const std::string text = sealer.sealed("pin");
  EXPECT_EQ(sealer.opened(text), "ok:pin");
  sealer.seal.use(*KeyRing::make(Sealer::made({2})));
  EXPECT_EQ(sealer.opened(text), "unknown_key");
}

TEST(Seal, a_refusal_does_not_spoil_the_next_opening) {
  Sealer sealer({1});
  const std::string good = sealer.sealed("g1");
  std::string bad = good;
  bad[30] = bad[30] == 'A' ? 'B' : 'A';
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sealer.opened(bad), "forged");
    EXPECT_EQ(sealer.opened(good), "ok:g1");
    EXPECT_EQ(sealer.opened(sealer.sealed("g2")), "ok:g2");
  }
}

TEST(Seal, is_aes_256_gcm_as_anybody_else_computes_it) {
  // Made with Python's cryptography: AESGCM(key).encrypt(nonce, b"g1", aad), key = 00..1f, nonce = 12 bytes
  // of 0x61, aad = 01 || 630dcd29 || "cookie\0" || "pool\0SRV".
  const auto key = parse_key_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  SystemRandom random;
  Seal seal(KeyRing(*key), random);
  std::string plaintext;
  EXPECT_EQ(seal.open(Purpose::cookie, std::string_view("pool\0SRV", 8),
                      "AWMNzSlhYWFhYWFhYWFhYWG8dtC1nTqTv1NDwwjUXHms7cY", plaintext),
            Opened::ok);
  EXPECT_EQ(plaintext, "g1");
}

}  // namespace
}  // namespace rejoin::route
