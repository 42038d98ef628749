#include "upstream/prober.h"

#include <gtest/gtest.h>

#include "io/network_contract.h"
#include "io/sim_network.h"
#include "route/health.h"

namespace rejoin::upstream {
namespace {

/// A server that answers each connection with a fixed text, when it has heard something.
struct Answering final : io::AcceptEvents {
  void on_accept(io::Socket socket, const Address&) override {
    ends.push_back(std::make_unique<io::contract::End>(std::move(socket)));
    io::contract::End& end = *ends.back();
    end.told = [this, &end] {
      end.drain();
      if (!end.received.empty() && !answer.empty()) end.write(answer);
    };
    if (end.socket.may_read()) end.told();
  }
  std::string answer;
  std::vector<std::unique_ptr<io::contract::End>> ends;
};

struct Probing : testing::Test {
  /// The detail of one probe's failure; "well" when there is none.
  std::string probe_once(route::HealthKind kind) {
    route::HealthRules rules;
    rules.kind = kind;
    rules.path = "/healthz";
    rules.timeout = 1s;
    Stop stop;
    Scope scope(prober.world().ready);
    std::string outcome;
    scope.spawn(note(prober.world(), rules, server.address(8000), stop, outcome));
    EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }, 10s));
    return outcome;
  }
  static Task<void> note(io::World& world, route::HealthRules rules, Address to, Stop& stop,
                         std::string& outcome) {
    Status well = co_await probe(world, rules, to, stop);
    outcome = well ? "well" : to_string(well.error());
  }
  void listen() { listener = std::move(*server.network().listen(server.address(8000), {}, answering)); }
  void TearDown() override {
    answering.ends.clear();
    listener.reset();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }

  io::Simulation sim{1};
  io::SimHost& prober = sim.add_host({.name = "prober", .addresses = {"10.0.0.1"}});
  io::SimHost& server = sim.add_host({.name = "server", .addresses = {"10.0.0.2"}});
  Answering answering;
  std::unique_ptr<io::Listener> listener;
};

TEST_F(Probing, http_compares_the_status) {
  listen();
  const struct {
    const char* answer;
    const char* outcome;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "well"},
      {"HTTP/1.0 200 OK\r\n\r\n", "well"},
      {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
       "bad input (server): status 503, expected 200"},
      {"HTTP/1.1 503 Service Unavailable\r\nRejoin-State: draining\r\nContent-Length: 0\r\n\r\n", "well"},
      {"HTTP/1.1 500 Internal Server Error\r\nRejoin-State: draining\r\nContent-Length: 0\r\n\r\n",
       "bad input (server): status 500, expected 200"},
      {"HTTP/1.1 503 Service Unavailable\r\nRejoin-State: other\r\nContent-Length: 0\r\n\r\n",
       "bad input (server): status 503, expected 200"},
      {"SSH-2.0-OpenSSH\r\n", "bad input (server)"},
      {"", "timed out (server)"},
  };
  for (const auto& one : cases) {
    answering.answer = one.answer;
    const std::string outcome = probe_once(route::HealthKind::http);
    EXPECT_EQ(outcome.substr(0, std::string(one.outcome).size()), one.outcome) << one.answer;
  }
  EXPECT_NE(answering.ends[0]->received.find("GET /healthz HTTP/1.1\r\nHost: 10.0.0.2:8000\r\n"),
            std::string::npos);
}

TEST_F(Probing, tcp_asks_only_for_a_connection) {
  EXPECT_EQ(probe_once(route::HealthKind::tcp).substr(0, 16), "refused (server)");
  listen();
  EXPECT_EQ(probe_once(route::HealthKind::tcp), "well");
}

TEST_F(Probing, a_server_that_cannot_be_reached_is_ill_after_the_timeout) {
  listen();
  sim.black_hole(prober, server);
  EXPECT_EQ(probe_once(route::HealthKind::http).substr(0, 18), "timed out (server)");
  sim.reopen(prober, server);
}

