// Dialling: one address or a pool, servers that refuse or are silent, and what is counted of them.
#include "upstream/connector.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

GameRules tcp(Duration connect_timeout = 3s) {
  GameRules rules;
  rules.kind = GameKind::tcp;
  rules.connect_timeout = connect_timeout;
  return rules;
}

SceneOptions pool_of(std::size_t servers, unsigned retries = 2) {
  SceneOptions options;
  options.pool = servers;
  options.retries = retries;
  return options;
}

bool logged(const GameScene& scene, std::string_view line) {
  const auto& lines = scene.gateway.log_lines();
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& one) { return one.find(line) != one.npos; });
}

TEST(Connector, one_address_that_refuses_ends_it) {
  GameScene scene(tcp());
  scene.server().stop();
  scene.start();
  EXPECT_EQ(scene.session.game->where(), "10.0.1.1:7000");
  scene.session.say("hello");
  ASSERT_TRUE(scene.until_ended());
  EXPECT_EQ(*scene.session.how, GameEnd::refused);
  EXPECT_EQ(to_string(scene.session.why).substr(0, 40), "refused (server): connect 10.0.1.1:7000:");
  EXPECT_EQ(scene.session.took, 0u);
  EXPECT_EQ(scene.connector->counts().failed, 1u);
  EXPECT_EQ(scene.connector->counts().opened, 0u);
  EXPECT_EQ(scene.connector->counts().ended[static_cast<std::size_t>(GameEnd::refused)], 1u);
  EXPECT_EQ(scene.connector->connections(), 0u);
}

TEST(Connector, one_address_that_is_silent_is_given_up_after_the_timeout) {
  GameScene scene(tcp(700ms));
  scene.sim.black_hole(scene.gateway, scene.server().host);
  const TimePoint before = scene.sim.now();
  scene.start();
  ASSERT_TRUE(scene.until_ended());
  EXPECT_EQ(scene.sim.now() - before, 700ms);
  EXPECT_EQ(*scene.session.how, GameEnd::refused);
  EXPECT_EQ(scene.session.why.kind, ErrorKind::timed_out);
}

TEST(Connector, a_dial_that_cannot_begin_ends_in_the_next_turn) {
  GameScene scene(tcp());
  scene.gateway.remove_address("10.0.0.1");
  scene.start();  // the scene fails when it is told inside the call
  EXPECT_FALSE(scene.session.ended());
  ASSERT_TRUE(scene.until_ended());
  EXPECT_EQ(*scene.session.how, GameEnd::refused);
  EXPECT_EQ(scene.session.why.kind, ErrorKind::unreachable);
}

TEST(Connector, the_next_server_of_a_pool_takes_whom_the_first_refuses) {
  GameScene scene(tcp(), pool_of(3));
  scene.server(0).stop();
  scene.server(1).stop();
  scene.start();
  scene.session.say("hello");
  ASSERT_TRUE(scene.until([&] { return scene.session.took == 1; }));
  EXPECT_EQ(scene.session.game->where(), "10.0.1.3:7000");
  EXPECT_EQ(scene.connector->counts().failed, 2u);
  EXPECT_EQ(scene.connector->counts().opened, 1u);
  EXPECT_EQ(scene.pool->pool->active(0), 0u);
  EXPECT_EQ(scene.pool->pool->active(1), 0u);
  EXPECT_EQ(scene.pool->pool->active(2), 1u) << "counted as long as it lives";
  scene.session.game->cancel();
  EXPECT_EQ(scene.pool->pool->active(2), 0u);
}

TEST(Connector, a_silent_server_costs_its_timeout_and_then_the_next_is_tried) {
  GameScene scene(tcp(500ms), pool_of(2));
  scene.sim.black_hole(scene.gateway, scene.server(0).host);
  const TimePoint before = scene.sim.now();
  scene.start();
  scene.session.say("hello");
  ASSERT_TRUE(scene.until([&] { return scene.session.took == 1; }));
  EXPECT_GE(scene.sim.now() - before, 500ms);
  EXPECT_LT(scene.sim.now() - before, 600ms);
}

TEST(Connector, no_more_servers_are_tried_than_retries_allow) {
  for (const unsigned retries : {0u, 1u, 2u}) {
    GameScene scene(tcp(), pool_of(4, retries));
    for (std::size_t i = 0; i < 3; ++i) scene.server(i).stop();
    scene.start();
    ASSERT_TRUE(scene.until_ended());
    EXPECT_EQ(*scene.session.how, GameEnd::refused);
    EXPECT_EQ(scene.session.why.kind, ErrorKind::refused);
    EXPECT_EQ(scene.connector->counts().failed, retries + 1);
  }
}

