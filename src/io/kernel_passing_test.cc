// Connections that go over a unix socket: two loops stand for two processes, as the channel knows nothing
// else of them.
#include "io/kernel_passing.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "io/epoll_loop.h"
#include "io/uring_loop.h"

namespace rejoin::io {
namespace {

struct SilentLog final : Log {
  void write(LogLevel, std::string_view) override {}
};

using LoopMaker = std::unique_ptr<KernelLoop> (*)(Log&);
struct KernelPair {
  std::string name;
  LoopMaker from, to;
};
void PrintTo(const KernelPair& pair, std::ostream* out) { *out << pair.name; }

std::vector<KernelPair> pairs() {
  const LoopMaker epoll = [](Log& to) {
    return std::unique_ptr<KernelLoop>(std::move(*EpollLoop::make(to)));
  };
  std::vector<KernelPair> out{{"epoll_to_epoll", epoll, epoll}};
#ifdef REJOIN_IO_URING
  const LoopMaker uring = [](Log& to) {
    return std::unique_ptr<KernelLoop>(std::move(*UringLoop::make(to)));
  };
  if (UringLoop::probe()) {
    out.push_back({"io_uring_to_io_uring", uring, uring});
    out.push_back({"io_uring_to_epoll", uring, epoll});
    out.push_back({"epoll_to_io_uring", epoll, uring});
  }
#endif
  return out;
}

struct Heard final : PassEvents {
  void on_passed(Bytes message, LooseSocket with) override {
    messages.emplace_back(message);
    sockets.push_back(std::move(with));
    if (on_one) on_one();
  }
  void on_channel_end() override { ended = true; }
  std::vector<std::string> messages;
  std::vector<LooseSocket> sockets;
  bool ended = false;
  std::function<void()> on_one;
};

class KernelPassing : public testing::TestWithParam<KernelPair> {
 protected:
  KernelPassing() {
    a_loop = GetParam().from(log);
    b_loop = GetParam().to(log);
    const auto ends = KernelPassChannel::make_pair();
    a = std::make_unique<KernelPassChannel>(*a_loop, ends->first);
    b = std::make_unique<KernelPassChannel>(*b_loop, ends->second);
    a->set_events(&at_a);
    b->set_events(&at_b);
  }
  bool until(const std::function<bool()>& done) {
    for (int i = 0; i < 2000; ++i) {
      if (done()) return true;
      a_loop->turn(1ms);
      b_loop->turn(1ms);
    }
    return done();
  }
  /// A connection of a_loop's, and its other end.
  std::pair<Socket, int> connection() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    return {a_loop->take_over(ends[0]), ends[1]};
  }
  static std::string read_all(int descriptor) {
    char bytes[100];
    const ssize_t got = ::read(descriptor, bytes, sizeof bytes);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : got == 0 ? "end" : "nothing";
  }

