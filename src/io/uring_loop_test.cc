// Where loops on io_uring die: what is in flight when a socket closes, late completions, a want of blocks, a
// full queue, lasting requests that end. The contract itself runs in kernel_loop_test.cc, on a tiny ring too.
#ifdef REJOIN_IO_URING

#include "io/uring_loop.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "io/make_loop.h"
#include "io/uring_scenario.h"

namespace rejoin::io {
namespace {

TEST_F(UringLoopTest, a_close_with_a_receive_in_flight_is_seen_by_the_peer_after_one_turn) {
  auto [end, peer] = receiving();
  end->close();
  EXPECT_EQ(heard(peer), "nothing") << "the request still holds the socket";
  loop->turn(0us);
  EXPECT_EQ(heard(peer), "end");
  turns(3);
  EXPECT_EQ(loop->blocks_out(), 0u);
  ::close(peer);
}

// A worker whose last client has gone ends its thread, and its loop lives on with the process.
TEST_F(UringLoopTest, a_close_in_a_threads_last_turn_is_seen_by_the_peer_though_the_loop_lives_on) {
  for (const bool waits_to_read : {true, false}) {
    make({});
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    std::thread there([&] {
      Socket socket = loop->take_over(ends[0]);
      say(ends[1], "word");
      // A read to the end asks for more, a write that finds no room for room.
      EXPECT_TRUE(!waits_to_read || socket.read().view() == "word");
      while (!waits_to_read && socket.write(std::string(100'000, 'x')).taken == 100'000) {
      }
      loop->turn(0us);
      loop->post([&] { socket.close(); });
      loop->stop();
      loop->run();
    });
    there.join();
    std::string last = heard(ends[1]);
    while (last != "end" && last != "reset" && last != "nothing") last = heard(ends[1]);
    EXPECT_EQ(last, waits_to_read ? "end" : "reset");
    ::close(ends[1]);
  }
}

TEST_F(UringLoopTest, what_comes_for_a_socket_that_is_gone_finds_nobody_and_its_block_goes_back) {
  auto [end, peer] = receiving();
  say(peer, "too late");
  end->close();
  // Its number is used again at once, by a connection that must hear nothing of this.
  auto [next, next_peer] = receiving();
  turns(5);
  EXPECT_GE(loop->rare().late, 1u);
  EXPECT_EQ(next->readable, 0);
  EXPECT_EQ(next->received, "");
  EXPECT_EQ(loop->blocks_out(), 0u);
  say(next_peer, "in time");
  ASSERT_TRUE(until([&] { return next->readable > 0; }));
  next->drain();
  EXPECT_EQ(next->received, "in time");
  ::close(peer);
  ::close(next_peer);
}

// The request waits for the turn's call when its socket closes, and the number is another's by then.
TEST_F(UringLoopTest, a_request_that_was_not_handed_in_yet_never_reaches_the_numbers_next_owner) {
  int first[2], second[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, first), 0);
  Socket gone = loop->take_over(first[0]);
  EXPECT_EQ(gone.read().state, ReadResult::State::would_block);  // asks to receive
  const std::uint32_t number = gone.id();
  gone.close();
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, second), 0);
  ASSERT_EQ(static_cast<std::uint32_t>(second[0]), number);
  End next(loop->take_over(second[0]));
  say(second[1], "for the next one");
  turns(3);
  EXPECT_EQ(loop->rare().late, 0u);
  next.drain();
  EXPECT_EQ(next.received, "for the next one");
  ::close(first[1]);
  ::close(second[1]);
}

TEST_F(UringLoopTest, without_blocks_bytes_come_by_recv_and_none_are_lost) {
  make({.blocks = 2});
  std::vector<std::pair<std::unique_ptr<End>, int>> all;
  for (int i = 0; i < 20; ++i) all.push_back(receiving());
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) say(all[i].second, "for " + std::to_string(i) + ". ");
    turns(3);  // nobody reads, so two hold the blocks
    for (auto& [end, peer] : all) EXPECT_TRUE(end->socket.may_read());
    for (auto& [end, peer] : all) end->drain();
  }
  EXPECT_GT(loop->rare().no_block, 0u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::string expected;
    for (int round = 0; round < 5; ++round) expected += "for " + std::to_string(i) + ". ";
    EXPECT_EQ(all[i].first->received, expected);
  }
  for (auto& [end, peer] : all) ::close(peer);
  all.clear();
  turns(3);
  EXPECT_EQ(loop->blocks_out(), 0u);
}

