#include "route/lease_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

using test::address;

struct Table {
  explicit Table(LeaseRules rules = {}) : leases(rules, random) {}
  /// The pinned server's number, or -1.
  int at(Duration now, std::string_view client = "10.0.0.1") {
    const auto found = leases.find(address(client), TimePoint(now));
    return found ? *found : -1;
  }
  Lease open(Duration now, ServerIndex server, std::string_view client = "10.0.0.1") {
    return leases.open(address(client), server, TimePoint(now));
  }
  SeededRandom random{5};
  LeaseTable leases;
};

LeaseRules grace(Duration time) {
  LeaseRules rules;
  rules.grace = time;
  return rules;
}

TEST(LeaseTable, a_pin_lives_while_a_connection_is_open_and_grace_after_the_last_one_closed) {
  Table table(grace(10s));
  EXPECT_EQ(table.at(0s), -1);
  Lease one = table.open(0s, 3);
  EXPECT_EQ(table.at(0s), 3);
  EXPECT_EQ(table.at(24h), 3) << "not counted from the handshake";
  Lease two = table.open(24h, 3);
  one.close(TimePoint(25h));
  EXPECT_FALSE(one);
  EXPECT_EQ(table.at(26h), 3) << "another one is still open";
  two.close(TimePoint(27h));
  EXPECT_EQ(table.at(27h + 9999ms), 3);
  EXPECT_EQ(table.at(27h + 10s), -1);
  EXPECT_EQ(table.leases.size().addresses, 0u);
}

TEST(LeaseTable, coming_back_within_grace_begins_anew) {
  Table table(grace(10s));
  table.open(0s, 1).close(TimePoint(0s));
  Lease again = table.open(9s, 1);
  EXPECT_EQ(table.at(100s), 1);
  again.close(TimePoint(100s));
  EXPECT_EQ(table.at(109s), 1);
  EXPECT_EQ(table.at(111s), -1);
}

TEST(LeaseTable, without_grace_the_pin_ends_with_the_connection) {
  Table table(grace(0s));
  Lease lease = table.open(0s, 1);
  EXPECT_EQ(table.at(5s), 1);
  lease.close(TimePoint(5s));
  EXPECT_EQ(table.at(5s), -1);
}

TEST(LeaseTable, keys_are_prefixes_without_port) {
  const struct {
    unsigned prefix, prefix_v6;
    std::string_view client, other;
    bool is_same;
  } cases[] = {
      {32, 128, "10.0.0.1", "10.0.0.1", true},
      {32, 128, "10.0.0.1", "10.0.0.2", false},
      {24, 128, "10.0.0.1", "10.0.0.200", true},
      {24, 128, "10.0.0.1", "10.0.1.1", false},
      {32, 64, "2001:db8::1", "2001:db8::2", true},
      {32, 64, "2001:db8::1", "2001:db8:0:1::1", false},
      {32, 128, "2001:db8::1", "2001:db8::2", false},
      {32, 128, "10.0.0.1", "::ffff:10.0.0.1", true},
      {1, 1, "10.0.0.1", "8000::", false},
      {8, 8, "10.0.0.1", "a00::", false},
  };
  for (const auto& c : cases) {
    LeaseRules rules;
    rules.prefix = c.prefix;
    rules.prefix_v6 = c.prefix_v6;
    Table table(rules);
    Lease lease = table.open(0s, 1, c.client);
    Address other = address(c.other);
    other.port = 4321;
    EXPECT_EQ(table.leases.find(other, TimePoint(1s)).has_value(), c.is_same) << c.client << " " << c.other;
    lease.close(TimePoint(1s));
  }
}

TEST(LeaseTable, a_pin_moves_for_all_of_an_address) {
  Table table(grace(10s));
  Lease one = table.open(0s, 1), two = table.open(0s, 1);
  one.move_to(2);
  EXPECT_EQ(table.at(1s), 2);
  Lease three = table.open(2s, 3);  // a third connection was sent elsewhere: the latest choice holds
  EXPECT_EQ(table.at(2s), 3);
  for (Lease* lease : {&one, &two, &three}) lease->close(TimePoint(3s));
  EXPECT_EQ(table.at(4s), 3);
  Lease().move_to(1);  // harmless
  Lease().close(TimePoint(3s));
}

