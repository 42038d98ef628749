// A tcp game server as its player's session meets it: framing, beginnings and ends. Back-pressure, and what
// is counted as taken, stand in game_flow_test.cc; dialling in connector_test.cc.
#include "upstream/tcp_connection.h"

#include <gtest/gtest.h>

#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

using Strings = std::vector<std::string>;
using namespace std::string_literals;

GameRules tcp(proto::LengthFormat length = {}) {
  GameRules rules;
  rules.kind = GameKind::tcp;
  rules.length = length;
  return rules;
}

constexpr proto::LengthFormat format(proto::LengthBytes length, proto::Endian endian,
                                     proto::LengthCounts counts, std::uint32_t message_max = 1024) {
  return {.message_max = message_max, .length = length, .endian = endian, .counts = counts};
}

const struct {
  proto::LengthFormat format;
  std::string empty, abc;  // as they stand in the stream
} kFormats[] = {
    {format(proto::LengthBytes::two, proto::Endian::big, proto::LengthCounts::payload), "\0\0"s, "\0\3abc"s},
    {format(proto::LengthBytes::two, proto::Endian::little, proto::LengthCounts::payload), "\0\0"s,
     "\3\0abc"s},
    {format(proto::LengthBytes::two, proto::Endian::big, proto::LengthCounts::payload_and_itself), "\0\2"s,
     "\0\5abc"s},
    {format(proto::LengthBytes::two, proto::Endian::little, proto::LengthCounts::payload_and_itself), "\2\0"s,
     "\5\0abc"s},
    {format(proto::LengthBytes::four, proto::Endian::big, proto::LengthCounts::payload), "\0\0\0\0"s,
     "\0\0\0\3abc"s},
    {format(proto::LengthBytes::four, proto::Endian::little, proto::LengthCounts::payload), "\0\0\0\0"s,
     "\3\0\0\0abc"s},
    {format(proto::LengthBytes::four, proto::Endian::big, proto::LengthCounts::payload_and_itself),
     "\0\0\0\4"s, "\0\0\0\7abc"s},
    {format(proto::LengthBytes::four, proto::Endian::little, proto::LengthCounts::payload_and_itself),
     "\4\0\0\0"s, "\7\0\0\0abc"s},
};

TEST(TcpConnection, speaks_every_length_format_both_ways) {
  for (const auto& it : kFormats) {
    GameScene scene(tcp(it.format));
    ASSERT_TRUE(scene.open());
    scene.session.say("abc");
    scene.session.say("", MessageKind::text);
    scene.session.say("abc", MessageKind::text);
    const std::string stream = it.abc + it.empty + it.abc;
    ASSERT_TRUE(scene.until([&] { return scene.server().heard().size() >= stream.size(); }));
    EXPECT_EQ(scene.server().heard(), stream);
    EXPECT_EQ(scene.session.took, 3u);
    scene.server().say(stream);
    ASSERT_TRUE(scene.until([&] { return scene.session.said.size() == 3; }));
    EXPECT_EQ(scene.session.texts(), (Strings{"abc", "", "abc"}));
    EXPECT_EQ(scene.session.said[0].kind, MessageKind::binary);
    EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u) << "nothing is held while nothing is in flight";
  }
}

TEST(TcpConnection, hears_the_same_wherever_the_stream_is_cut) {
  for (const auto& it : kFormats) {
    const std::string stream = it.abc + it.empty + it.abc;
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
      GameScene scene(tcp(it.format));
      ASSERT_TRUE(scene.open());
      if (cut != 0) scene.server().say(Bytes(stream).substr(0, cut));
      scene.settle();
      if (cut != stream.size()) scene.server().say(Bytes(stream).substr(cut));
      scene.settle();
      EXPECT_EQ(scene.session.texts(), (Strings{"abc", "", "abc"})) << "cut at " << cut;
    }
  }
}

