#include "proto/ws_handshake.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"

namespace rejoin::proto {
namespace {

/// A head parsed from bytes that live beside it.
template <typename HeadType>
struct Parsed {
  explicit Parsed(std::string text) : bytes(std::move(text)) { verdict = head.feed(bytes); }
  std::string bytes;
  HeadType head;
  HeadVerdict verdict;
};

constexpr const char* kExampleKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 1.3
constexpr const char* kExampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

HandshakeKey key_of(const char* text) {
  HandshakeKey key;
  std::copy_n(text, key.size(), key.data());
  return key;
}

TEST(AcceptHasher, ExampleOfRfc6455AgainAndAgain) {
  AcceptHasher hasher;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text_of(hasher.accept(kExampleKey)), kExampleAccept);
    EXPECT_EQ(text_of(hasher.accept(std::string(" \t") + kExampleKey + " ")), kExampleAccept);
    EXPECT_NE(text_of(hasher.accept("dGhlIHNhbXBsZSBub25jZA==")), kExampleAccept);
  }
}

std::string request(const std::string& fields, const std::string& line = "GET /chat HTTP/1.1") {
  return line + "\r\nHost: server.example\r\n" + fields + "\r\n";
}
const std::string kUpgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
const std::string kKeyLine = std::string("Sec-WebSocket-Key: ") + kExampleKey + "\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";

