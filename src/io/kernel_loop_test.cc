// The contract of Network on the kernel's loopback, and what its loops have besides.
#include "io/kernel_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "io/network_hosts.h"
#include "io/uring_loop.h"

namespace rejoin::io {
namespace {

struct Kind {
  std::string name;
  LoopMaker make;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::vector<Kind> kinds() {
  std::vector<Kind> out{{"epoll", make_epoll}};
#ifdef REJOIN_IO_URING
  const auto make_uring = [](Log& log) {
    return std::unique_ptr<KernelLoop>(std::move(*UringLoop::make(log)));
  };
  const auto make_tiny = [](Log& log) {
    return std::unique_ptr<KernelLoop>(
        std::move(*UringLoop::make(log, {.requests = 2, .completions = 4, .blocks = 2})));
  };
  if (UringLoop::probe()) {
    out.push_back({"io_uring", make_uring});
    out.push_back({"io_uring_tiny", make_tiny});
  }
#endif
  return out;
}

std::vector<NetworkMaker> makers() {
  std::vector<NetworkMaker> out;
  for (const Kind& kind : kinds())
    out.push_back(
        {"loopback_" + kind.name, [make = kind.make] { return std::make_unique<LoopbackHosts>(make); }});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Kernel, NetworkContract, testing::ValuesIn(makers()),
                         [](const auto& test) { return test.param.name; });

class KernelLoopTest : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kernel, KernelLoopTest, testing::ValuesIn(kinds()),
                         [](const auto& test) { return test.param.name; });

TEST_P(KernelLoopTest, a_listener_without_descriptors_waits_instead_of_spinning) {
  LoopbackHosts hosts(GetParam().make);
  contract::Acceptor acceptor;
  auto listener = hosts.server().listen(loopback("127.0.0.1"), {}, acceptor);
  ASSERT_TRUE(listener);
  auto dialled = hosts.client().connect((*listener)->address(), {});
  ASSERT_TRUE(dialled);
  EXPECT_FALSE((*listener)->paused());
  ASSERT_TRUE(hosts.leave_descriptors(0));
  EXPECT_TRUE(hosts.run_until([&] { return (*listener)->paused(); }));
  int turns = 0;
  const TimePoint until = SystemClock().now() + 300ms;
  while (SystemClock().now() < until) hosts.turn(50ms), ++turns;
  EXPECT_LT(turns, 40);
  EXPECT_TRUE(acceptor.ends.empty());
  hosts.give_back_descriptors();
}

TEST_P(KernelLoopTest, work_posted_by_other_threads_runs_on_the_loops_thread_in_order_and_stop_ends_it) {
  Loop loop(GetParam().make);
  std::vector<int> seen;
  std::thread::id ran_on;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) {
      loop.kernel->post([&, i] {
        seen.push_back(i);
        ran_on = std::this_thread::get_id();
      });
    }
    loop.kernel->stop();
  });
  loop.kernel->run();
  other.join();
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_P(KernelLoopTest, a_watched_pipe_is_told_and_an_ordinary_file_cannot_be_watched) {
  Loop loop(GetParam().make);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  int told = 0;
  ASSERT_TRUE(loop.kernel->watch(ends[0], [&] {
    ++told;
    loop.kernel->unwatch(ends[0]);  // from inside
  }));
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_TRUE(loop.run_until([&] { return told == 1; }));
  loop.kernel->turn(5ms);
  EXPECT_EQ(told, 1);
  close(ends[0]);
  close(ends[1]);
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_FALSE(loop.kernel->watch(file, [] {}));
  close(file);
}

TEST_P(KernelLoopTest, keep_alive_is_set_by_who_asks_for_it) {
  Loop loop(GetParam().make);
  contract::Acceptor acceptor;
  auto listener = loop.kernel->listen(loopback("127.0.0.1"), {}, acceptor);
  ASSERT_TRUE(listener);
  for (const bool asked : {true, false}) {
    auto socket = loop.kernel->connect((*listener)->address(), {});
    ASSERT_TRUE(socket);
    if (asked) socket->keep_alive();
    int on = -1, idle = -1;
    socklen_t size = sizeof on;
    const auto descriptor = static_cast<int>(socket->id());
    ASSERT_EQ(getsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
    ASSERT_EQ(getsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size), 0);
    EXPECT_EQ(on != 0, asked);
    if (asked) {
      EXPECT_EQ(idle, limits::kKeepAliveIdleS);
    }
  }
}

