// Sessions go from process to process, as their clients and the two processes find it: two workers beside
// each other on a simulated machine, with a channel between them. Where a test plays one of the processes
// itself, it may do what no good process does.
#include <gtest/gtest.h>

#include <string>

#include "apps/gateway/resume_client.h"
#include "base/limits.h"
#include "io/network_contract.h"

namespace rejoin::gateway {
namespace {

config::Gateway quick() {
  config::Gateway rules;
  rules.upgrade = {200ms, 1s, 2s};
  return rules;
}

/// A client that has logged in, and heard the echo's greeting.
struct Player {
  explicit Player(Scene& scene, Road road = Road::websocket) : link(scene, road) {
    link.say(hello());
    EXPECT_TRUE(link.hears("WELCOME"));
    link.say(ack_of(0));
    EXPECT_TRUE(scene.until([&] { return link.frames().size() == 2; }));
    kept = link.kept();
    kept.received = 1;
  }
  ResumeLink link;
  Kept kept;
};

/// The old process is Scene::worker; the next one is beside it.
class MoveScene : public Scene {
 public:
  explicit MoveScene(const config::Gateway& base = quick(), std::uint64_t seed = 1)
      : Scene(seed, {}, base), beside(sim.add_host({.name = "next", .beside = &gateway})) {}
  ~MoveScene() {
    heard.sockets.clear();
    if (next != nullptr) next->stop();
    if (next != nullptr) {
      EXPECT_TRUE(until([&] { return next->idle(); }));
    }
    next.reset();
    channel.reset();
  }

  void upgrade() {
    auto [ours, theirs] = sim.pass_channel(gateway, beside);
    next = std::make_unique<Worker>(beside.world(), *plan);
    next->expect(std::move(theirs));
    ASSERT_TRUE(worker->may_hand_on());
    worker->hand_on(std::move(ours));
    worker->stop_accepting();
    ASSERT_TRUE(next->open({}));
  }
  /// The test is the next process.
  void be_next() {
    auto [ours, theirs] = sim.pass_channel(gateway, beside);
    worker->hand_on(std::move(ours));
    channel = std::move(theirs);
    channel->set_events(&heard);
    say(MoveFrame::Kind::ready, 0);
  }
  /// The test is the old process; who dials reaches the next one.
  void be_old() {
    auto [ours, theirs] = sim.pass_channel(gateway, beside);
    next = std::make_unique<Worker>(beside.world(), *plan);
    next->expect(std::move(theirs));
    channel = std::move(ours);
    channel->set_events(&heard);
    worker->stop_accepting();
    ASSERT_TRUE(next->open({}));
  }
  void say(MoveFrame::Kind kind, std::uint32_t serial, Bytes body = {}) {
    MoveFrame frame;
    frame.kind = kind;
    frame.serial = serial;
    frame.body = body;
    channel->send(frame.bytes());
  }
  bool moved(std::size_t count) {
    return until([&] { return next->sessions().size() == count && worker->sessions().size() == 0; });
  }

