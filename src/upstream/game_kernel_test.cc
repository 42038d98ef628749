// Game servers' connections on the kernel's loopback: that what holds in the simulation holds there.
#include <gtest/gtest.h>

#include "io/epoll_loop.h"
#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

using namespace std::string_literals;

/// A gateway's Connector, and game servers on the same loop.
struct GameOnTheKernel : testing::Test {
  GameOnTheKernel() {
    acceptor.accepted = [this](io::contract::End& end) {
      if (echoes) {
        echo = std::make_unique<io::contract::Echo>(end);
        return;
      }
      end.told = [this, &end] {
        if (end.socket) last = end.drain();
      };
      end.told();
    };
    listener = std::move(*loop->listen(*Address::parse("127.0.0.1:0"), {}, acceptor));
    rules.kind = GameKind::tcp;
    rules.address = listener->address();
  }
  void start() {
    connector = std::make_unique<Connector>(world, rules, "g1", pool.get());
    player.client = *Address::parse("127.0.0.5:41000");
    player.local = *Address::parse("127.0.0.1:8000");
    player.session = "s-1";
    session.game = connector->make(session);
    session.call([&] { session.game->start(player); });
  }
  ~GameOnTheKernel() override {
    session.game.reset();
    connector.reset();
    acceptor.ends.clear();
    listener.reset();
    EXPECT_EQ(loop->open_sockets(), 0u);
    EXPECT_EQ(world.buffers.lent(), 0u);
    EXPECT_EQ(world.timers.armed(), 0u);
  }
  bool until(const std::function<bool()>& done, Duration at_most = 10s) {
    const TimePoint deadline = SystemClock().now() + at_most;
    while (!done()) {
      if (SystemClock().now() > deadline) return false;
      loop->turn(2ms);
    }
    return true;
  }

  NullLog log;
  SystemRandom random;
  std::unique_ptr<io::EpollLoop> loop = std::move(*io::EpollLoop::make(log));
  io::World world = loop->world(random, log);
  bool echoes = false;
  io::contract::Acceptor acceptor;
  std::unique_ptr<io::contract::Echo> echo;
  io::ReadResult::State last = io::ReadResult::State::would_block;
  std::unique_ptr<io::Listener> listener;
  GameRules rules;
  std::unique_ptr<route::SharedRoute> pool;
  std::unique_ptr<Connector> connector;
  Player player;
  Session session;
};

TEST_F(GameOnTheKernel, megabytes_come_back_through_pauses_and_each_message_is_counted) {
  echoes = true;
  start();
  std::vector<std::string> said;
  for (std::size_t i = 0; i < 300; ++i) {
    said.push_back(text_of_size(i % 7 == 0 ? 90'000 : i * 11 % 3000, i));
    session.say(said.back());
  }
  EXPECT_GT(session.game->unsent_bytes(), 1'000'000u);
  session.on_said = [&] {
    if (session.said.size() % 10 == 0) session.set_reading(false);
  };
  int pauses = 0;
  ASSERT_TRUE(until([&] {
    if (!session.reading) {
      ++pauses;
      session.set_reading(true);
    }
    return session.said.size() == said.size();
  }));
  EXPECT_EQ(session.texts(), said);
  EXPECT_EQ(session.took, said.size());
  EXPECT_GT(pauses, 10);
}

TEST_F(GameOnTheKernel, finish_says_fin_and_the_game_servers_ends_it) {
  start();
  session.say("bye");
  session.finish();
  ASSERT_TRUE(until([&] { return last == io::ReadResult::State::ended; }));
  EXPECT_EQ(acceptor.ends[0]->received, "\0\0\0\3bye"s);
  EXPECT_FALSE(session.ended());
  acceptor.ends[0]->close();
  ASSERT_TRUE(until([&] { return session.ended(); }));
  EXPECT_EQ(*session.how, GameEnd::stopped);
  EXPECT_EQ(session.took, 1u);
}

TEST_F(GameOnTheKernel, last_words_before_a_reset_are_heard) {
  start();
  ASSERT_TRUE(until([&] { return !acceptor.ends.empty(); }));
  acceptor.ends[0]->write("\0\0\0\4last"s);
  acceptor.ends[0]->socket.reset();
  ASSERT_TRUE(until([&] { return session.ended(); }));
  EXPECT_EQ(session.texts(), std::vector<std::string>{"last"});
  EXPECT_EQ(*session.how, GameEnd::broken);
}

TEST_F(GameOnTheKernel, a_pool_leads_past_a_server_where_nobody_listens) {
  route::RouteRules route;
  route.name = "arena";
  route.servers = {{"a", *Address::parse("127.9.9.9:9"), 1}, {"b", rules.address, 1}};
  pool = std::move(*route::SharedRoute::make(route, random));
  rules.address = {};
  start();
  session.say("hello");
  ASSERT_TRUE(until([&] { return session.took == 1; }));
  EXPECT_EQ(session.game->where(), listener->address().text());
  EXPECT_EQ(connector->counts().failed, 1u);
}

TEST_F(GameOnTheKernel, nobody_listens) {
  rules.address = *Address::parse("127.9.9.9:9");
  start();
  session.say("hello");
  ASSERT_TRUE(until([&] { return session.ended(); }));
  EXPECT_EQ(*session.how, GameEnd::refused);
  EXPECT_EQ(session.why.kind, ErrorKind::refused);
}

}  // namespace
}  // namespace rejoin::upstream
