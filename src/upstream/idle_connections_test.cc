#include "upstream/idle_connections.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "io/network_contract.h"
#include "io/sim_network.h"

namespace rejoin::upstream {
namespace {

struct Kept : testing::Test {
  /// An open connection to the server, and the server's end of it.
  io::Socket connect() {
    const std::size_t before = servers.ends.size();
    auto socket = proxy.network().connect(server.address(8000), {});
    EXPECT_TRUE(sim.run_until([&] { return servers.ends.size() == before + 1; }));
    sim.run_for(10ms);
    return std::move(*socket);
  }
  void TearDown() override {
    idle.reset();
    servers.ends.clear();
    listener.reset();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }

  io::Simulation sim{1};
  io::SimHost& proxy = sim.add_host({.name = "proxy", .addresses = {"10.0.0.1"}});
  io::SimHost& server = sim.add_host({.name = "server", .addresses = {"10.0.0.2"}});
  io::contract::Acceptor servers;
  std::unique_ptr<io::Listener> listener =
      std::move(*server.network().listen(server.address(8000), {}, servers));
  std::unique_ptr<IdleConnections> idle = std::make_unique<IdleConnections>(proxy.world(), 2, 30s);
};

TEST_F(Kept, gives_back_the_one_used_last_of_the_server_that_is_asked_for) {
  io::Socket first = connect(), second = connect();
  const std::uint32_t last = second.id();
  idle->put(0, std::move(first));
  idle->put(0, std::move(second));
  EXPECT_FALSE(idle->take(1));
  io::Socket taken = idle->take(0);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken.id(), last);
  EXPECT_EQ(idle->size(), 1u);
}

TEST_F(Kept, forgets_what_its_server_closed_reset_or_wrote_on) {
  for (int i = 0; i < 3; ++i) idle->put(0, connect());
  ASSERT_EQ(idle->size(), 3u);
  servers.ends[0]->close();
  servers.ends[1]->socket.reset();
  servers.ends[2]->write("HTTP/1.1 408 Request Timeout\r\n\r\n");
  EXPECT_TRUE(sim.run_until([&] { return idle->size() == 0; }));
  EXPECT_FALSE(idle->take(0));
}

TEST_F(Kept, takes_none_that_is_closed_or_spoken_on_already) {
  io::Socket closed = connect(), spoken = connect();
  servers.ends[0]->close();
  servers.ends[1]->write("x");
  sim.run_for(1s);
  idle->put(0, std::move(closed));
  idle->put(0, std::move(spoken));
  EXPECT_EQ(idle->size(), 0u);
}

TEST_F(Kept, keeps_each_for_its_time_only) {
  idle->put(0, connect());
  sim.run_for(29s);
  EXPECT_EQ(idle->size(), 1u);
  sim.run_for(2s);
  EXPECT_EQ(idle->size(), 0u);
  EXPECT_TRUE(sim.run_until([&] { return servers.ends[0]->drain() == io::ReadResult::State::ended; }));
}

TEST_F(Kept, gives_only_what_was_used_lately_to_who_asks_for_that) {
  idle->put(0, connect());
  sim.run_for(1s);
  EXPECT_FALSE(idle->take(0, 900ms));
  EXPECT_EQ(idle->size(), 1u) << "it is still good for others";
  EXPECT_TRUE(idle->take(0, 2s));
}

TEST_F(Kept, keeps_none_longer_than_its_server_has_said) {
  idle->put(0, connect(), 5s);
  idle->put(0, connect(), 0s);
  idle->put(0, connect(), -1s);
  EXPECT_EQ(idle->size(), 1u);
  sim.run_for(4s);
  EXPECT_EQ(idle->size(), 1u);
  sim.run_for(2s);
  EXPECT_EQ(idle->size(), 0u);
}

TEST_F(Kept, keeps_as_many_as_it_is_told) {
  for (const std::size_t most : {std::size_t{0}, std::size_t{2}}) {
    IdleConnections few(proxy.world(), 1, 30s, most);
    for (int i = 0; i < 4; ++i) few.put(0, connect());
    EXPECT_EQ(few.size(), most);
  }
}

TEST_F(Kept, keeps_no_more_than_the_limit_and_closes_a_servers_on_demand) {
  for (std::size_t i = 0; i < limits::kIdlePerServerMax + 3; ++i) idle->put(0, connect());
  idle->put(1, connect());
  EXPECT_EQ(idle->size(), limits::kIdlePerServerMax + 1);
  idle->close(0);
  EXPECT_EQ(idle->size(), 1u);
  EXPECT_TRUE(idle->take(1));
}

}  // namespace
}  // namespace rejoin::upstream