  struct Heard final : io::PassEvents {
    void on_passed(Bytes message, io::LooseSocket with) override {
      messages.emplace_back(message);
      sockets.push_back(std::move(with));
    }
    void on_channel_end() override {}
    std::size_t count(MoveFrame::Kind kind) const {
      std::size_t out = 0;
      for (const std::string& one : messages) out += MoveFrame::read(one)->kind == kind ? 1 : 0;
      return out;
    }
    std::vector<std::string> messages;
    std::vector<io::LooseSocket> sockets;
  };
  io::SimHost& beside;
  std::unique_ptr<Worker> next;
  std::unique_ptr<io::PassChannel> channel;
  Heard heard;
};

TEST(Move, a_client_dials_beside_and_its_session_follows) {
  for (const Road road : {Road::websocket, Road::tcp}) {
    MoveScene scene;
    Player player(scene, road);
    player.link.say(data(1, "before", 1));
    EXPECT_TRUE(player.link.hears("DATA 2 'before'"));
    scene.upgrade();
    EXPECT_TRUE(player.link.hears("DETACH 1012 move"));
    player.link.say(data(2, "meanwhile", 2));
    EXPECT_TRUE(player.link.hears("DATA 3 'meanwhile'")) << "the old link serves on";
    player.kept.received = 3;
    ResumeLink beside(scene, road, player.kept.resume());
    EXPECT_TRUE(beside.hears("RESUMED 2/4/3"));
    EXPECT_TRUE(scene.until([&] {
      return player.link.told().find("DETACH 4409 stop epoch 2") != std::string::npos;
    })) << player.link.told();
    beside.say(data(3, "after", 3));
    EXPECT_TRUE(beside.hears("DATA 4 'after'"));
    EXPECT_TRUE(scene.moved(1));
    EXPECT_TRUE(scene.until([&] { return scene.worker->over(); }));
    EXPECT_EQ(scene.next->moves().in, 1u);
    EXPECT_EQ(scene.next->sessions().counts().opened, 0u);
  }
}

TEST(Move, who_does_not_come_is_let_go_and_comes_later) {
  MoveScene scene;
  Player player(scene);
  Player away(scene);
  away.link.raw().break_off();
  scene.upgrade();
  EXPECT_TRUE(player.link.hears("DETACH 1012 move; DETACH 1012 again; close 1012"));
  EXPECT_TRUE(scene.moved(2));
  ResumeLink again(scene, Road::tcp, player.kept.resume());
  EXPECT_TRUE(again.hears("RESUMED 0/2/1"));
  ResumeLink back(scene, Road::websocket, away.kept.resume());
  EXPECT_TRUE(back.hears("RESUMED 0/2/1"));
}

TEST(Move, grace_runs_on) {
  config::Gateway rules = quick();
  rules.session.grace = 5s;
  MoveScene scene(rules);
  Player player(scene);
  player.link.raw().break_off();
  scene.sim.run_for(3s);
  scene.upgrade();
  EXPECT_TRUE(scene.moved(1));
  scene.sim.run_for(1s);
  EXPECT_EQ(scene.next->sessions().size(), 1u);
  scene.sim.run_for(2s);
  EXPECT_EQ(scene.next->sessions().size(), 0u);
  EXPECT_EQ(scene.next->sessions().counts().expired, 1u);
}

TEST(Move, what_is_not_proved_touches_no_link) {
  MoveScene scene;
  Player player(scene);
  scene.upgrade();
  EXPECT_TRUE(player.link.hears("DETACH 1012 move"));
  Kept thief = player.kept;
  thief.secret[0] ^= 1;
  ResumeLink stolen(scene, Road::websocket, thief.resume());
  EXPECT_TRUE(stolen.hears("DETACH 4401 login"));
  Kept replayed = player.kept;
  replayed.epoch = 0;  // the next one is 1, which was used
  ResumeLink stale(scene, Road::websocket, replayed.resume());
  EXPECT_TRUE(stale.hears("DETACH 4412 again epoch 1"));
  player.link.say(data(1, "still here", 1));
  EXPECT_TRUE(player.link.hears("DATA 2 'still here'"));
  EXPECT_EQ(scene.worker->sessions().size(), 1u);
}

TEST(Move, a_plain_client_finds_its_session_by_its_cookie) {
  config::Gateway rules = quick();
  rules.session_cookie.emplace();
  MoveScene scene(rules);
  std::size_t from = 0;
  RawClient& player = scene.websocket(from);
  const std::size_t at = player.heard().find("REJOIN-SESSION=");
  ASSERT_NE(at, std::string::npos);
  const std::string cookie = player.heard().substr(at, player.heard().find(';', at) - at);
  scene.upgrade();
  EXPECT_TRUE(scene.until([&] { return player.heard().size() > from; }));
  EXPECT_EQ(frames_in(player.heard().substr(from)), std::vector<HeardFrame>{close_frame(1012)});
  RawClient& again = scene.client();
  again.say(kUpgrade + "Cookie: " + cookie + "\r\n\r\n" + masked(proto::WsOpcode::text, "back"));
  EXPECT_TRUE(scene.until([&] { return again.heard().ends_with("back"); })) << again.heard();
  EXPECT_EQ(scene.next->sessions().size(), 1u);
  EXPECT_EQ(scene.next->sessions().counts().opened, 0u) << "it is the same session";
}

TEST(Move, who_has_no_way_back_keeps_the_old_process_for_a_while) {
  MoveScene scene;
  RawClient& plain = scene.client(Scene::kPlainTcpPort);
  EXPECT_TRUE(scene.until([&] { return plain.heard().ends_with('}'); }));
  scene.upgrade();
  scene.sim.run_for(1500ms);
  EXPECT_FALSE(plain.over());
  EXPECT_FALSE(scene.worker->over());
  EXPECT_EQ(scene.worker->departure()->phase(), Departure::Phase::lingering);
  EXPECT_FALSE(scene.next->arrivals()->coming());
  EXPECT_TRUE(scene.until([&] { return scene.worker->over(); }));
}

TEST(Move, sigterm_under_way_lets_all_go_at_once) {
  config::Gateway rules = quick();
  rules.upgrade = {60s, 60s, 60s};
  MoveScene scene(rules);
  Player player(scene);
  scene.upgrade();
  scene.sim.run_for(100ms);
  scene.worker->drain();
  EXPECT_TRUE(player.link.hears("DETACH 1012 again; close 1012"));
  EXPECT_TRUE(scene.moved(1));
  EXPECT_TRUE(scene.until([&] { return scene.worker->draining(); }));
  ResumeLink again(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(again.hears("RESUMED 0/2/1"));
}

TEST(Move, how_a_session_ended_is_told_by_the_next_process) {
  MoveScene scene;
  Player player(scene);
  std::string close;
  proto::append_close(close, {4242, "bye"}, 1);
  player.link.say(close);
  EXPECT_TRUE(player.link.hears("CLOSE 4242; close 4242"));
  scene.upgrade();
  EXPECT_TRUE(scene.until([&] { return !scene.next->arrivals()->coming(); }));
  ResumeLink again(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(again.hears("DETACH 4242 login"));
}

TEST(Move, a_connection_in_the_middle_of_its_request_goes_along) {
  MoveScene scene;
  Player player(scene);
  player.link.raw().break_off();
  RawClient& early = scene.client();
  early.say("GET /play HTTP/1.1\r\n");
  scene.sim.run_for(500ms);
  scene.upgrade();
  EXPECT_TRUE(scene.moved(1));
  std::string rest = kUpgrade.substr(kUpgrade.find("Host"));
  early.say(rest + "Sec-WebSocket-Protocol: rejoin.v1, " + *proto::resume_item(player.kept.resume()) +
            "\r\n\r\n");
  EXPECT_TRUE(scene.until([&] { return early.heard().find("101 ") != std::string::npos || early.over(); }));
  EXPECT_TRUE(early.heard().starts_with("HTTP/1.1 101 ")) << early.heard();
  EXPECT_EQ(scene.worker->moves().connections, 1u);
  EXPECT_EQ(scene.next->sessions().with_link(), 1u);
}

// --- a next process that is none ---

TEST(Move, what_was_not_taken_goes_on_when_the_next_process_dies) {
  MoveScene scene;
  Player player(scene);
  player.link.raw().break_off();
  scene.be_next();
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::offer) == 1; }));
  EXPECT_EQ(scene.worker->sessions().size(), 0u) << "it stands still";
  scene.heard.sockets.clear();
  scene.channel.reset();
  EXPECT_TRUE(scene.until([&] { return scene.worker->sessions().size() == 1; }));
  ResumeLink again(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(again.hears("RESUMED 0/2/1")) << "and the old process listens again";
  EXPECT_TRUE(scene.worker->may_hand_on()) << "the next upgrade may come";
}

TEST(Move, listens_again_once_the_sockets_of_a_next_process_that_died_are_closed) {
  MoveScene scene;
  Player player(scene);
  player.link.raw().break_off();
  scene.be_next();
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::offer) == 1; }));
  io::contract::Acceptor nobody;
  auto still_there = scene.beside.network().listen(scene.gateway.address(Scene::kWebSocketPort), {}, nobody);
  ASSERT_TRUE(still_there);
  scene.heard.sockets.clear();
  scene.channel.reset();
  EXPECT_TRUE(scene.until([&] { return scene.worker->sessions().size() == 1; }));
  scene.sim.run_for(500ms);
  still_there->reset();
  scene.sim.run_for(50ms);
  ResumeLink again(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(again.hears("RESUMED 0/2/1"));
}