TEST_F(UringLoopTest, a_want_of_blocks_does_not_spin) {
  make({.blocks = 1});
  auto [hog, hog_peer] = receiving();
  say(hog_peer, "held");
  ASSERT_TRUE(until([&] { return hog->readable > 0; }));
  ASSERT_EQ(loop->blocks_out(), 1u);
  auto [poor, poor_peer] = receiving();  // asks when there is none
  int calls = 0;
  const TimePoint end = SystemClock().now() + 200ms;
  while (SystemClock().now() < end) loop->turn(50ms), ++calls;
  EXPECT_LT(calls, 30);
  EXPECT_EQ(poor->readable, 0);
  say(poor_peer, "by recv");
  ASSERT_TRUE(until([&] { return poor->readable > 0; }));
  poor->drain();
  EXPECT_EQ(poor->received, "by recv");
  ::close(hog_peer);
  ::close(poor_peer);
}

TEST_F(UringLoopTest, who_does_not_read_is_received_for_no_longer_and_loses_nothing) {
  auto [end, peer] = receiving();
  std::string said;
  for (int i = 0; i < 50; ++i) {
    const std::string words = "message " + std::to_string(i) + "; ";
    say(peer, words);
    said += words;
    loop->turn(1ms);
  }
  EXPECT_EQ(loop->rare().cancelled, 1u);
  EXPECT_LE(loop->blocks_out(), 6u) << "the rest waits in the kernel";
  ASSERT_TRUE(until([&] { return end->drain() == ReadResult::State::would_block && end->received == said; }));
  say(peer, "and on");
  ASSERT_TRUE(until([&] { return end->drain(), end->received == said + "and on"; }));
  EXPECT_EQ(loop->blocks_out(), 1u) << "lent until the next turn";
  loop->turn(0us);
  EXPECT_EQ(loop->blocks_out(), 0u);
  ::close(peer);
}

// A relay that waits for its other side, or has read to the end of a body and wants no more for now.
TEST_F(UringLoopTest, the_end_of_a_connection_is_told_to_who_does_not_read) {
  contract::Acceptor acceptor;
  auto listener = std::move(*loop->listen(loopback("127.0.0.1"), {}, acceptor));
  for (const bool paused : {true, false}) {
    acceptor.ends.clear();
    End client(std::move(*loop->connect(listener->address(), {})));
    ASSERT_TRUE(until([&] { return client.socket.may_write() && acceptor.ends.size() == 1; }));
    End& server = *acceptor.ends[0];
    if (paused) {
      server.drain();
      for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(client.write("not read").taken, 8u);
        turns(2);
      }
    } else {
      ASSERT_EQ(client.write("a body").taken, 6u);
      turns(2);
      ASSERT_EQ(server.read(6).bytes.size(), 6u);
      turns(3);
      EXPECT_FALSE(server.readable > 0 && server.received != "a body");
    }
    const int before = server.readable;
    client.socket.reset();
    EXPECT_TRUE(until([&] { return server.readable > before; }))
        << (paused ? "paused" : "read to a body's end");
  }
}

