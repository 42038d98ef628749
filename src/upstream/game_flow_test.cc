// Slow game servers, sessions that do not read, and breaks at any operation: nothing lost, nothing held
// beyond its bound, and each message counted as taken exactly when the kernel has its last byte.
#include <gtest/gtest.h>

#include "base/random.h"
#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

using namespace std::string_literals;

GameRules tcp() {
  GameRules rules;
  rules.kind = GameKind::tcp;
  return rules;
}

std::string framed(Bytes payload) {
  const auto header = proto::write_length({}, payload.size());
  return std::string(header->view()).append(payload);
}

/// Says messages, and knows after each step how many must have been counted: those whose end is behind what
/// is unsent.
class Sayer {
 public:
  explicit Sayer(GameScene& scene) : scene_(scene) {
    scene.always = [this] { check(); };
  }
  void say(Bytes payload) {
    stream += framed(payload);
    ends_.push_back(stream.size());
    scene_.session.say(payload);
    check();
  }
  void check() const {
    if (!scene_.session.game) return;
    const std::size_t taken = stream.size() - scene_.session.game->unsent_bytes();
    std::size_t count = 0;
    while (count < ends_.size() && ends_[count] <= taken) ++count;
    ASSERT_EQ(scene_.session.took, count);
  }
  std::size_t messages() const { return ends_.size(); }
  std::string stream;

 private:
  GameScene& scene_;
  std::vector<std::size_t> ends_;
};

TEST(GameFlow, a_slow_game_server_gets_all_and_each_message_is_counted_when_its_last_byte_is_taken) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  scene.server().reads = false;
  ASSERT_TRUE(scene.open());
  Sayer sayer(scene);
  for (std::size_t i = 0; i < 200; ++i) sayer.say(text_of_size(i * 13 % 1700, i));
  EXPECT_GT(scene.session.game->unsent_bytes(), 100'000u);
  io::contract::End& player = scene.server().player();
  for (std::size_t step = 0; step < 2000 && player.received.size() < sayer.stream.size(); ++step) {
    if (player.socket.may_read()) player.read(1 + step * 37 % 900);
    scene.sim.run_for(1ms);
    sayer.check();
  }
  EXPECT_EQ(player.received, sayer.stream);
  EXPECT_EQ(scene.session.took, 200u);
  EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);
  EXPECT_EQ(scene.gateway.world().timers.armed(), 0u);
}

TEST(GameFlow, a_game_server_that_takes_nothing_for_a_minute_is_broken_and_a_slow_one_is_not) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  scene.server().reads = false;
  ASSERT_TRUE(scene.open());
  Sayer sayer(scene);
  sayer.say(text_of_size(100'000));
  io::contract::End& player = scene.server().player();
  for (int i = 0; i < 8; ++i) {
    scene.sim.run_for(50s);
    ASSERT_FALSE(scene.session.ended());
    player.drain();
  }
  const TimePoint before = scene.sim.now();
  ASSERT_TRUE(scene.until_ended(90s));
  EXPECT_EQ(*scene.session.how, GameEnd::broken);
  EXPECT_EQ(scene.session.why.kind, ErrorKind::timed_out);
  EXPECT_GT(scene.sim.now() - before, 55s);
  EXPECT_LE(scene.sim.now() - before, 61s);
}

TEST(GameFlow, a_reset_in_the_middle_leaves_the_rest_uncounted) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  scene.server().reads = false;
  ASSERT_TRUE(scene.open());
  Sayer sayer(scene);
  for (std::size_t i = 0; i < 20; ++i) sayer.say(text_of_size(1000, i));
  scene.settle();
  const std::size_t took = scene.session.took;
  EXPECT_GE(took, 4u);
  EXPECT_LT(took, 12u);
  scene.server().player().socket.reset();
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::broken);
  EXPECT_EQ(scene.session.took, took);
}