TEST(Move, what_is_not_answered_is_taken_back_and_offered_again) {
  MoveScene scene;
  Player player(scene);
  player.link.raw().break_off();
  scene.be_next();
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::offer) == 2; }));
  EXPECT_EQ(scene.heard.count(MoveFrame::Kind::revoke), 1u);
  scene.say(MoveFrame::Kind::take, 1);  // too late
  scene.sim.run_for(1s);
  EXPECT_EQ(scene.heard.count(MoveFrame::Kind::yours), 0u);
  scene.say(MoveFrame::Kind::take, 2);
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::yours) == 1; }));
  EXPECT_EQ(scene.worker->moves().out, 1u);
}

TEST(Move, what_the_next_process_refuses_ends_aloud) {
  MoveScene scene;
  Player player(scene);
  player.link.raw().break_off();
  scene.be_next();
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::offer) == 1; }));
  scene.say(MoveFrame::Kind::refuse, 1, "of another kind");
  EXPECT_TRUE(scene.until([&] { return scene.worker->moves().failed == 1; }));
  EXPECT_EQ(scene.worker->sessions().ends().back().reason, "the new process cannot go on with it");
}

TEST(Move, nonsense_of_the_next_process_harms_nobody) {
  MoveScene scene;
  Player player(scene);
  scene.be_next();
  EXPECT_TRUE(player.link.hears("DETACH 1012 move"));
  for (const std::string& nonsense : {std::string(), std::string("x"), std::string(200, '\xff')})
    scene.channel->send(nonsense);
  for (int kind = 1; kind <= 11; ++kind) {
    MoveFrame frame;
    frame.kind = static_cast<MoveFrame::Kind>(kind);
    frame.serial = 77;
    frame.body = "nonsense";
    scene.channel->send(frame.bytes());
  }
  player.link.say(data(1, "here", 1));
  EXPECT_TRUE(player.link.hears("DATA 2 'here'"));
}

