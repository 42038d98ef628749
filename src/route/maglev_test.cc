#include "route/maglev.h"

#include <gtest/gtest.h>

#include <map>

#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

constexpr TimePoint kStart{1h};

/// Servers "s0", "s1", ... with these weights.
std::vector<Server> named(const std::vector<std::uint32_t>& weights) {
  std::vector<Server> out;
  for (std::size_t i = 0; i < weights.size(); ++i)
    out.push_back({"s" + std::to_string(i), test::address("10.0.0.1"), weights[i]});
  return out;
}

struct Names {
  explicit Names(const std::vector<std::uint32_t>& weights) : servers(named(weights)) {}
  MaglevTable table() const {
    std::vector<MaglevTable::Member> members;
    for (std::size_t i = 0; i < servers.size(); ++i)
      members.push_back({servers[i].name, static_cast<ServerIndex>(i), servers[i].weight});
    return MaglevTable(members);
  }
  std::vector<Server> servers;
};

/// How many of all slots each server has.
std::vector<std::uint32_t> slots_of(const MaglevTable& table, std::size_t servers) {
  std::vector<std::uint32_t> counts(servers, 0);
  for (std::uint64_t slot = 0; slot < kMaglevSlots; ++slot) ++counts[table.at(slot)];
  return counts;
}

TEST(MaglevTable, slots_follow_the_weights) {
  const struct {
    std::vector<std::uint32_t> weights;
    std::vector<double> shares;
  } cases[] = {
      {{1}, {1}},
      {{1, 1}, {0.5, 0.5}},
      {{1, 2, 1}, {0.25, 0.5, 0.25}},
      {{10, 0, 30}, {0.25, 0, 0.75}},
      {{65535, 1}, {0.99998, 0.00002}},
  };
  for (const auto& c : cases) {
    const auto counts = slots_of(Names(c.weights).table(), c.weights.size());
    for (std::size_t i = 0; i < counts.size(); ++i)
      EXPECT_NEAR(counts[i], c.shares[i] * kMaglevSlots, 1.5) << "of " << c.weights.size() << ", " << i;
  }
  EXPECT_TRUE(Names({}).table().empty());
  EXPECT_TRUE(Names({0, 0}).table().empty());
}

TEST(MaglevTable, a_thousand_equal_servers_differ_by_one_slot) {
  const auto counts = slots_of(Names(std::vector<std::uint32_t>(1000, 7)).table(), 1000);
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  EXPECT_GE(*least, 65u);
  EXPECT_LE(*most, 66u);
}

TEST(MaglevTable, everybody_with_a_weight_has_a_slot_whatever_the_others_weigh) {
  std::vector<std::uint32_t> weights(limits::kServersPerPoolMax, 1);
  weights[0] = limits::kWeightMax;
  weights[1] = limits::kWeightMax;
  const auto counts = slots_of(Names(weights).table(), weights.size());
  EXPECT_GE(*std::min_element(counts.begin() + 2, counts.end()), 1u);
}

/// The share of all slots whose server is another one: what a client would feel of a changed list.
double moved(const MaglevTable& before, const MaglevTable& after) {
  std::uint32_t count = 0;
  for (std::uint64_t slot = 0; slot < kMaglevSlots; ++slot) count += before.at(slot) != after.at(slot);
  return static_cast<double>(count) / kMaglevSlots;
}

// Ideal is the share of the server itself; what goes beyond it moved without need. Printed, since the page of
// the configuration tells these numbers.
TEST(MaglevTable, few_keys_move_when_a_server_is_added_or_taken_away) {
  for (const std::size_t servers : {2u, 3u, 5u, 10u, 50u, 200u, 1000u}) {
    std::vector<std::uint32_t> weights(servers, 1);
    const MaglevTable all = Names(weights).table();
    double worst = 0, sum = 0;
    int tries = 0;
    for (std::size_t gone = 0; gone < servers; gone += std::max<std::size_t>(1, servers / 5), ++tries) {
      weights[gone] = 0;
      const double share = moved(all, Names(weights).table());
      weights[gone] = 1;
      worst = std::max(worst, share);
      sum += share;
    }
    const double ideal = 1.0 / static_cast<double>(servers);
    std::printf("of %4zu servers one goes (or comes): %6.3f%% of keys move, worst %6.3f%%, ideal %6.3f%%\n",
                servers, 100 * sum / tries, 100 * worst, 100 * ideal);
    EXPECT_GE(worst, ideal * 0.9);
    EXPECT_LE(worst, ideal + 0.05);
  }
}

