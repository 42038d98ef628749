#include "upstream/echo_connection.h"

#include <gtest/gtest.h>

#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

using Strings = std::vector<std::string>;

const std::string kGreeting = R"({"server":"g1","client":"10.1.0.2:41000"})";

TEST(EchoConnection, greets_first_and_says_every_message_back_with_its_kind) {
  GameScene scene(GameRules{});
  scene.start();
  ASSERT_EQ(scene.session.texts(), Strings{kGreeting});
  EXPECT_EQ(scene.session.said[0].kind, MessageKind::text);
  scene.session.say("hello", MessageKind::text);
  scene.session.say("", MessageKind::binary);
  EXPECT_EQ(scene.session.took, 2u) << "inside the call";
  EXPECT_EQ(scene.session.said[1], (Session::Said{"hello", MessageKind::text}));
  EXPECT_EQ(scene.session.said[2], (Session::Said{"", MessageKind::binary}));
  EXPECT_EQ(scene.session.game->where(), "echo");
  EXPECT_EQ(scene.connector->counts().opened, 1u);
}

TEST(EchoConnection, tells_a_cookie_in_its_greeting) {
  GameScene scene(GameRules{});
  scene.player.cookie = Echo::SeenCookie{"g1-abc"};
  scene.start();
  EXPECT_EQ(scene.session.texts(), Strings{R"({"server":"g1","client":"10.1.0.2:41000","cookie":"g1-abc"})"});
}

TEST(EchoConnection, keeps_what_is_said_while_it_is_not_read_and_takes_it_when_it_comes_back) {
  GameScene scene(GameRules{});
  scene.session.set_reading(false);
  scene.start();
  scene.session.say("one");
  scene.session.say("two");
  EXPECT_TRUE(scene.session.said.empty());
  EXPECT_EQ(scene.session.took, 0u);
  EXPECT_EQ(scene.session.game->unsent_bytes(), kGreeting.size() + 6);
  scene.session.set_reading(true);
  EXPECT_EQ(scene.session.texts(), (Strings{kGreeting, "one", "two"}));
  EXPECT_EQ(scene.session.took, 2u);
  EXPECT_EQ(scene.session.game->unsent_bytes(), 0u);
}

TEST(EchoConnection, stays_in_order_when_reading_stops_and_words_are_said_inside_an_event) {
  GameScene scene(GameRules{});
  scene.start();
  scene.session.set_reading(false);
  scene.session.say("one");
  scene.session.say("two");
  scene.session.on_said = [&] {
    if (scene.session.said.back().bytes == "one") scene.session.say("three");
    scene.session.set_reading(false);
  };
  for (std::size_t heard = 2; heard <= 4; ++heard) {
    scene.session.set_reading(true);
    EXPECT_EQ(scene.session.said.size(), heard) << "one at a time";
    EXPECT_EQ(scene.session.took, heard - 1);
  }
  EXPECT_EQ(scene.session.texts(), (Strings{kGreeting, "one", "two", "three"}));
}

TEST(EchoConnection, reading_may_stop_and_begin_again_inside_an_event) {
  GameScene scene(GameRules{});
  scene.start();
  scene.session.set_reading(false);
  for (const char* text : {"one", "two", "three"}) scene.session.say(text);
  scene.session.on_said = [&] {
    scene.session.set_reading(false);
    scene.session.set_reading(true);
  };
  scene.session.set_reading(true);
  EXPECT_EQ(scene.session.texts(), (Strings{kGreeting, "one", "two", "three"}));
  scene.session.say("four");
  EXPECT_EQ(scene.session.texts().back(), "four");
  EXPECT_EQ(scene.session.took, 4u);
}

TEST(EchoConnection, a_pause_in_took_holds_what_comes_back) {
  GameScene scene(GameRules{});
  scene.start();
  scene.session.on_took = [&] { scene.session.set_reading(false); };
  scene.session.say("one");
  EXPECT_EQ(scene.session.took, 1u);
  EXPECT_EQ(scene.session.said.size(), 1u);
  scene.session.on_took = nullptr;
  scene.session.set_reading(true);
  EXPECT_EQ(scene.session.took, 1u) << "counted once";
  EXPECT_EQ(scene.session.texts().back(), "one");
}

TEST(EchoConnection, finish_takes_what_was_said_and_ends_in_the_next_turn) {
  GameScene scene(GameRules{});
  scene.start();
  scene.session.set_reading(false);
  scene.session.say("one");
  scene.session.say("two");
  scene.session.finish();
  scene.session.finish();
  scene.session.say("too late");
  EXPECT_EQ(scene.session.took, 2u);
  EXPECT_FALSE(scene.session.ended());
  ASSERT_TRUE(scene.until_ended());
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
  EXPECT_EQ(scene.session.said.size(), 1u);
}

TEST(EchoConnection, everything_may_be_called_inside_an_event) {
  for (const bool in_said : {true, false}) {
    for (const bool cancel : {true, false}) {
      for (const bool paused : {true, false}) {
        GameScene scene(GameRules{});
        scene.start();
        if (paused) scene.session.set_reading(false);
        (in_said ? scene.session.on_said : scene.session.on_took) = [&] {
          if (cancel) scene.session.game->cancel();
          if (!cancel) scene.session.finish();
        };
        scene.session.say("one");
        scene.session.set_reading(true);
        scene.session.say("two");
        scene.settle();
        EXPECT_EQ(scene.session.end_text(), cancel ? "lives" : "stopped");
        EXPECT_EQ(scene.session.took, 1u);
        EXPECT_EQ(scene.session.said.size(), in_said ? 2u : 1u);
      }
    }
  }
}

TEST(EchoConnection, a_cancel_takes_a_finish_back_also_that_of_another) {
  GameScene scene(GameRules{});
  scene.start();
  for (int i = 0; i < 3; ++i) {
    scene.more_sessions.push_back(std::make_unique<Session>());
    Session& one = *scene.more_sessions.back();
    one.game = scene.connector->make(one);
    one.call([&] { one.game->start(scene.player); });
    one.finish();
  }
  scene.more_sessions[0]->game->cancel();
  scene.more_sessions[2]->game.reset();
  scene.settle();
  EXPECT_FALSE(scene.more_sessions[0]->ended());
  EXPECT_TRUE(scene.more_sessions[1]->ended());
  EXPECT_FALSE(scene.more_sessions[2]->ended());
  EXPECT_EQ(scene.connector->counts().ended[static_cast<std::size_t>(GameEnd::stopped)], 3u);
}

}  // namespace
}  // namespace rejoin::upstream
