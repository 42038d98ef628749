// Requests to a websocket listener: what is answered, and whether the connection goes on.
#include "apps/gateway/serve_player.h"

#include <gtest/gtest.h>

#include "apps/gateway/test_scene.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

struct HeadCase {
  const char* name;
  std::string request;
  std::string begins;    // of the answer
  std::string contains;  // in it
  bool closes;           // the connection ends after it
};

std::string upgrade_without(std::string_view line, std::string_view instead = "") {
  std::string out = kUpgrade + "\r\n";
  const std::size_t at = out.find(line);
  EXPECT_NE(at, std::string::npos) << line;
  return out.replace(at, line.size(), instead);
}

std::vector<HeadCase> head_cases() {
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  return {
      {"health", "GET /healthz HTTP/1.1\r\nHost: g1\r\n\r\n", "HTTP/1.1 200 ", "ok\n", false},
      {"health with a query", "GET /healthz?deep=1 HTTP/1.1\r\nHost: g1\r\n\r\n", "HTTP/1.1 200 ", "ok\n",
       false},
      {"health by HEAD", "HEAD /healthz HTTP/1.1\r\nHost: g1\r\n\r\n", "HTTP/1.1 200 ",
       "Content-Length: 3\r\n", false},
      {"health once", "GET /healthz HTTP/1.1\r\nHost: g1\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
       "close", true},
      {"health in 1.0", "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", "ok\n", true},
      {"health in 1.0, staying", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 ",
       "keep-alive", false},
      {"health by POST", "POST /healthz HTTP/1.1\r\nHost: g1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 405 ",
       "Allow: GET, HEAD\r\n", true},
      {"health with a body", "GET /healthz HTTP/1.1\r\nHost: g1\r\nContent-Length: 2\r\n\r\nab",
       "HTTP/1.1 400 ", "", true},
      {"another path without upgrade", "GET /play HTTP/1.1\r\nHost: g1\r\n\r\n", "HTTP/1.1 426 ",
       "Upgrade: websocket\r\n", true},
      {"an upgrade", kUpgrade + "\r\n", "HTTP/1.1 101 ",
       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", false},
      {"an upgrade by POST", upgrade_without("GET", "POST"), "HTTP/1.1 405 ", "", true},
      {"an old version", upgrade_without("Version: 13", "Version: 8"), "HTTP/1.1 426 ",
       "Sec-WebSocket-Version: 13\r\n", true},
      {"no key", upgrade_without(key), "HTTP/1.1 400 ", "", true},
      {"a short key", upgrade_without("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), "HTTP/1.1 400 ", "", true},
      {"two keys", upgrade_without(key, key + key), "HTTP/1.1 400 ", "", true},
      {"no Host", "GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "", true},
      {"bare LF", "GET /healthz HTTP/1.1\nHost: g1\n\n", "HTTP/1.1 400 ", "", true},
      {"no HTTP", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "HTTP/1.1 400 ", "", true},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 ", "", true},
      {"a long head",
       "GET /healthz HTTP/1.1\r\nHost: g1\r\nX: " + std::string(limits::kHeadBytesMax, 'x') + "\r\n\r\n",
       "HTTP/1.1 431 ", "", true},
      {"a long request line",
       "GET /" + std::string(limits::kRequestLineBytesMax, 'x') + " HTTP/1.1\r\nHost: g1\r\n\r\n",
       "HTTP/1.1 414 ", "", true},
  };
}

void run_head_case(const HeadCase& c, std::size_t segment_bytes) {
  SCOPED_TRACE(std::string(c.name) + ", segments of " + std::to_string(segment_bytes));
  io::LinkOptions link;
  link.segment_bytes_max = segment_bytes;
  config::Gateway rules;
  rules.heartbeat = {.ping = 10min, .dead = 10min};  // nobody here answers a ping
  Scene scene(1, link, rules);
  RawClient& client = scene.client();
  client.say(c.request);
  scene.until([&] { return client.over(); });  // at most a minute, for those that stay
  EXPECT_TRUE(client.heard().starts_with(c.begins)) << client.heard().substr(0, 200);
  EXPECT_NE(client.heard().find(c.contains), std::string::npos) << client.heard();
  EXPECT_FALSE(client.broken()) << "the end is a FIN: a reset could have thrown the answer away";
}

TEST(ServePlayer, answers_heads) {
  for (const HeadCase& c : head_cases()) run_head_case(c, 1448);
}

TEST(ServePlayer, answers_heads_that_come_byte_by_byte) {
  for (const HeadCase& c : head_cases()) run_head_case(c, 1);
}

TEST(ServePlayer, closes_after_errors_and_stays_after_the_others) {
  for (const HeadCase& c : head_cases()) {
    SCOPED_TRACE(c.name);
    Scene scene;
    RawClient& client = scene.client();
    client.say(c.request);
    scene.sim.run_for(2s);
    EXPECT_EQ(client.over(), c.closes);
  }
}

TEST(ServePlayer, answers_requests_one_after_the_other_and_then_upgrades) {
  Scene scene;
  RawClient& client = scene.client();
  const std::string health = "GET /healthz HTTP/1.1\r\nHost: g1\r\n\r\n";
  client.say(health + health + kUpgrade + "\r\n" + masked(proto::WsOpcode::text, "early"));
  ASSERT_TRUE(scene.until([&] { return client.heard().ends_with("early"); })) << client.heard();
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = client.heard().find("HTTP/1.1 200", at)) != std::string::npos; ++at)
    ++answers;
  EXPECT_EQ(answers, 2u);
  EXPECT_EQ(scene.worker->counts().requests, 3u);
  EXPECT_EQ(scene.worker->links(), 1u);
}

TEST(ServePlayer, greets_with_its_name_and_the_clients_address) {
  Scene scene;
  std::size_t from = 0;
  const RawClient& client = scene.websocket(from);
  const std::string greeting = client.heard().substr(client.heard().find("\r\n\r\n") + 4);
  const std::vector<HeardFrame> frames = frames_in(greeting);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].opcode, proto::WsOpcode::text);
  EXPECT_TRUE(frames[0].payload.starts_with(R"({"server":"g1","client":"10.1.0.2:)")) << frames[0].payload;
}

// --- time ---

TEST(ServePlayer, tells_a_slow_client_that_its_time_is_over) {
  Scene scene;
  RawClient& client = scene.client();
  client.say("GET /healthz HTTP/1.1\r\nHo");
  scene.sim.run_for(9s);
  EXPECT_FALSE(client.over());
  client.say("st");  // a byte now and then does not buy more time
  scene.sim.run_for(2s);
  EXPECT_TRUE(client.heard().starts_with("HTTP/1.1 408 ")) << client.heard();
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(scene.worker->counts().timed_out, 1u);
}

TEST(ServePlayer, hangs_up_on_a_silent_client_without_a_word) {
  Scene scene;
  const RawClient& client = scene.client();
  scene.sim.run_for(9s);
  EXPECT_FALSE(client.over());
  scene.sim.run_for(5s);  // our time begins when the kernel, which waits for the first byte, gives it to us
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.heard(), "");
}