// --- an old process that is none ---

TEST(Move, what_a_dying_process_had_offered_is_the_next_ones) {
  for (const bool revoked : {false, true}) {
    MoveScene scene;
    Player player(scene);
    player.link.raw().break_off();
    scene.sim.run_for(1s);
    std::string parcel;
    LiveSession* const session = scene.worker->sessions().oldest();
    const route::SessionId id = session->state().id();
    (void)session->pack_up(parcel);  // an echo has no socket
    scene.worker->sessions().destroy(*session);
    scene.be_old();
    MoveFrame offer;
    offer.kind = MoveFrame::Kind::offer;
    offer.serial = 1;
    offer.id = id;
    offer.body = parcel;
    scene.channel->send(offer.bytes());
    EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::take) == 1; }));
    EXPECT_EQ(scene.next->sessions().size(), 0u) << "not before it is told";
    if (revoked) scene.say(MoveFrame::Kind::revoke, 1);
    scene.channel.reset();
    scene.sim.run_for(1s);
    EXPECT_EQ(scene.next->sessions().size(), revoked ? 0u : 1u);
    ResumeLink again(scene, Road::websocket, player.kept.resume());
    EXPECT_TRUE(again.hears(revoked ? "DETACH 4401 login" : "RESUMED 0/2/1"));
  }
}

TEST(Move, a_resume_waits_and_is_told_to_come_again_when_there_is_no_answer) {
  MoveScene scene;
  Player player(scene);
  scene.be_old();
  ResumeLink again(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::want) == 1; }));
  scene.sim.run_for(5s);
  EXPECT_EQ(again.told(), "");
  scene.sim.run_for(6s);
  EXPECT_TRUE(again.hears("DETACH 4404 again; close 4404"));
}

TEST(Move, a_parcel_that_cannot_be_read_is_refused_wherever_it_is_cut) {
  MoveScene scene;
  Player player(scene);
  player.link.raw().break_off();
  scene.sim.run_for(1s);
  std::string parcel;
  LiveSession* const session = scene.worker->sessions().oldest();
  const route::SessionId id = session->state().id();
  (void)session->pack_up(parcel);
  scene.worker->sessions().destroy(*session);
  scene.be_old();
  for (std::size_t cut = 0; cut < parcel.size(); ++cut) {
    MoveFrame offer;
    offer.kind = MoveFrame::Kind::offer;
    offer.serial = static_cast<std::uint32_t>(cut + 1);
    offer.id = id;
    offer.body = Bytes(parcel).substr(0, cut);
    scene.channel->send(offer.bytes());
  }
  EXPECT_TRUE(scene.until([&] { return scene.heard.count(MoveFrame::Kind::refuse) == parcel.size(); }));
  EXPECT_EQ(scene.heard.count(MoveFrame::Kind::take), 0u);
}

}  // namespace
}  // namespace rejoin::gateway
