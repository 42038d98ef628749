// The bodies of the tests that every Network has to pass. One fixture each is network_contract.h; nothing
// here knows which.
#include "io/network_contract.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace rejoin::io {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NetworkContract);

TEST_P(NetworkContract, opens_and_knows_both_addresses) {
  listen();
  contract::End& client = dial();
  EXPECT_FALSE(client.socket.may_write()) << "not open yet";
  // A kernel may open a loopback connection before it has told: then the bytes are taken, whole.
  const std::size_t early = client.write("too early").taken;
  EXPECT_TRUE(early == 0 || early == 9) << early;
  ASSERT_TRUE(run_until([&] { return client.writable > 0 && acceptor.ends.size() == 1; }));
  EXPECT_TRUE(client.socket.connect_status());
  EXPECT_EQ(client.socket.peer_address(), listener->address());
  EXPECT_EQ(client.socket.local_address(), acceptor.peers[0]);
  EXPECT_EQ(server().socket.peer_address(), client.socket.local_address());
  EXPECT_EQ(server().socket.local_address(), listener->address());
  EXPECT_EQ(client.received, "");
}

TEST_P(NetworkContract, connect_to_nobody_is_refused) {
  auto made = hosts.client().connect(hosts.nobody(), {});
  ASSERT_TRUE(made) << "only errors of our own come at once";
  contract::End end(std::move(*made));
  ASSERT_TRUE(run_until([&] { return end.writable > 0; }));
  const Status open = end.socket.connect_status();
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().kind, ErrorKind::refused);
  EXPECT_EQ(open.error().side, Side::server);
  EXPECT_EQ(open.error().retry, Retry::yes);
  EXPECT_NE(end.write("x").errnum, 0);
}

TEST_P(NetworkContract, peer_sees_the_address_we_bind_to) {
  listen();
  for (int n = 0; n < 2; ++n) {
    dial({.bind = hosts.client_address(n)});
    ASSERT_TRUE(run_until([&] { return acceptor.ends.size() == static_cast<std::size_t>(n + 1); }));
    EXPECT_EQ(acceptor.peers.back().ip, hosts.client_address(n).ip);
    EXPECT_NE(acceptor.peers.back().port, 0);
  }
  const auto stranger =
      hosts.client().connect(listener->address(), {.bind = *Address::parse_ip("192.0.2.77")});
  ASSERT_FALSE(stranger) << "not an address of ours";
  EXPECT_EQ(stranger.error().side, Side::ours);
}

TEST_P(NetworkContract, listen_says_what_cannot_be) {
  listen({.reuse_port = false});
  contract::Acceptor other;
  const auto taken = hosts.server().listen(listener->address(), {.reuse_port = false}, other);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().side, Side::ours);
  const auto stranger = hosts.server().listen(*Address::parse_ip("192.0.2.77", 80), {}, other);
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().side, Side::ours);
}

