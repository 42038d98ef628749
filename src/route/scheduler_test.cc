#include "route/scheduler.h"

#include <gtest/gtest.h>

#include <map>

#include "route/maglev.h"
#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

/// The names of `count` picks; '-' for none.
std::string picks(Scheduler& scheduler, const Pool& pool, int count, const Tried& tried = {}) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    const auto picked = scheduler.pick(Wanted{.tried = tried});
    out += picked ? pool.server(*picked).name : "-";
  }
  return out;
}

std::string smooth(const std::vector<std::uint32_t>& weights, int count, unsigned worker = 0) {
  const auto pool = test::pool(weights);
  return picks(*make_scheduler(SchedulerKind::round_robin, *pool, worker), *pool, count);
}

TEST(SmoothRoundRobin, interleaves_by_weight) {
  const struct {
    std::vector<std::uint32_t> weights;
    std::string_view expected;
  } cases[] = {
      {{1}, "aaaa"},
      {{1, 1}, "ababab"},
      {{1, 1, 1}, "abcabc"},
      {{2, 1}, "abaaba"},
      {{5, 1, 1}, "aabacaaaabacaa"},
      {{3, 3, 1}, "abcabababcabab"},
      {{0, 1}, "bbbb"},
      {{0, 0}, "----"},
      {{2, 0, 1}, "acaaca"},
  };
  for (const auto& c : cases) EXPECT_EQ(smooth(c.weights, static_cast<int>(c.expected.size())), c.expected);
}

TEST(SmoothRoundRobin, is_exact_in_every_window_from_the_start) {
  SeededRandom random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::uint32_t> weights;
    std::uint32_t sum = 0;
    for (std::uint64_t i = 0, n = 1 + random.below(8); i < n; ++i) {
      weights.push_back(static_cast<std::uint32_t>(random.below(20)));
      sum += weights.back();
    }
    if (sum == 0) continue;
    const std::string all = smooth(weights, static_cast<int>(3 * sum));
    for (std::size_t from = 0; from + sum <= all.size(); from += sum) {
      std::map<char, std::uint32_t> counts;
      for (const char c : all.substr(from, sum)) ++counts[c];
      for (std::size_t i = 0; i < weights.size(); ++i)
        EXPECT_EQ(counts[static_cast<char>('a' + i)], weights[i]);
    }
  }
}

TEST(SmoothRoundRobin, workers_begin_at_different_servers) {
  EXPECT_EQ(smooth({1, 1, 1}, 3, 0), "abc");
  EXPECT_EQ(smooth({1, 1, 1}, 3, 1), "bca");
  EXPECT_EQ(smooth({1, 1, 1}, 3, 2), "cab");
  EXPECT_EQ(smooth({1, 1, 1}, 3, 3), "abc");
  EXPECT_EQ(smooth({0, 1, 1}, 3, 1), "cbc");
}

TEST(SmoothRoundRobin, passes_over_who_is_down_draining_or_tried_and_takes_them_back) {
  const auto pool = test::pool({1, 1, 1});
  const auto scheduler = make_scheduler(SchedulerKind::round_robin, *pool, 0);
  test::take_down(*pool, 1);
  EXPECT_EQ(picks(*scheduler, *pool, 4), "acac");
  for (int i = 0; i < 2; ++i) pool->observe(1, ProbeResult::well, TimePoint(1h));
  pool->set_draining(0, true);
  EXPECT_EQ(picks(*scheduler, *pool, 4), "bcbc");
  pool->set_draining(0, false);
  EXPECT_EQ(picks(*scheduler, *pool, 6), "abcabc");

  Tried tried;
  tried.add(0);
  EXPECT_EQ(picks(*scheduler, *pool, 2, tried), "bc");
  tried.add(2);
  EXPECT_EQ(picks(*scheduler, *pool, 2, tried), "bb");
  tried.add(1);
  EXPECT_EQ(picks(*scheduler, *pool, 2, tried), "--");
}

TEST(Schedulers, heed_a_weight_that_is_changed_while_they_run) {
  const auto pool = test::pool({1, 1});
  const auto robin = make_scheduler(SchedulerKind::round_robin, *pool, 0);
  const auto least = make_scheduler(SchedulerKind::least_connections, *pool, 0);
  EXPECT_EQ(picks(*robin, *pool, 4), "abab");
  pool->set_weight(0, 3);
  EXPECT_EQ(picks(*robin, *pool, 4), "aaba");
  const ServerUse one(*pool, 0), two(*pool, 0), other(*pool, 1);
  EXPECT_EQ(picks(*least, *pool, 2), "aa") << "two of three against one of one";
  pool->set_weight(0, 0);
  EXPECT_EQ(picks(*robin, *pool, 2), "bb");
  EXPECT_EQ(picks(*least, *pool, 2), "bb");
  EXPECT_EQ(pool->server(0).weight, 1u) << "what was configured is still known";
  pool->set_weight(0, pool->server(0).weight);
  EXPECT_TRUE(pool->takes_new(0, TimePoint{}));
}