TEST(GameFlow, a_session_that_does_not_read_stops_the_game_server_and_loses_nothing) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  ASSERT_TRUE(scene.open());
  io::contract::End& player = scene.server().player();
  std::string sent;
  std::vector<std::string> messages;
  const auto flood = [&] {  // until the game server can write no more
    for (int quiet = 0; quiet < 20;) {
      if (sent.empty()) {
        messages.push_back(text_of_size(messages.size() * 31 % 700, messages.size()));
        sent = framed(messages.back());
      }
      const std::size_t taken = player.write(sent).taken;
      sent.erase(0, taken);
      quiet = taken == 0 ? quiet + 1 : 0;
      scene.sim.run_for(2ms);
    }
  };
  scene.session.on_said = [&] {  // in the middle of what was read
    if (scene.session.said.size() == 3) scene.session.set_reading(false);
  };
  flood();
  EXPECT_EQ(scene.session.said.size(), 3u);
  EXPECT_LE(scene.gateway.world().buffers.lent(), 1u);
  scene.sim.run_for(1h);
  EXPECT_FALSE(scene.session.ended()) << "not reading is no fault of the game server's";
  for (int round = 0; round < 3; ++round) {  // one message at a time
    const std::size_t before = scene.session.said.size();
    scene.session.on_said = [&] { scene.session.set_reading(false); };
    scene.session.set_reading(true);
    scene.settle();
    EXPECT_EQ(scene.session.said.size(), before + 1);
  }
  scene.session.on_said = nullptr;
  scene.session.set_reading(true);
  ASSERT_TRUE(scene.until([&] {
    sent.erase(0, sent.empty() ? 0 : player.write(sent).taken);
    return scene.session.said.size() == messages.size();
  }));
  EXPECT_EQ(scene.session.texts(), messages);
  EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);
}

TEST(GameFlow, more_than_one_turn_reads_comes_without_being_told_of_again) {
  SceneOptions options;
  options.buffer_bytes = 1024 * 1024;
  GameScene scene(tcp(), options);
  ASSERT_TRUE(scene.open());
  scene.session.set_reading(false);
  std::vector<std::string> messages;
  for (std::size_t i = 0; i < 100; ++i) {
    messages.push_back(text_of_size(6000, i));
    scene.server().say(framed(messages.back()));
  }
  scene.sim.run_for(1s);
  scene.session.set_reading(true);
  scene.sim.run_for(1s);
  EXPECT_EQ(scene.session.texts(), messages);
}

TEST(GameFlow, the_end_of_a_game_server_that_is_not_read_waits_behind_its_messages) {
  for (const bool reset : {false, true}) {
    GameScene scene(tcp());
    ASSERT_TRUE(scene.open());
    scene.session.on_said = [&] { scene.session.set_reading(false); };
    scene.server().say(framed("one") + framed("two") + framed("three"));
    scene.settle();
    if (reset) {
      scene.server().player().socket.reset();
    } else {
      scene.server().player().close();
    }
    scene.settle();
    scene.session.say("into the void");
    scene.settle();
    scene.session.say("again");
    scene.settle();
    EXPECT_FALSE(scene.session.ended());
    scene.session.set_reading(true);
    scene.settle();
    scene.session.set_reading(true);
    scene.settle();
    scene.session.on_said = nullptr;
    scene.session.set_reading(true);
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(scene.session.texts(), (std::vector<std::string>{"one", "two", "three"}));
    EXPECT_EQ(*scene.session.how, GameEnd::broken) << "it took nothing of what was said behind its end";
  }
}

TEST(GameFlow, a_game_server_may_hang_up_on_words_that_it_has_not_read) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  scene.server().reads = false;
  ASSERT_TRUE(scene.open());
  scene.session.say(text_of_size(50'000));
  scene.server().say(framed("game over"));
  scene.server().player().socket.shutdown_write();
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::finished);
  EXPECT_EQ(scene.session.texts(), std::vector<std::string>{"game over"});
  EXPECT_EQ(scene.session.took, 0u);
}

