#include "route/change_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "route/route_test_support.h"
#include "route/takers.h"

namespace rejoin::route {
namespace {

std::vector<std::uint32_t> all_of(const ChangeLog& log, std::uint64_t& cursor) {
  std::vector<std::uint32_t> out;
  EXPECT_TRUE(log.read(cursor, [&](std::uint32_t number) { out.push_back(number); }));
  return out;
}

TEST(ChangeLog, each_reader_hears_each_change_once) {
  ChangeLog log;
  std::uint64_t one = log.head(), other = log.head();
  EXPECT_TRUE(all_of(log, one).empty());
  log.note(7);
  log.note(0);
  EXPECT_EQ(all_of(log, one), (std::vector<std::uint32_t>{7, 0}));
  EXPECT_TRUE(all_of(log, one).empty());
  log.note(7);
  EXPECT_EQ(all_of(log, one), (std::vector<std::uint32_t>{7}));
  EXPECT_EQ(all_of(log, other), (std::vector<std::uint32_t>{7, 0, 7}));
}

TEST(ChangeLog, says_when_a_reader_comes_too_late) {
  ChangeLog log;
  std::uint64_t cursor = log.head();
  for (std::uint32_t i = 0; i < ChangeLog::kSlots; ++i) log.note(i);
  std::uint64_t in_time = cursor;
  EXPECT_EQ(all_of(log, in_time).size(), ChangeLog::kSlots);
  log.note(1);
  EXPECT_FALSE(log.read(cursor, [](std::uint32_t) {}));
  EXPECT_EQ(all_of(log, in_time), (std::vector<std::uint32_t>{1}));
}

/// What workers, probers and operators do at once: when all is still, every view says what is so.
TEST(Takers, see_in_the_end_what_others_did_at_the_same_time) {
  const auto pool = test::pool(std::vector<std::uint32_t>(20, 1));
  Takers takers(*pool);
  std::atomic<int> at_work{3};
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    threads.emplace_back([&pool, &at_work, seed] {
      SeededRandom random(seed);
      for (int i = 0; i < 3000; ++i) {
        const auto index = static_cast<ServerIndex>(random.below(pool->size()));
        switch (random.below(4)) {
          case 0: pool->set_weight(index, static_cast<std::uint32_t>(random.below(3))); break;
          case 1: pool->set_order(index, static_cast<ServerOrder>(random.below(2))); break;
          case 2: pool->set_draining(index, random.below(2) == 0); break;
          default:
            pool->observe(index, random.below(2) == 0 ? ProbeResult::well : ProbeResult::ill, TimePoint(1h));
        }
      }
      --at_work;
    });
  }
  while (at_work != 0) takers.refresh(TimePoint(1h));
  for (std::thread& thread : threads) thread.join();
  takers.refresh(TimePoint(1h));
  std::size_t open = 0;
  for (ServerIndex index = 0; index < pool->size(); ++index) {
    const Pool::Taking is = pool->taking(index, TimePoint(1h));
    EXPECT_EQ(takers.weight(index), is.weight) << index;
    open += is.weight != 0;
  }
  EXPECT_EQ(takers.open().size(), open);
  EXPECT_TRUE(takers.full().empty());
}

TEST(Takers, ask_time_where_time_alone_changes_something) {
  HealthRules rules = test::probed();
  rules.passive = {.failures = 1, .within = 10s, .out = 5s};
  const auto pool = std::move(*Pool::make("p", test::servers({10, 10, 10}), rules, nullptr, 100s));
  Takers takers(*pool);
  std::vector<ServerIndex> changed;
  const auto changes_at = [&](TimePoint now) {
    changed.clear();
    takers.refresh(now, [&](ServerIndex index) { changed.push_back(index); });
    return changed;
  };
  const TimePoint start(1h);
  EXPECT_EQ(changes_at(start).size(), 3u) << "the first time";
  EXPECT_TRUE(changes_at(start + 1h).empty());
  pool->mark_failure(1, start + 1h);
  EXPECT_EQ(changes_at(start + 1h), (std::vector<ServerIndex>{1}));
  EXPECT_EQ(takers.weight(1), 0u);
  EXPECT_TRUE(changes_at(start + 1h + 4999ms).empty());
  EXPECT_EQ(changes_at(start + 1h + 5s), (std::vector<ServerIndex>{1}));
  EXPECT_EQ(takers.weight(1), 10 * Pool::kWeightUnits / 100) << "it comes back slowly";
  EXPECT_EQ(changes_at(start + 1h + 5s + 50s), (std::vector<ServerIndex>{1}));
  EXPECT_EQ(takers.weight(1), 10 * Pool::kWeightUnits / 2);
  EXPECT_EQ(changes_at(start + 2h), (std::vector<ServerIndex>{1}));
  EXPECT_EQ(takers.weight(1), 10 * Pool::kWeightUnits);
  EXPECT_TRUE(changes_at(start + 3h).empty());
  EXPECT_EQ(changes_at(start).size(), 3u) << "a clock that goes back: all are looked at";
}

}  // namespace
}  // namespace rejoin::route