TEST_F(UringLoopTest, who_reads_while_the_cancellation_is_on_its_way_is_received_for_again) {
  auto [end, peer] = receiving();
  for (int i = 0; i < 10 && loop->rare().cancelled == 0; ++i) {
    say(peer, "x");
    loop->turn(1ms);
  }
  ASSERT_EQ(loop->rare().cancelled, 1u);  // and handed in by the next turn
  EXPECT_EQ(end->drain(), ReadResult::State::got);
  EXPECT_FALSE(end->socket.may_read());
  turns(3);
  end->drain();
  const int before = end->readable;
  say(peer, "more");
  ASSERT_TRUE(until([&] { return end->readable > before; }));
  end->drain();
  EXPECT_TRUE(end->received.ends_with("xmore"));
  ::close(peer);
}

TEST_F(UringLoopTest, a_full_queue_ends_what_was_lasting_and_loses_nothing) {
  make({.requests = 4, .completions = 8, .blocks = 512});
  std::vector<std::pair<std::unique_ptr<End>, int>> all;
  for (int i = 0; i < 60; ++i) all.push_back(receiving());
  turns(20);
  for (int round = 0; round < 10; ++round) {
    for (auto& [end, peer] : all) say(peer, std::to_string(round));
    loop->turn(1ms);
    loop->turn(1ms);
    for (auto& [end, peer] : all) {
      if (round % 3 == 0) end->drain();
    }
  }
  ASSERT_TRUE(until([&] {
    bool whole = true;
    for (auto& [end, peer] : all) {
      end->drain();
      whole = whole && end->received == "0123456789";
    }
    return whole;
  }));
  EXPECT_GT(loop->rare().ended, 0u) << "the queue was never full";
  for (auto& [end, peer] : all) ::close(peer);
}

TEST_F(UringLoopTest, lent_bytes_stay_when_their_socket_closes_in_the_same_call) {
  make({.blocks = 1});
  auto [end, peer] = receiving();
  auto [other, other_peer] = receiving();
  say(peer, "still lent");
  ASSERT_TRUE(until([&] { return end->readable > 0; }));
  const ReadResult some = end->socket.read(5);  // the block is not read to its end
  end->close();
  say(other_peer, "overwrites?");
  EXPECT_EQ(some.view(), "still");
  EXPECT_EQ(loop->blocks_out(), 1u);
  turns(2);  // now it goes back, and to the other
  other->drain();
  EXPECT_EQ(other->received, "overwrites?");
  turns(2);
  EXPECT_EQ(loop->blocks_out(), 0u);
  ::close(peer);
  ::close(other_peer);
}

TEST_F(UringLoopTest, bytes_that_were_received_and_never_read_are_a_reset_at_close) {
  const auto both = dialled();
  End &client = *both->client, &server = both->server();
  server.drain();
  turns(2);
  ASSERT_EQ(client.write("never read").taken, 10u);
  ASSERT_TRUE(until([&] { return server.readable > 0; }));
  ASSERT_EQ(loop->blocks_out(), 1u) << "the loop has them, not the kernel";
  server.close();
  ASSERT_TRUE(until([&] { return client.readable > 0; }));
  EXPECT_EQ(client.drain(), ReadResult::State::failed);
  EXPECT_EQ(client.failed_with, ECONNRESET);
  EXPECT_EQ(client.read().state, ReadResult::State::failed) << "told again";
}

TEST_F(UringLoopTest, a_listener_that_closes_takes_who_waits_and_is_gone_at_once) {
  contract::Acceptor acceptor;
  auto listener = std::move(*loop->listen(loopback("127.0.0.1"), {}, acceptor));
  const Address at = listener->address();
  turns(2);  // a request is in flight, which holds the listening socket
  std::vector<Socket> dialled;
  for (int i = 0; i < 10; ++i) dialled.push_back(std::move(*loop->connect(at, {})));
  for (int i = 0; i < 1000; ++i) sched_yield();
  listener.reset();
  EXPECT_EQ(acceptor.ends.size(), 10u);
  auto again = loop->listen(at, {.reuse_port = false}, acceptor);
  EXPECT_TRUE(again) << "nothing holds the address any more: " << to_string(again.error());
}