TEST(Tried, has_a_bound) {
  Tried tried;
  for (std::size_t i = 0; i < limits::kTriedServersMax; ++i)
    EXPECT_TRUE(tried.add(static_cast<ServerIndex>(i)));
  EXPECT_FALSE(tried.add(1000));
  EXPECT_FALSE(tried.contains(1000));
  EXPECT_TRUE(tried.contains(limits::kTriedServersMax - 1));
}

/// Each pick stays as a connection; the counts per server at the end.
std::vector<std::uint32_t> filled(const std::vector<std::uint32_t>& weights, int clients,
                                  const std::vector<int>& already = {}) {
  const auto pool = test::pool(weights);
  std::vector<ServerUse> uses;
  for (std::size_t i = 0; i < already.size(); ++i) {
    for (int n = 0; n < already[i]; ++n) uses.emplace_back(*pool, static_cast<ServerIndex>(i));
  }
  const auto scheduler = make_scheduler(SchedulerKind::least_connections, *pool, 0);
  for (int n = 0; n < clients; ++n) uses.emplace_back(*pool, *scheduler->pick(Wanted{.tried = Tried()}));
  std::vector<std::uint32_t> counts;
  for (std::size_t i = 0; i < weights.size(); ++i)
    counts.push_back(pool->active(static_cast<ServerIndex>(i)));
  return counts;
}

TEST(LeastConnections, fills_in_proportion_to_the_weights) {
  using Counts = std::vector<std::uint32_t>;
  EXPECT_EQ(filled({1, 1}, 10), (Counts{5, 5}));
  EXPECT_EQ(filled({1, 1, 1}, 9), (Counts{3, 3, 3}));
  EXPECT_EQ(filled({3, 1}, 40), (Counts{30, 10}));
  EXPECT_EQ(filled({5, 3, 2}, 100), (Counts{50, 30, 20}));
  EXPECT_EQ(filled({0, 1}, 5), (Counts{0, 5}));
  EXPECT_EQ(filled({1, 1}, 10, {8, 0}), (Counts{9, 9}));  // the empty one catches up first
  EXPECT_EQ(filled({2, 1}, 0, {4, 2}), (Counts{4, 2}));
  EXPECT_EQ(filled({65535, 1}, 3, {65535, 0}), (Counts{65536, 2}));  // 1 to 0, 1 to 1, 1.00002 to 1
}

TEST(LeastConnections, an_idle_pool_takes_turns_instead_of_always_the_first) {
  const auto pool = test::pool({1, 1, 1});
  const auto scheduler = make_scheduler(SchedulerKind::least_connections, *pool, 0);
  EXPECT_EQ(picks(*scheduler, *pool, 6), "abcabc");
  const auto second_worker = make_scheduler(SchedulerKind::least_connections, *pool, 1);
  EXPECT_EQ(picks(*second_worker, *pool, 3), "bca");
}

TEST(LeastConnections, passes_over_who_is_down_or_tried) {
  const auto pool = test::pool({1, 1, 1});
  const auto scheduler = make_scheduler(SchedulerKind::least_connections, *pool, 0);
  const ServerUse b(*pool, 1), c(*pool, 2), c2(*pool, 2);
  EXPECT_EQ(picks(*scheduler, *pool, 2), "aa");
  test::take_down(*pool, 0);
  EXPECT_EQ(picks(*scheduler, *pool, 2), "bb");
  Tried tried;
  tried.add(1);
  EXPECT_EQ(picks(*scheduler, *pool, 2, tried), "cc");
  tried.add(2);
  EXPECT_EQ(picks(*scheduler, *pool, 2, tried), "--");
}

/// Shares of 20,000 picks, none of which stays.
std::vector<double> shares(SchedulerKind kind, const Pool& pool, MaglevShare* maglev = nullptr) {
  const auto scheduler = make_scheduler(kind, pool, 0, 42, maglev);
  std::vector<double> out(pool.size(), 0);
  const Tried nobody;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const auto picked = scheduler->pick(Wanted{.tried = nobody, .hash = mix_bits(i)});
    if (picked) out[*picked] += 1 / 20'000.0;
  }
  return out;
}

