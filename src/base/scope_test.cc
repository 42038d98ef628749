#include "base/scope.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace rejoin {
namespace {

constexpr TimePoint kStart{Duration(5'000'000)};

/// A loop without sockets: ready queue, timers, and a clock turned by hand.
class Tasks : public testing::Test {
 protected:
  void run() { ready.run(); }
  void pass(Duration time) {
    now += time;
    timers.advance(now);
    ready.run();
  }
  TimePoint now = kStart;
  ReadyQueue ready;
  TimerWheel timers{kStart};
  Stop stop;
  Scope scope{ready};
  std::string log;
};

Task<void> say(std::string& log, std::string word) {
  log += word;
  co_return;
}

Task<int> add(int a, int b) { co_return a + b; }

Task<int> sum_down(int n) {
  if (n == 0) co_return 0;
  const int below = co_await sum_down(n - 1);
  co_return below + n;
}

Task<void> store_sum(int n, int& out) {
  const int sum = co_await sum_down(n);
  out = sum;
}

TEST_F(Tasks, is_lazy_and_starts_in_the_order_of_spawning) {
  { const Task<void> never_awaited = say(log, "x"); }
  scope.spawn(say(log, "a"));
  scope.spawn(say(log, "b"));
  scope.spawn(say(log, "c"));
  EXPECT_EQ(log, "") << "at the loop's next turn, not now";
  EXPECT_EQ(scope.running(), 3u);
  run();
  EXPECT_EQ(log, "abc");
  EXPECT_EQ(scope.running(), 0u);
}

Task<void> many_in_a_row(int count, int& total) {
  for (int i = 0; i < count; ++i) {
    const int sum = co_await add(i, 1);
    total += sum - i;
  }
}

TEST_F(Tasks, deep_and_long_awaits_do_not_grow_the_stack) {
  int sum = 0, total = 0;
  scope.spawn(store_sum(20'000, sum));
  scope.spawn(many_in_a_row(100'000, total));
  while (!ready.empty()) run();
  EXPECT_EQ(sum, 200'010'000);
  EXPECT_EQ(total, 100'000);
}

Task<std::unique_ptr<int>> make_one(int value) { co_return std::make_unique<int>(value); }

Task<void> take_one(int& out) {
  std::unique_ptr<int> one = co_await make_one(9);
  out = *one;
}

TEST_F(Tasks, results_may_be_moveable_only) {
  int out = 0;
  scope.spawn(take_one(out));
  run();
  EXPECT_EQ(out, 9);
}

Task<void> wait_for(Waiter& waiter, TimePoint deadline, std::vector<Woken>& out) {
  const Woken why = co_await waiter.until(deadline);
  out.push_back(why);
}

TEST_F(Tasks, a_wait_ends_by_wake_deadline_or_stop) {
  std::vector<Woken> out;
  Waiter waiter(ready, timers, stop);

  scope.spawn(wait_for(waiter, now + 1s, out));
  waiter.wake();  // nobody waits yet: the caller keeps the condition
  run();
  EXPECT_TRUE(waiter.waiting());
  waiter.wake();
  waiter.wake();
  EXPECT_TRUE(out.empty()) << "resumed by the loop, not from inside wake()";
  run();
  EXPECT_EQ(out, (std::vector<Woken>{Woken::ready}));
  EXPECT_EQ(timers.armed(), 0u) << "the deadline is put away";

  scope.spawn(wait_for(waiter, now + 1s, out));
  run();
  pass(999ms);
  EXPECT_EQ(out.size(), 1u);
  pass(2ms);
  EXPECT_EQ(out.back(), Woken::timed_out);

  scope.spawn(wait_for(waiter, kNever, out));
  run();
  EXPECT_EQ(timers.armed(), 0u);
  stop.request();
  run();
  EXPECT_EQ(out.back(), Woken::stopped);

  scope.spawn(wait_for(waiter, kNever, out));
  run();
  EXPECT_EQ(out.size(), 4u) << "after the stop no wait begins";
  EXPECT_EQ(out.back(), Woken::stopped);
  EXPECT_EQ(scope.running(), 0u);
}

TEST_F(Tasks, one_stop_wakes_all) {
  std::vector<Woken> out;
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (int i = 0; i < 100; ++i) {
    waiters.push_back(std::make_unique<Waiter>(ready, timers, stop));
    scope.spawn(wait_for(*waiters.back(), i % 2 == 0 ? kNever : now + 1h, out));
  }
  run();
  EXPECT_EQ(scope.running(), 100u);
  EXPECT_EQ(timers.armed(), 50u);
  stop.request();
  stop.request();
  run();
  EXPECT_EQ(out, std::vector<Woken>(100, Woken::stopped));
  EXPECT_EQ(scope.running(), 0u);
  EXPECT_EQ(timers.armed(), 0u);
}

// Woken and stopped in the same turn, in both orders: one resumption, and the stop is what it learns.
TEST_F(Tasks, wake_and_stop_in_one_turn_resume_once) {
  for (const bool stop_first : {false, true}) {
    std::vector<Woken> out;
    Stop own;
    Waiter waiter(ready, timers, own);
    scope.spawn(wait_for(waiter, now + 1s, out));
    run();
    if (stop_first) own.request();
    waiter.wake();
    if (!stop_first) own.request();
    pass(2s);
    EXPECT_EQ(out, (std::vector<Woken>{Woken::stopped}));
  }
}

Task<void> join_then_say(Scope& scope, std::string& log) {
  co_await scope.join();
  log += "joined";
}

Task<void> wait_then_say(Waiter& waiter, std::string& log, std::string word) {
  const Woken why = co_await waiter.until(kNever);
  log += why == Woken::ready ? word : "stopped ";
}

TEST_F(Tasks, join_waits_for_the_last) {
  Scope outer(ready), inner(ready);
  Waiter first(ready, timers, stop), second(ready, timers, stop);
  inner.spawn(wait_then_say(first, log, "first "));
  inner.spawn(wait_then_say(second, log, "second "));
  outer.spawn(join_then_say(inner, log));
  run();
  second.wake();
  run();
  EXPECT_EQ(log, "second ");
  first.wake();
  run();
  EXPECT_EQ(log, "second first joined");
  outer.spawn(join_then_say(inner, log));
  run();
  EXPECT_EQ(log, "second first joinedjoined") << "of an empty scope: at once";
}

struct Held {
  explicit Held(int& count) : alive(count) { ++alive; }
  Held(const Held&) = delete;
  ~Held() { --alive; }
  int& alive;
};

Task<void> holds(Waiter& waiter, int& alive, std::size_t& running_seen, Scope& scope) {
  {
    const Held held(alive);
    const Woken why = co_await waiter.until(kNever);
    (void)why;
  }
  running_seen = scope.running();
}

Task<void> parent(Waiter& waiter, int& alive, std::size_t& running_seen, Scope& scope) {
  const Held mine(alive);
  co_await holds(waiter, alive, running_seen, scope);
}

TEST_F(Tasks, what_frames_hold_dies_before_the_scope_is_empty) {
  int alive = 0;
  std::size_t running = 0;
  Waiter waiter(ready, timers, stop);
  scope.spawn(parent(waiter, alive, running, scope));
  run();
  EXPECT_EQ(alive, 2);
  stop.request();
  run();
  EXPECT_EQ(running, 1u) << "a task that still runs counts";
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(scope.running(), 0u);
}

Task<void> spawns_more(Scope& scope, std::string& log, int depth) {
  log += static_cast<char>('0' + depth);
  if (depth == 0) co_return;
  scope.spawn(spawns_more(scope, log, depth - 1));
  scope.spawn(spawns_more(scope, log, depth - 1));
}

TEST_F(Tasks, tasks_may_spawn_tasks) {
  scope.spawn(spawns_more(scope, log, 3));
  run();
  EXPECT_EQ(log, "322111100000000");
  EXPECT_EQ(scope.running(), 0u);
}

TEST_F(Tasks, a_turn_is_bounded_when_tasks_never_rest) {
  int total = 0;
  scope.spawn(many_in_a_row(1000, total));
  ready.run(10);
  EXPECT_FALSE(ready.empty()) << "sockets get their turn in between";
  while (!ready.empty()) ready.run(10);
  EXPECT_EQ(total, 1000);
}

TEST(ScopeDeathTest, aborts_when_it_dies_with_tasks_inside) {
  EXPECT_DEATH(
      {
        ReadyQueue ready;
        TimerWheel timers{kStart};
        Stop stop;
        Waiter waiter(ready, timers, stop);
        std::vector<Woken> out;
        Scope scope(ready);
        scope.spawn(wait_for(waiter, kNever, out));
        ready.run();
      },
      "1 tasks inside");
}

}  // namespace
}  // namespace rejoin
