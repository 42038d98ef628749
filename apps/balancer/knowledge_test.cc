#include "apps/balancer/knowledge.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "base/random.h"

namespace rejoin::balancer {
namespace {

Address address(std::string_view text) { return *Address::parse(text); }

io::TlsTicketKeys::Secret secret(unsigned char fill) {
  io::TlsTicketKeys::Secret out;
  out.bytes.fill(fill);
  return out;
}

/// With something in each field.
Knowledge everything() {
  Knowledge out;
  out.taken_at = 123'456;
  KnownServer a;
  a.configured = {"a", address("10.0.0.1:80"), 3, true, 100, "a.example"};
  a.order = route::ServerOrder::drain;
  a.weight = 7;
  a.drain_end = {200'000, true};
  a.health.state.up = false;
  a.health.state.probation = false;
  a.health.state.streak = 2;
  a.health.state.away_since_ms = 111'111;
  a.health.drains_until = route::monotonic_ms(kNever);
  a.health.came_up = 99;
  a.health.out_until = 130'000;
  a.health.share_percent = 50;
  a.health.failures = {TimePoint(1s), TimePoint(2s)};
  KnownServer b;
  b.configured = {"b", address("[2001:db8::1]:80")};
  b.order = route::ServerOrder::maintenance;
  out.pools = {{"p", route::HealthKind::http, {a, b}}, {"q", route::HealthKind::off, {}}};
  config::Server added, named;
  added.name = "x";
  added.address = address("10.0.0.9:80");
  named.name = "n";
  named.resolve = "n.internal";
  named.port = 8000;
  named.type = config::NameType::aaaa;
  out.words = {{"p", "x", added, {}}, {"p", "a", {}, added}, {"p", "x", added, named}};
  out.names[{"n.internal", upstream::NameKind::srv, 0}] = {{address("10.0.0.7:1"), "n-1", 5, true}};
  out.names[{"m.internal", upstream::NameKind::a, 80}] = {};
  SeededRandom random(1);
  out.made_up_keys = {route::generate_key(random), route::generate_key(random)};
  out.key_ids = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  out.tickets = {7200, 99, secret(1), io::TlsTicketKeys::Key{{9, 9}, secret(2), secret(3)}};
  return out;
}

std::string written(const Knowledge& of) {
  SecretBytes out;
  write_knowledge(of, out);
  return std::string(view(out));
}

/// A field, as another version might write it.
std::string field(unsigned id, std::string_view bytes) {
  std::string out(5, static_cast<char>(id));
  store_u32(out.data() + 1, static_cast<std::uint32_t>(bytes.size()));
  return out.append(bytes);
}
std::string number(unsigned id, std::uint64_t value) {
  std::string bytes(8, '\0');
  store_u64(bytes.data(), value);
  return field(id, bytes);
}

TEST(Knowledge, is_read_as_it_was_written) {
  const Knowledge before = everything();
  const auto reading = read_knowledge(written(before));
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->left_out, 0u);
  const Knowledge& after = reading->knowledge;
  EXPECT_EQ(after.taken_at, before.taken_at);
  EXPECT_TRUE(after.pools == before.pools);
  EXPECT_TRUE(after.words == before.words);
  EXPECT_TRUE(after.names == before.names);
  EXPECT_EQ(after.key_ids, before.key_ids);
  ASSERT_EQ(after.made_up_keys.size(), 2u);
  EXPECT_EQ(after.made_up_keys[1].bytes(), before.made_up_keys[1].bytes());
  ASSERT_TRUE(after.tickets && after.tickets->before);
  EXPECT_EQ(after.tickets->lifetime_s, 7200);
  EXPECT_EQ(after.tickets->period, 99);
  EXPECT_EQ(after.tickets->process.bytes, secret(1).bytes);
  EXPECT_EQ(after.tickets->before->mac.bytes, secret(3).bytes);
  EXPECT_EQ(written(after), written(before));
  EXPECT_TRUE(read_knowledge("")) << "nothing is known";
}

TEST(Knowledge, that_was_cut_is_refused_but_where_a_field_ends) {
  const std::string whole = written(everything());
  std::size_t read = 0;
  for (std::size_t end = 0; end < whole.size(); ++end) {
    const auto reading = read_knowledge(std::string_view(whole).substr(0, end));
    read += reading.has_value();
    EXPECT_TRUE(!reading || reading->left_out == 0) << end;
  }
  EXPECT_EQ(read, 1u + 1 + 2 + 3 + 2 + 2 + 2) << "after nothing, and after each top field but the last one";
}

// Every byte changed: it is refused, says something else, or loses one record; and nothing worse.
TEST(Knowledge, with_a_byte_changed_is_never_worse_than_forgotten) {
  const std::string whole = written(everything());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {1, 0x80, 0xFF}) {
      std::string other = whole;
      other[at] = static_cast<char>(other[at] ^ change);
      const auto reading = read_knowledge(other);
      if (!reading) continue;
      const auto again = read_knowledge(written(reading->knowledge));
      ASSERT_TRUE(again) << at;
      EXPECT_EQ(again->left_out, 0u) << at << ": what was kept can be";
    }
  }
}

