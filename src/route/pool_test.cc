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
    EXPECT_EQ(pool->takes_new(0), c.takes_new);
    EXPECT_EQ(pool->takes_pinned(0), c.takes_pinned);
    EXPECT_TRUE(pool->takes_new(1)) << "the neighbour is not touched";
  }
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
