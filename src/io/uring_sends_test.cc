// Small writes that leave with the turn's call: in order, whole, never another's; and what is owed at every
// end.
#ifdef REJOIN_IO_URING

#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "io/uring_scenario.h"

namespace rejoin::io {
namespace {

using UringSends = UringLoopTest;
using contract::End;

TEST_F(UringSends, small_writes_leave_with_the_turns_call_and_in_order) {
  auto [one, one_peer] = receiving();
  auto [two, two_peer] = receiving();
  EXPECT_EQ(one->write("a").taken, 1u);
  EXPECT_EQ(one->write("b").taken, 1u) << "behind the first";
  EXPECT_EQ(two->write("c").taken, 1u);
  EXPECT_EQ(heard(one_peer), "nothing");
  EXPECT_EQ(loop->next_wait(), 0us);
  EXPECT_EQ(one->write("d").taken, 1u) << "somebody else's is staged between";
  EXPECT_EQ(heard(one_peer), "ab");
  EXPECT_EQ(one->write(std::string(5000, 'e')).taken, 5000u) << "large: sends first what is staged";
  char bytes[6000];
  EXPECT_EQ(::read(one_peer, bytes, sizeof bytes), 5001);
  EXPECT_EQ(two->write("f").taken, 1u);
  EXPECT_EQ(heard(two_peer), "c");
  loop->turn(0us);
  EXPECT_EQ(heard(two_peer), "f");
  EXPECT_EQ(loop->rare().owed, 0u);
  ::close(one_peer);
  ::close(two_peer);
}

TEST_F(UringSends, more_small_writes_than_the_stage_holds_leave_meanwhile) {
  std::vector<std::pair<std::unique_ptr<End>, int>> all;
  for (int i = 0; i < 150; ++i) all.push_back(receiving());
  const std::string words(1000, 'w');
  for (auto& [end, peer] : all) EXPECT_EQ(end->write(words).taken, words.size());
  loop->turn(0us);
  for (auto& [end, peer] : all) {
    char bytes[2000];
    EXPECT_EQ(::read(peer, bytes, sizeof bytes), 1000);
    ::close(peer);
  }
}

/// A socket that is full but for a part of a staged write: it owes the rest.
class Debt {
 public:
  Debt(UringLoop& loop, End& end, int peer) : loop_(loop), end_(end), peer_(peer) {
    const int small = 4096;
    (void)setsockopt(static_cast<int>(end.socket.id()), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const std::size_t before = loop.rare().owed;
    for (int i = 0; i < 1000 && loop.rare().owed == before; ++i) {
      const std::string words = std::string(3000, static_cast<char>('a' + i % 26));
      const WriteResult written = end.write(words);
      said += words.substr(0, written.taken);
      if (written.taken == words.size()) loop.turn(0us);
    }
    owes = loop.rare().owed > before;
  }
  /// What the peer hears until its end, or until nothing more comes; the loop turns meanwhile.
  std::string peer_hears() {
    std::string all;
    for (int nothing = 0; nothing < 20;) {
      const std::string some = heard_all();
      nothing = some.empty() ? nothing + 1 : 0;
      all += some;
      if (last == "end" || last == "reset") return all;
      loop_.turn(1ms);
    }
    return all;
  }
  std::string heard_all() {
    std::string all;
    char bytes[10000];
    ssize_t got;
    while ((got = ::read(peer_, bytes, sizeof bytes)) > 0) all.append(bytes, static_cast<std::size_t>(got));
    last = got == 0 ? "end" : errno == ECONNRESET ? "reset" : "nothing";
    return all;
  }
  std::string said, last;
  bool owes = false;

 private:
  UringLoop& loop_;
  End& end_;
  int peer_;
};

TEST_F(UringSends, what_the_kernel_did_not_take_is_owed_and_leaves_when_there_is_room) {
  auto [end, peer] = receiving();
  Debt debt(*loop, *end, peer);
  ASSERT_TRUE(debt.owes);
  EXPECT_FALSE(end->socket.may_write());
  EXPECT_EQ(end->write("more").taken, 0u) << "nothing goes ahead of it";
  const int before = end->writable;
  turns(5);
  EXPECT_EQ(end->writable, before);
  EXPECT_EQ(debt.peer_hears(), debt.said);
  EXPECT_GT(end->writable, before);
  EXPECT_EQ(end->write("and on").taken, 6u);
  turns(2);
  EXPECT_EQ(heard(peer), "and on");
  ::close(peer);
}

TEST_F(UringSends, an_end_waits_for_what_is_owed) {
  auto [end, peer] = receiving();
  Debt debt(*loop, *end, peer);
  ASSERT_TRUE(debt.owes);
  end->socket.shutdown_write();
  EXPECT_EQ(debt.peer_hears(), debt.said);
  EXPECT_EQ(debt.last, "end");
  ::close(peer);
}

TEST_F(UringSends, a_close_waits_for_what_is_owed_also_when_the_loops_thread_ends) {
  for (const bool thread_ends : {false, true}) {
    auto [end, peer] = receiving();
    Debt debt(*loop, *end, peer);
    ASSERT_TRUE(debt.owes);
    end->close();
    std::string all;
    if (thread_ends) {
      std::thread reader([&, from = peer] {
        while (debt.last != "end" && debt.last != "reset") all += debt.heard_all(), sched_yield();
      });
      loop->settle();
      reader.join();
    } else {
      all = debt.peer_hears();
    }
    EXPECT_EQ(all, debt.said);
    EXPECT_EQ(debt.last, "end");
    ::close(peer);
  }
}

TEST_F(UringSends, a_close_does_not_wait_for_ever) {
  make({.linger = 30ms});
  auto [end, peer] = receiving();
  Debt debt(*loop, *end, peer);
  ASSERT_TRUE(debt.owes);
  end->close();
  const TimePoint until = SystemClock().now() + 100ms;
  while (SystemClock().now() < until) loop->turn(10ms);
  const std::string all = debt.peer_hears();
  EXPECT_LT(all.size(), debt.said.size());
  EXPECT_EQ(debt.said.substr(0, all.size()), all);
  EXPECT_NE(debt.last, "nothing") << "it is over";
  ::close(peer);
}

TEST_F(UringSends, a_reset_and_unread_bytes_forget_what_is_owed) {
  const auto both = dialled();
  End &client = *both->client, &server = both->server();
  Debt debt(*loop, server, -1);
  ASSERT_TRUE(debt.owes);
  server.socket.reset();
  EXPECT_TRUE(until([&] { return client.drain() == ReadResult::State::failed; }));
  EXPECT_EQ(client.failed_with, ECONNRESET);
}

TEST_F(UringSends, a_staged_write_never_reaches_the_numbers_next_owner) {
  for (const bool reset : {false, true}) {
    auto [end, peer] = receiving();
    const std::uint32_t number = end->socket.id();
    EXPECT_EQ(end->write("for the first").taken, 13u);
    if (reset) end->socket.reset();
    if (!reset) end->close();
    auto [next, next_peer] = receiving();
    EXPECT_EQ(next->socket.id(), number);
    turns(2);
    EXPECT_EQ(heard(next_peer), "nothing");
    EXPECT_EQ(heard(peer), "for the first");
    ::close(peer);
    ::close(next_peer);
  }
}

TEST_F(UringSends, a_staged_write_that_fails_is_told_to_reads_and_writes) {
  const auto both = dialled();
  End &client = *both->client, &server = both->server();
  server.drain();
  turns(2);
  EXPECT_EQ(server.write("too late").taken, 8u);
  client.socket.reset();
  EXPECT_TRUE(until([&] { return server.readable > 0 && server.drain() == ReadResult::State::failed; }));
  EXPECT_NE(server.write("more").errnum, 0);
}

TEST_F(UringSends, a_connection_that_is_given_away_with_a_debt_is_cut) {
  const auto both = dialled();
  End &client = *both->client, &server = both->server();
  Debt debt(*loop, server, -1);
  ASSERT_TRUE(debt.owes);
  End next(loop->take_over(KernelLoop::give_up(std::move(server.socket))));
  EXPECT_EQ(loop->rare().cut, 1u);
  EXPECT_TRUE(until([&] { return client.drain() == ReadResult::State::failed; }));
  EXPECT_EQ(client.failed_with, ECONNRESET);
  EXPECT_EQ(next.read().state, ReadResult::State::failed);
  (void)next.write("in the middle");
  turns(2);
  EXPECT_NE(next.write("of the stream").errnum, 0);
}

}  // namespace
}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
