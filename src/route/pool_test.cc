#include "route/pool.h"

#include <gtest/gtest.h>

#include <thread>

#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

TEST(Pool, refuses_lists_of_servers_that_make_no_sense) {
  const auto is_good = [](auto change) {
    std::vector<Server> list = test::servers({1, 1});
    change(list);
    return check_servers(list).ok();
  };
  EXPECT_TRUE(is_good([](auto&) {}));
  EXPECT_TRUE(is_good([](auto& l) { l[0].weight = 0; }));
  EXPECT_TRUE(is_good([](auto& l) { l[0].name = std::string(limits::kServerNameBytesMax, 'n'); }));
  EXPECT_TRUE(is_good([](auto& l) { l[1].address = l[0].address; }));  // two names for one place: why not
  EXPECT_FALSE(is_good([](auto& l) { l.clear(); }));
  EXPECT_FALSE(is_good([](auto& l) { l[0].name = ""; }));
  EXPECT_FALSE(is_good([](auto& l) { l[0].name = std::string(limits::kServerNameBytesMax + 1, 'n'); }));
  EXPECT_FALSE(is_good([](auto& l) { l[0].name = l[1].name; }));
  EXPECT_FALSE(is_good([](auto& l) { l[0].address = {}; }));
  EXPECT_FALSE(is_good([](auto& l) { l[0].address.port = 0; }));
  EXPECT_FALSE(is_good([](auto& l) { l[0].weight = limits::kWeightMax + 1; }));
  EXPECT_FALSE(is_good([](auto& l) {
    const Server first = l[0];
    l.clear();
    for (std::size_t i = 0; i <= limits::kServersPerPoolMax; ++i) {
      l.push_back(first);
      l.back().name = std::to_string(i);
    }
  }));
}

TEST(Pool, finds_servers_by_name) {
  const auto pool = test::pool({1, 1, 1});
  EXPECT_EQ(pool->index_of("a"), ServerIndex{0});
  EXPECT_EQ(pool->index_of("c"), ServerIndex{2});
  EXPECT_EQ(pool->index_of("d"), std::nullopt);
  EXPECT_EQ(pool->index_of(""), std::nullopt);
  EXPECT_EQ(pool->index_of("A"), std::nullopt);
}

TEST(Pool, who_is_taken_where) {
  const struct {
    std::uint32_t weight;
    bool is_down, is_draining;
    bool takes_new, takes_pinned;
  } cases[] = {
      {1, false, false, true, true}, {1, true, false, false, false}, {1, false, true, false, true},
      {1, true, true, false, false}, {0, false, false, false, true}, {0, true, false, false, false},
      {0, false, true, false, true},
  };
  for (const auto& c : cases) {
    const auto pool = test::pool({c.weight, 1});
    if (c.is_down) test::take_down(*pool, 0);
    pool->set_draining(0, c.is_draining);
    EXPECT_EQ(pool->takes_new(0, TimePoint(1h)), c.takes_new);
    EXPECT_EQ(pool->takes_pinned(0, TimePoint(1h)), c.takes_pinned);
    EXPECT_TRUE(pool->takes_new(1, TimePoint(1h))) << "the neighbour is not touched";
  }
}

TEST(Pool, a_drain_with_a_deadline_keeps_its_own_clients_until_then) {
  const auto pool = test::pool({1, 1});
  const TimePoint now(1h);
  pool->set_draining(0, true, now + 10s);
  EXPECT_EQ(pool->standing(0, now + 9999ms), Standing::draining);
  EXPECT_TRUE(pool->takes_pinned(0, now + 9999ms));
  EXPECT_EQ(pool->standing(0, now + 10s), Standing::drained);
  EXPECT_FALSE(pool->takes_pinned(0, now + 10s));
  EXPECT_TRUE(pool->draining(0));
  pool->set_draining(0, false);
  EXPECT_EQ(pool->standing(0, now + 10s), Standing::open);
}

TEST(Pool, of_several_bars_the_strongest_counts) {
  auto list = test::servers({1, 1});
  list[0].max_connections = 1;
  HealthRules health = test::probed();
  health.passive = {.failures = 1, .within = 1s, .out = 30s};
  const auto pool = std::move(*Pool::make("p", list, health));
  const TimePoint now(1h);
  const auto standing = [&] { return to_string(pool->standing(0, now)); };
  EXPECT_EQ(standing(), "open");
  pool->set_weight(0, 0);
  EXPECT_EQ(standing(), "weight_0");
  pool->set_draining(0, true);
  EXPECT_EQ(standing(), "draining");
  {
    const ServerUse use(*pool, 0);
    EXPECT_EQ(standing(), "full");
    EXPECT_FALSE(pool->would_take_new(0, now)) << "room alone would not help";
    pool->set_draining(0, true, now);
    EXPECT_EQ(standing(), "drained");
    EXPECT_TRUE(pool->mark_failure(0, now));
    EXPECT_EQ(standing(), "out");
    test::take_down(*pool, 0, now);
    EXPECT_EQ(standing(), "down");
  }
}

