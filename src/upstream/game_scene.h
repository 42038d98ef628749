// For tests: a gateway's Connector and game servers on a simulated network. A game server hears bytes and
// says bytes; what they mean is the test's business, so that it may be as bad as it likes.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/network_contract.h"
#include "io/sim_network.h"
#include "upstream/connector.h"

namespace rejoin::upstream {

/// A session's side: remembers what it was told, and checks that nothing comes after the end.
class Session final : public GameEvents {
 public:
  struct Said {
    std::string bytes;
    MessageKind kind;
    bool operator==(const Said&) const = default;
  };

  void game_said(const Message& message) override {
    EXPECT_FALSE(how) << "said after the end";
    EXPECT_TRUE(reading) << "said though it is not read";
    said.push_back({std::string(message.bytes), message.kind});
    if (on_said) on_said();
    EXPECT_EQ(said.back().bytes, message.bytes) << "what was lent changed during the call";
  }
  void game_took(std::size_t count) override {
    EXPECT_FALSE(how) << "took after the end";
    EXPECT_GT(count, 0u);
    took += count;
    if (on_took) on_took();
  }
  void game_ended(GameEnd end, const Error& error) override {
    EXPECT_FALSE(how) << "ended twice";
    EXPECT_FALSE(inside) << "ended inside a call";
    how = end;
    why = error;
    game.reset();
  }

  // --- what the session does ---
  void say(Bytes bytes, MessageKind kind = MessageKind::binary) {
    call([&] { game->say({bytes, kind}); });
  }
  void set_reading(bool on) {
    reading = on;
    call([&] { game->set_reading(on); });
  }
  void finish() {
    call([&] { game->finish(); });
  }
  void call(const std::function<void()>& act) {
    const bool before = std::exchange(inside, true);
    act();
    inside = before;
  }
  bool ended() const { return how.has_value(); }
  std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (const Said& one : said) out.push_back(one.bytes);
    return out;
  }
  std::string end_text() const { return how ? std::string(to_string(*how)) : "lives"; }

  GamePtr game;
  std::vector<Said> said;
  std::size_t took = 0;
  std::optional<GameEnd> how;
  Error why;
  bool reading = true;
  bool inside = false;
  std::function<void()> on_said, on_took;
};

/// One game server: its end of each connection.
class GameServer {
 public:
  explicit GameServer(io::SimHost& at) : host(at) { listen(); }
  void listen() {
    players.accepted = [this](io::contract::End& end) {
      if (!reads) return;
      end.told = [this, &end] {
        if (!end.socket) return;
        last = end.drain();
        if (on_heard) on_heard(end);
      };
      end.told();
    };
    auto made = host.network().listen(host.address(7000), {}, players);
    ASSERT_TRUE(made);
    listener = std::move(*made);
  }
  void stop() {
    listener.reset();
    players.ends.clear();
  }
  bool met() const { return !players.ends.empty(); }
  io::contract::End& player() { return *players.ends.back(); }
  const std::string& heard() { return player().received; }
  /// Says all of it; the simulated socket is large enough.
  void say(Bytes bytes) { EXPECT_EQ(player().write(bytes).taken, bytes.size()); }
  bool heard_fin() const { return last == io::ReadResult::State::ended; }
  bool heard_reset() const { return last == io::ReadResult::State::failed; }

  io::SimHost& host;
  bool reads = true;
  std::function<void(io::contract::End&)> on_heard;
  io::ReadResult::State last = io::ReadResult::State::would_block;
  io::contract::Acceptor players;
  std::unique_ptr<io::Listener> listener;
};

struct SceneOptions {
  std::uint64_t seed = 1;
  io::LinkOptions link = {};
  std::size_t buffer_bytes = 64 * 1024;  // of every socket, each way
  std::size_t pool = 0;                  // servers of a pool; 0: one server by its address
  unsigned retries = 2;
  route::HealthRules health = {};
};

