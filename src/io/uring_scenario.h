// What tests of UringLoop stand on: a loop, and connections of it with their other ends.
#pragma once

#ifdef REJOIN_IO_URING

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "io/network_hosts.h"
#include "io/uring_loop.h"

namespace rejoin::io {

class UringLoopTest : public testing::Test {
 protected:
  using End = contract::End;

  void SetUp() override {
    if (!UringLoop::probe()) GTEST_SKIP() << "no io_uring here";
    make({});
  }
  void make(const UringSizes& sizes) {
    loop.reset();
    loop = std::move(*UringLoop::make(log, sizes));
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) loop->turn(1ms);
  }
  bool until(const std::function<bool()>& done) {
    const TimePoint deadline = SystemClock().now() + 5s;
    while (!done()) {
      if (SystemClock().now() > deadline) return false;
      loop->turn(2ms);
    }
    return true;
  }
  /// A connection of the loop, with a lasting receive in flight, and its other end.
  std::pair<std::unique_ptr<End>, int> receiving() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    auto end = std::make_unique<End>(loop->take_over(ends[0]));
    EXPECT_EQ(end->read().state, ReadResult::State::would_block);
    loop->turn(0us);
    return {std::move(end), ends[1]};
  }
  /// A TCP connection both of whose ends are the loop's.
  struct Dialled {
    contract::Acceptor acceptor;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<End> client;
    End& server() { return *acceptor.ends[0]; }
  };
  std::unique_ptr<Dialled> dialled() {
    auto both = std::make_unique<Dialled>();
    both->listener = std::move(*loop->listen(loopback("127.0.0.1"), {}, both->acceptor));
    both->client = std::make_unique<End>(std::move(*loop->connect(both->listener->address(), {})));
    EXPECT_TRUE(until([&] { return both->client->socket.may_write() && both->acceptor.ends.size() == 1; }));
    return both;
  }
  static void say(int peer, std::string_view words) {
    ASSERT_EQ(::write(peer, words.data(), words.size()), static_cast<ssize_t>(words.size()));
  }
  static std::string heard(int peer) {
    char bytes[100];
    const ssize_t got = ::read(peer, bytes, sizeof bytes);
    if (got > 0) return std::string(bytes, static_cast<std::size_t>(got));
    return got == 0 ? "end" : errno == ECONNRESET ? "reset" : "nothing";
  }

  NullLog log;
  std::unique_ptr<UringLoop> loop;
};

}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
