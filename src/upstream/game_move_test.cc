// A game server's connection goes to another process, cut at every byte in both directions: nothing is lost,
// nothing comes twice, and the game server sees one connection that goes on.
#include <gtest/gtest.h>

#include "proto/ws_frame.h"
#include "upstream/game_scene.h"

namespace rejoin::upstream {
namespace {

/// A scene with a second process of the same machine, and a channel between the two.
class MoveScene : public GameScene {
 public:
  explicit MoveScene(const GameRules& given, SceneOptions with = {})
      : GameScene(given, with), next(beside()) {
    auto [a, b] = sim.pass_channel(gateway, next);
    here = std::move(a);
    there = std::move(b);
    there->set_events(&passed);
    next_connector = std::make_unique<Connector>(next.world(), rules, "g1", pool.get());
  }
  ~MoveScene() {
    moved.game.reset();
    next_connector->stop();
    EXPECT_TRUE(sim.run_until([&] { return next_connector->idle(); }));
    passed.sockets.clear();
    next_connector.reset();
    here.reset();
    there.reset();
  }

  /// The connection as it stands goes over, and nothing else happens meanwhile.
  void move() {
    ASSERT_TRUE(session.game->may_leave());
    std::string state;
    connector->save_kind(state);
    io::Socket socket = session.game->leave(state);
    session.game.reset();
    io::LooseSocket loose;
    if (socket) loose = here->loosen(std::move(socket));
    here->send(state, loose ? &loose : nullptr);
    ASSERT_TRUE(until([&] { return !passed.messages.empty(); }));
    loose.drop();
    io::Socket arrived;
    if (passed.sockets.front()) arrived = there->fasten(std::move(passed.sockets.front()));
    moved.call([&] { moved.game = next_connector->adopt(moved, passed.messages.front(), arrived); });
    ASSERT_TRUE(moved.game);
    moved.reading = session.reading;
  }
  std::vector<std::string> all_texts() const {
    std::vector<std::string> out = session.texts();
    for (const std::string& one : moved.texts()) out.push_back(one);
    return out;
  }

  struct Passed final : io::PassEvents {
    void on_passed(Bytes message, io::LooseSocket with) override {
      messages.emplace_back(message);
      sockets.push_back(std::move(with));
    }
    void on_channel_end() override { ended = true; }
    std::vector<std::string> messages;
    std::vector<io::LooseSocket> sockets;
    bool ended = false;
  };
  io::SimHost& next;
  Passed passed;
  std::unique_ptr<io::PassChannel> here, there;
  std::unique_ptr<Connector> next_connector;
  Session moved;  // the same session, over there

