// A WebSocket game server as its player's session meets it: the handshake, frames both ways, and the ends.
#include "upstream/ws_connection.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "proto/http_head.h"
#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

using Strings = std::vector<std::string>;
using namespace std::string_literals;

GameRules ws(std::uint32_t message_max = 1024) {
  GameRules rules;
  rules.kind = GameKind::ws;
  rules.message_max = message_max;
  rules.path = "/arena?room=7";
  return rules;
}

/// A frame as a server sends it.
std::string frame(proto::WsOpcode opcode, Bytes payload, proto::Fin fin = proto::Fin::yes) {
  proto::FrameSpec spec;
  spec.opcode = opcode;
  spec.payload_bytes = payload.size();
  spec.fin = fin;
  return std::string(proto::write_frame_header(spec).view()).append(payload);
}
std::string text(Bytes payload) { return frame(proto::WsOpcode::text, payload); }
std::string close(proto::CloseCode code, Bytes reason = {}) {
  return std::string(proto::write_close(code, reason, {}).view());
}

/// Answers the handshake, and reads frames behind it as a server does.
class WsServer {
 public:
  struct Heard {
    proto::WsOpcode opcode;
    std::string payload;
    std::uint16_t code = 0;
    bool operator==(const Heard&) const = default;
  };

  explicit WsServer(GameServer& server) : server_(server) {
    server.on_heard = [this](io::contract::End& end) { hear(end); };
  }
  /// Replaces the right 101. `behind` follows it in the same segment.
  std::string answer, behind;
  bool silent = false;
  bool hangs_up_after_close = true;

  const proto::RequestHead& request() const { return *request_; }
  /// Bytes that came behind the request.
  std::size_t bytes_behind(const io::contract::End& end) const {
    return end.received.size() - request_->bytes().size();
  }
  const std::vector<Heard>& heard() const { return heard_; }
  Strings messages() const {
    Strings out;
    for (const Heard& one : heard_) {
      if (one.opcode == proto::WsOpcode::text || one.opcode == proto::WsOpcode::binary)
        out.push_back(one.payload);
    }
    return out;
  }

 private:
  void hear(io::contract::End& end) {
    if (silent || !end.socket) return;
    write(end, {});
    if (!shook_ && !shake(end)) return;
    std::string fresh = end.received.substr(taken_);
    taken_ = end.received.size();
    MutableBytes input(fresh.data(), fresh.size());
    for (;;) {
      const proto::WsEvent event = reader_.feed(input);
      if (event.kind == proto::WsEvent::Kind::more) break;
      ASSERT_NE(event.kind, proto::WsEvent::Kind::refused) << event.reason;
      if (event.kind == proto::WsEvent::Kind::data) {
        if (event.first) gathered_.clear();
        gathered_ += event.view();
        if (event.last) heard_.push_back({event.opcode, gathered_});
        continue;
      }
      const auto opcode = event.kind == proto::WsEvent::Kind::close  ? proto::WsOpcode::close
                          : event.kind == proto::WsEvent::Kind::ping ? proto::WsOpcode::ping
                                                                     : proto::WsOpcode::pong;
      heard_.push_back({opcode, std::string(event.view()), number(event.code)});
      if (event.kind == proto::WsEvent::Kind::close && hangs_up_after_close) {
        write(end, close(event.code));
        end.close();
        return;
      }
    }
    if (server_.heard_fin()) end.close();
  }
  void write(io::contract::End& end, Bytes bytes) {
    unsent_ += bytes;
    unsent_.erase(0, end.write(unsent_).taken);
  }
  bool shake(io::contract::End& end) {
    request_ = std::make_unique<proto::RequestHead>();
    head_ = end.received;
    const proto::HeadVerdict verdict = request_->feed(head_);
    if (verdict.state != proto::HeadState::complete) return false;
    taken_ = verdict.consumed;
    const proto::UpgradeVerdict upgrade = proto::check_upgrade_request(*request_);
    EXPECT_TRUE(upgrade.ok()) << upgrade.reason;
    proto::AcceptHasher hasher;
    BufferPool pool(limits::kBufferBytes);
    Buffer out = pool.borrow();
    EXPECT_TRUE(proto::write_upgrade_response(out, hasher.accept(upgrade.key)));
    write(end, (answer.empty() ? std::string(out.view()) : answer) + behind);
    shook_ = true;
    return answer.empty();
  }