TEST(Knowledge, of_a_newer_version_is_read_but_for_what_is_new) {
  const std::string entry = field(1, "s") + field(2, "10.0.0.1:80") + field(77, "new");
  const std::string health = number(1, 0) + field(50, "");
  const std::string server = field(1, entry) + field(2, "drain") + field(9, "new") + field(6, health);
  const std::string pool = field(1, "p") + field(200, "?") + field(3, server) + field(4, "more");
  const auto reading = read_knowledge(number(1, 5) + field(99, "whatever") + field(2, pool) + field(255, ""));
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->left_out, 0u);
  ASSERT_EQ(reading->knowledge.pools.size(), 1u);
  ASSERT_EQ(reading->knowledge.pools[0].servers.size(), 1u);
  const KnownServer& it = reading->knowledge.pools[0].servers[0];
  EXPECT_EQ(it.configured.name, "s");
  EXPECT_EQ(it.order, route::ServerOrder::drain);
  EXPECT_EQ(it.weight, 1u) << "an older version does not say it: as configured";
  EXPECT_FALSE(it.health.state.up);
  EXPECT_EQ(it.health.share_percent, 100);
}

// One record that cannot be is left out, and those beside it are read.
TEST(Knowledge, leaves_out_what_cannot_be) {
  const std::string entry = field(1, "s") + field(2, "10.0.0.1:80");
  const auto server = [&](const std::string& more) { return field(3, field(1, entry) + more); };
  const std::string long_text(kKnownTextBytesMax + 1, 'n');
  const struct {
    const char* what;
    std::string record;  // of the top, beside the good pool
  } cases[] = {
      {"no address", field(2, field(1, "p") + field(3, field(1, field(1, "s"))))},
      {"no name", field(2, field(1, "p") + field(3, field(1, field(2, "10.0.0.1:80"))))},
      {"no port", field(2, field(1, "p") + field(3, field(1, field(1, "s") + field(2, "10.0.0.1"))))},
      {"a pool without a name", field(2, server(""))},
      {"a name too long", field(2, field(1, long_text))},
      {"checks that nobody knows", field(2, field(1, "p") + field(2, "ping"))},
      {"an order that nobody knows", field(2, field(1, "p") + server(field(2, "sleep")))},
      {"a number of 7 bytes", field(2, field(1, "p") + server(field(3, "1234567")))},
      {"a weight too large", field(2, field(1, "p") + server(number(3, limits::kWeightMax + 1)))},
      {"a share of 101", field(2, field(1, "p") + server(field(6, number(8, 101))))},
      {"a streak too long", field(2, field(1, "p") + server(field(6, number(3, 1001))))},
      {"a moment too late", field(2, field(1, "p") + server(field(6, number(6, std::uint64_t{1} << 48))))},
      {"a word about nobody", field(3, field(1, "p"))},
      {"a word about another", field(3, field(1, "p") + field(2, "z") + field(3, entry))},
      {"a word without an address", field(3, field(1, "p") + field(2, "s") + field(3, field(1, "s")))},
      {"a key of 31 bytes", field(4, std::string(31, 'k'))},
      {"a key of 33 bytes", field(4, std::string(33, 'k'))},
      {"an id of 5 bytes", field(5, "12345")},
      {"half of the tickets", field(6, number(1, 7200) + number(2, 3))},
      {"tickets of no time", field(6, number(1, 0) + number(2, 3) + field(3, std::string(32, 's')))},
      {"half a key of before", field(6, number(1, 1) + number(2, 3) + field(3, std::string(32, 's')) +
                                            field(4, field(1, "1234567890123456")))},
      {"a name without a name", field(7, field(2, "a"))},
      {"a name of no kind", field(7, field(1, "n") + field(2, "txt"))},
      {"found nowhere", field(7, field(1, "n") + field(4, field(2, "host")))},
      {"a field inside that is too long", field(2, field(1, "p").substr(0, 5))},
  };
  for (const auto& it : cases) {
    const auto reading = read_knowledge(it.record + field(2, field(1, "good") + server("")));
    ASSERT_TRUE(reading) << it.what;
    EXPECT_EQ(reading->left_out, 1u) << it.what;
    const Knowledge& known = reading->knowledge;
    ASSERT_FALSE(known.pools.empty()) << it.what;
    EXPECT_EQ(known.pools.back().name, "good") << it.what;
    EXPECT_EQ(known.pools.back().servers.size(), 1u) << it.what;
    EXPECT_TRUE(known.pools.size() == 1 || known.pools[0].servers.empty()) << it.what;
    EXPECT_TRUE(known.words.empty() && known.names.empty() && known.made_up_keys.empty() &&
                known.key_ids.empty() && !known.tickets)
        << it.what;
  }
}

TEST(Knowledge, has_bounds) {
  std::string keys, servers;
  for (std::size_t i = 0; i <= limits::kKeysMax; ++i) keys += field(4, std::string(32, static_cast<char>(i)));
  const auto reading = read_knowledge(keys);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->knowledge.made_up_keys.size(), limits::kKeysMax);
  EXPECT_EQ(reading->left_out, 1u);
  const std::string server = field(3, field(1, field(1, "s") + field(2, "10.0.0.1:80")));
  for (std::size_t i = 0; i <= limits::kServersPerPoolMax; ++i) servers += server;
  const auto many = read_knowledge(field(2, field(1, "p") + servers));
  ASSERT_TRUE(many);
  EXPECT_TRUE(many->knowledge.pools.empty());
  EXPECT_FALSE(read_knowledge(field(99, std::string(kKnowledgeBytesMax, 'x'))));
}

}  // namespace
}  // namespace rejoin::balancer
