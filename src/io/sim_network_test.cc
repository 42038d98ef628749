// The simulated network keeps the promises of network.h, in a calm world and under faults that no program may
// feel.
#include "io/sim_network.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "io/network_hosts.h"
#include "io/sim_scenario.h"
#include "io/stream.h"

namespace rejoin::io {
namespace {

NetworkMaker rough(std::uint64_t seed) {
  return {"rough" + std::to_string(seed),
          [seed] { return std::make_unique<SimHosts>(seed, Faults::harmless(), rough_buffers(seed)); }};
}

const NetworkMaker kCalm{"calm", [] { return std::make_unique<SimHosts>(); }};
INSTANTIATE_TEST_SUITE_P(Sim, NetworkContract,
                         testing::Values(kCalm, rough(1), rough(2), rough(3), rough(4)));

// --- what the simulation itself promises ---

using scenario::EchoClient;
using scenario::EchoServer;

TEST(Simulation, nothing_happens_in_an_empty_world) {
  Simulation sim(1);
  SimHost& host = sim.add_host({.name = "host", .addresses = {"10.0.0.1"}});
  EXPECT_FALSE(sim.step());
  const TimePoint before = sim.now();
  sim.run_for(10s);
  EXPECT_EQ(sim.now(), before + 10s);
  EXPECT_EQ(host.world().clock.now(), sim.now());
  EXPECT_FALSE(sim.run_until([] { return false; }));
  EXPECT_EQ(host.turns(), 0u);
  EXPECT_EQ(sim.leftovers_text(), "");
}

Task<void> note_when(World& world, TimePoint when, Stop& stop, std::vector<TimePoint>& out) {
  const Woken why = co_await sleep_until(world, when, stop);
  if (why == Woken::timed_out) out.push_back(world.clock.now());
}

TEST(Simulation, timers_and_coroutines_run_on_simulated_time) {
  Simulation sim(1);
  World& world = sim.add_host({.name = "host", .addresses = {"10.0.0.1"}}).world();
  Stop stop;
  Scope scope(world.ready);
  std::vector<TimePoint> woken;
  const TimePoint start = sim.now();
  for (const Duration after : {Duration(3h), Duration(5ms), Duration(90s)}) {
    scope.spawn(note_when(world, start + after, stop, woken));
  }
  EXPECT_EQ(sim.leftovers().size(), 1u) << "ready coroutines count";
  sim.run_for(4h);
  EXPECT_EQ(woken, (std::vector<TimePoint>{start + 5ms, start + 90s, start + 3h}));
  EXPECT_EQ(scope.running(), 0u);
  EXPECT_LT(sim.counters().turns, 60u) << "it sleeps in between";
}

TEST(Simulation, acts_at_a_moment) {
  Simulation sim(1);
  std::vector<int> order;
  sim.at(sim.now() + 2s, [&] { order.push_back(2); });
  sim.at(sim.now() + 1s, [&] { order.push_back(1); });
  EXPECT_TRUE(sim.run_until([&] { return order.size() == 2; }));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(Simulation, hosts_have_dates_of_their_own) {
  Simulation sim(1);
  SimHost& right = sim.add_host({.name = "right"});
  SimHost& wrong = sim.add_host({.name = "wrong", .unix_skew_s = -3600});
  EXPECT_EQ(right.world().clock.unix_now() - wrong.world().clock.unix_now(), 3600);
  const UnixSeconds before = right.world().clock.unix_now();
  sim.run_for(10s);
  EXPECT_EQ(right.world().clock.unix_now(), before + 10);
}

TEST(Simulation, latency_and_bandwidth_take_their_time) {
  Simulation sim(1, {.latency = 50ms, .bytes_per_second = 100'000});
  SimHost& server_host = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
  SimHost& client_host = sim.add_host({.name = "client", .addresses = {"10.0.0.2"}});
  EchoServer server(server_host, 1);
  const TimePoint start = sim.now();
  EchoClient client(client_host, server_host.address(1), 0, 50'000);
  ASSERT_TRUE(sim.run_until([&] { return client.talk->sent != 0; }));
  EXPECT_NEAR(static_cast<double>((sim.now() - start).count()), 100'000, 2'000) << "one round trip to open";
  ASSERT_TRUE(sim.run_until([&] { return client.over(); }));
  EXPECT_TRUE(client.complete());
  const auto seconds = static_cast<double>((sim.now() - start).count()) / 1e6;
  EXPECT_GT(seconds, 0.7) << "half a second of bytes, and two round trips";
  EXPECT_LT(seconds, 1.3) << "both ways at once";
  server.stop();
}

TEST(Simulation, two_workers_share_an_address_and_the_seed_spreads) {
  Simulation sim(5);
  SimHost& one = sim.add_host({.name = "worker 0", .addresses = {"10.0.0.1"}});
  SimHost& two = sim.add_host({.name = "worker 1", .beside = &one});
  SimHost& clients_host = sim.add_host({.name = "clients", .addresses = {"10.0.0.2"}});
  EchoServer first(one, 80), second(two, 80);
  std::vector<std::unique_ptr<EchoClient>> clients;
  for (std::size_t i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<EchoClient>(clients_host, one.address(80), i, 10));
  }
  ASSERT_TRUE(sim.run_until([&] {
    return std::all_of(clients.begin(), clients.end(), [](const auto& client) { return client->complete(); });
  }));
  EXPECT_GT(first.accepted, 60u);
  EXPECT_GT(second.accepted, 60u);
  EXPECT_EQ(first.accepted + second.accepted, 200u);
  one.crash(Crash::power_loss);
  EXPECT_TRUE(two.crashed()) << "one machine, one plug";
  first.stop();
  second.stop();
}

TEST(Simulation, says_what_is_left) {
  Simulation sim(1);
  SimHost& host = sim.add_host({.name = "g1", .addresses = {"10.0.0.1"}});
  SimHost& other = sim.add_host({.name = "other", .addresses = {"10.0.0.2"}});
  {
    EchoServer server(host, 1);
    auto dialled = other.network().connect(host.address(1), {});
    ASSERT_TRUE(dialled);
    sim.run_for(1s);
    dialled->write("left unread");
    host.pause();
    sim.run_for(1s);
    Buffer buffer = host.world().buffers.borrow();
    Timer timer([](void*) {}, nullptr);
    host.world().timers.arm(timer, sim.now() + 1h);
    EXPECT_EQ(sim.leftovers_text(),
              "g1: 1 sockets, 1 listeners, 1 timers, 1 buffers, 11 unread bytes\nother: 1 sockets");
    EXPECT_EQ(sim.connections(), 1u);
  }
  EXPECT_EQ(sim.leftovers_text(), "");
  sim.run_for(5min);
  EXPECT_EQ(sim.connections(), 0u);
}

TEST(Simulation, a_pause_for_want_of_descriptors_is_said_and_does_not_spin) {
  Simulation sim(1);
  SimHost& host = sim.add_host({.name = "host", .addresses = {"10.0.0.1"}, .descriptors_max = 3});
  SimHost& other = sim.add_host({.name = "other", .addresses = {"10.0.0.2"}});
  EchoServer server(host, 1);
  std::vector<Socket> dialled;
  for (int i = 0; i < 10; ++i) dialled.push_back(std::move(*other.network().connect(host.address(1), {})));
  sim.run_for(10s);
  EXPECT_EQ(server.accepted, 2u);
  EXPECT_GE(sim.counters().accept_pauses, 1u);
  EXPECT_LE(host.log_lines().size(), 11u) << "once a second at most, not at every try";
  EXPECT_LT(host.turns(), 220u) << "ten tries a second";
  dialled.clear();
  server.stop();
}

std::string kept;  // what a careless owner keeps of lent bytes

TEST(SimulationDeathTest, lent_bytes_are_spoiled_when_the_loan_ends) {
  struct Careless final : AcceptEvents, SocketEvents {
    void on_accept(Socket given, const Address&) override {
      socket = std::move(given);
      socket.set_events(this);
      socket.read();
    }
    void on_ready(Ready) override {
      const ReadResult got = socket.read();
      if (got.got()) loan = got.view();
    }
    Socket socket;
    Bytes loan;
  };
  Simulation sim(1);
  SimHost& host = sim.add_host({.name = "host", .addresses = {"10.0.0.1"}});
  SimHost& other = sim.add_host({.name = "other", .addresses = {"10.0.0.2"}});
  Careless careless;
  auto listener = host.network().listen(host.address(1), {}, careless);
  auto dialled = other.network().connect(host.address(1), {});
  sim.run_for(1s);
  dialled->write("secret");
  sim.run_for(1s);
  ASSERT_EQ(careless.loan.size(), 6u);
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_DEATH(kept = careless.loan, "poison");
#else
  kept = careless.loan;
  EXPECT_NE(kept, "secret");
#endif
}

}  // namespace
}  // namespace rejoin::io
