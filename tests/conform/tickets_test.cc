// spec/vectors/tickets.json: the same texts under the same key and nonce, and what must not open.
#include <gtest/gtest.h>

#include <algorithm>

#include "route/ticket.h"
#include "tests/conform/vectors.h"

namespace rejoin::conform {
namespace {

using namespace route;

/// Gives one nonce, again and again. Never outside of vectors.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(std::string bytes) : bytes_(std::move(bytes)) {}
  void fill(MutableBytes out) override {
    ASSERT_EQ(out.size(), bytes_.size());
    std::copy(bytes_.begin(), bytes_.end(), out.begin());
  }

 private:
  std::string bytes_;
};

KeyRing ring(const Json& vectors) {
  std::vector<Key> keys;
  for (const Json& hex : vectors.at("keys")) keys.push_back(*parse_key_hex(hex.get<std::string>()));
  return *KeyRing::make(keys);
}

Ticket ticket_of(const Json& fields) {
  Ticket ticket;
  ticket.session = *SessionId::parse(fields.at("session").get<std::string>());
  ticket.kind = fields.at("kind") == "cookie" ? TicketKind::cookie : TicketKind::proof;
  ticket.expiry = fields.at("expiry");
  ticket.owner = fields.at("owner");
  return ticket;
}

TEST(Tickets, are_sealed_as_the_vectors_say) {
  const Json vectors = read_vectors("tickets.json");
  const KeyId id = ring(vectors).keys().front().id();
  EXPECT_EQ(to_hex(as_bytes(id)), vectors.at("key_id"));
  for (const Json& one : vectors.at("sealed")) {
    FixedRandom nonce(from_hex(one.at("nonce")));
    Seal seal(ring(vectors), nonce);
    std::string text;
    seal_ticket(seal, ticket_of(one), text);
    EXPECT_EQ(text, one.at("text").get<std::string>()) << one.at("name");
    std::string plaintext;
    EXPECT_EQ(seal.open(Purpose::ticket, {}, text, plaintext), Opened::ok);
    EXPECT_EQ(to_hex(plaintext), one.at("plaintext")) << one.at("name");
  }
  EXPECT_GT(vectors.at("sealed").size(), 3u);
}

TEST(Tickets, open_as_the_vectors_say) {
  const Json vectors = read_vectors("tickets.json");
  SystemRandom random;
  Seal seal(ring(vectors), random);
  for (const Json& one : vectors.at("opened")) {
    const OpenedTicket opened =
        open_ticket(seal, one.at("text").get<std::string>(), one.at("now").get<UnixSeconds>());
    EXPECT_EQ(to_string(opened.state), one.at("state").get<std::string>()) << one.at("name");
    if (one.at("ticket").is_null()) continue;
    EXPECT_EQ(opened.ticket, ticket_of(one.at("ticket"))) << one.at("name");
  }
  EXPECT_GT(vectors.at("opened").size(), 20u);
}

}  // namespace
}  // namespace rejoin::conform
