#include "route/ticket.h"

#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "proto/base64.h"
#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

constexpr UnixSeconds kNow = 1'800'000'000;

struct Gateway {
  explicit Gateway(std::uint64_t key_number = 1) : seal(KeyRing(test::key(key_number)), random) {}

  std::string sealed(const Ticket& ticket) {
    std::string out;
    seal_ticket(seal, ticket, out);
    return out;
  }
  /// As another version of ours, or nobody, would seal it.
  std::string sealed_raw(std::string_view plaintext) {
    std::string out;
    seal.seal(Purpose::ticket, "", plaintext, out);
    return out;
  }
  std::string opened(std::string_view text, UnixSeconds now = kNow) {
    return std::string(to_string(open_ticket(seal, text, now).state));
  }

  SystemRandom random;
  Seal seal;
};

Ticket ticket(std::string owner = "g1", TicketKind kind = TicketKind::proof, UnixSeconds expiry = kNow + 60) {
  SeededRandom random(7);
  return {SessionId::make(random, 3), kind, expiry, std::move(owner)};
}

TEST(Ticket, opens_to_what_was_sealed) {
  Gateway gateway;
  const Ticket cases[] = {
      ticket(),
      ticket("g"),
      ticket(std::string(limits::kServerNameBytesMax, 'g')),
      ticket(std::string("a\0b", 3)),
      ticket("g1", TicketKind::cookie),
      ticket("g1", TicketKind::proof, std::numeric_limits<UnixSeconds>::max()),
  };
  for (const Ticket& t : cases) {
    const OpenedTicket opened = open_ticket(gateway.seal, gateway.sealed(t), kNow);
    EXPECT_TRUE(opened.ok()) << t.owner;
    EXPECT_EQ(opened.ticket, t) << t.owner;
  }
}

TEST(Ticket, is_appended_and_short_enough_for_the_head_of_a_request) {
  Gateway gateway;
  std::string out = "REJOIN-TICKET=";
  seal_ticket(gateway.seal, ticket(std::string(limits::kServerNameBytesMax, 'g')), out);
  EXPECT_EQ(out.substr(0, 14), "REJOIN-TICKET=");
  EXPECT_EQ(gateway.opened(out.substr(14)), "ok");
  EXPECT_LT(out.size(), 200u);
}

TEST(Ticket, expires_by_more_than_the_skew_and_still_says_what_it_was) {
  Gateway gateway;
  const std::int64_t skew = limits::kTicketSkewSeconds;
  const struct {
    UnixSeconds expiry;
    const char* expected;
  } cases[] = {
      {kNow + 1, "ok"}, {kNow, "ok"}, {kNow - 1, "ok"}, {kNow - skew, "ok"}, {kNow - skew - 1, "expired"},
      {0, "expired"},
  };
  for (const auto& c : cases) {
    const Ticket sealed = ticket("g1", TicketKind::proof, c.expiry);
    const OpenedTicket opened = open_ticket(gateway.seal, gateway.sealed(sealed), kNow);
    EXPECT_EQ(to_string(opened.state), c.expected) << c.expiry - kNow;
    EXPECT_EQ(opened.ticket, sealed);
  }
}

TEST(Ticket, what_is_no_ticket_of_ours_gives_no_ticket) {
  Gateway gateway, stranger(2);
  std::string cookie, bound;
  const std::string plaintext = std::string(16, 's') + '\1' + std::string(8, '\1') + "g1";
  gateway.seal.seal(Purpose::cookie, "", plaintext, cookie);
  gateway.seal.seal(Purpose::ticket, "pool", plaintext, bound);
  const struct {
    std::string name, text;
    const char* expected;
  } cases[] = {
      {"as it should be", gateway.sealed_raw(plaintext), "ok"},
      {"empty", "", "malformed"},
      {"words", "let me in", "malformed"},
      {"another installation's", stranger.sealed(ticket()), "unknown_key"},
      {"a cookie", cookie, "forged"},
      {"bound to a pool", bound, "forged"},
      {"padded", gateway.sealed(ticket()) + "=", "malformed"},
  };
  for (const auto& c : cases) {
    const OpenedTicket opened = open_ticket(gateway.seal, c.text, kNow);
    EXPECT_EQ(to_string(opened.state), c.expected) << c.name;
    EXPECT_EQ(opened.ticket.owner.empty(), !opened.ok()) << c.name;
  }
}

