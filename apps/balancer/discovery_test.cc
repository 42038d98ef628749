#include "apps/balancer/discovery.h"

#include <gtest/gtest.h>

#include <optional>

#include "io/sim_network.h"

namespace rejoin::balancer {
namespace {

using upstream::FoundServer;

FoundServer found(const std::string& ip, std::uint16_t port = 80, std::string host = {},
                  std::uint16_t weight = 1) {
  return {*Address::parse_ip(ip, port), std::move(host), weight};
}

config::Server entry(config::NameType type = config::NameType::a) {
  config::Server out;
  out.name = "g";
  out.resolve = "g.test";
  out.port = 80;
  out.type = type;
  return out;
}

config::Config file(std::vector<config::Server> servers) {
  config::Config out;
  out.pools.emplace_back();
  out.pools[0].name = "p";
  out.pools[0].servers = std::move(servers);
  return out;
}

std::vector<std::string> servers_of(const config::Config& config) {
  std::vector<std::string> out;
  for (const config::Server& it : config.pools.at(0).servers) {
    if (it.resolve.empty())
      out.push_back(it.name + '=' + it.address.text() + 'x' + std::to_string(it.weight));
  }
  return out;
}

using Names = std::vector<std::string>;

TEST(KnownNames, become_servers_that_are_called_by_their_addresses) {
  const config::Server a = entry();
  const config::Config config = file({a});
  EXPECT_EQ(servers_of(with_known_names(config, {})), Names());
  const KnownNames known{{query_of(a), {found("10.0.0.7"), found("10.0.0.9"), found("fd00::7")}}};
  EXPECT_EQ(servers_of(with_known_names(config, known)),
            (Names{"g-10.0.0.7=10.0.0.7:80x1", "g-10.0.0.9=10.0.0.9:80x1", "g-fd00__7=[fd00::7]:80x1"}));
  EXPECT_TRUE(with_known_names(config, known).pools[0].servers[0] == a) << "the entry itself stays";
}

TEST(KnownNames, of_srv_are_called_by_their_hosts) {
  const config::Server srv = entry(config::NameType::srv);
  const auto servers = [&](std::vector<FoundServer> it) {
    return servers_of(with_known_names(file({srv}), {{query_of(srv), std::move(it)}}));
  };
  EXPECT_EQ(servers({found("10.0.0.1", 81, "one.g.test", 5), found("10.0.0.2", 82, "two.g.test", 7)}),
            (Names{"g-one=10.0.0.1:81x5", "g-two=10.0.0.2:82x7"}));
  // Two addresses of one host, or two hosts that look alike: by address.
  EXPECT_EQ(servers({found("10.0.0.1", 81, "one.a"), found("10.0.0.2", 81, "one.b")}),
            (Names{"g-10.0.0.1=10.0.0.1:81x1", "g-10.0.0.2=10.0.0.2:81x1"}));
  // And two ports of one address: by both.
  EXPECT_EQ(servers({found("10.0.0.1", 81, "one.a"), found("10.0.0.1", 82, "one.b")}),
            (Names{"g-10.0.0.1-81=10.0.0.1:81x1", "g-10.0.0.1-82=10.0.0.1:82x1"}));
}

TEST(KnownNames, an_address_is_one_server) {
  config::Server fixed, a = entry(), other = entry();
  fixed.name = "fixed";
  fixed.address = *Address::parse_ip("10.0.0.7", 80);
  other.name = "h";
  other.resolve = "h.test";
  const KnownNames known{{query_of(a), {found("10.0.0.7"), found("10.0.0.9")}},
                         {query_of(other), {found("10.0.0.9"), found("10.0.0.8")}}};
  EXPECT_EQ(servers_of(with_known_names(file({fixed, a, other}), known)),
            (Names{"fixed=10.0.0.7:80x1", "g-10.0.0.9=10.0.0.9:80x1", "h-10.0.0.8=10.0.0.8:80x1"}));
}

/// Says what it is told.
struct ToldNames final : upstream::Names {
  Task<Result<upstream::NameAnswer>> look_up(upstream::NameQuery) override {
    ++asked;
    if (!answer) co_return Error{ErrorKind::unreachable, Side::server, Retry::yes, "nobody answers"};
    co_return *answer;
  }
  std::optional<upstream::NameAnswer> answer;
  int asked = 0;
};

struct Scene {
  Scene() {
    config.dns.ttl_min = 1s;
    config.dns.ttl_max = 60s;
    config.dns.retry = 5s;
    config.dns.keep_empty = 30s;
  }
  ~Scene() {
    stop.request();
    discovery.stop();
    EXPECT_TRUE(sim.run_until([&] { return discovery.idle(); }, 10s));
  }
  void begin() {
    Scope learning(host.world().ready);
    learning.spawn(discovery.learn(config));
    EXPECT_TRUE(sim.run_until([&] { return learning.running() == 0; }, 10s));
    discovery.follow(config, [this] { ++changes; });
  }
  void says(std::vector<FoundServer> servers, Duration ttl) { names.answer = {std::move(servers), ttl}; }
  std::size_t known() { return discovery.known().empty() ? 0 : discovery.known().begin()->second.size(); }

