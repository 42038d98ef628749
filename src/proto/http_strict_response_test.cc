// Response heads as they must be judged, and how long the bodies behind them are.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http_head.h"

namespace rejoin::proto {
namespace {

struct Case {
  const char* sentence;
  std::string bytes;
  /// "more", "refused: " and the reason, or the status, what describes the body of an answer to GET, and
  /// "close".
  std::string verdict;
};

std::string body_text(const Body& body) {
  switch (body.kind) {
    case BodyKind::none: return "none";
    case BodyKind::length: return "length " + std::to_string(body.length);
    case BodyKind::chunked: return "chunked";
    case BodyKind::until_close: return "until close";
    default: return "tunnel";
  }
}

std::string verdict_text(const HeadVerdict& verdict, const ResponseHead& head) {
  if (verdict.state == HeadState::need_more) return "more";
  if (verdict.state == HeadState::refused) {
    EXPECT_EQ(verdict.status, 502);
    return std::string("refused: ") + verdict.reason;
  }
  return std::to_string(head.status()) + " " + body_text(head.body(Method::get)) +
         (head.keep_alive() ? "" : " close");
}

void expect_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    SCOPED_TRACE(one.sentence);
    const Bytes bytes = one.bytes;
    ResponseHead whole;
    EXPECT_EQ(verdict_text(whole.feed(bytes), whole), one.verdict);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      ResponseHead head;
      head.feed(bytes.substr(0, cut));
      ASSERT_EQ(verdict_text(head.feed(bytes), head), one.verdict) << "cut at " << cut;
    }
  }
}

std::string response(const std::string& status, const std::string& lines = "") {
  return "HTTP/1.1 " + status + "\r\n" + lines + "\r\n";
}
const std::string kLength = "Content-Length: 5\r\n";
const std::string kChunked = "Transfer-Encoding: chunked\r\n";

TEST(HttpStrictResponse, WhatIsAccepted) {
  expect_all({
      {"a length", response("200 OK", kLength) + "hello", "200 length 5"},
      {"a length of zero", response("200 OK", "Content-Length: 0\r\n"), "200 none"},
      {"chunked", response("200 OK", kChunked), "200 chunked"},
      {"neither: until the connection ends", response("200 OK"), "200 until close"},
      {"an empty reason", response("200 "), "200 until close"},
      {"a reason with tabs and bytes from 0x80 on", response("404 Pas trouv\xe9\t!"), "404 until close"},
      {"close", response("200 OK", "Connection: close\r\n" + kLength), "200 length 5 close"},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "200 until close close"},
      {"HTTP/1.0 with keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + kLength + "\r\n",
       "200 length 5"},
      {"a protocol switch",
       response("101 Switching Protocols",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n"),
       "101 tunnel"},
      {"100", response("100 Continue"), "100 none"},
      {"103 with fields", response("103 Early Hints", "Link: </x>\r\n"), "103 none"},
      {"204", response("204 No Content"), "204 none"},
      {"204 with a length of zero, as many servers send", response("204 No Content", "Content-Length: 0\r\n"),
       "204 none"},
      {"304 with the length of what it did not send", response("304 Not Modified", kLength), "304 none"},
      {"304 with the coding of what it did not send", response("304 Not Modified", kChunked), "304 none"},
      {"the last status", response("599 X"), "599 until close"},
      {"two cookies", response("200 OK", "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n" + kLength), "200 length 5"},
      {"nothing yet", "", "more"},
      {"half a status line", "HTTP/1.1 2", "more"},
  });
}