TEST(RandomTwo, of_an_idle_pool_each_server_has_about_its_weight) {
  // Of two that are equally idle the first drawn is taken, which is drawn by weight.
  const auto of = shares(SchedulerKind::random_two, *test::pool({1, 2, 1, 0}));
  EXPECT_NEAR(of[0], 0.25, 0.02);
  EXPECT_NEAR(of[1], 0.5, 0.02);
  EXPECT_NEAR(of[2], 0.25, 0.02);
  EXPECT_EQ(of[3], 0);
}

TEST(RandomTwo, fills_evenly_by_weight_and_avoids_the_busiest) {
  const auto pool = test::pool({1, 3, 1});
  std::vector<ServerUse> uses;
  const auto scheduler = make_scheduler(SchedulerKind::random_two, *pool, 0, 42);
  const Tried nobody;
  for (int i = 0; i < 1000; ++i) uses.emplace_back(*pool, *scheduler->pick(Wanted{.tried = nobody}));
  EXPECT_NEAR(pool->active(0), 200, 12);
  EXPECT_NEAR(pool->active(1), 600, 20);
  EXPECT_NEAR(pool->active(2), 200, 12);
  for (int i = 0; i < 1000; ++i) uses.emplace_back(*pool, 1);
  for (int i = 0; i < 50; ++i) EXPECT_NE(scheduler->pick(Wanted{.tried = nobody}), ServerIndex{1});
}

TEST(RandomTwo, passes_over_who_is_down_or_tried) {
  const auto pool = test::pool({1, 1, 1});
  const auto scheduler = make_scheduler(SchedulerKind::random_two, *pool, 0, 42);
  test::take_down(*pool, 0);
  Tried tried;
  tried.add(2);
  EXPECT_EQ(picks(*scheduler, *pool, 3, tried), "bbb");
  tried.add(1);
  EXPECT_EQ(picks(*scheduler, *pool, 2, tried), "--");
}

TEST(HashSchedulers, shares_follow_the_weights_and_a_hash_keeps_its_server) {
  for (const SchedulerKind kind : {SchedulerKind::source_hash, SchedulerKind::key_hash}) {
    const auto pool = test::pool({1, 2, 1});
    MaglevShare maglev(*pool);
    const auto of = shares(kind, *pool, &maglev);
    EXPECT_NEAR(of[0], 0.25, 0.02);
    EXPECT_NEAR(of[1], 0.5, 0.02);
    EXPECT_NEAR(of[2], 0.25, 0.02);
    const auto one = make_scheduler(kind, *pool, 0, 1, &maglev),
               other = make_scheduler(kind, *pool, 7, 2, &maglev);
    Tried tried;
    for (std::uint64_t i = 0; i < 100; ++i) {
      const Wanted wanted{.tried = tried, .hash = mix_bits(i)};
      EXPECT_EQ(one->pick(wanted), other->pick(wanted)) << "workers agree";
    }
    for (const ServerIndex index : {0, 1, 2}) tried.add(index);
    EXPECT_EQ(one->pick(Wanted{.tried = tried, .hash = 1}), std::nullopt);
  }
}

TEST(Schedulers, backups_are_a_tier_of_their_own) {
  auto list = test::servers({1, 1, 1});
  list[1].backup = true;
  const auto pool = std::move(*Pool::make("p", list, test::probed()));
  MaglevShare maglev(*pool);
  const Tried nobody;
  for (const SchedulerKind kind :
       {SchedulerKind::round_robin, SchedulerKind::least_connections, SchedulerKind::random_two,
        SchedulerKind::source_hash, SchedulerKind::key_hash}) {
    const auto scheduler = make_scheduler(kind, *pool, 0, 42, &maglev);
    std::map<ServerIndex, int> first, backups;
    for (std::uint64_t i = 0; i < 50; ++i) {
      ++first[*scheduler->pick({.tried = nobody, .hash = mix_bits(i)})];
      ++backups[*scheduler->pick({.tried = nobody, .hash = mix_bits(i), .backups = true})];
    }
    EXPECT_EQ(first.size(), 2u);
    EXPECT_FALSE(first.contains(1));
    EXPECT_EQ(backups.size(), 1u);
    EXPECT_TRUE(backups.contains(1));
  }
}

}  // namespace
}  // namespace rejoin::route