 private:
  io::SimHost& beside() {
    io::HostOptions host;
    host.name = "next";
    host.beside = &gateway;
    host.send_buffer_bytes = host.receive_buffer_bytes = options.buffer_bytes;
    return sim.add_host(std::move(host));
  }
};

GameRules tcp_rules() {
  GameRules rules;
  rules.kind = GameKind::tcp;
  return rules;
}

std::string framed(Bytes message) {
  char head[4];
  store_u32(head, static_cast<std::uint32_t>(message.size()));
  return std::string(head, 4).append(message);
}

const std::vector<std::string> kSaid = {"tick 1", "", "a longer message of the game server", "x"};

TEST(GameMove, tcp_cut_at_every_byte_of_what_the_game_server_says) {
  std::string all;
  for (const std::string& one : kSaid) all += framed(one);
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    SCOPED_TRACE(cut);
    MoveScene scene(tcp_rules());
    ASSERT_TRUE(scene.open());
    scene.settle();
    if (cut != 0) scene.server().say(Bytes(all).substr(0, cut));
    scene.settle();
    scene.move();
    if (cut != all.size()) scene.server().say(Bytes(all).substr(cut));
    scene.settle();
    EXPECT_EQ(scene.all_texts(), kSaid);
    EXPECT_EQ(scene.server().players.ends.size(), 1u) << "one connection";
  }
}

TEST(GameMove, what_arrives_while_it_is_on_its_way_is_not_lost) {
  MoveScene scene(tcp_rules());
  ASSERT_TRUE(scene.open());
  scene.settle();
  std::string state;
  scene.connector->save_kind(state);
  io::LooseSocket loose = scene.here->loosen(scene.session.game->leave(state));
  scene.session.game.reset();
  scene.server().say(framed("on its way"));
  scene.settle();
  scene.here->send(state, &loose);
  scene.settle();
  loose.drop();
  scene.server().say(framed("later"));
  scene.settle();
  io::Socket arrived = scene.there->fasten(std::move(scene.passed.sockets.front()));
  scene.moved.game = scene.next_connector->adopt(scene.moved, scene.passed.messages.front(), arrived);
  ASSERT_TRUE(scene.moved.game);
  scene.settle();
  EXPECT_EQ(scene.moved.texts(), (std::vector<std::string>{"on its way", "later"}));
}

// The game server reads nothing at first, so that messages are cut anywhere between socket and outbox.
TEST(GameMove, tcp_what_was_not_written_goes_along) {
  for (std::size_t messages = 0; messages < 12; ++messages) {
    for (const std::size_t bytes : {1u, 100u, 700u, 1500u}) {
      SCOPED_TRACE(std::to_string(messages) + " of " + std::to_string(bytes));
      SceneOptions options;
      options.buffer_bytes = 2048;
      MoveScene scene(tcp_rules(), options);
      scene.server().reads = false;
      ASSERT_TRUE(scene.open());
      scene.settle();
      std::string expected;
      for (std::size_t i = 0; i < messages; ++i) {
        const std::string text = text_of_size(bytes, i);
        scene.session.say(text);
        expected += framed(text);
      }
      scene.settle();
      const std::size_t took_before = scene.session.took;
      scene.move();
      EXPECT_EQ(scene.moved.game->unsent_bytes() == 0, took_before == messages);
      scene.moved.say("behind");
      expected += framed("behind");
      std::string heard;
      ASSERT_TRUE(scene.until([&] {
        scene.server().player().drain();
        return scene.server().heard().size() >= expected.size();
      }));
      scene.settle();
      EXPECT_EQ(scene.server().heard(), expected);
      EXPECT_EQ(scene.session.took, took_before) << "nothing is told over here any more";
      EXPECT_EQ(scene.session.took + scene.moved.took, messages + 1) << "each is counted once";
    }
  }
}

TEST(GameMove, one_that_is_not_read_stays_so) {
  MoveScene scene(tcp_rules());
  ASSERT_TRUE(scene.open());
  scene.settle();
  scene.session.on_said = [&] { scene.session.set_reading(false); };
  scene.server().say(framed("one") + framed("two") + framed("three"));
  scene.settle();
  EXPECT_EQ(scene.session.texts(), (std::vector<std::string>{"one"}));
  scene.move();
  scene.settle();
  EXPECT_TRUE(scene.moved.texts().empty());
  scene.moved.set_reading(true);
  scene.settle();
  EXPECT_EQ(scene.moved.texts(), (std::vector<std::string>{"two", "three"}));
}

TEST(GameMove, the_end_is_seen_over_there) {
  for (const bool before : {true, false}) {
    MoveScene scene(tcp_rules());
    ASSERT_TRUE(scene.open());
    scene.settle();
    if (before) {  // it hangs up while the connection stands still
      scene.session.set_reading(false);
      scene.server().player().socket.close();
      scene.settle();
    }
    scene.move();
    if (before) {
      scene.moved.set_reading(true);
    } else {
      scene.server().player().socket.close();
    }
    ASSERT_TRUE(scene.until([&] { return scene.moved.ended(); }));
    EXPECT_EQ(scene.moved.end_text(), "finished");
  }
}

TEST(GameMove, a_pool_knows_the_server_again) {
  SceneOptions options;
  options.pool = 2;
  MoveScene scene(tcp_rules(), options);
  scene.start();
  ASSERT_TRUE(scene.until([&] { return scene.server(0).met() || scene.server(1).met(); }));
  scene.settle();
  const std::string where = scene.session.game->where();
  scene.move();
  EXPECT_EQ(scene.moved.game->where(), where);
  EXPECT_EQ(scene.pool->pool->active(0) + scene.pool->pool->active(1), 1u);
}

TEST(GameMove, what_does_not_fit_is_refused) {
  MoveScene scene(tcp_rules());
  ASSERT_TRUE(scene.open());
  scene.settle();
  std::string state;
  scene.connector->save_kind(state);
  io::LooseSocket loose = scene.here->loosen(scene.session.game->leave(state));
  scene.session.game.reset();
  GameRules other = scene.rules;
  other.length.length = proto::LengthBytes::two;
  Connector connector(scene.next.world(), other, "g1");
  EXPECT_FALSE(connector.fits(state, true)) << "messages behind another length";
  EXPECT_FALSE(scene.next_connector->fits(state, false)) << "without its socket";
  EXPECT_TRUE(scene.next_connector->fits(state, true));
  // Cut anywhere the state is no state.
  for (std::size_t cut = 0; cut < state.size(); ++cut) {
    io::Socket socket;
    Session nobody;
    EXPECT_FALSE(scene.next_connector->adopt(nobody, Bytes(state).substr(0, cut), socket));
  }
}

// --- WebSocket ---

/// Answers the handshake, and gathers what comes behind it.
struct WsServer {
  explicit WsServer(GameScene& in) : scene(in) {
    scene.server().on_heard = [this](io::contract::End& end) {
      if (shaken) return;
      const std::size_t at = end.received.find("\r\n\r\n");
      if (at == std::string::npos) return;
      const std::size_t key = end.received.find("Sec-WebSocket-Key: ") + 19;
      proto::AcceptHasher hasher;
      Buffer out = scene.server().host.world().buffers.borrow();
      EXPECT_TRUE(
          proto::write_upgrade_response(out, hasher.accept(Bytes(end.received).substr(key, 24)), {}, {}));
      end.received.erase(0, at + 4);
      shaken = true;
      end.write(out.view());
    };
  }
  GameScene& scene;
  bool shaken = false;
};

GameRules ws_rules() {
  GameRules rules;
  rules.kind = GameKind::ws;
  return rules;
}

std::string ws_frame(proto::WsOpcode opcode, Bytes payload, bool fin = true) {
  proto::FrameSpec spec;
  spec.opcode = opcode;
  spec.payload_bytes = payload.size();
  spec.fin = fin ? proto::Fin::yes : proto::Fin::no;
  return std::string(proto::write_frame_header(spec).view()).append(payload);
}

TEST(GameMove, ws_cut_at_every_byte_of_what_the_game_server_says) {
  using proto::WsOpcode;
  // Fragments, a ping between them, a character cut in two, a length of 16 bits.
  const std::string euro = "\xe2\x82\xac";
  const std::string all =
      ws_frame(WsOpcode::text, "one") + ws_frame(WsOpcode::text, "tw" + euro.substr(0, 2), false) +
      ws_frame(WsOpcode::ping, "alive?") + ws_frame(WsOpcode::continuation, euro.substr(2), false) +
      ws_frame(WsOpcode::continuation, "!") + ws_frame(WsOpcode::binary, std::string(130, 'b'));
  const std::vector<std::string> expected = {"one", "tw" + euro + "!", std::string(130, 'b')};
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    SCOPED_TRACE(cut);
    MoveScene scene(ws_rules());
    WsServer server(scene);
    scene.start();
    ASSERT_TRUE(scene.until([&] { return server.shaken; }));
    scene.settle();
    if (cut != 0) scene.server().say(Bytes(all).substr(0, cut));
    scene.settle();
    scene.move();
    if (cut != all.size()) scene.server().say(Bytes(all).substr(cut));
    scene.settle();
    EXPECT_EQ(scene.all_texts(), expected);
    EXPECT_FALSE(scene.moved.ended()) << scene.moved.why.detail;
    // One pong, masked: six bytes of head, and the ping's payload.
    EXPECT_EQ(scene.server().heard().size(), 6u + 6u);
  }
}

// --- echo ---

TEST(GameMove, an_echo_keeps_what_waits) {
  GameRules rules;
  MoveScene scene(rules);
  scene.start();
  scene.session.set_reading(false);
  scene.session.say("one");
  scene.session.say("two");
  EXPECT_EQ(scene.session.took, 0u);
  scene.move();
  scene.moved.set_reading(true);
  EXPECT_EQ(scene.moved.took, 2u);
  EXPECT_EQ(scene.moved.texts(), (std::vector<std::string>{"one", "two"}));
}

TEST(GameMove, not_while_it_is_dialled_or_ends) {
  MoveScene scene(tcp_rules());
  EXPECT_FALSE(scene.session.game->may_leave());
  scene.start();
  EXPECT_FALSE(scene.session.game->may_leave());
  ASSERT_TRUE(scene.until([&] { return scene.server().met(); }));
  scene.settle();
  EXPECT_TRUE(scene.session.game->may_leave());
  scene.session.finish();
  EXPECT_FALSE(scene.session.game->may_leave());
}

}  // namespace
}  // namespace rejoin::upstream