// At least a mebibyte, and as much as it takes until every buffer on the way is full.
TEST_P(NetworkContract, echo_with_back_pressure_both_ways) {
  listen();
  connect();
  contract::End& client = NetworkContract::client();
  contract::Echo echo(server());
  std::size_t sent = 0;
  int full = 0;
  std::string piece(50'000, ' ');
  while (sent < 1024 * 1024 || full == 0) {
    for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = contract::pattern(sent + i);
    const WriteResult done = client.write(piece);
    ASSERT_EQ(done.errnum, 0);
    sent += done.taken;
    if (done.taken == piece.size()) continue;
    hosts.settle();
    if (client.socket.may_write()) continue;
    ++full;  // nobody reads the echo, so everything is jammed; and comes loose when it is read
    ASSERT_TRUE(run_until([&] {
      client.drain();
      return client.socket.may_write();
    }));
  }
  client.socket.shutdown_write();
  ASSERT_TRUE(run_until([&] { return client.drain() == ReadResult::State::ended; }));
  ASSERT_EQ(client.received.size(), sent);
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(client.received[i], contract::pattern(i)) << "byte " << i;
  EXPECT_GT(full, 0);
  EXPECT_LE(echo.most_pending, 8000u);
}

TEST_P(NetworkContract, several_pieces_leave_in_order) {
  listen();
  connect();
  const Bytes pieces[] = {"a", "", "bc", "def", "", "ghij", "k", "lm"};
  const WriteResult done = client().socket.write(pieces);
  EXPECT_EQ(done.errnum, 0);
  std::string all;
  for (const Bytes piece : pieces) all.append(piece);
  EXPECT_LE(done.taken, all.size());
  write_all(client(), Bytes(all).substr(done.taken));
  ASSERT_TRUE(read_until(server(), all.size()));
  EXPECT_EQ(server().received, all);
  EXPECT_EQ(client().write("").taken, 0u);
}

TEST_P(NetworkContract, half_close_lets_the_answer_through) {
  listen();
  connect();
  const std::string answer(100'000, 'a');
  write_all(client(), "question");
  client().socket.shutdown_write();
  EXPECT_NE(client().write("more").errnum, 0) << "we said that there is no more";
  ASSERT_TRUE(run_until([&] { return server().drain() == ReadResult::State::ended; }));
  EXPECT_EQ(server().received, "question");
  EXPECT_EQ(server().read().state, ReadResult::State::ended) << "told again";
  hosts.settle();
  EXPECT_TRUE(server().socket.may_read()) << "an end that is known does not go away";
  std::size_t sent = 0;
  ASSERT_TRUE(run_until([&] {
    client().drain();
    if (sent < answer.size() && server().socket.may_write()) {
      sent += server().write(Bytes(answer).substr(sent)).taken;
    }
    return sent == answer.size();
  }));
  server().close();
  ASSERT_TRUE(run_until([&] { return client().drain() == ReadResult::State::ended; }));
  EXPECT_EQ(client().received, answer);
}

TEST_P(NetworkContract, what_was_written_before_close_arrives) {
  listen();
  connect();
  std::string text;
  for (int writes = 0; writes < 50; ++writes) {
    const WriteResult done = client().write("what was written ");
    ASSERT_EQ(done.errnum, 0);
    text.append("what was written ", done.taken);
    if (done.taken == 0) break;
  }
  client().close();
  ASSERT_TRUE(run_until([&] { return server().drain() == ReadResult::State::ended; }));
  EXPECT_EQ(server().received, text);
}

TEST_P(NetworkContract, reset_is_failure_and_never_an_end) {
  listen();
  for (const bool by_unread_bytes : {false, true}) {
    connect();
    contract::End& client = NetworkContract::client();
    client.drain();
    const int told = client.readable;
    if (by_unread_bytes) {
      write_all(client, "never read");
      hosts.settle();
      server().close();
    } else {
      server().socket.reset();
    }
    ASSERT_TRUE(run_until([&] { return client.readable > told; }));
    ReadResult::State first = ReadResult::State::would_block;
    ASSERT_TRUE(run_until([&] {
      first = client.drain();
      return first != ReadResult::State::would_block;
    }));
    EXPECT_EQ(first, ReadResult::State::failed);
    EXPECT_EQ(client.failed_with, ECONNRESET);
    EXPECT_TRUE(client.socket.may_read() && client.socket.may_write())
        << "who asks later must not wait for ever";
    EXPECT_NE(client.write("x").errnum, 0);
  }
}

TEST_P(NetworkContract, write_to_a_closed_peer_fails_in_the_end) {
  listen();
  connect();
  server().close();
  int errnum = 0;
  ASSERT_TRUE(run_until([&] {
    errnum = client().write("anyone?").errnum;
    return errnum != 0;
  }));
  EXPECT_TRUE(errnum == EPIPE || errnum == ECONNRESET) << errnum;
}

TEST_P(NetworkContract, readable_is_told_once_and_remembered) {
  listen();
  connect();
  contract::End& server = NetworkContract::server();
  EXPECT_EQ(server.drain(), ReadResult::State::would_block);
  EXPECT_FALSE(server.socket.may_read());
  hosts.settle();
  server.drain();  // readiness without bytes is allowed
  const int before = server.readable;
  write_all(client(), "one");
  ASSERT_TRUE(run_until([&] { return server.readable > before; }));
  hosts.settle();
  EXPECT_TRUE(server.socket.may_read()) << "nobody has read";

  // The next owner was told nothing, and finds it by asking.
  contract::End next(std::move(server.socket));
  EXPECT_TRUE(next.socket.may_read());
  ASSERT_TRUE(read_until(next, 3));
  EXPECT_EQ(next.received, "one");
  next.drain();
  EXPECT_FALSE(next.socket.may_read());
  const int told = next.readable;
  write_all(client(), "two");
  ASSERT_TRUE(run_until([&] { return next.readable > told; }));
  ASSERT_TRUE(read_until(next, 6));
  EXPECT_EQ(next.received, "onetwo");
}

TEST_P(NetworkContract, readiness_without_an_owner_is_remembered) {
  listen();
  connect();
  contract::End& server = NetworkContract::server();
  server.drain();
  Socket nobodys = std::move(server.socket);
  nobodys.set_events(nullptr);
  write_all(client(), "while nobody looked");
  hosts.settle();
  contract::End next(std::move(nobodys));
  EXPECT_TRUE(next.socket.may_read());
  ASSERT_TRUE(read_until(next, 19));
  EXPECT_EQ(next.received, "while nobody looked");
}

TEST_P(NetworkContract, reading_byte_by_byte_loses_nothing) {
  listen();
  connect();
  contract::End& server = NetworkContract::server();
  std::string text;
  for (int i = 0; i < 300; ++i) text += contract::pattern(static_cast<std::size_t>(i));
  write_all(client(), text);
  client().socket.shutdown_write();
  ASSERT_TRUE(run_until([&] {
    while (server.socket.may_read()) {
      const ReadResult got = server.read(1);
      if (got.state == ReadResult::State::ended) return true;
      if (!got.got()) return false;
    }
    return false;
  }));
  EXPECT_EQ(server.received, text);
}

TEST_P(NetworkContract, an_end_that_came_with_the_first_bytes_is_told) {
  ListenOptions options;
  options.client_speaks_first = true;
  listen(options);
  bool ended = false;
  acceptor.accepted = [&](End& end) {
    end.told = [&ended, &end] { ended = end.drain() == ReadResult::State::ended; };
    end.told();
  };
  End& client = dial();
  client.told = [&client] {
    if (client.writable != 1) return;
    client.write("last words");
    client.socket.shutdown_write();
  };
  ASSERT_TRUE(run_until([&] { return ended; }));
  EXPECT_EQ(server().received, "last words");
}

TEST_P(NetworkContract, lent_bytes_may_be_changed_in_place) {
  listen();
  connect();
  write_all(client(), "abcdefgh");
  std::string got;
  ASSERT_TRUE(run_until([&] {
    while (server().socket.may_read()) {
      const ReadResult read = server().socket.read(3);
      if (!read.got()) break;
      for (char& c : read.bytes) c = static_cast<char>(c - 'a' + 'A');
      got.append(read.view());
    }
    return got.size() == 8;
  }));
  EXPECT_EQ(got, "ABCDEFGH");
}

TEST_P(NetworkContract, read_again_asks_for_one_turn) {
  listen();
  connect();
  contract::End& server = NetworkContract::server();
  server.drain();
  hosts.settle();
  server.drain();
  const int before = server.readable;
  server.read_again_asked = true;
  server.in_call = true;
  server.socket.read_again();
  server.socket.read_again();
  server.in_call = false;
  ASSERT_TRUE(run_until([&] { return server.readable > before; }));
  hosts.settle();
  EXPECT_EQ(server.readable, before + 1);
  server.socket.read_again();
  server.close();
  hosts.settle();
  EXPECT_EQ(server.readable, before + 1) << "a closed socket is told nothing";
}

TEST_P(NetworkContract, accepts_many) {
  listen();
  constexpr std::size_t kMany = 200;
  for (std::size_t i = 0; i < kMany; ++i) dial();
  ASSERT_TRUE(run_until([&] { return acceptor.ends.size() == kMany; }));
  EXPECT_EQ(hosts.server().open_sockets(), &hosts.server() == &hosts.client() ? 2 * kMany : kMany);
  std::set<Address> dialled;
  for (const auto& client : clients) dialled.insert(client->socket.local_address());
  EXPECT_EQ(dialled, std::set<Address>(acceptor.peers.begin(), acceptor.peers.end()));
  EXPECT_EQ(dialled.size(), kMany);
}

TEST_P(NetworkContract, listeners_share_an_address) {
  listen();
  contract::Acceptor second;
  auto other = hosts.server().listen(listener->address(), {}, second);
  ASSERT_TRUE(other) << to_string(other.error());
  for (int i = 0; i < 100; ++i) dial();
  ASSERT_TRUE(run_until([&] { return acceptor.ends.size() + second.ends.size() == 100; }));
  EXPECT_GT(acceptor.ends.size(), 10u);
  EXPECT_GT(second.ends.size(), 10u);
}

TEST_P(NetworkContract, silent_clients_are_not_told_of_when_the_client_speaks_first) {
  if (hosts.clients_are_never_silent()) GTEST_SKIP() << "their first bytes are not the application's";
  listen({.client_speaks_first = true});
  contract::End& client = dial();
  ASSERT_TRUE(run_until([&] { return client.socket.may_write(); }));
  hosts.settle();
  EXPECT_EQ(acceptor.ends.size(), 0u);
  write_all(client, "hello");
  ASSERT_TRUE(run_until([&] { return acceptor.ends.size() == 1; }));
  ASSERT_TRUE(read_until(server(), 5));
  EXPECT_EQ(server().received, "hello");
}

// Several sockets have something to be told in one turn. Who is told first closes the others and dials anew,
// so that their ids are used again: the others hear nothing, and nobody hears what was meant for them.
TEST_P(NetworkContract, closing_others_while_they_have_events_waiting) {
  listen();
  constexpr std::size_t kPairs = 8;
  for (std::size_t i = 0; i < kPairs; ++i) connect();
  for (auto& client : clients) client->drain();
  hosts.settle();
  for (auto& client : clients) client->drain();
  std::size_t told = 0;
  std::vector<std::unique_ptr<contract::End>> fresh;
  for (auto& client : clients) {
    client->told = [&, self = client.get()] {
      ++told;
      for (auto& other : clients) {
        if (other.get() == self) continue;
        other->close();
        auto made = hosts.client().connect(listener->address(), {});
        ASSERT_TRUE(made);
        fresh.push_back(std::make_unique<contract::End>(std::move(*made)));
        fresh.back()->told = [end = fresh.back().get()] {
          EXPECT_GT(end->writable, 0) << "told before it is open: an event of the id's last owner";
        };
      }
    };
  }
  for (auto& end : acceptor.ends) EXPECT_EQ(end->socket.write("x").errnum, 0);
  hosts.let_kernels_work();
  ASSERT_TRUE(run_until([&] { return acceptor.ends.size() == 2 * kPairs - 1; }));
  hosts.settle();
  EXPECT_GE(told, 1u);
  EXPECT_EQ(fresh.size(), kPairs - 1) << "only one of the eight was ever told";
}

TEST_P(NetworkContract, an_owner_may_die_when_told) {
  listen();
  connect();
  server().drain();
  bool gone = false;
  server().told = [&] {
    gone = true;
    const auto told = std::move(server().told);  // outlives the End that holds it
    acceptor.ends.clear();
  };
  write_all(client(), "x");
  ASSERT_TRUE(run_until([&] { return gone; }));
  ASSERT_TRUE(run_until([&] { return client().drain() == ReadResult::State::failed; }));
}

TEST_P(NetworkContract, a_listener_that_leaves_accepts_what_waits) {
  listen();
  constexpr std::size_t kWaiting = 5;
  for (std::size_t i = 0; i < kWaiting; ++i) dial();
  hosts.let_kernels_work();
  ASSERT_EQ(acceptor.ends.size(), 0u);
  const Address at = listener->address();
  listener.reset();
  ASSERT_EQ(acceptor.ends.size(), kWaiting);
  for (auto& end : acceptor.ends) write_all(*end, "welcome");
  for (auto& client : clients) {
    ASSERT_TRUE(read_until(*client, 7));
    EXPECT_EQ(client->received, "welcome");
  }
  auto late = hosts.client().connect(at, {});
  ASSERT_TRUE(late);
  contract::End end(std::move(*late));
  ASSERT_TRUE(run_until([&] { return end.writable > 0; }));
  EXPECT_FALSE(end.socket.connect_status());
}

TEST_P(NetworkContract, accepting_pauses_without_descriptors_and_goes_on) {
#ifdef __SANITIZE_ADDRESS__
  // UBSan looks at an object that it has not seen yet through a pipe, and calls it broken when there is none.
  if (std::string_view(GetParam().name).starts_with("loopback"))
    GTEST_SKIP() << "UBSan needs a descriptor itself";
#endif
  listen();
  for (int i = 0; i < 6; ++i) dial();
  hosts.let_kernels_work();
  if (!hosts.leave_descriptors(3)) GTEST_SKIP() << "no limit to set here";
  ASSERT_TRUE(run_until([&] { return listener->paused(); }));
  EXPECT_EQ(acceptor.ends.size(), 3u);
  const auto none_left = hosts.server().connect(hosts.nobody(), {});
  ASSERT_FALSE(none_left);
  EXPECT_EQ(none_left.error().kind, ErrorKind::exhausted);
  EXPECT_EQ(none_left.error().side, Side::ours);

  acceptor.ends[0]->close();
  ASSERT_TRUE(run_until([&] { return acceptor.ends.size() == 4; })) << "one closed, one more goes in";
  ASSERT_TRUE(run_until([&] { return listener->paused(); }));
  EXPECT_EQ(acceptor.ends.size(), 4u);

  hosts.give_back_descriptors();  // by somebody else: found after a while, without a close of ours
  ASSERT_TRUE(run_until([&] { return acceptor.ends.size() == 6; }));
  EXPECT_FALSE(listener->paused());
}

TEST_P(NetworkContract, an_end_behind_what_waited_to_be_accepted_is_found) {
  listen();
  contract::End& client = dial();
  ASSERT_TRUE(run_until([&] { return client.socket.may_write(); }));
  acceptor.accepted = [](contract::End& end) { end.drain(); };
  write_all(client, "all of it");
  client.socket.shutdown_write();
  hosts.let_kernels_work();
  ASSERT_TRUE(
      run_until([&] { return !acceptor.ends.empty() && server().drain() == ReadResult::State::ended; }));
  EXPECT_EQ(server().received, "all of it");
}

}  // namespace rejoin::io
