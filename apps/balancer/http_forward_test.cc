#include "apps/balancer/http_forward.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"
#include "base/random.h"

namespace rejoin::balancer {
namespace {

using proto::HeadState;

/// A router of one pool with one server and a cookie, and heads to pass through it.
struct Forward : testing::Test {
  std::string forward(const std::string& text, const char* client = "192.0.2.7", const ClientTls& tls = {}) {
    proto::RequestHead request;
    if (request.feed(text).state != HeadState::complete) return "not a request";
    route::Choice choice = router.choose({address(client), &request, {}, 1'700'000'000});
    Buffer out = buffers.borrow();
    Status written =
        write_request(out, router, choice, request, address(client), passes_upgrade(request), tls);
    return written ? std::string(out.view()) : to_string(written.error());
  }
  static Address address(const char* ip) { return *Address::parse_ip(ip, 4000); }

  SeededRandom random{1};
  BufferPool buffers{limits::kBufferBytes};
  std::unique_ptr<route::SharedRoute> shared = [this] {
    route::RouteRules rules;
    rules.name = "p";
    rules.servers = {{"s1", *Address::parse("127.0.0.1:8000"), 1}};
    rules.affinity = {route::CookieInsertRule{}};
    return std::move(*route::SharedRoute::make(rules, random));
  }();
  route::Seal seal{route::KeyRing(route::generate_key(random)), random};
  route::Router router{*shared, seal, 0};
};

TEST_F(Forward, a_request_loses_what_is_of_one_hop_and_gains_where_it_came_from) {
  EXPECT_EQ(
      forward("GET /a?b HTTP/1.1\r\nHost: game.example\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
              "Keep-Alive: timeout=5\r\nAccept: */*\r\n\r\n"),
      "GET /a?b HTTP/1.1\r\nHost: game.example\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.7\r\n"
      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: game.example\r\n\r\n");
}

TEST_F(Forward, forwarded_for_grows_over_all_its_lines_and_the_other_two_are_ours_to_say) {
  EXPECT_EQ(
      forward("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n"
              "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\r\n",
              "2001:db8::1"),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 2001:db8::1\r\n"
      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n");
}

TEST_F(Forward, who_speaks_tls_is_said_to_and_what_a_certificate_says_is_ours_alone) {
  const std::string head =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Client-Cert-Subject: CN=root\r\nx_client_cert_sha256: 00\r\n"
      "X-Client-Certificate: x\r\nX-Client-Cer: kept\r\n\r\n";
  const std::string forwarded =
      "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n";
  const io::TlsClientCertificate ann{
      .subject = "CN=ann", .issuer = "CN=guild", .serial = "0a", .sha256 = "ff"};
  EXPECT_EQ(
      forward(head, "192.0.2.7", {.used = true, .tells_certificates = true, .certificate = &ann}),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Client-Cer: kept\r\n" + forwarded +
          "X-Client-Cert-Subject: CN=ann\r\nX-Client-Cert-Issuer: CN=guild\r\nX-Client-Cert-Serial: 0a\r\n"
          "X-Client-Cert-Sha256: ff\r\n\r\n");
  EXPECT_EQ(forward(head, "192.0.2.7", {.used = true, .tells_certificates = true}),
            "GET / HTTP/1.1\r\nHost: a\r\nX-Client-Cer: kept\r\n" + forwarded + "\r\n");
  EXPECT_EQ(forward(head, "192.0.2.7", {.used = true}), head.substr(0, head.size() - 2) + forwarded + "\r\n");
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
  ASSERT_TRUE(write_response(out, router, choice, response, {proto::NextHop::upgrade}, 1'700'000'000));
  const std::string head(out.view());
  EXPECT_NE(head.find("Set-Cookie: REJOIN="), std::string::npos) << head;
  EXPECT_NE(head.find("; Path=/; HttpOnly; SameSite=Lax\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Connection: upgrade\r\n"), std::string::npos) << head;
}

}  // namespace
}  // namespace rejoin::balancer