TEST(Ticket, a_plaintext_of_another_version_is_malformed) {
  Gateway gateway;
  const std::string id(16, 's'), proof("\1"), expiry(8, '\1'), name = "g1";
  const struct {
    std::string name, plaintext;
    const char* expected;
  } cases[] = {
      {"kind 1", id + proof + expiry + name, "ok"},
      {"kind 2", id + "\2" + expiry + name, "ok"},
      {"kind 0", id + std::string(1, '\0') + expiry + name, "malformed"},
      {"kind 3", id + "\3" + expiry + name, "malformed"},
      {"kind 255", id + "\xff" + expiry + name, "malformed"},
      {"expiry below zero", id + proof + std::string(8, '\xff') + name, "malformed"},
      {"the longest owner", id + proof + expiry + std::string(limits::kServerNameBytesMax, 'g'), "ok"},
      {"an owner too long", id + proof + expiry + std::string(limits::kServerNameBytesMax + 1, 'g'),
       "malformed"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(gateway.opened(gateway.sealed_raw(c.plaintext)), c.expected) << c.name;

  const std::string whole = id + proof + expiry + name;
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const char* expected = cut > 25 ? "ok" : "malformed";  // 25 bytes, then at least one of the name
    EXPECT_EQ(gateway.opened(gateway.sealed_raw(whole.substr(0, cut))), expected) << cut;
  }
}

TEST(Ticket, every_cut_and_every_flipped_bit_is_noticed) {
  Gateway gateway;
  const std::string text = gateway.sealed(ticket());
  for (std::size_t cut = 0; cut < text.size(); ++cut)
    EXPECT_NE(gateway.opened(text.substr(0, cut)), "ok") << cut;

  const std::string bytes = *proto::base64_decode(text, proto::Base64::url);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const char* expected = bit < 8 ? "malformed" : bit < 40 ? "unknown_key" : "forged";
    EXPECT_EQ(gateway.opened(proto::base64_encode(flipped, proto::Base64::url)), expected) << bit;
  }
}

TEST(Ticket, is_aes_256_gcm_as_anybody_else_computes_it) {
  // Made with Python's cryptography: AESGCM(key).encrypt(nonce, plaintext, aad), key = 00..1f, nonce = 12
  // bytes of 0x61, aad = 01 || 630dcd29 || "ticket\0", plaintext = 16 bytes of 0x73 || 01 || u64 1800000060
  // || "g1".
  const auto key = parse_key_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  SystemRandom random;
  Seal seal(KeyRing(*key), random);
  const OpenedTicket opened = open_ticket(
      seal, "AWMNzSlhYWFhYWFhYWFhYWGoNFJqtPTC9kyMzqlIrJebLNl_i7tEv1iLOnIpRmomvfslVGT7gpP4MGTt", kNow);
  EXPECT_EQ(to_string(opened.state), "ok");
  EXPECT_EQ(opened.ticket.session.text(), "73737373737373737373737373737373");
  EXPECT_EQ(opened.ticket.kind, TicketKind::proof);
  EXPECT_EQ(opened.ticket.expiry, kNow + 60);
  EXPECT_EQ(opened.ticket.owner, "g1");
}

TEST(SessionId, knows_its_worker_and_is_random_in_the_rest) {
  SystemRandom random;
  std::set<SessionId> ids;
  for (unsigned i = 0; i < 1000; ++i) {
    const SessionId id = SessionId::make(random, i % limits::kWorkersMax);
    EXPECT_EQ(id.worker(), i % limits::kWorkersMax);
    SessionId rest = id;
    rest.bytes[0] = 0;
    ids.insert(rest);
  }
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(SessionId, is_32_hex_digits_as_text) {
  const SessionId id{{0x03, 0xff, 0x00, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0xaf}};
  const std::string text =
      "03ff0010010203040506"
      "0708090a0baf";
  EXPECT_EQ(id.text(), text);
  EXPECT_EQ(SessionId::parse(text), id);
  for (std::size_t cut = 0; cut < text.size(); ++cut)
    EXPECT_FALSE(SessionId::parse(text.substr(0, cut))) << cut;
  for (const std::string wrong : {"0", "g", "A", " ", "-", "\xff"}) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      std::string changed = text;
      changed.replace(at, 1, wrong);
      EXPECT_EQ(SessionId::parse(changed).has_value(), wrong == "0") << at << wrong;
    }
  }
  EXPECT_FALSE(SessionId::parse(text + "0"));
}

}  // namespace
}  // namespace rejoin::route