  SilentLog log;
  std::unique_ptr<KernelLoop> a_loop, b_loop;
  std::unique_ptr<KernelPassChannel> a, b;
  Heard at_a, at_b;  // what they hold goes before the channels
};

INSTANTIATE_TEST_SUITE_P(Kernel, KernelPassing, testing::ValuesIn(pairs()),
                         [](const auto& test) { return test.param.name; });

TEST_P(KernelPassing, messages_arrive_whole_and_in_order_whatever_their_size) {
  std::vector<std::string> said;
  for (const std::size_t bytes : {0, 1, 100, 70'000, 3'000'000, 5}) {
    said.emplace_back(bytes, static_cast<char>('a' + said.size()));
    a->send(said.back(), nullptr);
  }
  EXPECT_GT(a->unsent(), 0u) << "more than the kernel takes at once";
  ASSERT_TRUE(until([&] { return at_b.messages.size() == said.size(); }));
  EXPECT_EQ(at_b.messages, said);
  EXPECT_EQ(a->unsent(), 0u);
}

TEST_P(KernelPassing, each_connection_comes_with_its_message) {
  std::vector<int> peers;
  std::vector<LooseSocket> kept;
  constexpr int kCount = 200;
  for (int i = 0; i < kCount; ++i) {
    auto [socket, peer] = connection();
    peers.push_back(peer);
    kept.push_back(a->loosen(std::move(socket)));
    const std::string message(static_cast<std::size_t>(i) * 37, 'm');
    a->send(message, i % 3 == 0 ? nullptr : &kept.back());
  }
  EXPECT_EQ(a_loop->open_sockets(), 1u) << "the channel's own";
  ASSERT_TRUE(until([&] { return at_b.messages.size() == kCount; }));
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(at_b.messages[i].size(), i * 37);
    ASSERT_EQ(static_cast<bool>(at_b.sockets[i]), i % 3 != 0);
    if (!at_b.sockets[i]) continue;
    Socket socket = b->fasten(std::move(at_b.sockets[i]));
    const std::string word = "from " + std::to_string(i);
    EXPECT_EQ(socket.write(word).taken, word.size());
    b_loop->turn(0us);  // a small write leaves with it
    EXPECT_EQ(read_all(peers[i]), word);
    socket.close();
    EXPECT_EQ(read_all(peers[i]), "nothing") << "the sender's copy keeps it open";
    kept[i].drop();
    EXPECT_EQ(read_all(peers[i]), "end") << "and was the last one";
  }
  for (const int peer : peers) ::close(peer);
}

TEST_P(KernelPassing, what_was_sent_before_the_end_is_heard_and_then_the_end) {
  auto [socket, peer] = connection();
  LooseSocket loose = a->loosen(std::move(socket));
  a->send("last words", &loose);
  loose.drop();
  a.reset();
  ASSERT_TRUE(until([&] { return at_b.ended; }));
  EXPECT_EQ(at_b.messages, (std::vector<std::string>{"last words"}));
  EXPECT_TRUE(static_cast<bool>(at_b.sockets.front()));
  b->send("nobody hears this", nullptr);
  EXPECT_EQ(b->unsent(), 0u);
  ::close(peer);
}

TEST_P(KernelPassing, a_connection_that_is_taken_back_goes_on) {
  auto [socket, peer] = connection();
  LooseSocket loose = a->loosen(std::move(socket));
  a->send("yours?", &loose);
  ASSERT_TRUE(until([&] { return !at_b.messages.empty(); }));
  at_b.sockets.clear();
  b.reset();
  ASSERT_TRUE(until([&] { return at_a.ended; }));
  Socket back = a->fasten(std::move(loose));
  EXPECT_EQ(back.write("still here").taken, 10u);
  a_loop->turn(0us);
  EXPECT_EQ(read_all(peer), "still here");
  ::close(peer);
}

// What a loop has taken from the kernel before the connection leaves it must not be lost, nor overtaken.
TEST_P(KernelPassing, bytes_that_nobody_read_come_first_wherever_the_connection_goes) {
  auto [socket, peer] = connection();
  EXPECT_EQ(socket.read().state, ReadResult::State::would_block);  // from now on a loop may receive by itself
  std::string said, heard;
  const auto say = [&](std::string_view words) {
    ASSERT_EQ(::write(peer, words.data(), words.size()), static_cast<ssize_t>(words.size()));
    said += words;
  };
  say("first ");
  ASSERT_TRUE(until([&] { return socket.may_read(); }));
  say("second ");
  heard += socket.read(3).view();
  say("third ");
  LooseSocket loose = a->loosen(std::move(socket));
  say("fourth ");
  a->send("take it", &loose);
  ASSERT_TRUE(until([&] { return !at_b.messages.empty(); }));
  EXPECT_EQ(at_b.messages.front(), "take it");
  loose.drop();
  Socket there = b->fasten(std::move(at_b.sockets.front()));
  say("fifth");
  for (int reads = 0; heard.size() < said.size() && reads < 100; ++reads) {
    ASSERT_TRUE(until([&] { return there.may_read(); }));
    heard += there.read(7).view();
  }
  EXPECT_EQ(heard, said);
  // And back again, to a loop of the first kind.
  say("sixth ");
  ASSERT_TRUE(until([&] { return there.may_read(); }));
  LooseConnection given = KernelLoop::give_up(std::move(there));
  say("seventh");
  Socket back = a_loop->take_over(std::move(given));
  for (int reads = 0; heard.size() < said.size() && reads < 100; ++reads) {
    ASSERT_TRUE(until([&] { return back.may_read(); }));
    heard += back.read().view();
  }
  EXPECT_EQ(heard, said);
  back.close();
  a_loop->turn(0us);  // a request in flight keeps it open until then
  EXPECT_EQ(read_all(peer), "end");
  ::close(peer);
}

// Also where the write itself only promised that they leave with the turn.
TEST_P(KernelPassing, bytes_that_were_written_arrive_before_those_of_the_next_owner) {
  auto [socket, peer] = connection();
  a_loop->turn(0us);
  EXPECT_EQ(socket.write("of the first, ").taken, 14u);
  LooseSocket loose = a->loosen(std::move(socket));
  a->send("yours", &loose);
  ASSERT_TRUE(until([&] { return !at_b.messages.empty(); }));
  loose.drop();
  Socket there = b->fasten(std::move(at_b.sockets.front()));
  EXPECT_EQ(there.write("of the second").taken, 13u);
  b_loop->turn(0us);
  EXPECT_EQ(read_all(peer), "of the first, of the second");
  ::close(peer);
}

TEST_P(KernelPassing, may_be_destroyed_by_who_is_told) {
  at_b.on_one = [&] {
    b.reset();
    at_b.on_one = nullptr;
  };
  a->send("one", nullptr);
  a->send("two", nullptr);
  ASSERT_TRUE(until([&] { return at_a.ended; }));
  EXPECT_EQ(at_b.messages.size(), 1u);
}

}  // namespace
}  // namespace rejoin::io