TEST_P(KernelLoopTest, tells_a_loop_around_it_when_to_call) {
  Loop loop(GetParam().make);
  const auto told = [&] {
    pollfd wait{loop.kernel->descriptor(), POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  };
  while (loop.kernel->next_wait() == 0us) loop.kernel->turn(0us);
  EXPECT_FALSE(told());
  EXPECT_EQ(loop.kernel->next_wait(), Duration::max());
  int posted = 0, fired = 0;
  loop.kernel->post([&] { ++posted; });
  EXPECT_TRUE(told());
  loop.kernel->turn(0us);
  EXPECT_EQ(posted, 1);
  while (loop.kernel->next_wait() == 0us) loop.kernel->turn(0us);
  EXPECT_FALSE(told());
  Timer timer([](void* count) { ++*static_cast<int*>(count); }, &fired);
  SeededRandom random(1);
  loop.kernel->world(random, loop.log).timers.arm(timer, loop.kernel->now() + 20ms);
  EXPECT_LE(loop.kernel->next_wait(), 21ms);
  while (loop.kernel->next_wait() > 0us) poll(nullptr, 0, 1);
  loop.kernel->turn(0us);
  // A far timer is looked at on its way, and on a busy machine the clock stands still for a while.
  for (int i = 0; fired == 0 && i < 1000; ++i) {
    poll(nullptr, 0, 1);
    loop.kernel->turn(0us);
  }
  EXPECT_EQ(fired, 1);
}

// A loop and a pipe that is readable until it is told not to be: a turn comes back at once, and has set its
// alarm.
struct AwakeLoop : Loop {
  explicit AwakeLoop(LoopMaker make) : Loop(make) {
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_TRUE(kernel->watch(ends[0], [this] { ++told; }));
  }
  ~AwakeLoop() {
    kernel->unwatch(ends[0]);
    close(ends[0]);
    close(ends[1]);
  }
  void turn_awake() {
    for (const int before = told; told == before;) kernel->turn(1h);
  }
  void may_sleep() {
    char byte;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  }
  TimerWheel& timers() { return kernel->timers(); }

  int ends[2];
  int told = 0;
};

struct Rings {
  TimePoint at{};
  Timer timer{[](void* self) { static_cast<Rings*>(self)->at = SystemClock().now(); }, this};
};

TEST_P(KernelLoopTest, a_timer_that_is_due_before_the_alarm_that_is_set_is_in_time) {
  AwakeLoop loop(GetParam().make);
  Rings far, near;
  loop.timers().arm(far.timer, loop.kernel->now() + 5s);
  loop.turn_awake();
  loop.timers().arm(near.timer, loop.kernel->now() + 5ms);
  loop.may_sleep();
  while (near.at == TimePoint{}) loop.kernel->turn(1h);
  EXPECT_EQ(far.at, TimePoint{});
}

TEST_P(KernelLoopTest, an_alarm_of_a_timer_that_was_cancelled_wakes_the_loop_once) {
  AwakeLoop loop(GetParam().make);
  Rings near, far;
  loop.timers().arm(near.timer, loop.kernel->now() + 5ms);
  loop.turn_awake();
  near.timer.cancel();
  const TimePoint due = loop.kernel->now() + 60ms;
  loop.timers().arm(far.timer, due);
  loop.may_sleep();
  int turns = 0;
  while (far.at == TimePoint{}) loop.kernel->turn(1h), ++turns;
  EXPECT_GE(far.at, due);
  EXPECT_EQ(near.at, TimePoint{});
  EXPECT_LT(turns, 20);
}

TEST_P(KernelLoopTest, a_turn_waits_no_longer_than_it_may_and_for_ever_when_nothing_is_due) {
  Loop loop(GetParam().make);
  while (loop.kernel->next_wait() == 0us) loop.kernel->turn(0us);
  const TimePoint begin = SystemClock().now();
  int turns = 0;
  while (SystemClock().now() < begin + 60ms) loop.kernel->turn(20ms), ++turns;
  EXPECT_LT(turns, 20);
  bool posted = false;
  std::thread other([&] { loop.kernel->post([&] { posted = true; }); });
  while (!posted) loop.kernel->turn(Duration::max());
  other.join();
}

TEST_P(KernelLoopTest, two_workers_share_an_address) {
  Loop first(GetParam().make), second(GetParam().make);
  contract::Acceptor at_first, at_second;
  auto one = first.kernel->listen(loopback("127.0.0.1"), {}, at_first);
  ASSERT_TRUE(one);
  auto two = second.kernel->listen((*one)->address(), {}, at_second);
  ASSERT_TRUE(two);
  std::vector<Socket> dialled;
  for (int i = 0; i < 64; ++i) {
    auto socket = first.kernel->connect((*one)->address(), {});
    ASSERT_TRUE(socket);
    dialled.push_back(std::move(*socket));
  }
  EXPECT_TRUE(first.run_until([&] {
    second.kernel->turn(0us);
    return at_first.ends.size() + at_second.ends.size() == 64;
  }));
  EXPECT_GT(at_first.ends.size(), 0u);
  EXPECT_GT(at_second.ends.size(), 0u);
}

}  // namespace
}  // namespace rejoin::io
