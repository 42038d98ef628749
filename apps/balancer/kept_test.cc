// Which requests go on a connection to a server that served another before, and what happens when the server
// closes it at that very moment.
#include "apps/balancer/test_scene.h"

namespace rejoin::balancer::test {
namespace {

constexpr std::string_view kGet = "GET /g HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kPost = "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
constexpr std::string_view kEmptyPost = "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kPut = "PUT /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
constexpr std::string_view kPatch = "PATCH /e HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kDone = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

std::string with_keep_alive(const std::string& keys) {
  std::string text(kSceneConfig);
  const std::string before = "connect_timeout = \"2s\"\n";
  text.insert(text.find(before), "keep_alive = { " + keys + " }\n");
  return text;
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// One client, who says one request after the other.
struct Talk {
  explicit Talk(Scene& s) : scene(s), client(s.client()) {}

  /// How often servers have heard it, on all connections.
  std::size_t heard(std::string_view request) const {
    std::size_t all = 0;
    for (const auto& one : scene.accepted())
      all += count(one->heard(), request.substr(0, request.find("\r\n")));
    return all;
  }
  /// Says it; the connection on which the server hears it.
  RawEnd& ask(std::string_view request) {
    std::vector<std::size_t> before;
    for (const auto& one : scene.accepted()) before.push_back(one->heard().size());
    const std::size_t times = heard(request);
    client.say(request);
    EXPECT_TRUE(scene.until([&] { return heard(request) == times + 1; })) << request;
    for (std::size_t i = 0; i < scene.accepted().size(); ++i) {
      RawEnd& one = *scene.accepted()[i];
      if (one.heard().size() > (i < before.size() ? before[i] : 0)) return one;
    }
    ADD_FAILURE() << "nobody heard " << request;
    std::abort();
  }
  void answer(RawEnd& server) {
    const std::size_t answers = count(client.heard(), "done");
    server.say(kDone);
    EXPECT_TRUE(scene.until([&] { return count(client.heard(), "done") == answers + 1; })) << client.heard();
  }
  /// Says a request that is answered; whether it went on a kept connection.
  bool reuses(std::string_view request) {
    const std::size_t before = scene.accepted().size();
    answer(ask(request));
    return scene.accepted().size() == before;
  }

  Scene& scene;
  RawEnd& client;
};

TEST(KeptConnections, what_may_be_sent_twice_goes_on_any) {
  Scene scene;
  Talk first(scene), second(scene);
  EXPECT_FALSE(first.reuses(kGet));
  EXPECT_TRUE(first.reuses(kGet));
  EXPECT_TRUE(second.reuses(kGet)) << "another client's first";
  scene.sim.run_for(3s);
  EXPECT_TRUE(second.reuses(kGet)) << "after a while";
}

TEST(KeptConnections, the_rest_goes_on_one_only_behind_an_answer_and_when_it_was_used_lately) {
  for (const std::string_view unsafe : {kPost, kEmptyPost, kPut, kPatch}) {
    Scene scene;
    Talk first(scene), second(scene);
    EXPECT_FALSE(first.reuses(unsafe)) << unsafe;
    EXPECT_TRUE(first.reuses(unsafe)) << unsafe;
    EXPECT_FALSE(second.reuses(unsafe)) << "another client's first: " << unsafe;
    scene.sim.run_for(1500ms);
    EXPECT_FALSE(second.reuses(unsafe)) << "1.5 s later: " << unsafe;
    EXPECT_TRUE(second.reuses(unsafe)) << unsafe;
  }
}

TEST(KeptConnections, the_time_is_configured) {
  {
    Scene scene(1, with_keep_alive("unsafe = \"3s\""));
    Talk one(scene);
    EXPECT_FALSE(one.reuses(kPost));
    scene.sim.run_for(2900ms);
    EXPECT_TRUE(one.reuses(kPost));
  }
  Scene scene(1, with_keep_alive("unsafe = \"0s\""));
  Talk one(scene);
  EXPECT_FALSE(one.reuses(kPost));
  EXPECT_FALSE(one.reuses(kPost));
  EXPECT_TRUE(one.reuses(kGet));
}

TEST(KeptConnections, what_may_be_sent_twice_is_when_its_server_closes_it_unanswered) {
  for (const bool by_reset : {false, true}) {
    Scene scene;
    Talk one(scene);
    EXPECT_FALSE(one.reuses(kGet));
    RawEnd& closing = one.ask(kGet);
    by_reset ? closing.reset() : closing.say_fin();
    EXPECT_TRUE(scene.until([&] { return one.heard(kGet) == 3; }));
    one.answer(*scene.accepted().back());
    EXPECT_EQ(scene.accepted().size(), 2u);
  }
}

TEST(KeptConnections, the_rest_is_never_and_its_clients_connection_ends_as_the_servers_did) {
  for (const std::string_view unsafe : {kPost, kEmptyPost, kPut, kPatch}) {
    for (const bool by_reset : {false, true}) {
      Scene scene;
      Talk one(scene);
      EXPECT_FALSE(one.reuses(kGet));
      const std::string before = one.client.heard();
      RawEnd& closing = one.ask(unsafe);
      by_reset ? closing.reset() : closing.say_fin();
      EXPECT_TRUE(scene.until([&] { return one.client.over(); }));
      EXPECT_EQ(one.client.heard(), before) << "no answer of ours";
      EXPECT_EQ(one.heard(unsafe), 1u) << "nothing twice";
      const watch::Json record = scene.records(2).back();
      EXPECT_EQ(record["reused"].boolean(), true);
      EXPECT_EQ(record["end_by"].text(), "server");
    }
  }
}

TEST(KeptConnections, on_a_new_one_the_client_is_told) {
  Scene scene;
  Talk one(scene);
  one.ask(kPost).reset();
  EXPECT_TRUE(scene.until([&] { return one.client.hears("HTTP/1.1 502 "); }));
  EXPECT_EQ(one.heard(kPost), 1u);
}

// What has arrived of it when it is sent is sent in one piece; what has not follows.
TEST(KeptConnections, a_body_comes_whole_however_it_arrived) {
  for (std::size_t cut = 0; cut < kPost.size(); ++cut) {
    Scene scene;
    Talk one(scene);
    EXPECT_FALSE(one.reuses(kGet));
    one.client.say(kPost.substr(0, cut));
    scene.sim.run_for(50ms);
    one.client.say(std::string(kPost.substr(cut)) + std::string(kGet));
    EXPECT_TRUE(scene.until([&] { return scene.accepted().front()->hears("\r\n\r\nabc"); })) << cut;
    one.answer(*scene.accepted().front());
    EXPECT_TRUE(scene.until([&] { return one.heard(kGet) == 2; })) << "what came behind is the next request";
    one.answer(*scene.accepted().front());
    EXPECT_EQ(scene.accepted().size(), 1u);
    const std::vector<watch::Json> records = scene.records(3);
    EXPECT_EQ(records[1]["bytes_in"].integer(), static_cast<std::int64_t>(kPost.size())) << cut;
  }
}

TEST(KeptConnections, a_server_that_has_begun_to_answer_has_heard_it) {
  Scene scene;
  Talk one(scene);
  EXPECT_FALSE(one.reuses(kGet));
  RawEnd& server = one.ask(kPost);
  server.say("HTTP/1.1 200 ");
  scene.sim.run_for(100ms);
  server.reset();
  EXPECT_TRUE(scene.until([&] { return one.client.hears("HTTP/1.1 502 "); }));
}

}  // namespace
}  // namespace rejoin::balancer::test
