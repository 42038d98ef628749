#include "apps/balancer/http_forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/random.h"

namespace rejoin::balancer {
namespace {

using proto::HeadState;

/// A router of one pool with one server and a cookie, and heads to pass through it.
struct Forward : testing::Test {
  std::string forward(const std::string& text, const char* client = "192.0.2.7") {
    proto::RequestHead request;
    if (request.feed(text).state != HeadState::complete) return "not a request";
    route::Choice choice = router.choose({address(client), &request, {}, 1'700'000'000});
    Buffer out = buffers.borrow();
    const std::string ip = address(client).ip_text();
    RequestOrigin origin{.rules = rules, .client_ip = ip, .scheme = "http", .port = "8080"};
    origin.trusted = trusted;
    origin.request_id = made_id;
    origin.header_rules = &header_rules;
    origin.target = target;
    origin.upgrade = passes_upgrade(request);
    origin.tells_certificates = tells_certificates;
    origin.certificate = certificate;
    Status written = write_request(out, router, choice, request, origin);
    return written ? std::string(out.view()) : to_string(written.error());
  }
  /// The fields in any order.
  static std::vector<std::string> sorted_lines(const std::string& head) {
    std::vector<std::string> lines;
    for (std::size_t at = 0, end; (end = head.find("\r\n", at)) != std::string::npos; at = end + 2)
      lines.push_back(head.substr(at, end - at));
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  static Address address(const char* ip) { return *Address::parse_ip(ip, 4000); }

  config::Forwarded rules;
  HeaderRules header_rules;
  bool trusted = false;
  std::string made_id, target;
  bool tells_certificates = false;
  const io::TlsClientCertificate* certificate = nullptr;
  SeededRandom random{1};
  BufferPool buffers{limits::kBufferBytes};
  std::unique_ptr<route::SharedRoute> shared = [this] {
    route::RouteRules of_pool;
    of_pool.name = "p";
    of_pool.servers = {{"s1", *Address::parse("127.0.0.1:8000"), 1}};
    of_pool.affinity = {route::CookieInsertRule{}};
    return std::move(*route::SharedRoute::make(of_pool, random));
  }();
  route::Seal seal{route::KeyRing(route::generate_key(random)), random};
  route::Router router{*shared, seal, 0};
};

TEST_F(Forward, a_request_loses_what_is_of_one_hop_and_gains_where_it_came_from) {
  EXPECT_EQ(
      forward("GET /a?b HTTP/1.1\r\nHost: game.example\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
              "Keep-Alive: timeout=5\r\nAccept: */*\r\n\r\n"),
      "GET /a?b HTTP/1.1\r\nHost: game.example\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.7\r\n"
      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: game.example\r\nX-Forwarded-Port: 8080\r\n\r\n");
}

TEST_F(Forward, what_is_told_of_the_client) {
  using enum config::XForwarded;
  const char* const kLying =
      "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 1.1.1.1\r\n"
      "Forwarded: for=1.1.1.1;proto=https\r\nForwarded: for=2.2.2.2\r\nX-Request-Id: theirs\r\n";
  const struct {
    const char* fields;
    config::XForwarded x_forwarded;
    bool trusted, forwarded;
    const char* id;
    const char* out;  // behind the Host
  } cases[] = {
      {kLying, append, false, false, "",
       "X-Request-Id: theirs\r\nX-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\n"
       "X-Forwarded-Host: a\r\nX-Forwarded-Port: 8080\r\n"},
      {kLying, append, false, true, "ours",
       "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
       "X-Forwarded-Port: 8080\r\nForwarded: for=\"[2001:db8::1]\";host=\"a\";proto=http\r\n"
       "X-Request-Id: ours\r\n"},
      {kLying, append, true, true, "ours",
       "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 2001:db8::1\r\nX-Forwarded-Proto: https\r\n"
       "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 1.1.1.1\r\n"
       "Forwarded: for=1.1.1.1;proto=https, for=2.2.2.2, for=\"[2001:db8::1]\";host=\"a\";proto=http\r\n"
       "X-Request-Id: theirs\r\n"},
      {kLying, replace, true, false, "ours",
       "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
       "X-Forwarded-Port: 8080\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 1.1.1.1\r\n"
       "Forwarded: for=1.1.1.1;proto=https\r\nForwarded: for=2.2.2.2\r\nX-Request-Id: theirs\r\n"},
      {kLying, off, false, false, "", "X-Request-Id: theirs\r\n"},
      {"X-Forwarded-For: 1.1.1.1\r\n", off, true, false, "", "X-Forwarded-For: 1.1.1.1\r\n"},
      {"", append, true, true, "ours",
       "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
       "X-Forwarded-Port: 8080\r\nForwarded: for=\"[2001:db8::1]\";host=\"a\";proto=http\r\n"
       "X-Request-Id: ours\r\n"},
  };
  for (const auto& one : cases) {
    rules.x_forwarded = one.x_forwarded;
    rules.forwarded = one.forwarded;
    trusted = one.trusted;
    made_id = one.id;
    const std::string out =
        forward("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(one.fields) + "\r\n", "2001:db8::1");
    std::string wanted = "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(one.out) + "\r\n";
    EXPECT_EQ(sorted_lines(out), sorted_lines(wanted)) << out;
  }
}

TEST_F(Forward, what_frames_a_message_is_written_in_its_plainest_form) {
  EXPECT_EQ(forward("POST / HTTP/1.1\r\nHost:\t a \r\ncontent-length:\t 5 \t\r\nX:\ty\r\n\r\n").substr(0, 57),
            "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nX:\ty\r\nX-Forw");
  EXPECT_EQ(forward("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tChunked\r\n\r\n").substr(0, 54),
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n");
}

TEST_F(Forward, http_1_0_becomes_1_1_where_it_has_a_host) {
  EXPECT_EQ(forward("GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").substr(0, 32),
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwa");
  EXPECT_EQ(forward("GET / HTTP/1.0\r\n\r\n").substr(0, 41), "GET / HTTP/1.0\r\nConnection: keep-alive\r\nX");
}

TEST_F(Forward, rules_have_the_last_word) {
  header_rules.remove = {"Accept", "X-Forwarded-Port"};
  header_rules.set = {{"X-Forwarded-Host", "inner"}, {"Host", "b"}, {"X-New", "1"}};
  header_rules.add = {{"X-New", "2"}};
  target = "/stripped";
  EXPECT_EQ(forward("GET /x/stripped HTTP/1.1\r\nHost: a\r\nAccept: 1\r\naccept: 2\r\n\r\n"),
            "GET /stripped HTTP/1.1\r\nHost: b\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
            "X-Forwarded-Host: inner\r\nX-New: 1\r\nX-New: 2\r\n\r\n");
}

TEST_F(Forward, via_grows_and_finds_circles) {
  rules.via = "edge-1";
  const std::string out = forward("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 fred, 1.1 other (x)\r\n\r\n");
  EXPECT_NE(out.find("Via: 1.0 fred, 1.1 other (x), 1.1 edge-1\r\n"), std::string::npos) << out;
  const struct {
    const char* via;
    bool found;
  } cases[] = {{"1.1 edge-1", true},   {"1.0 fred, 1.1 EDGE-1 (c)", true},
               {"1.1 edge-10", false}, {"HTTP/1.1  edge-1", true},
               {"edge-1", false},      {"1.1 x (edge-1)", false}};
  for (const auto& one : cases) {
    proto::RequestHead request;
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\nVia: " + std::string(one.via) + "\r\n\r\n";
    ASSERT_EQ(request.feed(text).state, HeadState::complete);
    EXPECT_EQ(has_via(request, "edge-1"), one.found) << one.via;
  }
}

TEST_F(Forward, expectations) {
  const struct {
    const char* fields;
    bool refused;
  } cases[] = {{"", false},
               {"Expect: 100-continue\r\n", false},
               {"Expect: 100-Continue \r\n", false},
               {"Expect:\r\n", true},
               {"Expect: 100-continue, x\r\n", true},
               {"Expect: 100-continue\r\nExpect: 100-continue\r\n", true},
               {"Expect: y 100-continue\r\n", true}};
  for (const auto& one : cases) {
    proto::RequestHead request;
    const std::string text = "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(one.fields) + "\r\n";
    ASSERT_EQ(request.feed(text).state, HeadState::complete);
    EXPECT_EQ(expects_something_else(request), one.refused) << one.fields;
  }
}

TEST_F(Forward, how_long_a_server_keeps_its_connection) {
  const struct {
    const char* field;
    Duration told;
  } cases[] = {{"", Duration::max()},
               {"Keep-Alive: timeout=5\r\n", 4s},
               {"Keep-Alive: max=100, Timeout=60\r\n", 59s},
               {"Keep-Alive: timeout=1\r\n", 0s},
               {"Keep-Alive: timeout=x\r\n", Duration::max()},
               {"Keep-Alive: timeout=-1\r\n", Duration::max()}};
  for (const auto& one : cases) {
    proto::ResponseHead response;
    const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + std::string(one.field) + "\r\n";
    ASSERT_EQ(response.feed(text).state, HeadState::complete);
    EXPECT_EQ(keep_alive_told(response), one.told) << one.field;
  }
}

TEST_F(Forward, what_a_certificate_says_is_ours_alone) {
  const std::string head =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Client-Cert-Subject: CN=root\r\nx_client_cert_sha256: 00\r\n"
      "X-Client-Certificate: x\r\nX-Client-Cer: kept\r\n\r\n";
  const io::TlsClientCertificate ann{
      .subject = "CN=ann", .issuer = "CN=guild", .serial = "0a", .sha256 = "ff"};
  const auto has = [](const std::string& text, const char* what) { return text.find(what) != text.npos; };
  EXPECT_TRUE(has(forward(head), "CN=root")) << "nobody is asked for a certificate";
  tells_certificates = true;
  const std::string none = forward(head);
  EXPECT_FALSE(has(none, "lient-Cert")) << none;
  EXPECT_FALSE(has(none, "client_cert")) << none;
  EXPECT_TRUE(has(none, "X-Client-Cer: kept"));
  certificate = &ann;
  const std::string own = forward(head);
  EXPECT_FALSE(has(own, "CN=root"));
  EXPECT_TRUE(has(own,
                  "X-Client-Cert-Subject: CN=ann\r\nX-Client-Cert-Issuer: CN=guild\r\n"
                  "X-Client-Cert-Serial: 0a\r\nX-Client-Cert-Sha256: ff\r\n"))
      << own;
}

TEST_F(Forward, an_absolute_target_becomes_a_path) {
  EXPECT_EQ(forward("GET http://a:81/x HTTP/1.1\r\nHost: a:81\r\n\r\n").substr(0, 33),
            "GET /x HTTP/1.1\r\nHost: a:81\r\nX-Fo");
}

TEST_F(Forward, a_websocket_upgrade_passes_and_h2c_does_not) {
  const std::string websocket =
      forward("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_NE(websocket.find("Upgrade: websocket\r\n"), std::string::npos) << websocket;
  EXPECT_NE(websocket.find("Connection: upgrade\r\n"), std::string::npos) << websocket;
  const std::string h2c = forward(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n");
  EXPECT_EQ(h2c.find("pgrade"), std::string::npos) << h2c;
  EXPECT_EQ(h2c.find("HTTP2"), std::string::npos) << h2c;
}

TEST_F(Forward, a_head_without_room_for_our_fields_is_refused_not_cut) {
  const std::string big = "GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + std::string(16'000, 'x') + "\r\n\r\n";
  const std::string out = forward(big);
  EXPECT_TRUE(out.starts_with("GET / ") && out.ends_with("\r\n\r\n")) << out.substr(0, 100);
  EXPECT_GT(out.size(), big.size());
}

TEST_F(Forward, how_a_response_is_passed_on) {
  const struct {
    const char* request;
    const char* response;
    bool draining;
    proto::NextHop next;
    upstream::Framing framing;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", false,
       proto::NextHop::persist, upstream::Framing::as_it_is},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", true,
       proto::NextHop::close, upstream::Framing::as_it_is},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", false,
       proto::NextHop::close, upstream::Framing::as_it_is},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", false, proto::NextHop::close,
       upstream::Framing::as_it_is},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false,
       proto::NextHop::persist, upstream::Framing::as_it_is},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
       false, proto::NextHop::persist_aloud, upstream::Framing::as_it_is},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, proto::NextHop::close,
       upstream::Framing::content_only},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(std::string(one.request) + one.response);
    proto::RequestHead request;
    proto::ResponseHead response;
    ASSERT_EQ(request.feed(one.request).state, HeadState::complete);
    ASSERT_EQ(response.feed(one.response).state, HeadState::complete);
    const ResponsePlan plan = plan_response(request, response, response.body(request.method()), one.draining);
    EXPECT_EQ(plan.next, one.next);
    EXPECT_EQ(plan.framing, one.framing);
  }
}

TEST_F(Forward, the_cookie_is_planted_on_a_101_as_well) {
  proto::RequestHead request;
  ASSERT_EQ(
      request.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").state,
      HeadState::complete);
  proto::ResponseHead response;
  ASSERT_EQ(response
                .feed("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      "Sec-WebSocket-Accept: x\r\n\r\n")
                .state,
            HeadState::complete);
  route::Choice choice = router.choose({address("192.0.2.7"), &request, {}, 1'700'000'000});
  Buffer out = buffers.borrow();
  const ResponsePlan plan{.next = proto::NextHop::upgrade};
  ASSERT_TRUE(write_response(out, router, choice, response, plan, 1'700'000'000));
  const std::string head(out.view());
  EXPECT_NE(head.find("Set-Cookie: REJOIN="), std::string::npos) << head;
  EXPECT_NE(head.find("; Path=/; HttpOnly; SameSite=Lax\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Connection: upgrade\r\n"), std::string::npos) << head;
}

}  // namespace
}  // namespace rejoin::balancer