  GameServer& server_;
  std::string head_, unsent_;
  std::unique_ptr<proto::RequestHead> request_;
  std::size_t taken_ = 0;
  bool shook_ = false;
  proto::FrameReader reader_{proto::WsRole::server, 16 * 1024 * 1024};
  std::string gathered_;
  std::vector<Heard> heard_;
};

struct WsScene : GameScene {
  explicit WsScene(GameRules given = ws(), SceneOptions with = {}) : GameScene(std::move(given), with) {
    for (auto& one : servers) games.push_back(std::make_unique<WsServer>(*one));
  }
  bool open() {
    start();
    return until([&] { return connector->counts().opened == 1; });
  }
  std::vector<std::unique_ptr<WsServer>> games;
};

std::string field(const proto::RequestHead& head, Bytes name) {
  std::string out;
  for (const proto::Field& one : head.fields()) {
    if (head.name(one) == name) out += (out.empty() ? "" : "|") + std::string(head.value(one));
  }
  return out;
}

// --- the handshake ---

TEST(WsConnection, the_handshake_tells_who_the_player_is) {
  for (const bool named : {false, true}) {
    GameRules rules = ws();
    if (named) rules.host = "arena.example";
    WsScene scene(rules);
    ASSERT_TRUE(scene.open());
    const proto::RequestHead& request = scene.games[0]->request();
    EXPECT_EQ(request.target(), "/arena?room=7");
    EXPECT_EQ(request.host(), named ? "arena.example" : "10.0.1.1:7000");
    EXPECT_EQ(field(request, "X-Forwarded-For"), "10.1.0.2");
    EXPECT_EQ(field(request, "Rejoin-Session"), "s-1");
    EXPECT_EQ(field(request, "Sec-WebSocket-Protocol"), "");
    EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);
  }
}

TEST(WsConnection, an_answer_that_is_not_right_ends_it_and_only_a_failing_server_is_left_for_the_next) {
  const struct {
    std::string answer;
    bool next_is_tried;
    ErrorKind kind;
  } cases[] = {
      {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true, ErrorKind::refused},
      {"HTTP/1.1 500 No\r\n\r\n", true, ErrorKind::refused},
      {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", false, ErrorKind::refused},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, ErrorKind::refused},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
       false, ErrorKind::bad_input},
      {"SSH-2.0-OpenSSH\r\n", false, ErrorKind::bad_input},
  };
  for (const auto& it : cases) {
    SCOPED_TRACE(it.answer);
    SceneOptions options;
    options.pool = 2;
    WsScene scene(ws(), options);
    scene.games[0]->answer = it.answer;
    scene.start();
    scene.session.say("hello");
    ASSERT_TRUE(scene.until([&] { return scene.session.ended() || scene.session.took == 1; }));
    EXPECT_EQ(scene.session.end_text(), it.next_is_tried ? "lives" : "refused");
    if (!it.next_is_tried) {
      EXPECT_EQ(scene.session.why.kind, it.kind);
    }
    scene.settle();
    EXPECT_EQ(scene.games[1]->messages(), it.next_is_tried ? Strings{"hello"} : Strings{});
    EXPECT_TRUE(scene.games[0]->messages().empty()) << "nothing is said before the 101";
  }
}

TEST(WsConnection, a_server_that_breaks_or_is_silent_in_the_handshake_is_left_for_the_next) {
  for (const int how : {0, 1, 2}) {
    SCOPED_TRACE(how);
    SceneOptions options;
    options.pool = 2;
    GameRules rules = ws();
    rules.connect_timeout = 500ms;
    WsScene scene(rules, options);
    scene.games[0]->silent = true;
    const TimePoint before = scene.sim.now();
    scene.start();
    scene.session.say("hello");
    ASSERT_TRUE(scene.until([&] { return scene.server(0).met() && !scene.server(0).heard().empty(); }));
    if (how == 0) scene.server(0).player().close();
    if (how == 1) scene.server(0).player().socket.reset();
    ASSERT_TRUE(scene.until([&] { return scene.session.took == 1; }));
    if (how == 2) {
      EXPECT_GE(scene.sim.now() - before, 500ms);
    }
    EXPECT_EQ(scene.session.game->where(), "10.0.1.2:7000");
    EXPECT_EQ(scene.pool->pool->active(0), 0u);
    scene.settle();
    EXPECT_EQ(scene.games[1]->messages(), Strings{"hello"});
  }
}