TEST_F(UringLoopTest, a_listener_that_was_left_to_others_accepts_nobody_any_more) {
  contract::Acceptor acceptor;
  auto listener = std::move(*loop->listen(loopback("127.0.0.1"), {}, acceptor));
  turns(2);
  const int other_process = fcntl(loop->listening().front().descriptor, F_DUPFD_CLOEXEC, 0);
  loop->leave_to_others({loop->listening().front().descriptor});
  Socket client = std::move(*loop->connect(listener->address(), {}));
  ASSERT_TRUE(until([&] { return client.may_write(); }));
  turns(3);
  listener.reset();
  EXPECT_EQ(acceptor.ends.size(), 0u);
  const int taken = accept4(other_process, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  EXPECT_GE(taken, 0) << "it waited for the other process";
  ::close(taken);
  ::close(other_process);
}

TEST_F(UringLoopTest, a_signal_in_the_middle_of_a_wait_does_no_harm) {
  struct sigaction before {};
  struct sigaction ours {};
  ours.sa_handler = [](int) {};  // without SA_RESTART: calls end with EINTR
  ASSERT_EQ(sigaction(SIGUSR1, &ours, &before), 0);
  auto [end, peer] = receiving();
  const pthread_t here = pthread_self();
  std::atomic<int> turned = 0;
  std::thread other([&, other_end = peer] {
    for (int i = 0; i < 20; ++i) {
      const int seen = turned;
      pthread_kill(here, SIGUSR1);
      (void)!::write(other_end, "x", 1);
      while (turned == seen) sched_yield();
    }
  });
  while (end->received.size() < 20) {
    loop->turn(1s);
    end->drain();
    ++turned;
  }
  ++turned;
  other.join();
  EXPECT_EQ(end->received.size(), 20u);
  sigaction(SIGUSR1, &before, nullptr);
  ::close(peer);
}

TEST_F(UringLoopTest, ends_with_everything_in_flight_and_lets_go_of_it) {
  std::vector<int> peers;
  {
    contract::Acceptor acceptor;
    auto listener = std::move(*loop->listen(loopback("127.0.0.1"), {}, acceptor));
    std::vector<std::unique_ptr<End>> ends;
    for (int i = 0; i < 5; ++i) {
      auto [end, peer] = receiving();
      say(peer, "unread");
      ends.push_back(std::move(end));
      peers.push_back(peer);
    }
    Socket opening = std::move(*loop->connect(loopback("127.0.0.1", 9), {}));
    loop->post([] {});
  }
  loop.reset();
  for (const int peer : peers) {
    const std::string last = heard(peer);
    EXPECT_TRUE(last == "end" || last == "reset") << last;
    ::close(peer);
  }
}

TEST_F(UringLoopTest, may_be_made_here_run_there_and_destroyed_here) {
  // As workers do; another ring of this thread must not lose its registration by that.
  auto mine = std::move(*UringLoop::make(log));
  mine->turn(0us);
  int ran = 0;
  std::thread there([&] {
    loop->post([&] { ++ran; });
    loop->stop();
    loop->run();
  });
  there.join();
  loop.reset();
  EXPECT_EQ(ran, 1);
  mine->post([&] { ++ran; });
  mine->turn(1s);
  EXPECT_EQ(ran, 2);
}

TEST(LoopChoice, says_what_it_chose) {
  const auto epoll = choose_loop(LoopChoice::epoll);
  ASSERT_TRUE(epoll);
  EXPECT_FALSE(epoll->io_uring);
  EXPECT_EQ(epoll->said, "io: epoll");
  const auto automatic = choose_loop(LoopChoice::automatic);
  ASSERT_TRUE(automatic);
  const auto named = choose_loop(LoopChoice::io_uring);
  EXPECT_EQ(static_cast<bool>(named), static_cast<bool>(UringLoop::probe()));
  EXPECT_EQ(parse_loop_choice("io_uring"), LoopChoice::io_uring);
  EXPECT_EQ(parse_loop_choice("uring"), std::nullopt);
}

}  // namespace
}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
