// Threads with tables of their own, and what goes from one to another.
#include "io/descriptor_carrier.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "io/epoll_loop.h"
#include "io/own_table.h"
#include "io/own_table_test_support.h"
#include "io/uring_loop.h"

namespace rejoin::io {
namespace {

struct SilentLog final : Log {
  void write(LogLevel, std::string_view) override {}
};

using LoopMaker = std::unique_ptr<KernelLoop> (*)(Log&);
struct Kind {
  std::string name;
  LoopMaker make;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::vector<Kind> kinds() {
  std::vector<Kind> out{
      {"epoll", [](Log& log) { return std::unique_ptr<KernelLoop>(std::move(*EpollLoop::make(log))); }}};
#ifdef REJOIN_IO_URING
  if (UringLoop::probe())
    out.push_back(
        {"io_uring", [](Log& log) { return std::unique_ptr<KernelLoop>(std::move(*UringLoop::make(log))); }});
#endif
  return out;
}

bool is_open(int descriptor) { return fcntl(descriptor, F_GETFD) >= 0; }

/// Which file it is, whatever its number.
ino_t file_of(int descriptor) {
  struct stat found {};
  return fstat(descriptor, &found) == 0 ? found.st_ino : 0;
}

std::pair<int, int> pair_of_sockets() {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {ends[0], ends[1]};
}

/// Soon no descriptor of this file is open in any table: its other end is at its end.
bool is_at_its_end(int other) {
  pollfd asked{other, POLLIN, 0};
  char byte;
  return poll(&asked, 1, 20'000) == 1 && recv(other, &byte, 1, 0) == 0;
}

TEST(OwnTable, holds_what_is_kept_under_its_number_and_nothing_else) {
  if (own_tables_would_be_misread()) GTEST_SKIP();
  const auto [kept, closed] = pair_of_sockets();
  std::thread([kept = kept, closed = closed] {
    const int low = open("/dev/null", O_RDONLY), high = fcntl(low, F_DUPFD_CLOEXEC, 500);
    const ino_t file = file_of(kept);
    ASSERT_TRUE(own_descriptor_table({high, -1, kept}));
    EXPECT_EQ(file_of(kept), file);
    EXPECT_TRUE(is_open(high) && is_open(1) && is_open(2));
    EXPECT_FALSE(is_open(closed) || is_open(low));
    for (int one = 3; one < 1000; ++one) EXPECT_EQ(is_open(one), one == kept || one == high) << one;
    // Its own from now on, and what it closes is closed here alone.
    ::close(kept);
    EXPECT_EQ(open("/dev/null", O_RDONLY), 3);
  }).join();
  EXPECT_TRUE(is_open(kept) && is_open(closed));
  ::close(kept);
  EXPECT_TRUE(is_at_its_end(closed));
  ::close(closed);
}

TEST(OwnTable, is_made_where_nothing_is_to_be_closed) {
  std::thread([] {
    ASSERT_TRUE(own_descriptor_table({}));
    EXPECT_FALSE(is_open(3));
    const int mine = open("/dev/null", O_RDONLY);
    ASSERT_TRUE(own_descriptor_table({mine}));
    EXPECT_TRUE(is_open(mine));
  }).join();
}

class Carrier : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (own_tables_would_be_misread()) GTEST_SKIP();
    for (int i = 0; i < 3; ++i) loops_.push_back(GetParam().make(log_));
    std::vector<KernelLoop*> all;
    for (const auto& loop : loops_) all.push_back(loop.get());
    carrier_ = std::move(*DescriptorCarrier::make(all));
    carrier_->attend(0);
    for (unsigned i = 1; i < 3; ++i) start(i);
    for (auto& begun : begun_) begun.get();
    carrier_->let_go_of_others();
  }
  void TearDown() override {
    if (!carrier_) return;
    for (unsigned i = 1; i < 3; ++i) stop(i);
    carrier_.reset();
  }