TEST(MaglevTable, two_balancers_agree_whatever_the_order_of_their_lists) {
  const std::vector<Server> servers = named({3, 1, 4, 1, 5});
  std::vector<MaglevTable::Member> forward, backward;
  for (std::size_t i = 0; i < servers.size(); ++i)
    forward.push_back({servers[i].name, static_cast<ServerIndex>(i), servers[i].weight});
  backward.assign(forward.rbegin(), forward.rend());
  EXPECT_EQ(moved(MaglevTable(forward), MaglevTable(backward)), 0);
}

struct Shared {
  explicit Shared(const std::vector<std::uint32_t>& weights)
      : pool(std::move(*Pool::make("p", named(weights), test::probed()))),
        share(*pool),
        reader(share),
        takers(*pool) {}
  std::optional<ServerIndex> server(std::uint64_t key, TimePoint now = kStart) {
    takers.refresh(now);
    return reader.first(key, now, takers, false,
                        [&](ServerIndex index) { return pool->takes_new(index, now); });
  }
  /// Where the keys 0 to 9999 (hashed) go.
  std::vector<ServerIndex> all(TimePoint now = kStart) {
    std::vector<ServerIndex> out;
    for (std::uint64_t key = 0; key < 10'000; ++key)
      out.push_back(server(mix_bits(key), now).value_or(0xffff));
    return out;
  }
  std::unique_ptr<Pool> pool;
  MaglevShare share;
  MaglevReader reader;
  Takers takers;
};

TEST(MaglevReader,
     the_keys_of_a_server_that_goes_down_spread_over_the_others_and_come_back_and_no_other_moves) {
  Shared s({1, 1, 1, 1, 1});
  const auto before = s.all();
  test::take_down(*s.pool, 2);
  const auto during = s.all();
  std::map<ServerIndex, int> heirs;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 2) {
      ++heirs[during[i]];
    } else {
      ASSERT_EQ(before[i], during[i]) << "a key of another server has moved";
    }
  }
  ASSERT_EQ(heirs.size(), 4u);
  for (const auto& [heir, count] : heirs) EXPECT_NEAR(count, 500, 150) << heir;
  for (int i = 0; i < 2; ++i) s.pool->observe(2, ProbeResult::well, kStart);
  EXPECT_EQ(s.all(), before);
}

TEST(MaglevReader, finds_the_last_usable_server_and_says_when_there_is_none) {
  Shared s(std::vector<std::uint32_t>(100, 1));
  for (ServerIndex i = 0; i < 99; ++i) test::take_down(*s.pool, i);
  for (const ServerIndex index : s.all()) ASSERT_EQ(index, 99);
  test::take_down(*s.pool, 99);
  EXPECT_EQ(s.server(1), std::nullopt);
  EXPECT_TRUE(s.reader.home(1, kStart)) << "whom the key belongs to is known all the same";
}

TEST(MaglevReader, a_changed_weight_counts_at_most_once_a_second) {
  Shared s({1, 1});
  const auto share_of_first = [&](TimePoint now) {
    const auto all = s.all(now);
    return std::count(all.begin(), all.end(), 0) / 10'000.0;
  };
  EXPECT_NEAR(share_of_first(kStart), 0.5, 0.03);
  s.pool->set_weight(0, 3);
  EXPECT_NEAR(share_of_first(kStart), 0.75, 0.03);
  s.pool->set_weight(0, 1);
  EXPECT_NEAR(share_of_first(kStart + 999ms), 0.75, 0.03);
  EXPECT_NEAR(share_of_first(kStart + 1s), 0.5, 0.03);
  s.pool->set_share_percent(0, 0);
  EXPECT_EQ(share_of_first(kStart + 1s), 0) << "it takes no new clients, whatever the table says";
}

}  // namespace
}  // namespace rejoin::route