TEST(Connector, servers_that_are_down_are_not_dialled) {
  SceneOptions options = pool_of(2);
  options.health.kind = route::HealthKind::tcp;
  options.health.fall = 1;
  options.health.rise = 1;
  GameScene scene(tcp(), options);
  scene.server(0).stop();
  scene.connector->probe_servers();
  ASSERT_TRUE(scene.until([&] { return !scene.pool->pool->up(0); }));
  const std::uint64_t refused = scene.sim.counters().refused;
  scene.start();
  scene.session.say("hello");
  ASSERT_TRUE(scene.until([&] { return scene.session.took == 1; }));
  EXPECT_EQ(scene.session.game->where(), "10.0.1.2:7000");
  EXPECT_EQ(scene.sim.counters().refused, refused);

  scene.server(1).stop();
  ASSERT_TRUE(scene.until([&] { return !scene.pool->pool->up(1) && scene.session.ended(); }));
  scene.more_sessions.push_back(std::make_unique<Session>());
  Session& late = *scene.more_sessions.back();
  late.game = scene.connector->make(late);
  late.call([&] { late.game->start(scene.player); });
  EXPECT_EQ(late.game->where(), "-");
  ASSERT_TRUE(scene.until([&] { return late.ended(); }));
  EXPECT_EQ(*late.how, GameEnd::refused);
  EXPECT_EQ(to_string(late.why), "unreachable (server): no game server is up");

  scene.server(1).listen();
  ASSERT_TRUE(scene.until([&] { return scene.pool->pool->up(1); })) << "the probes go on";
}

TEST(Connector, players_who_are_refused_take_a_server_down_as_probes_do) {
  SceneOptions options = pool_of(2);
  options.health.kind = route::HealthKind::tcp;
  options.health.fall = 3;
  GameScene scene(tcp(), options);
  scene.server(0).stop();
  scene.start();
  ASSERT_TRUE(scene.until([&] { return scene.server(1).met(); }));
  EXPECT_FALSE(scene.pool->pool->up(0)) << "on probation the first result decides";
  EXPECT_TRUE(logged(scene, "warn: server arena/a is down: refused (server)"));
}

TEST(Connector, players_are_spread_by_the_pools_scheduler) {
  GameScene scene(tcp(), pool_of(3));
  scene.start();
  for (int i = 0; i < 5; ++i) {
    scene.more_sessions.push_back(std::make_unique<Session>());
    Session& one = *scene.more_sessions.back();
    one.game = scene.connector->make(one);
    one.call([&] { one.game->start(scene.player); });
  }
  scene.settle();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(scene.server(i).players.ends.size(), 2u);
    EXPECT_EQ(scene.pool->pool->active(static_cast<route::ServerIndex>(i)), 2u);
  }
  EXPECT_EQ(scene.connector->connections(), 6u);
  scene.more_sessions.clear();
  EXPECT_EQ(scene.connector->connections(), 1u);
}

TEST(Connector, without_a_descriptor_it_waits_for_one_as_long_as_for_a_server) {
  for (const bool freed : {true, false}) {
    GameScene scene(tcp(2s));
    scene.gateway.set_descriptors_max(0);
    const TimePoint before = scene.sim.now();
    scene.start();
    scene.session.say("hello");
    scene.sim.run_for(1s);
    EXPECT_FALSE(scene.session.ended());
    if (freed) scene.gateway.set_descriptors_max(10);
    ASSERT_TRUE(scene.until([&] { return scene.session.ended() || scene.session.took == 1; }));
    EXPECT_EQ(scene.session.end_text(), freed ? "lives" : "refused");
    if (freed) continue;
    EXPECT_EQ(scene.session.why.kind, ErrorKind::exhausted);
    EXPECT_LE(scene.sim.now() - before, 2200ms);
  }
}

TEST(Connector, finish_while_it_waits_for_a_descriptor_is_bounded_too) {
  GameScene scene(tcp(1min));
  scene.gateway.set_descriptors_max(0);
  scene.start();
  scene.session.say("hello");
  scene.session.finish();
  const TimePoint before = scene.sim.now();
  ASSERT_TRUE(scene.until_ended());
  EXPECT_EQ(scene.sim.now() - before, limits::kGameCloseS);
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
}

}  // namespace
}  // namespace rejoin::upstream