TEST(LeaseTable, a_lease_that_dies_closes_at_the_latest_moment_that_anybody_told) {
  Table table(grace(10s));
  {
    const Lease lease = table.open(0s, 1);
    table.leases.tick(TimePoint(60s));
  }
  EXPECT_EQ(table.at(69s), 1);
  EXPECT_EQ(table.at(70s), -1);
  static_assert(sizeof(Lease) == 16);
}

TEST(LeaseTable, moving_a_lease_neither_closes_nor_doubles_it) {
  Table table(grace(0s));
  Lease one = table.open(0s, 1);
  Lease two = std::move(one);
  EXPECT_FALSE(one);
  EXPECT_TRUE(two);
  std::vector<Lease> many;
  many.push_back(std::move(two));
  many.push_back(table.open(0s, 1));
  EXPECT_EQ(table.at(1s), 1);
  many.erase(many.begin());
  EXPECT_EQ(table.at(2s), 1);
  many.clear();
  EXPECT_EQ(table.at(3s), -1);
  Lease kept = table.open(4s, 1, "10.0.0.1");
  kept = table.open(5s, 2, "10.0.0.2");  // the old one closes
  EXPECT_EQ(table.at(6s, "10.0.0.1"), -1);
  EXPECT_EQ(table.at(6s, "10.0.0.2"), 2);
}

TEST(LeaseTable, when_full_the_longest_closed_leaves_first_and_open_ones_never) {
  LeaseRules rules = grace(10s);
  rules.leases_max = 3;
  Table table(rules);
  Lease open = table.open(0s, 1, "10.0.0.1");
  Lease second = table.open(0s, 2, "10.0.0.2"), third = table.open(0s, 3, "10.0.0.3");
  third.close(TimePoint(1s));
  second.close(TimePoint(2s));
  Lease fourth = table.open(3s, 4, "10.0.0.4");
  EXPECT_TRUE(fourth);
  EXPECT_EQ(table.at(3s, "10.0.0.3"), -1) << "closed longest ago";
  EXPECT_EQ(table.at(3s, "10.0.0.2"), 2);
  EXPECT_EQ(table.leases.evicted(), 1u);

  Lease fifth = table.open(3s, 5, "10.0.0.5");
  EXPECT_TRUE(fifth);
  EXPECT_EQ(table.leases.size().addresses, 3u);
  EXPECT_EQ(table.leases.size().open, 3u);
  Lease sixth = table.open(3s, 6, "10.0.0.6");
  EXPECT_FALSE(sixth) << "served, but not remembered";
  EXPECT_EQ(table.leases.refused(), 1u);
  EXPECT_EQ(table.at(3s, "10.0.0.6"), -1);
  EXPECT_TRUE(table.open(3s, 1, "10.0.0.1")) << "an address that is there needs no room";
  EXPECT_EQ(table.at(4s, "10.0.0.1"), 1);
}

TEST(LeaseTable, expired_ones_leave_in_passing_so_that_the_table_does_not_grow) {
  Table table(grace(1s));
  for (int i = 0; i < 10'000; ++i) {
    const Duration now = i * 1ms;
    const std::string client = "10." + std::to_string(i % 200) + "." + std::to_string(i / 200) + ".1";
    table.open(now, 1, client).close(TimePoint(now));
    // 1,000 live ones (a new one each ms, a grace of 1 s) and what each of 16 shards has not come to.
    EXPECT_LE(table.leases.size().addresses, 1200u) << i;
  }
  table.leases.tick(TimePoint(1h));
  EXPECT_EQ(table.leases.size().addresses, 0u);
}

TEST(LeaseTable, two_threads_share_one_table) {
  LeaseRules rules = grace(3ms);
  rules.leases_max = 64;  // so that eviction and refusal happen too
  Table table(rules);
  const auto work = [&](std::uint64_t seed) {
    SeededRandom random(seed);
    std::vector<Lease> held;
    Address client = address("10.0.0.1");
    for (int i = 0; i < 20'000; ++i) {
      const TimePoint now{i * 10us};
      client.ip[3] = static_cast<std::uint8_t>(random.below(100));
      const auto found = table.leases.find(client, now);
      EXPECT_LT(found.value_or(0), 8);
      Lease lease = table.leases.open(client, static_cast<ServerIndex>(random.below(8)), now);
      if (random.below(4) == 0) lease.move_to(static_cast<ServerIndex>(random.below(8)));
      if (random.below(3) == 0) held.push_back(std::move(lease));
      if (held.size() > 40) held.erase(held.begin() + static_cast<std::ptrdiff_t>(random.below(held.size())));
      if (random.below(50) == 0) table.leases.tick(now);
      if (random.below(50) == 0) {
        EXPECT_LE(table.leases.size().addresses, 64u);
      }
      lease.close(now);
    }
  };
  std::thread one(work, 1), two(work, 2);
  one.join();
  two.join();
  EXPECT_EQ(table.leases.size().open, 0u);
  table.leases.tick(TimePoint(1h));
  EXPECT_EQ(table.leases.size().addresses, 0u);
  EXPECT_GT(table.leases.evicted() + table.leases.refused(), 0u);
}

