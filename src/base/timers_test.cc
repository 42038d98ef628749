#include "base/timers.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <vector>

#include "base/random.h"

namespace rejoin {
namespace {

constexpr TimePoint kStart{Duration(1'234'567'890)};

/// Writes down when it fired, and does what a test asks at that moment.
struct Probe {
  explicit Probe(std::vector<int>* into = nullptr, int number = 0) : fired_into(into), id(number) {}
  static void fire(void* self) {
    auto& probe = *static_cast<Probe*>(self);
    ++probe.fired;
    if (probe.fired_into != nullptr) probe.fired_into->push_back(probe.id);
    if (probe.then_arm != nullptr) probe.wheel->arm(probe.then_arm->timer, probe.then_at);
    if (probe.then_cancel != nullptr) probe.then_cancel->timer.cancel();
  }
  Timer timer{&Probe::fire, this};
  std::vector<int>* fired_into;
  int id;
  int fired = 0;
  TimerWheel* wheel = nullptr;
  Probe* then_arm = nullptr;
  TimePoint then_at{};
  Probe* then_cancel = nullptr;
};

TEST(TimerWheel, fires_not_earlier_and_at_most_a_tick_later) {
  // Each distance lands on another level of the wheel.
  const Duration distances[] = {0us,  1us,  999us, 1ms, 1500us, 63ms, 64ms, 65ms,    4095ms,  4096ms, 5s,
                                262s, 263s, 1h,    4h,  5h,     24h,  300h, 20'000h, 19'000h, 19'089h};
  for (const Duration distance : distances) {
    TimerWheel wheel(kStart);
    Probe probe;
    wheel.arm(probe.timer, kStart + distance);
    EXPECT_TRUE(probe.timer.armed());
    if (distance > 1us) {
      wheel.advance(kStart + distance - 1us);
      // Its tick begins at the next whole millisecond not before it.
      EXPECT_EQ(probe.fired, 0) << distance.count() << " us: too early";
    }
    wheel.advance(kStart + distance + 1ms);
    EXPECT_EQ(probe.fired, 1) << distance.count() << " us: too late";
    EXPECT_FALSE(probe.timer.armed());
    EXPECT_EQ(wheel.armed(), 0u);
    EXPECT_EQ(wheel.next(), kNever);
  }
}

TEST(TimerWheel, never_is_never_and_cancels) {
  TimerWheel wheel(kStart);
  Probe probe;
  wheel.arm(probe.timer, kNever);
  EXPECT_FALSE(probe.timer.armed());
  wheel.arm(probe.timer, kStart + 5ms);
  wheel.arm(probe.timer, kNever);
  EXPECT_FALSE(probe.timer.armed());
  wheel.advance(kStart + 1h);
  EXPECT_EQ(probe.fired, 0);
}

TEST(TimerWheel, a_moment_that_has_passed_fires_at_the_next_advance) {
  TimerWheel wheel(kStart);
  Probe probe;
  wheel.advance(kStart + 1s);
  wheel.arm(probe.timer, kStart);
  EXPECT_EQ(probe.fired, 0) << "never from inside arm()";
  wheel.advance(kStart + 1s + 2ms);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, moves_a_timer_that_is_armed) {
  TimerWheel wheel(kStart);
  Probe probe;
  wheel.arm(probe.timer, kStart + 10ms);
  wheel.arm(probe.timer, kStart + 500ms);
  wheel.advance(kStart + 400ms);
  EXPECT_EQ(probe.fired, 0);
  wheel.advance(kStart + 502ms);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, fires_in_the_order_of_deadlines) {
  std::vector<int> order;
  TimerWheel wheel(kStart);
  std::deque<Probe> probes;
  const Duration when[] = {9s, 2ms, 300s, 70ms, 5000ms, 4096ms, 1h, 64ms, 63ms};
  for (int i = 0; i < 9; ++i) {
    probes.emplace_back(&order, i);
    wheel.arm(probes.back().timer, kStart + when[i]);
  }
  wheel.advance(kStart + 2h);
  EXPECT_EQ(order, (std::vector<int>{1, 8, 7, 3, 5, 4, 0, 2, 6}));
}

TEST(TimerWheel, cancelling_another_that_is_due_in_the_same_advance) {
  std::vector<int> order;
  TimerWheel wheel(kStart);
  Probe a(&order, 1), b(&order, 2), c(&order, 3);
  a.then_cancel = &b;
  for (Probe* probe : {&a, &b, &c}) wheel.arm(probe->timer, kStart + 50ms);
  wheel.advance(kStart + 1s);
  EXPECT_EQ(order, (std::vector<int>{1, 3}));
}

TEST(TimerWheel, arming_itself_again_and_others_while_it_fires) {
  std::vector<int> order;
  TimerWheel wheel(kStart);
  Probe again(&order, 1), other(&order, 2);
  again.wheel = &wheel;
  again.then_arm = &again;
  again.then_at =
      kStart;  // in the past: at the next tick, so one advance over 5 ms fires it several times and ends
  wheel.arm(again.timer, kStart + 1ms);
  wheel.advance(kStart + 6ms);
  EXPECT_GE(again.fired, 4);
  EXPECT_LE(again.fired, 6);
  again.then_arm = &other;
  again.then_at = kStart + 10ms;
  wheel.advance(kStart + 7ms);
  EXPECT_FALSE(again.timer.armed());
  EXPECT_EQ(other.fired, 0);
  wheel.advance(kStart + 12ms);
  EXPECT_EQ(other.fired, 1);
}

TEST(TimerWheel, a_timer_that_dies_cancels_itself) {
  TimerWheel wheel(kStart);
  {
    Probe probe;
    wheel.arm(probe.timer, kStart + 5ms);
    EXPECT_EQ(wheel.armed(), 1u);
  }
  EXPECT_EQ(wheel.armed(), 0u);
  wheel.advance(kStart + 1s);
}

// The wheel against a sorted map, over all levels.
TEST(TimerWheel, does_what_a_sorted_map_does) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeededRandom random(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random.below(n)); };
    TimePoint now = kStart;
    TimerWheel wheel(now);
    std::vector<int> fired;
    std::deque<Probe> probes;
    for (int i = 0; i < 60; ++i) probes.emplace_back(&fired, i);
    std::map<int, TimePoint> model;  // armed ones

    for (int step = 0; step < 3000; ++step) {
      const int id = static_cast<int>(below(60));
      switch (below(4)) {
        case 0:
        case 1: {
          const Duration distances[] = {Duration(below(3000)), Duration(below(100'000)),
                                        Duration(below(10'000'000)), Duration(below(4'000'000'000)),
                                        Duration(below(1'000'000'000'000))};
          const TimePoint when = now + distances[below(5)];
          wheel.arm(probes[static_cast<std::size_t>(id)].timer, when);
          model[id] = when;
          break;
        }
        case 2:
          probes[static_cast<std::size_t>(id)].timer.cancel();
          model.erase(id);
          break;
        default: {
          const Duration steps[] = {Duration(below(1500)), Duration(below(200'000)),
                                    Duration(below(20'000'000)), Duration(below(6'000'000'000))};
          now += steps[below(4)];
          fired.clear();
          wheel.advance(now);
          TimePoint last = TimePoint::min();
          for (const int one : fired) {
            const auto found = model.find(one);
            ASSERT_NE(found, model.end()) << "seed " << seed << ": fired without being armed";
            EXPECT_LE(found->second, now) << "seed " << seed << ": too early";
            EXPECT_GE(found->second + 1ms, last) << "seed " << seed << ": out of order by more than a tick";
            last = std::max(last, found->second);
            model.erase(found);
          }
          for (const auto& [one, when] : model) {
            ASSERT_GT(when + 2ms, now) << "seed " << seed << ": " << one << " should have fired";
          }
        }
      }
      ASSERT_EQ(wheel.armed(), model.size()) << "seed " << seed << " step " << step;
      const TimePoint next = wheel.next();
      if (model.empty()) {
        EXPECT_EQ(next, kNever);
      } else {
        TimePoint earliest = kNever;
        for (const auto& [one, when] : model) earliest = std::min(earliest, when);
        ASSERT_LE(next, std::max(earliest, now) + 2ms) << "seed " << seed << ": a loop would sleep too long";
      }
    }
  }
}

// Who sleeps until next() each time wakes a few times on the way down, not once a tick, and is there in time.
TEST(TimerWheel, sleeping_until_next_reaches_a_far_deadline) {
  TimerWheel wheel(kStart);
  Probe probe;
  const TimePoint when = kStart + 100h;
  wheel.arm(probe.timer, when);
  int wakes = 0;
  while (probe.fired == 0) {
    const TimePoint next = wheel.next();
    ASSERT_NE(next, kNever);
    ASSERT_LE(next, when + 1ms);
    wheel.advance(next);
    ASSERT_LT(++wakes, 20);
  }
  EXPECT_GT(wakes, 1);
}

// The wheel's top level ends every 2^36 ms (795 days of uptime); a deadline beyond that end waits at it.
TEST(TimerWheel, deadlines_beyond_the_top_level) {
  const TimePoint end_of_top{Duration((std::int64_t{1} << 36) * 1000)};
  for (const Duration before : {Duration(3s), Duration(1ms), Duration(2000h)}) {
    const TimePoint start = end_of_top - before;
    TimerWheel wheel(start);
    Probe near, far;
    wheel.arm(near.timer, end_of_top + 5ms);
    wheel.arm(far.timer, end_of_top + 3h);
    wheel.advance(end_of_top - 1ms);
    EXPECT_EQ(near.fired + far.fired, 0);
    wheel.advance(end_of_top);
    EXPECT_EQ(near.fired + far.fired, 0);
    wheel.advance(end_of_top + 6ms);
    EXPECT_EQ(near.fired, 1);
    wheel.advance(end_of_top + 3h);
    EXPECT_EQ(far.fired, 1);
  }
}

}  // namespace
}  // namespace rejoin