TEST(ServePlayer, keeps_a_connection_between_requests_longer_than_a_balancer_does) {
  Scene scene;
  RawClient& client = scene.client();
  client.say("GET /healthz HTTP/1.1\r\nHost: g1\r\n\r\n");
  scene.sim.run_for(Duration(limits::kIdleServerConnectionS) + 5s);
  EXPECT_FALSE(client.over());
  scene.sim.run_for(Duration(limits::kGatewayIdleS));
  EXPECT_TRUE(client.ended());
}

TEST(ServePlayer, forgets_a_client_that_hangs_up_in_its_head) {
  Scene scene;
  RawClient& client = scene.client();
  client.say("GET /hea");
  EXPECT_TRUE(scene.until([&] { return scene.worker->counts().accepted == 1; }));
  client.say_fin();
  EXPECT_TRUE(scene.until([&] { return client.over(); }));
  EXPECT_EQ(client.heard(), "");
  EXPECT_TRUE(scene.worker->idle());
}

// --- the session cookie ---

TEST(ServePlayer, sets_its_session_cookie_for_clients_that_bring_none_of_its_own) {
  const struct {
    const char* fields;
    bool sets;
    const char* told;
  } cases[] = {
      {"", true, R"("cookie":null)"},
      {"Cookie: other=1\r\n", true, R"("cookie":null)"},
      {"Cookie: SESSION=g2-abc\r\n", true, R"("cookie":"g2-abc")"},
      {"Cookie: a=1; SESSION=g1-abc; b=2\r\n", false, R"("cookie":"g1-abc")"},
      {"Cookie: a=1\r\nCookie: SESSION=g1-abc\r\n", false, R"("cookie":"g1-abc")"},
  };
  config::Gateway rules;
  rules.cookie = "SESSION";
  for (const auto& c : cases) {
    SCOPED_TRACE(c.fields);
    Scene scene(1, {}, rules);
    std::size_t from = 0;
    const RawClient& client = scene.websocket(from, c.fields);
    EXPECT_EQ(client.heard().find("\r\nSet-Cookie: SESSION=g1-") != std::string::npos, c.sets)
        << client.heard();
    if (c.sets) {
      EXPECT_NE(client.heard().find("; Path=/; HttpOnly\r\n"), std::string::npos);
    }
    EXPECT_NE(client.heard().find(c.told), std::string::npos) << client.heard();
  }
}

TEST(ServePlayer, sets_no_cookie_unless_it_was_asked_to) {
  Scene scene;
  std::size_t from = 0;
  const RawClient& client = scene.websocket(from, "Cookie: SESSION=g2-abc\r\n");
  EXPECT_EQ(client.heard().find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(client.heard().find("\"cookie\""), std::string::npos);
}

}  // namespace
}  // namespace rejoin::gateway