TEST_F(Probing, a_servers_health_follows_its_answers_with_rise_and_fall) {
  listen();
  route::HealthRules rules;
  rules.kind = route::HealthKind::http;
  rules.path = "/";
  rules.every = 2s;
  auto pool = std::move(*route::Pool::make("p", {{"s", server.address(8000), 1}}, rules));
  std::vector<route::HealthChange> changes;
  Stop stop;
  Scope scope(prober.world().ready);
  answering.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  scope.spawn(probe_for_ever(
      prober.world(), *pool, 0,
      [&changes](route::ServerIndex, route::HealthChange change) { changes.push_back(change); }, stop));
  sim.run_for(10s);
  EXPECT_TRUE(pool->up(0));
  EXPECT_TRUE(changes.empty());
  answering.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(sim.run_until([&] { return !pool->up(0); }, 20s));
  answering.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(sim.run_until([&] { return pool->up(0); }, 20s));
  EXPECT_EQ(changes, (std::vector{route::HealthChange::went_down, route::HealthChange::went_up}));
  stop.request();
  EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }));
}

TEST_F(Probing, a_server_that_drains_stays_up_for_those_who_belong_to_it) {
  listen();
  route::HealthRules rules;
  rules.kind = route::HealthKind::http;
  rules.path = "/";
  rules.every = 2s;
  auto pool = std::move(*route::Pool::make("p", {{"s", server.address(8000), 1}}, rules));
  Stop stop;
  Scope scope(prober.world().ready);
  answering.answer = "HTTP/1.1 503 No\r\nRejoin-State: draining\r\nContent-Length: 0\r\n\r\n";
  scope.spawn(probe_for_ever(prober.world(), *pool, 0, nullptr, stop));
  ASSERT_TRUE(sim.run_until([&] { return pool->draining(0); }, 5s));
  sim.run_for(20s);
  EXPECT_TRUE(pool->takes_pinned(0, prober.world().clock.now()));
  EXPECT_FALSE(pool->takes_new(0, prober.world().clock.now()));
  answering.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(sim.run_until([&] { return pool->takes_new(0, prober.world().clock.now()); }, 5s));
  stop.request();
  EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }));
}

TEST_F(Probing, a_server_asks_for_a_share_of_its_weight_and_may_be_well_by_several_statuses) {
  listen();
  route::HealthRules rules;
  rules.kind = route::HealthKind::http;
  rules.path = "/";
  rules.every = 2s;
  rules.expect = {{200, 299}, {418, 418}};
  auto pool = std::move(*route::Pool::make("p", {{"s", server.address(8000), 4}}, rules));
  Stop stop;
  Scope scope(prober.world().ready);
  scope.spawn(probe_for_ever(prober.world(), *pool, 0, nullptr, stop));
  const struct {
    const char* answer;
    int share;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nRejoin-Weight: 50%\r\n\r\n", 50},
      {"HTTP/1.1 418 Teapot\r\nrejoin-weight: 0\r\n\r\n", 0},
      {"HTTP/1.1 204 No Content\r\n\r\n", 100},
      {"HTTP/1.1 204 No Content\r\nRejoin-Weight: 7\r\n\r\n", 7},
      {"HTTP/1.1 204 No Content\r\nRejoin-Weight: much\r\n\r\n", 100},
  };
  for (const auto& one : cases) {
    answering.answer = one.answer;
    EXPECT_TRUE(sim.run_until([&] { return pool->share_percent(0) == one.share; }, 10s)) << one.answer;
    EXPECT_TRUE(pool->up(0));
    EXPECT_EQ(pool->steady_weight(0), 4 * route::Pool::kWeightUnits / 100 * static_cast<unsigned>(one.share));
  }
  stop.request();
  EXPECT_TRUE(sim.run_until([&] { return scope.running() == 0; }));
}

}  // namespace
}  // namespace rejoin::upstream
