// Each fault happens, is counted, and does what Linux and the wires would do; and under all of them at once
// nothing is left.
#include "io/sim_faults.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "io/sim_scenario.h"

namespace rejoin::io {
namespace {

using scenario::EchoClient;
using scenario::EchoServer;
using scenario::Talk;

/// A server and a client host, with one open connection when asked for.
class SimFaults : public testing::Test {
 protected:
  void connect() {
    const std::size_t before = server.talks().size();
    auto made = client_host.network().connect(server_host.address(8000), {});
    ASSERT_TRUE(made) << to_string(made.error());
    talk = std::make_unique<Talk>(std::move(*made));
    ASSERT_TRUE(sim.run_until([&] { return talk->socket.may_write() && server.talks().size() > before; }));
  }
  /// "x" comes back within `at_most`.
  bool echoes(Duration at_most = 1s) {
    talk->received.clear();
    if (talk->socket.write("x").errnum != 0) return false;
    return sim.run_until([&] { return talk->pull() && talk->received == "x"; }, at_most);
  }
  /// What a dial comes to within `at_most`: "open", "waiting", or the error's kind.
  std::string dial(Duration at_most) {
    auto made = client_host.network().connect(server_host.address(8000), {});
    if (!made) return std::string(to_string(made.error().kind));
    const Talk one(std::move(*made));
    if (!sim.run_until([&] { return one.socket.may_write(); }, at_most)) return "waiting";
    Status open = const_cast<Talk&>(one).socket.connect_status();
    return open ? "open" : std::string(to_string(open.error().kind));
  }
  void TearDown() override {
    talk.reset();
    server.stop();
    sim.heal();
    sim.run_for(30min);
    EXPECT_EQ(sim.leftovers_text(), "");
    EXPECT_EQ(sim.connections(), 0u);
  }

