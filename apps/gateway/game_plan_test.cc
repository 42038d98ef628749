#include "apps/gateway/game_plan.h"

#include <gtest/gtest.h>

#include <string>

namespace rejoin::gateway {
namespace {

Result<GamePlan> plan(const std::string& upstream, const std::string& before = {}) {
  SeededRandom random(1);
  const auto config = config::parse_config(
      before + "[gateway]\nname = \"g1\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n" + upstream, "f");
  if (!config) return config.error();
  return make_game_plan(*config, random);
}

TEST(GamePlan, an_echo_needs_nothing) {
  const auto made = plan("");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->rules.kind, upstream::GameKind::echo);
  EXPECT_FALSE(made->pool);
}

TEST(GamePlan, one_address_and_every_option_arrive) {
  const auto tcp = plan(
      R"(upstream = { kind = "tcp", address = "127.0.0.1:7000", connect_timeout = "1s", message_max = "2KiB", length_bytes = 2, endian = "little", counts_itself = true, proxy_protocol = "v2" })");
  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->rules.kind, upstream::GameKind::tcp);
  EXPECT_EQ(tcp->rules.address.text(), "127.0.0.1:7000");
  EXPECT_EQ(tcp->rules.connect_timeout, 1s);
  const proto::LengthFormat length{.message_max = 2048,
                                   .length = proto::LengthBytes::two,
                                   .endian = proto::Endian::little,
                                   .counts = proto::LengthCounts::payload_and_itself};
  EXPECT_EQ(tcp->rules.length, length);
  EXPECT_EQ(tcp->rules.proxy_protocol, upstream::ProxyProtocol::v2);
  EXPECT_FALSE(tcp->pool);
  const auto v1 = plan(R"(upstream = { kind = "tcp", address = "127.0.0.1:7000", proxy_protocol = "v1" })");
  ASSERT_TRUE(v1);
  EXPECT_EQ(v1->rules.proxy_protocol, upstream::ProxyProtocol::v1);
  EXPECT_EQ(v1->rules.length, proto::LengthFormat{});
  const auto ws = plan(
      R"(upstream = { kind = "ws", address = "127.0.0.1:7000", message_max = "2KiB", path = "/p", host = "h" })");
  ASSERT_TRUE(ws);
  EXPECT_EQ(ws->rules.kind, upstream::GameKind::ws);
  EXPECT_EQ(ws->rules.message_max, 2048u);
  EXPECT_EQ(ws->rules.path, "/p");
  EXPECT_EQ(ws->rules.host, "h");
}

TEST(GamePlan, a_pool_comes_with_its_servers_checks_and_timeout_and_without_affinities) {
  const auto made = plan(R"(upstream = { kind = "ws", pool = "arena" })", R"([[pool]]
name = "arena"
scheduler = "least-connections"
affinity = [ { kind = "source-ip" } ]
health = { kind = "http", path = "/up", host = "h", expect = 204, every = "5s", timeout = "2s", rise = 4, fall = 5 }
connect_timeout = "250ms"
retries = 1
server = [ { name = "a", address = "127.0.0.1:7000", weight = 3 }, { name = "b", address = "127.0.0.2:7000" } ]
)");
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->rules.address);
  EXPECT_EQ(made->rules.connect_timeout, 250ms);
  ASSERT_TRUE(made->pool);
  const route::RouteRules& rules = made->pool->rules;
  EXPECT_EQ(rules.name, "arena");
  EXPECT_EQ(rules.scheduler, route::SchedulerKind::least_connections);
  EXPECT_TRUE(rules.affinity.empty());
  EXPECT_EQ(rules.retries, 1u);
  EXPECT_EQ(rules.health.kind, route::HealthKind::http);
  EXPECT_EQ(rules.health.path, "/up");
  EXPECT_EQ(rules.health.host, "h");
  ASSERT_EQ(rules.health.expect.size(), 1u);
  EXPECT_EQ(rules.health.expect[0].first, 204);
  EXPECT_EQ(rules.health.expect[0].last, 204);
  EXPECT_EQ(rules.health.every, 5s);
  EXPECT_EQ(rules.health.timeout, 2s);
  EXPECT_EQ(rules.health.rise, 4);
  EXPECT_EQ(rules.health.fall, 5);
  ASSERT_EQ(rules.servers.size(), 2u);
  EXPECT_EQ(rules.servers[0].name, "a");
  EXPECT_EQ(rules.servers[0].weight, 3u);
  EXPECT_EQ(rules.servers[1].address.text(), "127.0.0.2:7000");
}

}  // namespace
}  // namespace rejoin::gateway