  void start(unsigned number) {
    std::promise<void> begun;
    begun_.push_back(begun.get_future());
    threads_.emplace_back([this, number, begun = std::move(begun)]() mutable {
      std::vector<int> kept = carrier_->ends_of(number);
      for (const auto& loop : loops_) kept.push_back(loop->wake_descriptor());
      for (const int one : loops_[number]->own_descriptors()) kept.push_back(one);
      EXPECT_TRUE(own_descriptor_table(kept));
      carrier_->attend(number);
      begun.set_value();
      while (!ending_[number] || carrier_->is_sending(number)) loops_[number]->turn(1h);
      carrier_->leave(number);
      loops_[number]->settle();
    });
  }
  void stop(unsigned number) {
    std::thread& thread = threads_[number - 1];
    if (!thread.joinable()) return;
    loops_[number]->post([this, number] { ending_[number] = true; });
    thread.join();
  }
  /// Turns the first loop, which is this thread's.
  bool until(const std::function<bool()>& done) {
    for (int i = 0; i < 20'000 && !done(); ++i) loops_[0]->turn(1ms);
    return done();
  }
  /// `work` on a thread of another, which is waited for.
  void on(unsigned number, const std::function<void()>& work) {
    std::promise<void> done;
    loops_[number]->post([&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }

  SilentLog log_;
  std::vector<std::unique_ptr<KernelLoop>> loops_;
  std::unique_ptr<DescriptorCarrier> carrier_;
  std::vector<std::future<void>> begun_;
  std::vector<std::thread> threads_;
  bool ending_[3] = {};
};
INSTANTIATE_TEST_SUITE_P(Kernel, Carrier, testing::ValuesIn(kinds()),
                         [](const auto& test) { return test.param.name; });

TEST_P(Carrier, a_descriptor_arrives_in_the_other_table_and_is_closed_in_ours) {
  const auto [travels, stays] = pair_of_sockets();
  const ino_t file = file_of(travels);
  std::atomic<int> arrived = -1;
  std::atomic<ino_t> found = 0;
  carrier_->carry(0, 1, travels, [&](int descriptor) {
    found = file_of(descriptor);
    arrived = descriptor;
  });
  EXPECT_FALSE(is_open(travels));
  ASSERT_TRUE(until([&] { return arrived >= 0; }));
  EXPECT_EQ(found, file);
  on(1, [&] { EXPECT_EQ(::close(arrived), 0); });
  EXPECT_TRUE(is_at_its_end(stays)) << "it is open in no other table";
  ::close(stays);
}

TEST_P(Carrier, it_goes_from_any_to_any_and_back) {
  const auto [travels, stays] = pair_of_sockets();
  int home = -1;
  carrier_->carry(0, 1, travels, [this, &home](int first) {
    carrier_->carry(1, 2, first, [this, &home](int second) {
      carrier_->carry(2, 0, second, [&home](int third) { home = third; });
    });
  });
  ASSERT_TRUE(until([&] { return home >= 0; }));
  EXPECT_EQ(write(home, "here", 4), 4);
  ::close(home);
  char bytes[8];
  EXPECT_EQ(recv(stays, bytes, sizeof bytes, 0), 4);
  EXPECT_TRUE(is_at_its_end(stays));
  ::close(stays);
}

// Far more than the kernel keeps for a receiver that is busy.
TEST_P(Carrier, what_the_kernel_does_not_take_waits_and_comes_in_order) {
  constexpr int kCount = 1500;
  std::promise<void> go_on;
  loops_[1]->post([going = go_on.get_future().share()] { going.wait(); });
  std::vector<int> stay, order;
  std::atomic<int> arrived = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto [travels, stays] = pair_of_sockets();
    stay.push_back(stays);
    carrier_->carry(0, 1, travels, [&, i](int descriptor) {
      EXPECT_GE(descriptor, 0);
      order.push_back(i);
      ::close(descriptor);
      ++arrived;
    });
  }
  EXPECT_TRUE(carrier_->is_sending(0)) << "the test shows nothing";
  go_on.set_value();
  ASSERT_TRUE(until([&] { return arrived == kCount; }));
  EXPECT_FALSE(carrier_->is_sending(0));
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  for (const int one : stay) {
    EXPECT_TRUE(is_at_its_end(one));
    ::close(one);
  }
}

TEST_P(Carrier, who_has_no_room_takes_it_when_there_is) {
  std::vector<int> fill;
  on(1, [&] {  // the limit is the process's, and its table is alone in being full
    for (int one; (one = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) fill.push_back(one);
    EXPECT_EQ(errno, EMFILE);
  });
  const auto [travels, stays] = pair_of_sockets();
  std::atomic<int> arrived = -2;
  carrier_->carry(0, 1, travels, [&](int descriptor) { arrived = descriptor; });
  for (int i = 0; i < 30; ++i) loops_[0]->turn(1ms);
  EXPECT_EQ(arrived, -2);
  on(1, [&] { ::close(fill.back()); });
  ASSERT_TRUE(until([&] { return arrived != -2; }));
  on(1, [&] {
    EXPECT_EQ(arrived, fill.back());
    EXPECT_EQ(write(arrived, "late", 4), 4);
    for (const int one : fill) ::close(one);
  });
  char bytes[8];
  EXPECT_EQ(recv(stays, bytes, sizeof bytes, 0), 4);
  ::close(stays);
}

TEST_P(Carrier, what_is_under_way_to_one_that_leaves_is_closed_and_forgotten) {
  std::promise<void> go_on;
  loops_[1]->post([this, going = go_on.get_future().share()] {
    going.wait();
    ending_[1] = true;
  });
  const auto seen = std::make_shared<int>(0);
  std::vector<int> stay;
  for (int i = 0; i < 800; ++i) {
    const auto [travels, stays] = pair_of_sockets();
    stay.push_back(stays);
    carrier_->carry(0, 1, travels, [seen](int descriptor) { ::close(descriptor); });
  }
  ASSERT_TRUE(carrier_->is_sending(0)) << "the test shows nothing";
  go_on.set_value();
  threads_[0].join();
  ASSERT_TRUE(until([&] { return !carrier_->is_sending(0); }));
  const auto [travels, stays] = pair_of_sockets();
  stay.push_back(stays);
  carrier_->carry(0, 1, travels, [seen](int descriptor) { ::close(descriptor); });
  for (const int one : stay) {
    EXPECT_TRUE(is_at_its_end(one));
    ::close(one);
  }
  EXPECT_EQ(seen.use_count(), 1);
}

TEST_P(Carrier, who_leaves_first_sends_what_it_has) {
  constexpr int kCount = 700;
  std::atomic<int> arrived = 0;
  std::promise<void> go_on;
  loops_[2]->post([going = go_on.get_future().share()] { going.wait(); });
  on(1, [&] {
    for (int i = 0; i < kCount; ++i) {
      carrier_->carry(1, 2, open("/dev/null", O_RDONLY | O_CLOEXEC), [&](int descriptor) {
        ::close(descriptor);
        ++arrived;
      });
    }
    EXPECT_TRUE(carrier_->is_sending(1)) << "the test shows nothing";
    ending_[1] = true;
  });
  go_on.set_value();
  threads_[0].join();
  EXPECT_TRUE(until([&] { return arrived == kCount; }));
}

}  // namespace
}  // namespace rejoin::io
