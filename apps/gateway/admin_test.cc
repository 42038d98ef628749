// The admin port in front of a whole gateway on a simulated network: what it shows, ends and drains.
#include "apps/gateway/admin.h"

#include <gtest/gtest.h>

#include <string>

#include "apps/gateway/resume_client.h"
#include "watch/json.h"

namespace rejoin::gateway {
namespace {

using watch::Json;

constexpr std::uint16_t kAdminPort = 9090;
const std::string kGreeting = "DATA 1 '{\"server\":\"g'";

/// A gateway with an admin port, and players.
struct AdminScene : Scene {
  explicit AdminScene(const config::Gateway& rules = {}) : Scene(1, {}, rules), admin(*worker, nullptr) {
    EXPECT_TRUE(admin.open({gateway.address(kAdminPort)}));
  }
  ~AdminScene() {
    admin.close();
    EXPECT_TRUE(until([&] { return admin.idle(); }));
  }

  /// The whole answer.
  std::string ask(const std::string& method, const std::string& target) {
    RawClient& one = client(kAdminPort);
    one.say(method + " " + target + " HTTP/1.1\r\nHost: 10.0.0.1:9090\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(until([&] { return one.over(); }));
    return one.heard();
  }
  /// Its body, where it is a 200.
  Json told(const std::string& method, const std::string& target) {
    const std::string answer = ask(method, target);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << target << answer;
    const auto json = watch::parse_json(answer.substr(answer.find("\r\n\r\n") + 4));
    EXPECT_TRUE(json) << answer;
    return json.value_or(Json());
  }
  std::string health() {
    RawClient& one = client();
    one.say("GET /healthz HTTP/1.1\r\nHost: g1\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(until([&] { return one.over(); }));
    return one.heard();
  }

  Admin admin;
};

struct Player {
  explicit Player(Scene& scene, Road road = Road::websocket) : link(scene, road) {
    link.say(hello());
    EXPECT_TRUE(link.hears("WELCOME"));
    link.say(ack_of(0));
    EXPECT_TRUE(link.hears("WELCOME; " + kGreeting));
    kept = link.kept();
    kept.received = 1;
  }
  ResumeLink link;
  Kept kept;
};

std::string id_of(const Json& answer, std::size_t number = 0) {
  const auto& list = answer["list"].items();
  return number < list.size() ? list[number]["id"].text().value_or("") : "";
}

TEST(Admin, ShowsSessions) {
  AdminScene scene;
  Player first(scene, Road::websocket), second(scene, Road::tcp);
  second.link.say(data(1, "hello", 1));
  EXPECT_TRUE(second.link.hears("'hello'"));
  second.link.raw().break_off();
  scene.sim.run_for(2s);

  const Json all = scene.told("GET", "/sessions");
  EXPECT_EQ(all["gateway"].text(), "g1");
  EXPECT_EQ(all["sessions"].integer(), 2);
  EXPECT_EQ(all["attached"].integer(), 1);
  EXPECT_EQ(all["detached"].integer(), 1);
  EXPECT_EQ(all["draining"].boolean(), false);
  ASSERT_EQ(all["list"].items().size(), 2u);
  const Json& one = all["list"].items()[0];
  EXPECT_EQ(one["phase"].text(), "attached");
  EXPECT_EQ(one["kind"].text(), "rejoin");
  EXPECT_EQ(one["link"]["kind"].text(), "websocket");
  EXPECT_TRUE(one["link"]["address"].text()->starts_with("10.1.0.2:"));
  EXPECT_EQ(one["epoch"].integer(), 1);
  EXPECT_EQ(one["game_server"].text(), "echo");
  EXPECT_TRUE(one["closing_code"].is_null());
  const Json& other = all["list"].items()[1];
  EXPECT_EQ(other["phase"].text(), "detached");
  EXPECT_TRUE(other["link"].is_null());
  EXPECT_GE(*other["since_ms"].integer(), 1000);
  EXPECT_LE(*other["since_ms"].integer(), 2100);
  EXPECT_EQ(other["window"]["sent"].integer(), 2);
  EXPECT_EQ(other["window"]["acked"].integer(), 1);
  EXPECT_EQ(other["window"]["held_messages"].integer(), 1);
  EXPECT_EQ(other["window"]["held_bytes"].integer(), 5);
  EXPECT_EQ(other["received"].integer(), 1);

  const Json detached = scene.told("GET", "/sessions?phase=detached");
  EXPECT_EQ(id_of(detached), other["id"].text());
  EXPECT_EQ(detached["matching"].integer(), 1);
  const Json few = scene.told("GET", "/sessions?limit=1");
  EXPECT_EQ(few["list"].items().size(), 1u);
  EXPECT_EQ(few["matching"].integer(), 2);
  EXPECT_EQ(scene.told("GET", "/sessions/" + id_of(all, 1))["phase"].text(), "detached");
}

TEST(Admin, EndsASessionAloudAndRemembersIt) {
  for (const Road road : {Road::websocket, Road::tcp}) {
    AdminScene scene;
    Player player(scene, road), other(scene, road);
    player.link.say(data(1, "last", 1));
    const std::string id = id_of(scene.told("GET", "/sessions"));
    const Json ended = scene.told("DELETE", "/sessions/" + id + "?reason=banned%20for%20cheating");
    EXPECT_EQ(ended["phase"].text(), "ended");
    EXPECT_EQ(ended["code"].integer(), 4410);
    EXPECT_EQ(ended["reason"].text(), "banned for cheating");
    EXPECT_TRUE(player.link.hears(std::string("DATA 2 'last'; CLOSE 4410") +
                                  (road == Road::websocket ? "; close 4410" : "")));
    const std::vector<std::string> frames = player.link.frames();
    const auto close = proto::parse_close(proto::parse_frame(frames.at(3))->body);
    EXPECT_EQ(close->reason, "banned for cheating");

    const Json after = scene.told("GET", "/sessions");
    EXPECT_EQ(after["sessions"].integer(), 1);
    ASSERT_EQ(after["ended"].items().size(), 1u);
    EXPECT_EQ(after["ended"].items()[0]["id"].text(), id);
    EXPECT_EQ(scene.told("GET", "/sessions/" + id)["phase"].text(), "ended");
    EXPECT_TRUE(scene.ask("DELETE", "/sessions/" + id).starts_with("HTTP/1.1 404 "));
    ResumeLink again(scene, road, player.kept.resume());
    EXPECT_TRUE(again.hears("DETACH 4410 login"));
    other.link.say(data(1, "still here", 1));
    EXPECT_TRUE(other.link.hears("'still here'"));
  }
}

TEST(Admin, EndsADetachedSession) {
  AdminScene scene;
  Player player(scene);
  player.link.raw().break_off();
  scene.sim.run_for(1s);
  const std::string id = id_of(scene.told("GET", "/sessions"));
  EXPECT_EQ(scene.told("DELETE", "/sessions/" + id)["reason"].text(), "ended by the operator");
  ResumeLink again(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(again.hears("DETACH 4410 login"));
}

TEST(Admin, SaysWhySessionsEnded) {
  config::Gateway rules;
  rules.session.grace = 5s;
  AdminScene scene(rules);
  Player expires(scene), closes(scene);
  expires.link.raw().break_off();
  std::string close;
  proto::append_close(close, {1000, "bye"}, 1);
  closes.link.say(close);
  scene.sim.run_for(8s);
  const Json all = scene.told("GET", "/sessions");
  EXPECT_EQ(all["sessions"].integer(), 0);
  ASSERT_EQ(all["ended"].items().size(), 2u) << "the latest first";
  EXPECT_EQ(all["ended"].items()[0]["reason"].text(), "nobody came back");
  EXPECT_EQ(all["ended"].items()[1]["reason"].text(), "closed by the client");
}

TEST(Admin, RefusesWhatItDoesNotUnderstand) {
  AdminScene scene;
  const struct {
    const char* method;
    const char* target;
    const char* begins;
    const char* contains;
  } cases[] = {
      {"GET", "/nowhere", "HTTP/1.1 404 ", "no such path"},
      {"GET", "/", "HTTP/1.1 200 ", "POST /drain"},
      {"POST", "/sessions", "HTTP/1.1 405 ", "Allow: GET\r\n"},
      {"GET", "/drain", "HTTP/1.1 405 ", "Allow: POST\r\n"},
      {"GET", "/undrain", "HTTP/1.1 405 ", "Allow: POST\r\n"},
      {"POST", "/metrics", "HTTP/1.1 405 ", "Allow: GET\r\n"},
      {"POST", "/sessions/00", "HTTP/1.1 405 ", "Allow: GET, DELETE\r\n"},
      {"GET", "/sessions?limit=1001", "HTTP/1.1 400 ", "0 to 1000"},
      {"GET", "/sessions?limit=", "HTTP/1.1 400 ", "0 to 1000"},
      {"GET", "/sessions?limit=1x", "HTTP/1.1 400 ", "0 to 1000"},
      {"GET", "/sessions?phase=ended", "HTTP/1.1 400 ", "detached"},
      {"GET", "/sessions?phases=attached", "HTTP/1.1 400 ", "there are limit, phase"},
      {"GET", "/sessions/xyz", "HTTP/1.1 400 ", "32 hex digits"},
      {"GET", "/sessions/ff000000000000000000000000000000", "HTTP/1.1 404 ", "no session"},
      {"DELETE", "/sessions/00000000000000000000000000000000", "HTTP/1.1 404 ", "no session"},
      {"POST", "/drain?over=30", "HTTP/1.1 400 ", "not a duration"},
      {"POST", "/drain?end_after=x", "HTTP/1.1 400 ", "not a duration"},
  };
  for (const auto& one : cases) {
    const std::string answer = scene.ask(one.method, one.target);
    EXPECT_TRUE(answer.starts_with(one.begins)) << one.target << answer;
    EXPECT_NE(answer.find(one.contains), std::string::npos) << one.target << answer;
  }
  EXPECT_TRUE(scene.worker->admits());
}

TEST(AdminDrain, TakesNoNewSessionsAndLosesNone) {
  AdminScene scene;
  Player stays(scene), comes_back(scene, Road::tcp);
  comes_back.link.raw().break_off();
  scene.sim.run_for(100ms);
  const Json drain = scene.told("POST", "/drain?over=1s");
  EXPECT_EQ(drain["draining"].boolean(), true);
  EXPECT_EQ(drain["sessions"].integer(), 2);
  EXPECT_TRUE(drain["ends_in_ms"].is_null());

  const std::string health = scene.health();
  EXPECT_TRUE(health.starts_with("HTTP/1.1 503 ")) << health;
  EXPECT_NE(health.find("Rejoin-State: draining\r\n"), std::string::npos);
  for (const Road road : {Road::websocket, Road::tcp}) {
    ResumeLink late(scene, road);
    late.say(hello());
    EXPECT_TRUE(
        late.hears(std::string("DETACH 1012 again") + (road == Road::websocket ? "; close 1012" : "")));
  }
  RawClient& plain = scene.client();
  plain.say(kUpgrade + "\r\n");
  EXPECT_TRUE(scene.until([&] { return plain.over(); }));
  EXPECT_TRUE(plain.heard().starts_with("HTTP/1.1 503 ")) << plain.heard();
  RawClient& plain_tcp = scene.client(Scene::kPlainTcpPort);
  EXPECT_TRUE(scene.until([&] { return plain_tcp.over(); }));
  EXPECT_EQ(scene.worker->sessions().counts().draining, 4u);

  scene.sim.run_for(20s);
  ResumeLink back(scene, Road::websocket, comes_back.kept.resume());
  EXPECT_TRUE(back.hears("RESUMED 0/2/1"));
  stays.link.say(data(1, "on", 1));
  EXPECT_TRUE(stays.link.hears("'on'")) << "nobody who is there is disturbed";

  EXPECT_EQ(scene.told("POST", "/undrain")["draining"].boolean(), false);
  EXPECT_TRUE(scene.health().starts_with("HTTP/1.1 200 "));
  Player fresh(scene);
  EXPECT_EQ(scene.worker->sessions().size(), 3u);
}

TEST(AdminDrain, EndsWhatIsLeftEvenlyAfterItsTime) {
  AdminScene scene;
  std::vector<std::unique_ptr<Player>> players;
  for (int i = 0; i < 20; ++i) players.push_back(std::make_unique<Player>(scene));
  players[7]->link.raw().break_off();
  const Json drain = scene.told("POST", "/drain?end_after=5s&over=10s");
  EXPECT_GE(*drain["ends_in_ms"].integer(), 4900);
  scene.sim.run_for(4s);
  EXPECT_EQ(scene.worker->sessions().size(), 20u) << "not before";
  scene.sim.run_for(6s);
  EXPECT_GE(scene.worker->sessions().size(), 8u) << "half of them in half of the time";
  EXPECT_LE(scene.worker->sessions().size(), 12u);
  EXPECT_TRUE(players[0]->link.hears("CLOSE 1012; close 1012"));
  scene.sim.run_for(6s);
  EXPECT_EQ(scene.worker->sessions().size(), 0u);
  EXPECT_TRUE(players[19]->link.hears("CLOSE 1012; close 1012"));
  ResumeLink late(scene, Road::websocket, players[7]->kept.resume());
  EXPECT_TRUE(late.hears("DETACH 1012 login")) << "and who was away is told when they come";
  EXPECT_EQ(scene.told("GET", "/sessions")["ended"].items().size(), 20u);
}

TEST(AdminDrain, IsTakenBackInTime) {
  AdminScene scene;
  Player player(scene), second(scene);
  (void)scene.told("POST", "/drain?end_after=5s");
  (void)scene.told("POST", "/drain?end_after=20s");
  scene.sim.run_for(10s);
  EXPECT_EQ(scene.worker->sessions().size(), 2u) << "the later order is the one that counts";
  (void)scene.told("POST", "/undrain");
  scene.sim.run_for(20s);
  EXPECT_EQ(scene.worker->sessions().size(), 2u);
  (void)scene.told("POST", "/drain?end_after=0s");
  EXPECT_TRUE(scene.until([&] { return scene.worker->sessions().size() == 0; })) << "all at once";
}

TEST(AdminDrain, EndsInTheMiddleOfAnythingWithTheProgram) {
  AdminScene scene;
  Player player(scene);
  (void)scene.told("POST", "/drain?end_after=1h");
  scene.worker->drain();
  EXPECT_TRUE(player.link.hears("DETACH 1012 again; close 1012"));
}

TEST(AdminMetrics, ShowEveryNumber) {
  AdminScene scene;
  Player player(scene), away(scene, Road::tcp);
  away.link.raw().break_off();
  ResumeLink forged(scene, Road::tcp);
  Kept kept = player.kept;
  kept.secret[0] ^= 1;
  forged.say(kept.resume());
  EXPECT_TRUE(forged.hears("DETACH 4401 login"));
  const std::string answer = scene.ask("GET", "/metrics");
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  for (const char* line : {
           "rejoin_gateway_sessions{phase=\"attached\"} 1\n",
           "rejoin_gateway_sessions{phase=\"detached\"} 1\n",
           "# TYPE rejoin_gateway_sessions gauge\n",
           "rejoin_gateway_draining 0\n",
           "# TYPE rejoin_gateway_links_total counter\nrejoin_gateway_links_total 3\n",
           "rejoin_gateway_sessions_opened_total 2\n",
           "rejoin_gateway_openings_refused_total{reason=\"bad_proof\"} 1\n",
           "rejoin_gateway_openings_refused_total{reason=\"draining\"} 0\n",
           "rejoin_gateway_game_connections 2\n",
           "rejoin_gateway_game_connections_ended_total{how=\"broken\"} 0\n",
       }) {
    EXPECT_NE(answer.find(line), std::string::npos) << line << answer;
  }
}

// --- several workers, each on a host of its own, whose answers come by Colleagues ---

/// Runs what is asked in a later turn, as the real ones do. One that is silent has ended.
struct Crew final : serve::Colleagues {
  explicit Crew(io::World& world) : scope(world.ready) {}
  unsigned count() const override { return static_cast<unsigned>(programs.size()); }
  void ask(unsigned worker, std::function<void(serve::WorkerProgram&)> work) override {
    if (worker != silent) scope.spawn(run(std::move(work), *programs[worker]));
  }
  void hand_over(unsigned, io::Socket, std::function<void(serve::WorkerProgram&, io::Socket)>) override {
    ADD_FAILURE() << "nobody is handed over here";
  }
  static Task<void> run(std::function<void(serve::WorkerProgram&)> work, serve::WorkerProgram& program) {
    work(program);
    co_return;
  }

  std::vector<serve::WorkerProgram*> programs;
  unsigned silent = 1000;
  Scope scope;
};

/// Two workers; the first has the admin port.
struct CrewScene {
  CrewScene() : crew(scene.gateway.world()) {
    scene.plan->admin = watch::AdminDoor{scene.gateway.address(kAdminPort)};
    for (unsigned number = 0; number < 2; ++number) {
      workers[number] = std::make_unique<Worker>(scene.gateway.world(), *scene.plan, number, &crew);
      crew.programs.push_back(workers[number].get());
      std::vector<Address> at;
      for (int i = 0; i < 3; ++i) at.push_back(scene.gateway.address(0));
      EXPECT_TRUE(workers[number]->open(at));
    }
  }
  ~CrewScene() {
    for (const auto& worker : workers) worker->stop();
    EXPECT_TRUE(
        scene.until([&] { return workers[0]->idle() && workers[1]->idle() && crew.scope.running() == 0; }));
  }
  /// A plain client's session, waiting for its next link.
  std::string make_session(unsigned number) {
    SessionTable& sessions = workers[number]->sessions();
    LiveSession& made = sessions.make(route::TicketKind::cookie, Address(), Lasting::outlives_links);
    made.state().detach(scene.gateway.world().clock.now());
    return made.state().id().text();
  }
  std::string ask(const std::string& method, const std::string& target) {
    RawClient& one = scene.client(kAdminPort);
    one.say(method + " " + target + " HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(scene.until([&] { return one.over(); }));
    return one.heard();
  }
  Json told(const std::string& method, const std::string& target) {
    const std::string answer = ask(method, target);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
    return watch::parse_json(answer.substr(answer.find("\r\n\r\n") + 4)).value_or(Json());
  }

  Scene scene;
  Crew crew;
  std::unique_ptr<Worker> workers[2];
};

TEST(AdminOfSeveralWorkers, AddsThemUp) {
  CrewScene crew;
  EXPECT_EQ(crew.workers[0]->addresses().size(), 4u) << "the admin port stands behind the listeners";
  EXPECT_EQ(crew.workers[1]->addresses().size(), 3u);
  const std::string first = crew.make_session(0), second = crew.make_session(1), third = crew.make_session(1);
  const Json all = crew.told("GET", "/sessions?phase=detached");
  EXPECT_EQ(all["workers"].integer(), 2);
  EXPECT_EQ(all["sessions"].integer(), 3);
  ASSERT_EQ(all["list"].items().size(), 3u);
  EXPECT_EQ(id_of(all, 0), first);
  EXPECT_EQ(id_of(all, 1), second);
  EXPECT_EQ(crew.told("GET", "/sessions?limit=1")["list"].items().size(), 1u);

  EXPECT_EQ(crew.told("GET", "/sessions/" + third)["worker"].integer(), 1);
  EXPECT_EQ(crew.told("DELETE", "/sessions/" + third)["code"].integer(), 4410);
  EXPECT_EQ(crew.workers[1]->sessions().size(), 1u);

  EXPECT_EQ(crew.told("POST", "/drain")["sessions"].integer(), 2);
  EXPECT_FALSE(crew.workers[0]->admits() || crew.workers[1]->admits());
  EXPECT_NE(crew.ask("GET", "/metrics").find("rejoin_gateway_draining 2\n"), std::string::npos);
  EXPECT_EQ(crew.told("POST", "/undrain")["draining"].boolean(), false);
  EXPECT_TRUE(crew.workers[0]->admits() && crew.workers[1]->admits());
}

TEST(AdminOfSeveralWorkers, SaysSoWhenOneDoesNotAnswer) {
  CrewScene crew;
  crew.crew.silent = 1;
  EXPECT_TRUE(crew.ask("GET", "/sessions").starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(crew.ask("GET", "/healthz").starts_with("HTTP/1.1 200 "));
  crew.crew.silent = 1000;
  EXPECT_EQ(crew.told("GET", "/sessions")["workers"].integer(), 2);
}

}  // namespace
}  // namespace rejoin::gateway