TEST(WsConnection, words_wait_for_the_handshake_however_many) {
  WsScene scene;
  scene.start();
  const std::string large = text_of_size(100'000);
  scene.session.say("one", MessageKind::text);
  scene.session.say(large);
  EXPECT_EQ(scene.session.took, 0u);
  ASSERT_TRUE(scene.until([&] { return scene.games[0]->messages().size() == 2; }));
  EXPECT_EQ(scene.games[0]->messages(), (Strings{"one", large}));
  EXPECT_EQ(scene.session.took, 2u);
}

// --- messages ---

TEST(WsConnection, messages_pass_with_their_kind_and_of_every_length) {
  WsScene scene(ws(200'000));
  ASSERT_TRUE(scene.open());
  Strings all;
  std::size_t which = 0;
  for (const std::size_t bytes :
       {0u, 1u, 125u, 126u, 32'753u, 32'754u, 32'768u, 65'535u, 65'536u, 150'000u}) {
    all.push_back(text_of_size(bytes, which));
    scene.session.say(all.back(), which++ % 2 == 0 ? MessageKind::text : MessageKind::binary);
  }
  ASSERT_TRUE(scene.until([&] { return scene.games[0]->heard().size() == all.size(); }));
  EXPECT_EQ(scene.session.took, all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(scene.games[0]->heard()[i].opcode,
              i % 2 == 0 ? proto::WsOpcode::text : proto::WsOpcode::binary);
    EXPECT_EQ(scene.games[0]->heard()[i].payload, all[i]);
  }
  EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);

  scene.server().say(text("hi") + frame(proto::WsOpcode::binary, "\0\1"s));
  ASSERT_TRUE(scene.until([&] { return scene.session.said.size() == 2; }));
  EXPECT_EQ(scene.session.said[0], (Session::Said{"hi", MessageKind::text}));
  EXPECT_EQ(scene.session.said[1], (Session::Said{"\0\1"s, MessageKind::binary}));
}

TEST(WsConnection, every_frame_has_a_mask_of_its_own) {
  WsScene scene;
  ASSERT_TRUE(scene.open());
  scene.settle();
  const std::size_t before = scene.server().heard().size();
  scene.session.say("same");
  scene.session.say("same");
  scene.settle();
  const Bytes frames = Bytes(scene.server().heard()).substr(before);
  ASSERT_EQ(frames.size(), 2u * (2 + 4 + 4));
  EXPECT_NE(frames.substr(2, 8), frames.substr(12, 8));
}

TEST(WsConnection, hears_the_same_wherever_the_stream_is_cut_the_101_included) {
  const std::string stream = text("hi") + frame(proto::WsOpcode::text, "on", proto::Fin::no) +
                             frame(proto::WsOpcode::ping, "p") + frame(proto::WsOpcode::continuation, "e") +
                             text("");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    WsScene scene;
    scene.games[0]->behind = stream.substr(0, cut);  // in one segment with the 101
    ASSERT_TRUE(scene.open());
    scene.settle();
    if (cut != stream.size()) scene.server().say(Bytes(stream).substr(cut));
    scene.settle();
    EXPECT_EQ(scene.session.texts(), (Strings{"hi", "one", ""})) << "cut at " << cut;
    EXPECT_EQ(scene.games[0]->heard(), (std::vector<WsServer::Heard>{{proto::WsOpcode::pong, "p", 1005}}));
    EXPECT_EQ(scene.session.took, 0u) << "a pong is no message";
  }
  SceneOptions options;
  options.link.segment_bytes_max = 1;
  WsScene scene(ws(), options);
  scene.games[0]->behind = stream;
  ASSERT_TRUE(scene.open());
  ASSERT_TRUE(scene.until([&] { return scene.session.said.size() == 3; }));
  EXPECT_EQ(scene.session.texts(), (Strings{"hi", "one", ""}));
}

TEST(WsConnection, a_pause_inside_a_message_holds_the_rest_also_of_what_came_with_the_101) {
  WsScene scene;
  scene.games[0]->behind = text("one") + text("two") + text("three");
  scene.session.on_said = [&] { scene.session.set_reading(false); };
  ASSERT_TRUE(scene.open());
  scene.settle();
  for (std::size_t heard = 1; heard < 3; ++heard) {
    EXPECT_EQ(scene.session.said.size(), heard);
    scene.session.set_reading(true);
    scene.settle();
  }
  EXPECT_EQ(scene.session.texts(), (Strings{"one", "two", "three"}));
  scene.session.on_said = nullptr;
  scene.session.set_reading(true);
  scene.settle();
  EXPECT_EQ(scene.gateway.world().buffers.lent(), 0u);
}

TEST(WsConnection, pings_of_one_who_does_not_read_do_not_pile_up) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  WsScene scene(ws(), options);
  ASSERT_TRUE(scene.open());
  scene.server().reads = false;
  scene.server().player().told = nullptr;
  const std::string ping = frame(proto::WsOpcode::ping, std::string(125, 'p'));
  for (int i = 0; i < 3000; ++i) {
    scene.server().player().write(ping);
    scene.sim.run_for(2ms);
  }
  EXPECT_LT(scene.session.game->unsent_bytes(), limits::kLinkUnsentHighBytes + 200);
  EXPECT_GT(scene.session.game->unsent_bytes(), limits::kLinkUnsentHighBytes / 2)
      << "or the test tests nothing";
}