/// One gateway's worker, one session, and game servers "a", "b", ... on port 7000.
class GameScene {
 public:
  static constexpr std::size_t kServersMax = 4;

  explicit GameScene(GameRules given, SceneOptions with = {})
      : options(with), sim(with.seed, with.link), gateway(sim.add_host(host_options("gateway", "10.0.0.1"))) {
    if (std::getenv("REJOIN_TRACE") != nullptr) sim.trace_to(&std::cerr);  // lint-ok: for tests
    rules = std::move(given);
    for (std::size_t i = 0; i < std::max<std::size_t>(1, with.pool); ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      auto& host = sim.add_host(host_options(name, "10.0.1." + std::to_string(i + 1)));
      servers.push_back(std::make_unique<GameServer>(host));
    }
    if (with.pool != 0) {
      make_pool();
    } else if (rules.kind != GameKind::echo) {
      rules.address = server().host.address(7000);
    }
    connector = std::make_unique<Connector>(gateway.world(), rules, "g1", pool.get());
    player.client = *Address::parse("10.1.0.2:41000");
    player.local = *Address::parse("10.0.0.1:8000");
    player.session = "s-1";
    session.game = connector->make(session);
  }

  /// Ends all of it, and looks whether anything is left behind.
  ~GameScene() {
    session.game.reset();
    more_sessions.clear();
    connector->stop();
    EXPECT_TRUE(sim.run_until([&] { return connector->idle(); }));
    EXPECT_TRUE(gateway.leftovers().none()) << gateway.leftovers().text();
    if (pool) {
      for (std::size_t i = 0; i < options.pool; ++i)
        EXPECT_EQ(pool->pool->active(static_cast<route::ServerIndex>(i)), 0u) << "server " << i;
    }
    connector.reset();
    for (auto& one : servers) one->stop();
    sim.heal();
    sim.run_for(1s);
    EXPECT_EQ(sim.leftovers_text(), "");
  }

  GameServer& server(std::size_t index = 0) { return *servers[index]; }
  void start() {
    session.call([&] { session.game->start(player); });
  }
  /// Until the first server has met the player.
  bool open() {
    start();
    return until([&] { return server().met(); });
  }
  bool until(const std::function<bool()>& done, Duration at_most = 20s) {
    return sim.run_until(
        [&] {
          if (always) always();
          return done();
        },
        at_most);
  }
  /// Everything that is on its way arrives.
  void settle() { sim.run_for(50ms); }
  bool until_ended(Duration at_most = 20s) {
    return until([&] { return session.ended(); }, at_most);
  }

  SceneOptions options;
  io::Simulation sim;
  io::SimHost& gateway;
  GameRules rules;
  std::unique_ptr<route::SharedRoute> pool;
  std::vector<std::unique_ptr<GameServer>> servers;
  std::unique_ptr<Connector> connector;
  Player player;
  Session session;
  std::vector<std::unique_ptr<Session>> more_sessions;
  std::function<void()> always;  // looked at after each step

 private:
  io::HostOptions host_options(std::string name, std::string ip) const {
    io::HostOptions out;
    out.name = std::move(name);
    out.addresses = {std::move(ip)};
    out.send_buffer_bytes = out.receive_buffer_bytes = options.buffer_bytes;
    return out;
  }
  void make_pool() {
    route::RouteRules route;
    route.name = "arena";
    for (const auto& one : servers) route.servers.push_back({one->host.name(), one->host.address(7000), 1});
    route.retries = options.retries;
    route.health = options.health;
    auto made = route::SharedRoute::make(std::move(route), sim.random());
    ASSERT_TRUE(made);
    pool = std::move(*made);
  }
};

/// Bytes that can be told apart wherever they are cut.
inline std::string text_of_size(std::size_t bytes, std::size_t which = 0) {
  std::string out(bytes, 0);
  for (std::size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<char>('a' + (which * 7 + i * (i / 26 % 25 + 1)) % 26);
  return out;
}

}  // namespace rejoin::upstream