TEST(UpgradeRequest, WhatAServerSaysOfIt) {
  const struct {
    const char* what;
    std::string request;
    int status;
    const char* lines;
  } table[] = {
      {"the RFC's example",
       request(kUpgrade + kKeyLine +
               "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n" + kVersion),
       101, ""},
      {"other case of letters, lists",
       request("upgrade: WebSocket\r\nconnection: keep-alive, uPGRADE\r\n" + kKeyLine + kVersion), 101, ""},
      {"two Connection lines", request("Connection: x-y\r\n" + kUpgrade + kKeyLine + kVersion), 101, ""},
      {"blanks around the key",
       request(kUpgrade + "Sec-WebSocket-Key: \t " + kExampleKey + " \r\n" + kVersion), 101, ""},
      {"an extension offered",
       request(kUpgrade + kKeyLine + kVersion + "Sec-WebSocket-Extensions: permessage-deflate\r\n"), 101, ""},
      {"plain GET", request(""), 426, "Upgrade: websocket"},
      {"POST", request(kUpgrade + kKeyLine + kVersion, "POST /chat HTTP/1.1"), 405, "Allow: GET"},
      {"HTTP/1.0", request(kUpgrade + kKeyLine + kVersion, "GET /chat HTTP/1.0"), 426, "Upgrade: websocket"},
      {"no Upgrade", request("Connection: Upgrade\r\n" + kKeyLine + kVersion), 426, "Upgrade: websocket"},
      {"no Connection", request("Upgrade: websocket\r\n" + kKeyLine + kVersion), 426, "Upgrade: websocket"},
      {"Connection: keep-alive",
       request("Upgrade: websocket\r\nConnection: keep-alive\r\n" + kKeyLine + kVersion), 426,
       "Upgrade: websocket"},
      {"Upgrade: h2c", request("Upgrade: h2c\r\nConnection: Upgrade\r\n" + kKeyLine + kVersion), 426,
       "Upgrade: websocket"},
      {"version 8", request(kUpgrade + kKeyLine + "Sec-WebSocket-Version: 8\r\n"), 426,
       "Sec-WebSocket-Version: 13"},
      {"version 013", request(kUpgrade + kKeyLine + "Sec-WebSocket-Version: 013\r\n"), 426,
       "Sec-WebSocket-Version: 13"},
      {"no version", request(kUpgrade + kKeyLine), 426, "Sec-WebSocket-Version: 13"},
      {"version twice", request(kUpgrade + kKeyLine + kVersion + kVersion), 400, ""},
      {"no key", request(kUpgrade + kVersion), 400, ""},
      {"key twice", request(kUpgrade + kKeyLine + kKeyLine + kVersion), 400, ""},
      {"empty key", request(kUpgrade + "Sec-WebSocket-Key:\r\n" + kVersion), 400, ""},
      {"15 bytes", request(kUpgrade + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n" + kVersion), 400, ""},
      {"17 bytes", request(kUpgrade + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n" + kVersion), 400, ""},
      {"24 bytes", request(kUpgrade + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n" + kVersion),
       400, ""},
      {"not base64", request(kUpgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n" + kVersion), 400,
       ""},
      {"a body", request(kUpgrade + kKeyLine + kVersion + "Content-Length: 3\r\n"), 400, ""},
  };
  for (const auto& row : table) {
    const Parsed<RequestHead> parsed(row.request);
    ASSERT_EQ(parsed.verdict.state, HeadState::complete) << row.what << ": " << parsed.verdict.reason;
    const UpgradeVerdict verdict = check_upgrade_request(parsed.head);
    EXPECT_EQ(verdict.status, row.status) << row.what << ": " << verdict.reason;
    EXPECT_EQ(verdict.ok(), row.status == 101);
    if (verdict.ok()) {
      EXPECT_EQ(verdict.key, kExampleKey) << row.what;
      continue;
    }
    EXPECT_FALSE(verdict.reason.empty()) << row.what;
    EXPECT_NE(verdict.field_lines.find(row.lines), Bytes::npos) << row.what;
    EXPECT_TRUE(verdict.field_lines.empty() || verdict.field_lines.ends_with("\r\n")) << row.what;
  }
}

TEST(SubProtocols, OfferedAndSelected) {
  const Parsed<RequestHead> parsed(
      request("Sec-WebSocket-Protocol: rejoin.v1, , bad item ,chat\r\nX: "
              "y\r\nSec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: "
              "rejoin.v1.resume.AbC_-\r\n"));
  ASSERT_EQ(parsed.verdict.state, HeadState::complete);
  std::vector<Bytes> items;
  OfferedProtocols offered(parsed.head);
  while (const auto item = offered.next()) items.push_back(*item);
  EXPECT_EQ(items, (std::vector<Bytes>{"rejoin.v1", "chat", "rejoin.v1.resume.AbC_-"}));
  EXPECT_FALSE(offered.next());

  const Bytes ours[] = {"other", "chat", "rejoin.v1"};
  EXPECT_EQ(select_protocol(parsed.head, ours), "chat");  // our order, not the client's
  const Bytes case_counts[] = {"Chat"};
  EXPECT_EQ(select_protocol(parsed.head, case_counts), "");
  const Parsed<RequestHead> none(request(""));
  EXPECT_EQ(select_protocol(none.head, ours), "");
}

std::string response(const std::string& fields,
                     const std::string& line = "HTTP/1.1 101 Switching Protocols") {
  return line + "\r\n" + fields + "\r\n";
}
const std::string kAcceptLine = std::string("Sec-WebSocket-Accept: ") + kExampleAccept + "\r\n";

TEST(UpgradeResponse, WhatAClientSaysOfIt) {
  const struct {
    const char* what;
    std::string response;
    const char* says;  // nullptr: good
    const char* protocol;
  } table[] = {
      {"good", response(kUpgrade + kAcceptLine), nullptr, ""},
      {"case of letters", response("upgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n" + kAcceptLine),
       nullptr, ""},
      {"sub-protocol", response(kUpgrade + kAcceptLine + "Sec-WebSocket-Protocol: chat\r\n"), nullptr,
       "chat"},
      {"404", response("Content-Length: 0\r\n", "HTTP/1.1 404 Not Found"), "404 Not Found", ""},
      {"200", response(kUpgrade + kAcceptLine, "HTTP/1.1 200 OK"), "answered 200", ""},
      {"no Upgrade", response("Connection: Upgrade\r\n" + kAcceptLine), "Upgrade: websocket", ""},
      {"another Upgrade", response("Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" + kAcceptLine),
       "Upgrade: websocket", ""},
      {"no Connection", response("Upgrade: websocket\r\n" + kAcceptLine), "Connection", ""},
      {"no accept", response(kUpgrade), "without one", ""},
      {"accept twice", response(kUpgrade + kAcceptLine + kAcceptLine), "without one", ""},
      {"accept of another key", response(kUpgrade + "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n"),
       "wrong", ""},
      {"accept in other letters",
       response(kUpgrade + "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "wrong", ""},
      {"extension", response(kUpgrade + kAcceptLine + "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
       "extension", ""},
      {"foreign sub-protocol", response(kUpgrade + kAcceptLine + "Sec-WebSocket-Protocol: other\r\n"),
       "not offered", ""},
      {"two sub-protocols", response(kUpgrade + kAcceptLine + "Sec-WebSocket-Protocol: chat, v2\r\n"),
       "not offered", ""},
      {"sub-protocol twice",
       response(kUpgrade + kAcceptLine + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n"),
       "not offered", ""},
  };
  AcceptHasher hasher;
  const Bytes offered[] = {"chat", "v2"};
  for (const auto& row : table) {
    const Parsed<ResponseHead> parsed(row.response);
    ASSERT_EQ(parsed.verdict.state, HeadState::complete) << row.what << ": " << parsed.verdict.reason;
    const Result<Bytes> protocol = check_upgrade_response(parsed.head, key_of(kExampleKey), offered, hasher);
    EXPECT_EQ(protocol.ok(), row.says == nullptr) << row.what;
    if (protocol) {
      EXPECT_EQ(*protocol, row.protocol) << row.what;
    } else {
      EXPECT_EQ(protocol.error().side, Side::server);
      EXPECT_NE(protocol.error().detail.find(row.says), std::string::npos)
          << row.what << ": " << protocol.error().detail;
    }
  }
}

TEST(Handshake, BothSidesUnderstandEachOtherHoweverItIsCut) {
  BufferPool pool(limits::kBufferBytes);
  SeededRandom random(7);
  AcceptHasher hasher;
  const HandshakeKey key = make_handshake_key(random);
  const Bytes protocols[] = {"rejoin.v1", "chat"};
  const HeaderLine headers[] = {{"Origin", "http://game.example"}, {"X-Empty", ""}};
  UpgradeRequest wanted;
  wanted.target = "/play?room=1";
  wanted.host = "game.example:8080";
  wanted.cookies = "REJOIN=abc; a=1";
  wanted.protocols = protocols;
  wanted.headers = headers;
  Buffer sent = pool.borrow();
  ASSERT_TRUE(write_upgrade_request(sent, wanted, key));

  RequestHead head;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    ASSERT_EQ(head.feed(sent.view().substr(0, i)).state, HeadState::need_more) << i;
  }
  ASSERT_EQ(head.feed(sent.view()).state, HeadState::complete);
  EXPECT_EQ(head.target(), "/play?room=1");
  EXPECT_EQ(head.host(), "game.example:8080");
  EXPECT_EQ(head.value_of(KnownField::cookie), "REJOIN=abc; a=1");
  EXPECT_EQ(head.value_of(KnownField::origin), "http://game.example");
  EXPECT_TRUE(head.wants_websocket());
  const UpgradeVerdict verdict = check_upgrade_request(head);
  ASSERT_TRUE(verdict.ok()) << verdict.reason;
  EXPECT_EQ(verdict.key, text_of(key));

  const Bytes ours[] = {"chat"};
  Buffer answer = pool.borrow();
  ASSERT_TRUE(write_upgrade_response(answer, hasher.accept(verdict.key), select_protocol(head, ours),
                                     "Set-Cookie: REJOIN=abc; Path=/\r\n"));
  ResponseHead got;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    ASSERT_EQ(got.feed(answer.view().substr(0, i)).state, HeadState::need_more) << i;
  }
  ASSERT_EQ(got.feed(answer.view()).state, HeadState::complete);
  const Result<Bytes> protocol = check_upgrade_response(got, key, protocols, hasher);
  ASSERT_TRUE(protocol) << protocol.error().detail;
  EXPECT_EQ(*protocol, "chat");
  EXPECT_EQ(got.value_of(KnownField::set_cookie), "REJOIN=abc; Path=/");
}

TEST(Handshake, NothingTypedBecomesAnotherHeader) {
  BufferPool pool(limits::kBufferBytes);
  Buffer out = pool.borrow();
  out.append("before");
  const HandshakeKey key = key_of(kExampleKey);
  const auto refused = [&](const UpgradeRequest& request) {
    const Status status = write_upgrade_request(out, request, key);
    return !status && status.error().kind == ErrorKind::bad_input && out.view() == "before";
  };
  UpgradeRequest good;
  good.host = "h";
  for (const Bytes target : {"", "x", "/a b", "/a\r\nX: y", "/\x80", "/a\t"}) {
    UpgradeRequest bad = good;
    bad.target = target;
    EXPECT_TRUE(refused(bad)) << target;
  }
  for (const Bytes host : {"", "a b", "h\r\nX: y", "h\n"}) {
    UpgradeRequest bad = good;
    bad.host = host;
    EXPECT_TRUE(refused(bad)) << host;
  }
  for (const Bytes item : {"", "a b", "a,b", "a\r\n", "a\"b\""}) {
    UpgradeRequest bad = good;
    const Bytes protocols[] = {item};
    bad.protocols = protocols;
    EXPECT_TRUE(refused(bad)) << item;
  }
  for (const HeaderLine& line :
       {HeaderLine{"", "v"}, {"a b", "v"}, {"a:", "v"}, {"a", "v\r\nX: y"}, {"a", "v\n"}, {"a\r", "v"}}) {
    UpgradeRequest bad = good;
    const HeaderLine headers[] = {line};
    bad.headers = headers;
    EXPECT_TRUE(refused(bad)) << line.name << ": " << line.value;
  }
  UpgradeRequest bad = good;
  bad.cookies = "a=1\r\nX: y";
  EXPECT_TRUE(refused(bad));
  EXPECT_TRUE(write_upgrade_request(out, good, key));
}

TEST(Handshake, NoRoomIsAnErrorThatChangesNothing) {
  const HandshakeKey key = key_of(kExampleKey);
  AcceptHasher hasher;
  UpgradeRequest request;
  request.host = "h";
  for (std::size_t room = 0; room < 130; ++room) {
    BufferPool pool(200);
    Buffer out = pool.borrow();
    out.append(std::string(200 - room, 'x'));
    const std::string before(out.view());
    const Status asked = write_upgrade_request(out, request, key);
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().kind, ErrorKind::exhausted);
    EXPECT_EQ(out.view(), before);
    const Status answered = write_upgrade_response(out, hasher.accept(text_of(key)));
    EXPECT_EQ(answered.ok(), room >= 129) << room;
    if (!answered) {
      EXPECT_EQ(out.view(), before);
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