// --- ends ---

TEST(WsConnection, the_game_servers_end_means_what_it_says) {
  const struct {
    std::string says;
    GameEnd how;
    const char* why;
    std::uint16_t answered;  // with this close code; 0: not
  } cases[] = {
      {close(proto::CloseCode::normal), GameEnd::finished, "closed (server): close 1000", 1000},
      {close(proto::CloseCode::going_away, "bye"), GameEnd::finished, "closed (server): close 1001: bye",
       1001},
      {close(proto::CloseCode::none), GameEnd::finished, "closed (server): close 1005", 1005},
      {close(proto::CloseCode::internal_error, "oops"), GameEnd::broken, "closed (server): close 1011: oops",
       1011},
      {close(proto::CloseCode::restart), GameEnd::broken, "closed (server): close 1012", 1012},
      {close(proto::CloseCode{4321}, "kicked"), GameEnd::broken, "closed (server): close 4321: kicked", 4321},
      {"", GameEnd::broken, "closed (server): it hung up without a close frame", 0},
      {text("hi").substr(0, 3), GameEnd::broken, "closed (server): it hung up without a close frame", 0},
      {"\x81\x80"s, GameEnd::invalid, "bad input (server): it broke a rule, closed with 1002: ", 1002},
      {frame(proto::WsOpcode::text, "\xff"), GameEnd::invalid,
       "bad input (server): it broke a rule, closed with 1007: ", 1007},
      {text(std::string(1025, 'x')).substr(0, 4), GameEnd::invalid,
       "too large (server): it broke a rule, closed with 1009: ", 1009},
  };
  for (const auto& it : cases) {
    SCOPED_TRACE(it.why);
    WsScene scene;
    ASSERT_TRUE(scene.open());
    scene.games[0]->hangs_up_after_close = false;
    scene.server().say(text("last") + it.says);
    scene.settle();
    if (it.answered == 0) scene.server().player().close();
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(scene.session.texts(), Strings{"last"});
    EXPECT_EQ(*scene.session.how, it.how);
    EXPECT_EQ(to_string(scene.session.why).substr(0, std::string(it.why).size()), it.why);
    scene.settle();
    if (it.answered == 0) continue;
    ASSERT_FALSE(scene.games[0]->heard().empty());
    EXPECT_EQ(scene.games[0]->heard().back().opcode, proto::WsOpcode::close);
    EXPECT_EQ(scene.games[0]->heard().back().code, it.answered);
  }
}