TEST(HttpStrictResponse, WhatIsRefused) {
  const std::string line = "refused: malformed status line";
  const std::string version = "refused: HTTP version other than 1.0 and 1.1";
  const std::string status = "refused: status outside 100 to 599";
  const std::string coding = "refused: Transfer-Encoding in a response that has no body";
  const std::string length = "refused: Content-Length in a response that has no body";
  expect_all({
      {"no space behind the status", response("200"), line},
      {"two digits", response("20 OK"), line},
      {"four digits", response("2000 OK"), line},
      {"two spaces before the status", response(" 200 OK"), line},
      {"a status with a letter", response("2O0 OK"), line},
      {"status 099", response("099 X"), status},
      {"status 600", response("600 X"), status},
      {"status 999", response("999 X"), status},
      {"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", version},
      {"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", version},
      {"a small version", "http/1.1 200 OK\r\n\r\n", "refused: malformed HTTP version"},
      {"ICY", "ICY 200 OK\r\n\r\n", line},
      {"no status line", "Content-Length: 5\r\n\r\n", line},
      {"an empty line first", "\r\n" + response("200 OK"), line},
      {"NUL in the reason", response(std::string("200 O\0", 6)), "refused: control character"},
      {"LF without CR", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", "refused: LF without CR"},
      {"CR without LF", "HTTP/1.1 200 OK\rX: y\r\n\r\n", "refused: CR without LF"},
      {"a space before the colon", response("200 OK", "Content-Length : 5\r\n"),
       "refused: space before the colon"},
      {"obs-fold", response("200 OK", "X: a\r\n b\r\n"), "refused: obs-fold"},
      {"a length, then chunked", response("200 OK", kLength + kChunked),
       "refused: both Content-Length and Transfer-Encoding"},
      {"chunked, then a length", response("200 OK", kChunked + kLength),
       "refused: both Content-Length and Transfer-Encoding"},
      {"two lengths", response("200 OK", kLength + kLength), "refused: more than one Content-Length"},
      {"a length with plus", response("200 OK", "Content-Length: +5\r\n"),
       "refused: Content-Length is not a number"},
      {"gzip and a length", response("200 OK", "Transfer-Encoding: gzip\r\n" + kLength),
       "refused: Transfer-Encoding other than chunked"},
      {"chunked, identity", response("200 OK", "Transfer-Encoding: chunked, identity\r\n"),
       "refused: Transfer-Encoding goes on behind chunked"},
      {"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\n" + kChunked + "\r\n",
       "refused: Transfer-Encoding in HTTP/1.0"},
      {"101 with a coding", response("101 X", kChunked), coding},
      {"101 with a length", response("101 X", kLength), length},
      {"100 with a length", response("100 X", kLength), length},
      {"204 with a coding", response("204 X", kChunked), coding},
      {"204 with a length", response("204 X", kLength), length},
      {"Set_Cookie", response("200 OK", "Set_Cookie: a=b\r\n"),
       "refused: field name that some servers read as a protected one"},
      {"Connection that names the cookies",
       response("200 OK", "Connection: set-cookie\r\nSet-Cookie: a=b\r\n"),
       "refused: Connection names a field that must stay"},
      {"a status line that never ends", "HTTP/1.1 200 " + std::string(limits::kRequestLineBytesMax, 'a'),
       "refused: start line too long"},
  });
}

TEST(HttpStrictResponse, HowTheBodyEndsDependsOnTheRequest) {
  struct BodyCase {
    const char* sentence;
    std::string bytes;
    Method method;
    std::string body;
  };
  const std::vector<BodyCase> cases = {
      {"an answer to HEAD has none, whatever it says", response("200 OK", kLength), Method::head, "none"},
      {"nor when it is chunked", response("200 OK", kChunked), Method::head, "none"},
      {"nor when it says nothing", response("200 OK"), Method::head, "none"},
      {"2xx to CONNECT is a tunnel", response("200 OK"), Method::connect, "tunnel"},
      {"2xx to CONNECT is a tunnel with a length too", response("200 OK", kLength), Method::connect,
       "tunnel"},
      {"an error to CONNECT has a body", response("502 X", kLength), Method::connect, "length 5"},
      {"101 to HEAD is a tunnel", response("101 X"), Method::head, "tunnel"},
      {"another method", response("200 OK", kLength), Method::other, "length 5"},
  };
  for (const BodyCase& one : cases) {
    SCOPED_TRACE(one.sentence);
    ResponseHead head;
    ASSERT_EQ(head.feed(one.bytes).state, HeadState::complete);
    EXPECT_EQ(body_text(head.body(one.method)), one.body);
  }
}

TEST(HttpStrictResponse, InterimResponsesAreFollowedByAnother) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {"100 Continue", true}, {"103 X", true}, {"101 X", false}, {"200 OK", false}, {"204 X", false}};
  for (const auto& [status, interim] : cases) {
    ResponseHead head;
    head.feed(response(status));
    EXPECT_EQ(head.interim(), interim) << status;
  }
}

}  // namespace
}  // namespace rejoin::proto