TEST(Pool, passive_marks_never_put_more_than_half_of_the_servers_out) {
  HealthRules health;
  health.passive = {.failures = 2, .within = 10s, .out = 30s};
  const TimePoint now(1h);
  const auto out_of = [&](std::size_t servers) {
    const auto pool =
        std::move(*Pool::make("p", test::servers(std::vector<std::uint32_t>(servers, 1)), health));
    std::size_t out = 0;
    for (std::size_t i = 0; i < servers; ++i) {
      const auto index = static_cast<ServerIndex>(i);
      EXPECT_FALSE(pool->mark_failure(index, now));
      out += pool->mark_failure(index, now);
      EXPECT_EQ(pool->out(index, now), i < out);
      EXPECT_FALSE(pool->out(index, now + 30s)) << "its time is over";
    }
    return out;
  };
  EXPECT_EQ(out_of(1), 0u);
  EXPECT_EQ(out_of(2), 1u);
  EXPECT_EQ(out_of(3), 1u);
  EXPECT_EQ(out_of(4), 2u);
  const auto off = test::pool({1, 1});
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(off->mark_failure(0, now)) << "not asked for";
}

TEST(Pool, a_server_that_came_up_grows_to_its_weight) {
  HealthRules health = test::probed();
  health.rise = health.fall = 1;
  health.passive = {.failures = 1, .within = 1s, .out = 30s};
  const auto pool = std::move(*Pool::make("p", test::servers({4, 1}), health, nullptr, 100s));
  const TimePoint now(1h);
  const std::uint64_t whole = 4 * Pool::kWeightUnits;
  EXPECT_EQ(pool->present_weight(0, now), whole) << "at the start of the program nobody is new";
  pool->observe(0, ProbeResult::well, now);
  pool->observe(0, ProbeResult::ill, now);
  ASSERT_EQ(pool->observe(0, ProbeResult::well, now), HealthChange::went_up);
  EXPECT_EQ(pool->present_weight(0, now), whole / 100);
  EXPECT_EQ(pool->present_weight(0, now + 50s), whole / 2);
  EXPECT_EQ(pool->present_weight(0, now + 99s), whole * 99 / 100);
  EXPECT_EQ(pool->present_weight(0, now + 100s), whole);
  EXPECT_EQ(pool->steady_weight(0), whole) << "which tables are made of";
  pool->set_share_percent(0, 50);
  EXPECT_EQ(pool->present_weight(0, now + 50s), whole / 4);
  pool->set_share_percent(0, 100);
  ASSERT_TRUE(pool->mark_failure(0, now + 200s));
  EXPECT_EQ(pool->present_weight(0, now + 230s), whole / 100) << "out is as bad as down";
  EXPECT_EQ(pool->present_weight(0, now + 280s), whole / 2);
}

TEST(Pool, knows_since_when_a_server_is_away_with_and_without_probes) {
  const TimePoint then(1h);
  for (const HealthKind kind : {HealthKind::off, HealthKind::tcp}) {
    HealthRules rules;
    rules.kind = kind;
    const auto pool = std::move(*Pool::make("p", test::servers({1, 1}), rules));
    pool->observe(0, ProbeResult::well, then);
    pool->reached(0, then);
    EXPECT_EQ(pool->away_for(0, then + 1h), 0s);
    pool->observe(0, ProbeResult::refused, then);
    pool->observe(0, ProbeResult::refused, then + 1s);
    EXPECT_EQ(pool->away_for(0, then + 5s), 5s);
    EXPECT_EQ(pool->away_for(1, then + 5s), 0s) << "the neighbour is not touched";
    pool->reached(0, then + 6s);
    EXPECT_EQ(pool->away_for(0, then + 7s), 0s);
    EXPECT_TRUE(pool->up(0));
  }
}

TEST(Pool, counts_connections_as_long_as_their_use_lives) {
  const auto pool = test::pool({1, 1});
  {
    ServerUse one(*pool, 0), two(*pool, 0);
    EXPECT_EQ(pool->active(0), 2u);
    ServerUse moved = std::move(one);
    EXPECT_EQ(pool->active(0), 2u);
    EXPECT_FALSE(one);
    moved = ServerUse(*pool, 1);  // as when a client is sent to another server
    EXPECT_EQ(pool->active(0), 1u);
    EXPECT_EQ(pool->active(1), 1u);
    two.end();
    two.end();
    EXPECT_EQ(pool->active(0), 0u);
  }
  EXPECT_EQ(pool->active(1), 0u);
  static_assert(sizeof(ServerUse) == 8);
}

TEST(Pool, of_many_threads_exactly_one_hears_of_each_change) {
  const auto pool = test::pool({1, 1});
  std::atomic<int> downs{0}, ups{0};
  const auto storm = [&](ProbeResult result) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          const HealthChange change = pool->observe(0, result, TimePoint(1h));
          downs += change == HealthChange::went_down;
          ups += change == HealthChange::went_up;
          ServerUse use(*pool, 1);
        }
      });
    }
    for (auto& thread : threads) thread.join();
  };
  storm(ProbeResult::ill);
  EXPECT_FALSE(pool->up(0));
  storm(ProbeResult::well);
  EXPECT_TRUE(pool->up(0));
  EXPECT_EQ(downs, 1);
  EXPECT_EQ(ups, 1);
  EXPECT_EQ(pool->active(1), 0u);
}

}  // namespace
}  // namespace rejoin::route