  io::Simulation sim{1};
  io::SimHost& host = sim.add_host({.name = "b", .addresses = {"10.0.0.1"}});
  config::Config config = file({entry()});
  ToldNames names;
  Stop stop;
  Discovery discovery{host.world(), &names, stop};
  int changes = 0;
};

TEST(Discovery, asks_again_when_the_ttl_is_over) {
  Scene scene;
  scene.says({found("10.0.0.7")}, 10s);
  scene.begin();
  EXPECT_EQ(std::pair(scene.names.asked, scene.changes), std::pair(1, 0));
  scene.sim.run_for(9s);
  EXPECT_EQ(scene.names.asked, 1);
  scene.sim.run_for(2s);
  EXPECT_EQ(std::pair(scene.names.asked, scene.changes), std::pair(2, 0))
      << "the same answer changes nothing";
  scene.says({found("10.0.0.7"), found("10.0.0.8")}, 10s);
  scene.sim.run_for(11s);
  EXPECT_EQ(std::pair(scene.changes, scene.known()), (std::pair<int, std::size_t>(1, 2)));
}

TEST(Discovery, heeds_floor_and_ceiling) {
  Scene scene;
  scene.says({found("10.0.0.7")}, 0s);
  scene.begin();
  scene.sim.run_for(Duration(10s) + 500ms);
  EXPECT_EQ(scene.names.asked, 11) << "once a second, not more often";
  scene.says({found("10.0.0.7")}, 24h);
  scene.sim.run_for(1s);
  const int before = scene.names.asked;
  scene.sim.run_for(61s);
  EXPECT_EQ(scene.names.asked, before + 1);
}

TEST(Discovery, a_failure_keeps_the_last_good_answer_however_long) {
  Scene scene;
  scene.says({found("10.0.0.7")}, 1s);
  scene.begin();
  scene.names.answer.reset();
  scene.sim.run_for(1h);
  EXPECT_EQ(std::pair(scene.changes, scene.known()), (std::pair<int, std::size_t>(0, 1)));
  EXPECT_NEAR(scene.names.asked, 3600 / 5, 5) << "as often as `retry` says";
}

TEST(Discovery, believes_an_empty_answer_after_a_while) {
  Scene scene;
  scene.says({found("10.0.0.7")}, 1s);
  scene.begin();
  scene.says({}, 0s);
  scene.sim.run_for(25s);
  EXPECT_EQ(scene.known(), 1u);
  scene.says({found("10.0.0.7")}, 1s);  // it was a mistake
  scene.sim.run_for(10s);
  scene.says({}, 0s);
  scene.sim.run_for(25s);
  EXPECT_EQ(std::pair(scene.changes, scene.known()), (std::pair<int, std::size_t>(0, 1)));
  scene.sim.run_for(10s);
  EXPECT_EQ(std::pair(scene.changes, scene.known()), (std::pair<int, std::size_t>(1, 0)));
}

TEST(Discovery, a_name_that_is_not_wanted_any_more_is_forgotten) {
  Scene scene;
  scene.says({found("10.0.0.7")}, 1s);
  scene.begin();
  scene.discovery.follow(file({}), [] {});
  const int before = scene.names.asked;
  scene.sim.run_for(10s);
  EXPECT_EQ(scene.names.asked, before);
  EXPECT_TRUE(scene.discovery.known().empty());
}

}  // namespace
}  // namespace rejoin::balancer