TEST(GameFlow, what_is_said_while_corked_leaves_in_one_call) {
  GameScene scene(tcp());
  ASSERT_TRUE(scene.open());
  scene.settle();
  for (const bool corked : {true, false}) {
    const std::uint64_t before = scene.gateway.operations();
    scene.session.call([&] { scene.session.game->cork(corked); });
    for (int i = 0; i < 10; ++i) scene.session.say("message");
    EXPECT_EQ(scene.gateway.operations() - before, corked ? 0u : 10u);
    scene.session.call([&] { scene.session.game->cork(false); });
    EXPECT_EQ(scene.gateway.operations() - before, corked ? 1u : 10u);
  }
  EXPECT_EQ(scene.session.took, 20u);
  EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);
  scene.settle();
  EXPECT_EQ(scene.server().heard().size(), 20u * 11);
}

TEST(GameFlow, whichever_operation_fails_the_session_hears_of_it_once_and_nothing_is_left) {
  int survived = 0;
  for (std::uint64_t nth = 1; nth < 80 && survived == 0; ++nth) {
    SCOPED_TRACE(nth);
    SceneOptions options;
    options.buffer_bytes = 4096;
    GameScene scene(tcp(), options);
    scene.gateway.fail_operation(nth);
    scene.server().on_heard = [&](io::contract::End& end) {
      end.write(framed("tick"));
      if (scene.server().heard_fin()) end.close();
    };
    scene.start();
    Sayer sayer(scene);
    sayer.say("hello");
    sayer.say(text_of_size(20'000));
    scene.until([&] { return scene.session.ended() || scene.session.took == 2; }, 5s);
    if (!scene.session.ended()) sayer.say("bye");
    scene.until([&] { return scene.session.ended() || scene.session.said.size() > 5; }, 5s);
    if (!scene.session.ended()) scene.session.finish();
    ASSERT_TRUE(scene.until_ended(5s));
    for (const std::string& text : scene.session.texts()) EXPECT_EQ(text, "tick");
    if (scene.server().met()) {
      EXPECT_TRUE(Bytes(sayer.stream).starts_with(scene.server().heard()));
    }
    const bool whole = scene.server().met() && scene.server().heard() == sayer.stream;
    if (scene.sim.counters().operations_failed == 0) {
      EXPECT_TRUE(whole);
      EXPECT_EQ(scene.session.took, 3u);
      EXPECT_EQ(*scene.session.how, GameEnd::stopped);
      ++survived;
    }
    scene.always = nullptr;
  }
  EXPECT_EQ(survived, 1) << "the scenario never ran through";
}

// Anything that a program must bear without a visible effect: the same messages in the same order, both ways.
TEST(GameFlow, nothing_is_lost_or_doubled_under_harmless_faults) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SceneOptions options;
    options.seed = seed;
    options.buffer_bytes = 4096;
    GameScene scene(tcp(), options);
    scene.sim.set_faults(io::Faults::harmless());
    Random& random = scene.sim.random();
    ASSERT_TRUE(scene.open());
    Sayer sayer(scene);
    std::vector<std::string> ticks;
    std::string to_say;
    const auto push = [&] { to_say.erase(0, scene.server().player().write(to_say).taken); };
    for (int step = 0; step < 120; ++step) {
      switch (random.below(6)) {
        case 0: scene.session.set_reading(random.below(2) == 0); break;
        case 1: scene.session.call([&] { scene.session.game->cork(random.below(2) == 0); }); break;
        case 2:
        case 3: sayer.say(text_of_size(random.below(3000), sayer.messages())); break;
        default:
          ticks.push_back(text_of_size(random.below(3000), ticks.size()));
          to_say += framed(ticks.back());
      }
      push();
      if (random.below(3) == 0) scene.sim.run_for(Duration(static_cast<std::int64_t>(random.below(5000))));
      sayer.check();
    }
    scene.session.set_reading(true);
    scene.session.call([&] { scene.session.game->cork(false); });
    ASSERT_TRUE(scene.until([&] {
      push();
      return scene.session.said.size() == ticks.size() && scene.session.took == sayer.messages() &&
             scene.server().heard().size() == sayer.stream.size();
    }));
    EXPECT_EQ(scene.session.texts(), ticks);
    EXPECT_EQ(scene.server().heard(), sayer.stream);
    scene.always = nullptr;
  }
}

}  // namespace
}  // namespace rejoin::upstream