TEST(WsConnection, a_close_is_the_last_word_even_if_something_is_said_or_finished_in_that_moment) {
  for (const bool finish : {true, false}) {
    SceneOptions options;
    options.buffer_bytes = 4096;
    WsScene scene(ws(), options);
    ASSERT_TRUE(scene.open());
    scene.games[0]->hangs_up_after_close = false;
    scene.session.on_said = [&] {
      scene.session.game->cork(true);
      scene.session.say("corked");
    };
    scene.session.on_took = [&] {
      if (finish) scene.session.finish();
      if (!finish) scene.session.say("too late");
    };
    scene.server().say(text("hi") + close(proto::CloseCode::normal));
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(*scene.session.how, finish ? GameEnd::stopped : GameEnd::finished);
    EXPECT_EQ(scene.session.took, 1u);
    scene.settle();
    ASSERT_EQ(scene.games[0]->heard().size(), 2u);
    EXPECT_EQ(scene.games[0]->heard()[0].payload, "corked");
    EXPECT_EQ(scene.games[0]->heard()[1].opcode, proto::WsOpcode::close);
    EXPECT_EQ(scene.games[0]->bytes_behind(scene.server().player()), (6u + 6) + (6u + 2))
        << "and nothing more";
  }
}

TEST(WsConnection, finish_sends_all_then_a_close_and_lets_the_game_server_hang_up) {
  SceneOptions options;
  options.buffer_bytes = 4096;
  WsScene scene(ws(), options);
  ASSERT_TRUE(scene.open());
  const std::string large = text_of_size(30'000);
  scene.session.say(large);
  scene.session.finish();
  scene.session.say("too late");
  scene.server().say(text("late"));
  ASSERT_TRUE(scene.until_ended(2s));
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
  EXPECT_EQ(scene.session.took, 1u);
  EXPECT_TRUE(scene.session.said.empty());
  ASSERT_EQ(scene.games[0]->heard().size(), 2u);
  EXPECT_EQ(scene.games[0]->heard()[0].payload, large);
  EXPECT_EQ(scene.games[0]->heard()[1], (WsServer::Heard{proto::WsOpcode::close, "", 1000}));
}

TEST(WsConnection, finish_waits_for_the_game_server_to_hang_up_behind_its_close) {
  WsScene scene;
  ASSERT_TRUE(scene.open());
  scene.games[0]->hangs_up_after_close = false;
  scene.session.finish();
  scene.settle();
  scene.server().say(close(proto::CloseCode::normal));
  scene.sim.run_for(1s);
  EXPECT_FALSE(scene.session.ended()) << "who closes first keeps the port for a minute: not we";
  scene.server().player().close();
  ASSERT_TRUE(scene.until_ended(1s));
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
}

TEST(WsConnection, finish_sends_all_whatever_the_game_server_says_meanwhile) {
  for (const std::string& says : {"\x81\x80 wrong"s, close(proto::CloseCode::normal)}) {
    SceneOptions options;
    options.buffer_bytes = 4096;
    WsScene scene(ws(), options);
    ASSERT_TRUE(scene.open());
    scene.server().player().told = nullptr;  // it does not read for a while
    scene.session.say(text_of_size(30'000));
    scene.session.finish();
    scene.server().say(says);
    scene.settle();
    EXPECT_FALSE(scene.session.ended());
    scene.games[0]->hangs_up_after_close = false;
    io::contract::End& player = scene.server().player();
    ASSERT_TRUE(scene.until([&] { return player.drain(), scene.session.took == 1; }, 2s));
    scene.settle();
    player.drain();
    EXPECT_EQ(scene.games[0]->bytes_behind(player), 8u + 30'000 + 8);
    player.close();
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
  }
}

TEST(WsConnection, finish_ends_in_time_without_an_answer) {
  WsScene scene;
  ASSERT_TRUE(scene.open());
  scene.games[0]->hangs_up_after_close = false;
  const TimePoint before = scene.sim.now();
  scene.session.finish();
  ASSERT_TRUE(scene.until_ended(10s));
  EXPECT_EQ(scene.sim.now() - before, limits::kGameCloseS);
  EXPECT_EQ(*scene.session.how, GameEnd::stopped);
}

TEST(WsConnection, finish_in_the_handshake_delivers_what_was_said_or_ends_at_once) {
  for (const bool said : {true, false}) {
    WsScene scene;
    scene.games[0]->silent = true;
    scene.start();
    ASSERT_TRUE(scene.until([&] { return scene.server().met() && !scene.server().heard().empty(); }));
    if (said) scene.session.say("hello");
    scene.session.finish();
    scene.settle();
    EXPECT_EQ(scene.session.ended(), !said);
    scene.games[0]->silent = false;
    scene.server().on_heard(scene.server().player());
    ASSERT_TRUE(scene.until_ended(1s));
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
    EXPECT_EQ(scene.session.took, said ? 1u : 0u);
    if (said) {
      EXPECT_EQ(scene.games[0]->messages(), Strings{"hello"});
    }
  }
}

TEST(WsConnection, cancel_leaves_nothing_wherever_it_stands) {
  for (const int where : {0, 1, 2, 3}) {
    SCOPED_TRACE(where);
    WsScene scene;
    scene.games[0]->silent = where == 1;
    scene.start();
    scene.session.say("hello");
    if (where >= 1) {
      ASSERT_TRUE(scene.until([&] { return scene.server().met() && !scene.server().heard().empty(); }));
    }
    if (where >= 2) scene.settle();
    if (where == 3) {
      scene.games[0]->hangs_up_after_close = false;
      scene.session.finish();
      scene.settle();
    }
    scene.session.game->cancel();
    EXPECT_TRUE(scene.gateway.leftovers().none()) << scene.gateway.leftovers().text();
    scene.settle();
    EXPECT_FALSE(scene.session.ended());
  }
}

TEST(WsConnection, whichever_operation_fails_the_session_hears_of_it_once_and_nothing_is_left) {
  int survived = 0;
  for (std::uint64_t nth = 1; nth < 80 && survived == 0; ++nth) {
    SCOPED_TRACE(nth);
    SceneOptions options;
    options.buffer_bytes = 4096;
    WsScene scene(ws(), options);
    scene.games[0]->behind = text("tick");
    scene.gateway.fail_operation(nth);
    scene.start();
    scene.session.say("hello");
    scene.session.say(text_of_size(20'000));
    scene.until([&] { return scene.session.ended() || scene.session.took == 2; }, 5s);
    if (!scene.session.ended()) scene.session.say("bye");
    scene.until([&] { return scene.session.ended() || scene.session.took == 3; }, 5s);
    if (!scene.session.ended()) scene.session.finish();
    ASSERT_TRUE(scene.until_ended(5s));
    EXPECT_LE(scene.games[0]->messages().size(), 3u);
    if (scene.sim.counters().operations_failed != 0) continue;
    EXPECT_EQ(scene.games[0]->messages(), (Strings{"hello", text_of_size(20'000), "bye"}));
    EXPECT_EQ(scene.session.texts(), Strings{"tick"});
    EXPECT_EQ(scene.session.took, 3u);
    EXPECT_EQ(*scene.session.how, GameEnd::stopped);
    ++survived;
  }
  EXPECT_EQ(survived, 1) << "the scenario never ran through";
}

TEST(WsConnection, nothing_is_lost_or_doubled_under_harmless_faults) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SceneOptions options;
    options.seed = seed;
    options.buffer_bytes = 4096;
    WsScene scene(ws(4096), options);
    scene.sim.set_faults(io::Faults::harmless());
    Random& random = scene.sim.random();
    ASSERT_TRUE(scene.open());
    Strings said, ticks;
    std::string to_say;
    const auto push = [&] { to_say.erase(0, scene.server().player().write(to_say).taken); };
    for (int step = 0; step < 100; ++step) {
      switch (random.below(4)) {
        case 0: scene.session.set_reading(random.below(2) == 0); break;
        case 1:
          said.push_back(text_of_size(random.below(3000), said.size()));
          scene.session.say(said.back());
          break;
        default:
          ticks.push_back(text_of_size(random.below(3000), ticks.size()));
          to_say += text(ticks.back());
      }
      push();
      if (random.below(3) == 0) scene.sim.run_for(Duration(static_cast<std::int64_t>(random.below(5000))));
    }
    scene.session.set_reading(true);
    ASSERT_TRUE(scene.until([&] {
      push();
      return scene.session.said.size() == ticks.size() && scene.games[0]->messages().size() == said.size();
    }));
    EXPECT_EQ(scene.session.texts(), ticks);
    EXPECT_EQ(scene.games[0]->messages(), said);
    EXPECT_EQ(scene.session.took, said.size());
  }
}

}  // namespace
}  // namespace rejoin::upstream