  Simulation sim{1};
  SimHost& server_host = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
  SimHost& client_host =
      sim.add_host({.name = "client", .addresses = {"10.1.0.1"}, .roam_to = {"10.2.0.1", "10.1.0.1"}});
  EchoServer server{server_host, 8000};
  std::unique_ptr<Talk> talk;
};

TEST_F(SimFaults, a_cut_lets_exactly_so_many_bytes_through) {
  for (const std::uint64_t after : {0, 1, 2, 1447, 1448, 1449, 5000}) {
    for (const Towards towards : {Towards::listener, Towards::dialler}) {
      const std::uint64_t cuts = sim.counters().cuts;
      sim.cut({.to = server_host.address(8000), .nth = 1, .towards = towards, .after_bytes = after});
      EchoClient untouched(client_host, server_host.address(8000), 0, 6000);
      EchoClient cut(client_host, server_host.address(8000), 1, 6000);
      ASSERT_TRUE(sim.run_until([&] { return untouched.over() && cut.over(); }));
      EXPECT_TRUE(untouched.complete());
      EXPECT_EQ(sim.counters().cuts, cuts + 1);
      EXPECT_FALSE(cut.complete());
      cut.check();
      if (towards == Towards::dialler) {
        EXPECT_EQ(cut.talk->received.size(), after);
      }
      if (towards == Towards::listener) {
        EXPECT_LE(cut.talk->received.size(), after);
      }
      if (after > 0) {
        EXPECT_EQ(cut.talk->errnum, ECONNRESET);
      }
    }
  }
}

TEST_F(SimFaults, a_cut_may_be_a_hole) {
  sim.cut({.towards = Towards::listener, .after_bytes = 3, .how = Break::hole_to_listener});
  connect();
  EXPECT_EQ(talk->socket.write("abcdef").taken, 6u);
  EXPECT_FALSE(sim.run_until([&] { return talk->pull() && talk->received.size() > 3; }, 60s));
  EXPECT_EQ(talk->received, "abc");
  EXPECT_GT(sim.counters().lost_segments, 0u);
  sim.heal();
  EXPECT_TRUE(sim.run_until([&] { return talk->pull() && talk->received == "abcdef"; }, 300s))
      << "sent again";
  EXPECT_GT(sim.counters().retransmissions, 0u);
}

TEST_F(SimFaults, a_hole_without_end_is_given_up_after_a_quarter_of_an_hour) {
  connect();
  sim.black_hole(client_host, server_host);
  talk->socket.write("x");
  sim.run_for(14min);
  EXPECT_TRUE(talk->pull());
  sim.run_for(4min);
  EXPECT_FALSE(talk->pull());
  EXPECT_EQ(talk->errnum, ETIMEDOUT);
}

TEST_F(SimFaults, keep_alive_finds_a_client_that_lost_its_power) {
  connect();
  client_host.crash(Crash::power_loss);
  sim.run_for(110s);
  EXPECT_TRUE(server.talks()[0]->socket);
  sim.run_for(30s);
  EXPECT_FALSE(server.talks()[0]->socket) << "60 s and four times 15";
  EXPECT_EQ(server.talks()[0]->errnum, ETIMEDOUT);
  sim.run_for(10min);
  client_host.restart();
}

TEST_F(SimFaults, keep_alive_finds_a_server_that_lost_its_power_for_who_asked_for_it) {
  for (const bool asked : {true, false}) {
    auto dialled = client_host.network().connect(server_host.address(8000), {});
    ASSERT_TRUE(dialled);
    scenario::Talk client(std::move(*dialled));
    sim.run_for(1s);
    EXPECT_TRUE(client.pull());
    if (asked) client.socket.keep_alive();
    server_host.crash(Crash::power_loss);
    sim.run_for(110s);
    EXPECT_TRUE(client.pull());
    sim.run_for(30s);
    EXPECT_EQ(client.pull(), !asked);
    EXPECT_EQ(client.errnum, asked ? ETIMEDOUT : 0);
    client.socket.reset();
    server.stop();
    server_host.restart();
    server.open(8000);
    sim.run_for(10min);
  }
}

TEST_F(SimFaults, dials_are_lost_refused_and_time_out) {
  sim.set_faults({.lost_dial = 1});
  EXPECT_EQ(dial(900ms), "waiting");
  EXPECT_EQ(dial(1100ms), "open");
  EXPECT_EQ(sim.counters().lost_dials, 2u);
  sim.set_faults({.refuse = 1});
  EXPECT_EQ(dial(1s), "refused");
  EXPECT_EQ(sim.counters().refusals_injected, 1u);
  sim.set_faults({});
  sim.black_hole(server_host, client_host);  // the answers are lost
  EXPECT_EQ(dial(126s), "waiting");
  EXPECT_EQ(dial(128s), "timed out");
  EXPECT_EQ(sim.counters().dials_timed_out, 1u);
  sim.reopen(server_host, client_host);
  EXPECT_EQ(dial(1s), "open");
}

TEST_F(SimFaults, who_listens_at_a_spared_machine_is_dialled_safely) {
  sim.spare(server_host);
  sim.set_faults({.refuse = 1, .lost_dial = 1, .reset = 1, .black_hole = 1, .within = 100ms});
  EXPECT_EQ(dial(900ms), "open");
  sim.run_for(1s);
  const Counters& counters = sim.counters();
  EXPECT_EQ(counters.refusals_injected + counters.lost_dials + counters.resets_injected + counters.holes, 0u);
}

TEST_F(SimFaults, a_change_of_address_is_silent) {
  connect();
  const Address before = talk->socket.local_address();
  ASSERT_TRUE(echoes());
  client_host.change_address("10.2.0.1");
  EXPECT_FALSE(echoes(30s)) << "no error either";
  EXPECT_EQ(talk->errnum, 0);
  std::unique_ptr<Talk> old = std::move(talk);
  connect();
  EXPECT_TRUE(echoes());
  EXPECT_EQ(talk->socket.local_address().ip_text(), "10.2.0.1");
  client_host.change_address(before.ip_text());
  EXPECT_TRUE(sim.run_until([&] { return old->pull() && !old->received.empty(); }, 130s))
      << "back in the old Wi-Fi";
  client_host.remove_address(before.ip_text());
  EXPECT_EQ(dial(1s), "unreachable");
  client_host.add_address(before.ip_text());
}

TEST_F(SimFaults, the_ways_to_crash) {
  const struct {
    Crash how;
    const char* at_once;
    const char* after_sending;
  } cases[] = {
      {Crash::killed, "ended", "reset"},
      {Crash::reset, "reset", "reset"},
      {Crash::rebooted, "nothing", "reset"},
      {Crash::power_loss, "nothing", "nothing"},
  };
  const auto seen = [&] {
    talk->pull();
    return talk->errnum == ECONNRESET || talk->errnum == EPIPE ? "reset" : talk->ended ? "ended" : "nothing";
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(static_cast<int>(one.how));
    connect();
    server_host.crash(one.how);
    EXPECT_TRUE(server_host.crashed());
    sim.run_for(1s);
    EXPECT_STREQ(seen(), one.at_once);
    if (talk->errnum == 0) talk->socket.write("are you there?");
    sim.run_for(5s);
    if (talk->errnum == 0) talk->errnum = talk->socket.write("well?").errnum;
    EXPECT_STREQ(seen(), one.after_sending);
    EXPECT_EQ(dial(5s), one.how == Crash::power_loss ? "waiting" : "refused");

    // The ghost of the program can be ended in an orderly way.
    Talk& ghost = *server.talks().back();
    EXPECT_EQ(ghost.socket.read().state, ReadResult::State::failed);
    EXPECT_NE(ghost.socket.write("x").errnum, 0);
    EXPECT_FALSE(server_host.network().connect(client_host.address(1), {}));
    server.stop();
    EXPECT_TRUE(server_host.leftovers().none());
    server_host.restart();
    server.open(8000);
    EXPECT_EQ(dial(5s), "open");
    sim.run_for(1s);
    server.talks().clear();
  }
  EXPECT_EQ(sim.counters().crashes, 4u);
}

TEST_F(SimFaults, crashing_while_clients_wait_to_be_accepted) {
  for (const Crash how : {Crash::killed, Crash::reset, Crash::rebooted, Crash::power_loss}) {
    server_host.pause();
    std::vector<std::unique_ptr<EchoClient>> clients;
    for (std::size_t i = 0; i < 8; ++i) {
      clients.push_back(std::make_unique<EchoClient>(client_host, server_host.address(8000), i, 10));
      sim.run_for(500us);
    }
    server_host.crash(how);  // some are half open, some whole
    sim.run_for(20min);
    // Who had sent nothing that is not acknowledged hears of a silent death never.
    const bool said = how == Crash::killed || how == Crash::reset;
    for (auto& one : clients) {
      EXPECT_TRUE(!said || one->over());
      one->give_up();
    }
    server.stop();
    server_host.resume();
    server_host.restart();
    server.open(8000);
  }
}

TEST_F(SimFaults, a_paused_program_is_only_slow) {
  connect();
  server_host.pause();
  const std::string much(300'000, 'm');
  std::size_t sent = talk->socket.write(much).taken;
  sim.run_for(10s);
  sent += talk->socket.write(much).taken;
  EXPECT_LE(sent, 2u * 64 * 1024) << "its kernel takes what fits into both buffers";
  EXPECT_FALSE(talk->socket.may_write());
  const std::uint64_t turns = server_host.turns();
  sim.run_for(10s);
  EXPECT_EQ(server_host.turns(), turns);
  server_host.resume();
  EXPECT_TRUE(sim.run_until([&] { return talk->pull() && talk->received.size() == sent; }));
}

TEST_F(SimFaults, connections_break_at_random_moments) {
  sim.set_faults({.reset = 1, .within = 100ms});
  connect();
  EXPECT_TRUE(sim.run_until([&] { return !talk->pull(); }, 1s));
  EXPECT_EQ(sim.counters().resets_injected, 1u);
  sim.set_faults({.black_hole = 1, .within = 1ms, .hole_max = 2s, .hole_for_ever = 0});
  talk.reset();
  auto made = client_host.network().connect(server_host.address(8000), {});
  talk = std::make_unique<Talk>(std::move(*made));
  EXPECT_FALSE(sim.run_until([&] { return talk->socket.may_write(); }, 900ms));
  EXPECT_TRUE(sim.run_until([&] { return talk->socket.may_write(); }, 10s)) << "it ends";
  EXPECT_EQ(sim.counters().holes, 1u);
}

TEST_F(SimFaults, a_slow_reader_holds_the_sender_back) {
  sim.set_faults({.slow_reader = 1, .slow_bytes_per_second = 1000});
  connect();
  EXPECT_EQ(sim.counters().slow_directions, 2u);
  talk->socket.write(std::string(60'000, 's'));
  sim.run_for(10s);
  talk->pull();
  EXPECT_GT(talk->received.size(), 8'000u);
  EXPECT_LT(talk->received.size(), 12'000u);
  sim.heal();
  EXPECT_TRUE(sim.run_until([&] { return talk->pull() && talk->received.size() == 60'000; }, 1s));
}

TEST_F(SimFaults, harmless_ones_happen_and_do_no_harm) {
  sim.set_faults(Faults::harmless());
  for (std::size_t i = 0; i < 20; ++i) {
    EchoClient client(client_host, server_host.address(8000), i, 5000);
    ASSERT_TRUE(sim.run_until([&] { return client.over(); }));
    EXPECT_TRUE(client.complete());
  }
  const Counters& seen = sim.counters();
  EXPECT_GT(seen.short_reads, 0u);
  EXPECT_GT(seen.short_writes, 0u);
  EXPECT_GT(seen.tiny_segments, 0u);
  EXPECT_GT(seen.late_accepts, 0u);
  EXPECT_GT(seen.spurious_ready, 0u);
}

TEST_F(SimFaults, the_nth_operation_fails) {
  connect();
  server.talks()[0]->act = nullptr;
  client_host.fail_operation(2);
  EXPECT_EQ(talk->socket.write("first").errnum, 0);
  EXPECT_EQ(talk->socket.write("second").errnum, ECONNRESET);
  EXPECT_EQ(talk->socket.write("third").errnum, EPIPE);
  EXPECT_EQ(sim.counters().operations_failed, 1u);
  client_host.fail_operation(1);
  const auto refused = client_host.network().connect(server_host.address(8000), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
  EXPECT_EQ(dial(1s), "open") << "only that one";
}

TEST_F(SimFaults, hosts_roam_and_crash_by_the_seed) {
  SimHost& fragile = sim.add_host({.name = "fragile", .addresses = {"10.0.0.9"}, .may_crash = true});
  EchoServer other(fragile, 8000);
  sim.on_crash([&](SimHost& host) {
    EXPECT_EQ(&host, &fragile);
    other.stop();
    host.restart();
    other.open(8000);
  });
  sim.set_faults({.crash_every = 10s, .roam_every = 5s});
  sim.run_for(200s);
  EXPECT_GT(sim.counters().crashes, 5u);
  EXPECT_LT(sim.counters().crashes, 60u);
  EXPECT_GT(sim.counters().roams, 10u);
  other.stop();
}

// --- all at once ---

struct Outcome {
  std::uint64_t hash = 0;
  std::size_t complete = 0, broken = 0;
};

// Forty clients on four hosts against one server, with a mixture of everything.
Outcome soak(std::uint64_t seed) {
  Simulation sim(seed, {.latency = 2ms, .jitter = 3ms});
  SimHost& server_host = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}, .turn_delay_max = 1ms});
  std::vector<SimHost*> hosts;
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    hosts.push_back(&sim.add_host({.name = "client" + n,
                                   .addresses = {"10.1.0." + n},
                                   .send_buffer_bytes = 2000,
                                   .receive_buffer_bytes = 3000,
                                   .roam_to = {"10.2.0." + n, "10.1.0." + n}}));
  }
  EchoServer server(server_host, 8000);
  Faults faults = Faults::from_seed(sim.random());
  if (seed % 2 == 0) faults.roam_every = 1s;
  sim.set_faults(faults);
  std::vector<std::unique_ptr<EchoClient>> clients;
  for (std::size_t who = 0; who < 40; ++who) {
    clients.push_back(std::make_unique<EchoClient>(*hosts[who % 4], server_host.address(8000), who,
                                                   1 + sim.random().below(20'000)));
    sim.run_for(Duration(static_cast<std::int64_t>(sim.random().below(100'000))));
  }
  sim.run_for(10s);
  sim.heal();  // from here on everything has to come to an end
  for (SimHost* host : hosts) host->change_address("10.1.0." + host->name().substr(6));
  Outcome run;
  // A client that waits in silence never learns of a RST that was lost in a hole: only the server's kernel
  // keeps alive.
  EXPECT_TRUE(sim.run_until([&] { return server_host.open_sockets() == 0; }, 20min)) << "seed " << seed;
  sim.run_for(1s);
  for (const auto& client : clients) {
    client->check();
    ++(client->complete() ? run.complete : run.broken);
    client->give_up();
  }
  server.stop();
  sim.run_for(30min);
  EXPECT_EQ(sim.leftovers_text(), "") << "seed " << seed;
  EXPECT_EQ(sim.connections(), 0u) << "seed " << seed;
  run.hash = sim.trace_hash();
  return run;
}

TEST(SimSoak, nothing_is_crossed_lost_or_left_under_all_faults) {
  std::size_t complete = 0, broken = 0;
  for (std::uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    const Outcome run = soak(seed);
    complete += run.complete;
    broken += run.broken;
  }
  EXPECT_GT(complete, 300u);
  EXPECT_GT(broken, 100u);
}

TEST(SimSoak, the_same_seed_gives_the_same_run) {
  for (const std::uint64_t seed : {3, 8}) EXPECT_EQ(soak(seed).hash, soak(seed).hash);
  EXPECT_NE(soak(3).hash, soak(4).hash);
}

}  // namespace
}  // namespace rejoin::io