TEST(LeaseTable, another_table_goes_on_with_its_pins) {
  Table before(grace(10s));
  before.open(1s, 1, "10.0.0.1").close(TimePoint(1s));
  before.open(0s, 2, "10.0.0.2").close(TimePoint(4s));
  Lease open = before.open(0s, 3, "10.0.0.3");
  before.open(0s, 4, "10.0.0.4").close(TimePoint(0s));  // over at 10 s
  Lease unpinned = before.open(0s, 5, "10.0.0.5");
  unpinned.unpin();
  const std::vector<LeaseTable::Pin> pins = before.leases.pins(TimePoint(10s));
  ASSERT_EQ(pins.size(), 3u);
  EXPECT_EQ(pins[0].client.ip_text(), "10.0.0.1");
  EXPECT_EQ(pins[0].left, Duration(1s));
  EXPECT_EQ(pins[1].client.ip_text(), "10.0.0.2");
  EXPECT_EQ(pins[1].left, Duration(4s));
  EXPECT_EQ(pins[2].client.ip_text(), "10.0.0.3");
  EXPECT_TRUE(pins[2].open);

  // The clock of the next process begins anew.
  Table after(grace(3s));
  for (const LeaseTable::Pin& pin : pins)
    after.leases.remember(pin.client, pin.server, pin.left, TimePoint(0s));
  after.leases.remember(address("10.0.0.1"), 9, 3s, TimePoint(0s));  // who is known stays
  EXPECT_EQ(after.at(500ms, "10.0.0.1"), 1);
  EXPECT_EQ(after.at(1s, "10.0.0.1"), -1);
  EXPECT_EQ(after.at(2999ms, "10.0.0.2"), 2);
  EXPECT_EQ(after.at(3s, "10.0.0.2"), -1) << "no longer than its own grace";
  EXPECT_EQ(after.at(0s, "10.0.0.5"), -1);
  after.leases.tick(TimePoint(4s));
  EXPECT_EQ(after.leases.size().addresses, 0u);
}

TEST(LeaseTable, remembers_no_more_than_it_has_room_for) {
  LeaseRules rules = grace(10s);
  rules.leases_max = 2;
  Table table(rules);
  for (const char* client : {"10.0.0.1", "10.0.0.2", "10.0.0.3"})
    table.leases.remember(address(client), 1, 5s, TimePoint(0s));
  EXPECT_EQ(table.leases.size().addresses, 2u);
  EXPECT_EQ(table.at(1s, "10.0.0.3"), -1);
}

TEST(LeaseTable, a_pin_that_the_server_ended_is_gone_for_all_connections_until_the_next_is_sent_somewhere) {
  SystemRandom random;
  LeaseTable table({.grace = 10s}, random);
  const Address client = test::address("10.0.0.1");
  Lease first = table.open(client, 1, TimePoint(1h)), second = table.open(client, 1, TimePoint(1h));
  first.unpin();
  EXPECT_EQ(table.find(client, TimePoint(1h)), std::nullopt);
  second.close(TimePoint(1h));
  first.close(TimePoint(1h));
  EXPECT_EQ(table.find(client, TimePoint(1h)), std::nullopt) << "and there is no grace";
  EXPECT_EQ(table.size().addresses, 0u);

  Lease third = table.open(client, 1, TimePoint(1h));
  third.unpin();
  third.move_to(2);  // the next request on the same connection
  EXPECT_EQ(table.find(client, TimePoint(1h)), ServerNumber{2});
  third.unpin();
  Lease fourth = table.open(client, 3, TimePoint(1h));
  EXPECT_EQ(table.find(client, TimePoint(1h)), ServerNumber{3});
  third.close(TimePoint(1h));
  fourth.close(TimePoint(1h));
  EXPECT_EQ(table.find(client, TimePoint(1h + 9s)), ServerNumber{3});
}

}  // namespace
}  // namespace rejoin::route