TEST(TcpConnection, a_message_of_exactly_the_limit_passes_also_byte_by_byte) {
  SceneOptions options;
  options.link.segment_bytes_max = 1;
  GameScene scene(tcp(format(proto::LengthBytes::two, proto::Endian::big, proto::LengthCounts::payload, 300)),
                  options);
  ASSERT_TRUE(scene.open());
  const std::string longest = text_of_size(300);
  scene.server().say("\x01\x2c"s + longest);
  ASSERT_TRUE(scene.until([&] { return !scene.session.said.empty(); }));
  EXPECT_EQ(scene.session.texts(), Strings{longest});
  EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);
}

TEST(TcpConnection, what_was_said_before_it_was_open_arrives_in_order_and_is_taken_then) {
  GameScene scene(tcp());
  scene.start();
  scene.session.say("one");
  const std::string large = text_of_size(50'000);  // more than a block holds
  scene.session.say(large);
  scene.session.say("two");
  EXPECT_EQ(scene.session.took, 0u);
  EXPECT_EQ(scene.session.game->unsent_bytes(), 50'000u + 6 + 12);
  const std::string stream = "\0\0\0\3one\0\0\xc3\x50"s + large + "\0\0\0\3two"s;
  ASSERT_TRUE(
      scene.until([&] { return scene.server().met() && scene.server().heard().size() >= stream.size(); }));
  EXPECT_EQ(scene.server().heard(), stream);
  EXPECT_EQ(scene.session.took, 3u);
  EXPECT_EQ(scene.session.game->unsent_bytes(), 0u);
}

TEST(TcpConnection, a_proxy_header_stands_before_everything) {
  const struct {
    ProxyProtocol version;
    std::string header;
  } cases[] = {
      {ProxyProtocol::v1, "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000\r\n"},
      {ProxyProtocol::v2,
       "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18\x0a\x01\0\2\x0a\0\0\1\xa0\x28\x1f\x40\x05\0\3s-1\xe0\0\3s-1"s},
  };
  for (const auto& it : cases) {
    for (const bool early : {true, false}) {
      GameRules rules = tcp();
      rules.proxy_protocol = it.version;
      GameScene scene(rules);
      scene.start();
      if (early) scene.session.say("hi");
      ASSERT_TRUE(scene.until(
          [&] { return scene.server().met() && scene.server().heard().size() >= it.header.size(); }));
      EXPECT_EQ(scene.session.took, early ? 1u : 0u) << "a header is no message";
      if (!early) scene.session.say("hi");
      scene.settle();
      EXPECT_EQ(scene.server().heard(), it.header + "\0\0\0\2hi"s);
      EXPECT_EQ(scene.session.took, 1u);
    }
  }
}

TEST(TcpConnection, a_header_is_said_once_also_when_the_first_server_refuses) {
  GameRules rules = tcp();
  rules.proxy_protocol = ProxyProtocol::v1;
  SceneOptions options;
  options.pool = 2;
  GameScene scene(rules, options);
  scene.server(0).stop();
  scene.start();
  scene.session.say("hi");
  ASSERT_TRUE(scene.until([&] { return scene.server(1).met(); }));
  scene.settle();
  EXPECT_EQ(scene.server(1).heard(), "PROXY TCP4 10.1.0.2 10.0.0.1 41000 8000\r\n\0\0\0\2hi"s);
  EXPECT_EQ(scene.session.took, 1u);
}

// --- ends ---

enum class Then : std::uint8_t { fin, reset, nothing };

TEST(TcpConnection, the_game_servers_end_means_what_it_says) {
  const struct {
    std::string says;
    Then then;
    Strings heard;
    GameEnd how;
    ErrorKind kind;
  } cases[] = {
      {"", Then::fin, {}, GameEnd::finished, ErrorKind::closed},
      {"\0\0\0\2hi"s, Then::fin, {"hi"}, GameEnd::finished, ErrorKind::closed},
      {"\0\0\0\2hi\0"s, Then::fin, {"hi"}, GameEnd::broken, ErrorKind::closed},
      {"\0\0\0\2"s, Then::fin, {}, GameEnd::broken, ErrorKind::closed},
      {"\0\0\0\2hi\0\0\0\3ab"s, Then::fin, {"hi"}, GameEnd::broken, ErrorKind::closed},
      {"", Then::reset, {}, GameEnd::broken, ErrorKind::reset},
      {"\0\0\0\2hi"s, Then::reset, {"hi"}, GameEnd::broken, ErrorKind::reset},
      {"\0\0\0\2hi\0\0\4\1"s, Then::nothing, {"hi"}, GameEnd::invalid, ErrorKind::too_large},
      {"\xff\xff\xff\xff"s, Then::fin, {}, GameEnd::invalid, ErrorKind::too_large},
  };
  for (const auto& it : cases) {
    SCOPED_TRACE(it.says);
    GameScene scene(tcp(format(proto::LengthBytes::four, proto::Endian::big, proto::LengthCounts::payload)));
    ASSERT_TRUE(scene.open());
    if (!it.says.empty()) scene.server().say(it.says);
    if (it.then == Then::fin) scene.server().player().socket.shutdown_write();
    if (it.then == Then::reset) {
      scene.settle();
      scene.server().player().socket.reset();
    }
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(scene.session.texts(), it.heard);
    EXPECT_EQ(*scene.session.how, it.how);
    EXPECT_EQ(scene.session.why.kind, it.kind);
    EXPECT_EQ(scene.session.why.side, Side::server);
    EXPECT_EQ(scene.connector->counts().ended[static_cast<std::size_t>(it.how)], 1u);
    if (it.then == Then::reset) continue;
    scene.settle();
    EXPECT_TRUE(it.how == GameEnd::finished ? scene.server().heard_fin() : scene.server().heard_reset());
  }
}

TEST(TcpConnection, a_length_below_itself_is_invalid) {
  GameScene scene(
      tcp(format(proto::LengthBytes::two, proto::Endian::big, proto::LengthCounts::payload_and_itself)));
  ASSERT_TRUE(scene.open());
  scene.server().say("\0\1"s);
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::invalid);
  EXPECT_EQ(scene.session.why.kind, ErrorKind::bad_input);
}

TEST(TcpConnection, a_message_that_the_length_cannot_say_ends_it_for_the_client) {
  GameScene scene(tcp(format(proto::LengthBytes::two, proto::Endian::big, proto::LengthCounts::payload)));
  ASSERT_TRUE(scene.open());
  scene.session.say(std::string(65'535, 'x'));
  scene.session.say(std::string(65'536, 'x'));
  scene.session.say("never sent");
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::invalid);
  EXPECT_EQ(scene.session.why.kind, ErrorKind::too_large);
  EXPECT_EQ(scene.session.why.side, Side::client);
  EXPECT_LE(scene.session.took, 1u);
}

TEST(TcpConnection, a_game_server_that_vanishes_is_found_by_keep_alive) {
  GameScene scene(tcp());
  ASSERT_TRUE(scene.open());
  scene.server().host.crash(io::Crash::power_loss);
  scene.sim.run_for(100s);
  EXPECT_FALSE(scene.session.ended());
  ASSERT_TRUE(scene.until_ended(60s));
  EXPECT_EQ(*scene.session.how, GameEnd::broken);
  EXPECT_EQ(scene.session.why.kind, ErrorKind::timed_out);
}

// --- our end ---

TEST(TcpConnection, finish_sends_all_then_fin_and_waits_for_the_game_servers) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  scene.server().reads = false;
  ASSERT_TRUE(scene.open());
  const std::string large = text_of_size(30'000);
  scene.session.say(large);
  scene.session.say("bye");
  scene.session.finish();
  scene.session.say("too late");
  scene.server().say("\0\0\0\4late\xff\xff\xff\xff"s);  // also if it cannot be followed any more
  scene.settle();
  EXPECT_FALSE(scene.session.ended());
  io::contract::End& player = scene.server().player();
  ASSERT_TRUE(scene.until([&] { return player.drain() == io::ReadResult::State::ended; }, 2s));
  EXPECT_EQ(player.received, "\0\0\x75\x30"s + large + "\0\0\0\3bye"s);
  EXPECT_FALSE(scene.session.ended()) << "the game server may still have something to do";
  player.close();
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
  EXPECT_EQ(scene.session.took, 2u);
  EXPECT_TRUE(scene.session.said.empty());
}

TEST(TcpConnection, finish_ends_in_time_whatever_the_game_server_does) {
  const struct {
    const char* what;
    bool reads, floods, half_closes;
  } cases[] = {
      {"never says FIN", true, false, false},
      {"never reads", false, false, false},
      {"says on", true, true, false},
      {"said FIN and never reads", false, false, true},
  };
  for (const auto& it : cases) {
    SCOPED_TRACE(it.what);
    SceneOptions options;
    options.buffer_bytes = 4096;
    GameScene scene(tcp(), options);
    scene.server().reads = it.reads;
    ASSERT_TRUE(scene.open());
    scene.session.say(text_of_size(30'000));
    scene.session.finish();
    if (it.half_closes) scene.server().player().socket.shutdown_write();
    const TimePoint before = scene.sim.now();
    if (it.floods) {
      scene.always = [&] {
        if (!scene.session.ended()) scene.server().player().write("\0\0\0\1x"s);
      };
    }
    ASSERT_TRUE(scene.until_ended(10s));
    EXPECT_EQ(scene.sim.now() - before, limits::kGameCloseS);
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
    EXPECT_EQ(scene.session.took, it.reads ? 1u : 0u);
    EXPECT_TRUE(scene.session.said.empty());
    scene.always = nullptr;
  }
}

TEST(TcpConnection, finish_goes_on_sending_to_a_game_server_that_only_listens) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  GameScene scene(tcp(), options);
  scene.server().reads = false;
  ASSERT_TRUE(scene.open());
  scene.session.say(text_of_size(30'000));
  scene.session.finish();
  io::contract::End& player = scene.server().player();
  player.socket.shutdown_write();
  scene.settle();
  EXPECT_FALSE(scene.session.ended());
  ASSERT_TRUE(scene.until([&] { return player.drain() == io::ReadResult::State::ended; }, 2s));
  EXPECT_EQ(player.received.size(), 30'004u);
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
  EXPECT_EQ(scene.session.took, 1u);
}

TEST(TcpConnection, finish_of_a_session_that_does_not_read_still_hears_the_game_servers_end) {
  for (const bool in_the_middle : {true, false}) {
    GameScene scene(tcp());
    ASSERT_TRUE(scene.open());
    scene.session.on_said = [&] { scene.session.set_reading(false); };
    if (!in_the_middle) scene.session.set_reading(false);
    scene.server().say("\0\0\0\2hi\0\0\0\2ho"s);
    scene.server().player().socket.shutdown_write();
    scene.settle();
    const TimePoint before = scene.sim.now();
    scene.session.finish();
    ASSERT_TRUE(scene.until_ended());
    EXPECT_LT(scene.sim.now() - before, 100ms);
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
    EXPECT_EQ(scene.session.said.size(), in_the_middle ? 1u : 0u);
  }
}

TEST(TcpConnection, finish_before_it_is_open_delivers_what_was_said_or_ends_at_once) {
  for (const bool said : {true, false}) {
    GameScene scene(tcp());
    scene.start();
    if (said) scene.session.say("hello");
    scene.session.finish();
    if (said) {
      ASSERT_TRUE(scene.until([&] { return scene.server().met() && scene.server().heard_fin(); }));
      EXPECT_EQ(scene.server().heard(), "\0\0\0\5hello"s);
      scene.server().player().close();
    }
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
    EXPECT_EQ(scene.session.took, said ? 1u : 0u);
  }
}

TEST(TcpConnection, finish_before_it_is_open_does_not_wait_longer_than_it_may) {
  for (const bool lost : {true, false}) {
    GameScene scene(tcp());
    if (lost) {
      scene.sim.black_hole(scene.gateway, scene.server().host);
    } else {
      scene.server().stop();
    }
    scene.rules.connect_timeout = 1min;
    scene.start();
    scene.session.say("hello");
    scene.session.finish();
    const TimePoint before = scene.sim.now();
    ASSERT_TRUE(scene.until_ended(10s));
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
    if (lost) {
      EXPECT_EQ(scene.sim.now() - before, limits::kGameCloseS);
    }
    EXPECT_EQ(scene.session.took, 0u);
  }
}

TEST(TcpConnection, cancel_resets_and_leaves_nothing_wherever_it_stands) {
  const struct {
    const char* where;
    std::function<void(GameScene&)> go_there;
  } cases[] = {
      {"fresh", [](GameScene&) {}},
      {"dialling", [](GameScene& scene) { scene.start(); }},
      {"dialling with something said",
       [](GameScene& scene) {
         scene.start();
         scene.session.say("hi");
       }},
      {"doomed",
       [](GameScene& scene) {
         scene.start();
         scene.session.finish();
       }},
      {"open", [](GameScene& scene) { ASSERT_TRUE(scene.open()); }},
      {"with bytes unsent and unread",
       [](GameScene& scene) {
         scene.server().reads = false;
         ASSERT_TRUE(scene.open());
         scene.session.set_reading(false);
         scene.session.say(text_of_size(300'000));
         scene.server().say("\0\0\0\2hi"s);
         scene.settle();
       }},
      {"in the middle of messages that it does not read",
       [](GameScene& scene) {
         ASSERT_TRUE(scene.open());
         scene.session.on_said = [&scene] { scene.session.set_reading(false); };
         scene.server().say("\0\0\0\2hi\0\0\0\2ho\0\0"s);
         scene.settle();
         EXPECT_EQ(scene.session.said.size(), 1u);
       }},
      {"finishing",
       [](GameScene& scene) {
         ASSERT_TRUE(scene.open());
         scene.session.finish();
         scene.settle();
       }},
  };
  for (const auto& it : cases) {
    for (const bool explicitly : {true, false}) {
      SCOPED_TRACE(it.where);
      GameScene scene(tcp());
      it.go_there(scene);
      if (explicitly) scene.session.game->cancel();
      if (!explicitly) scene.session.game.reset();
      scene.settle();
      EXPECT_FALSE(scene.session.ended()) << "no event follows";
      EXPECT_TRUE(scene.gateway.leftovers().none()) << scene.gateway.leftovers().text();
      if (scene.server().met()) {
        const auto last = scene.server().player().drain();
        EXPECT_TRUE(scene.server().player().failed_with != 0 || last == io::ReadResult::State::ended);
      }
    }
  }
}

TEST(TcpConnection, everything_may_be_called_inside_an_event) {
  const struct {
    const char* what;
    bool inside_said;
    std::function<void(GameScene&)> act;
    std::size_t said, took;
    const char* end;
  } cases[] = {
      {"cancel in said", true, [](GameScene& scene) { scene.session.game->cancel(); }, 1, 1, "lives"},
      {"cancel in took", false, [](GameScene& scene) { scene.session.game->cancel(); }, 0, 1, "lives"},
      {"finish in said", true, [](GameScene& scene) { scene.session.finish(); }, 1, 1, "stopped"},
      {"finish in took", false, [](GameScene& scene) { scene.session.finish(); }, 0, 1, "stopped"},
      {"say in said", true,
       [](GameScene& scene) {
         if (scene.session.took < 3) scene.session.say("more");
       },
       2, 3, "lives"},
      {"say in took", false,
       [](GameScene& scene) {
         if (scene.session.took < 3) scene.session.say("more");
       },
       2, 3, "lives"},
      {"pause in said", true, [](GameScene& scene) { scene.session.set_reading(false); }, 1, 1, "lives"},
  };
  for (const auto& it : cases) {
    SCOPED_TRACE(it.what);
    GameScene scene(tcp());
    scene.server().on_heard = [&](io::contract::End& end) {
      if (scene.server().heard_fin() || scene.server().heard_reset()) end.close();
    };
    ASSERT_TRUE(scene.open());
    (it.inside_said ? scene.session.on_said : scene.session.on_took) = [&] { it.act(scene); };
    scene.session.say("hello");
    if (static_cast<bool>(scene.server().player().socket)) scene.server().say("\0\0\0\2hi\0\0\0\2ho"s);
    scene.sim.run_for(1s);
    EXPECT_EQ(scene.session.said.size(), it.said);
    EXPECT_EQ(scene.session.took, it.took);
    EXPECT_EQ(scene.session.end_text(), it.end);
  }
}

}  // namespace
}  // namespace rejoin::upstream
