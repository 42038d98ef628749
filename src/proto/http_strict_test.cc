// Request heads as they must be judged: one table of raw bytes, each fed whole, byte by byte, and cut in two
// everywhere.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http_head.h"

namespace rejoin::proto {
namespace {

struct Case {
  const char* sentence;
  std::string bytes;
  /// "more", the status and the reason of a refusal, or summary_of() an accepted head.
  std::string verdict;
};

const std::string kHost = "Host: a.example\r\n";

/// A GET / of HTTP/1.1 with a good Host and these field lines behind it.
std::string with(const std::string& lines) { return "GET / HTTP/1.1\r\n" + kHost + lines + "\r\n"; }
std::string post(const std::string& lines) { return "POST / HTTP/1.1\r\n" + kHost + lines + "\r\n"; }
/// A request line, a good Host and nothing else.
std::string line(const std::string& text) { return text + "\r\n" + kHost + "\r\n"; }
std::string host(const std::string& value) { return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n"; }

std::string summary_of(const RequestHead& head) {
  std::string text(head.method_text());
  text += ' ';
  text += head.target();
  text += head.minor_version() == 1 ? " 1.1" : " 1.0";
  text += " host=";
  text += head.host();
  const Body body = head.body();
  if (body.kind == BodyKind::length) text += " length=" + std::to_string(body.length);
  if (body.kind == BodyKind::chunked) text += " chunked";
  if (!head.keep_alive()) text += " close";
  if (head.wants_upgrade()) text += " upgrade";
  if (head.wants_websocket()) text += " websocket";
  if (head.expects_continue()) text += " continue";
  return text;
}

std::string verdict_text(const HeadVerdict& verdict, const RequestHead& head) {
  switch (verdict.state) {
    case HeadState::need_more: return "more";
    case HeadState::refused: return std::to_string(verdict.status) + " " + verdict.reason;
    default: return summary_of(head);
  }
}

void expect_verdict(const Case& one) {
  SCOPED_TRACE(one.sentence);
  const Bytes bytes = one.bytes;
  RequestHead whole;
  EXPECT_EQ(verdict_text(whole.feed(bytes), whole), one.verdict);

  RequestHead by_byte;
  HeadVerdict verdict;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    verdict = by_byte.feed(bytes.substr(0, size));
    if (verdict.state != HeadState::need_more) break;  // what is behind the head is the body
  }
  EXPECT_EQ(verdict_text(verdict, by_byte), one.verdict) << "byte by byte";

  if (bytes.size() > 2000) return;
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    RequestHead head;
    head.feed(bytes.substr(0, cut));
    ASSERT_EQ(verdict_text(head.feed(bytes), head), one.verdict) << "cut at " << cut;
  }
}

void expect_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) expect_verdict(one);
}

TEST(HttpStrict, WhatIsAccepted) {
  expect_all({
      {"a plain GET", line("GET / HTTP/1.1"), "GET / 1.1 host=a.example"},
      {"the example of RFC 9112 2.1",
       "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, "
       "mi\r\n\r\n",
       "GET /hello.txt 1.1 host=www.example.com"},
      {"one empty line before the request is ignored", "\r\n" + line("GET / HTTP/1.1"),
       "GET / 1.1 host=a.example"},
      {"HTTP/1.0 needs no Host, and ends its connection", "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 host= close"},
      {"HTTP/1.0 with keep-alive keeps it", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
       "GET / 1.0 host="},
      {"close in HTTP/1.1", with("Connection: close\r\n"), "GET / 1.1 host=a.example close"},
      {"close in any case of letters and among others", with("connection: x , CLOSE\r\n"),
       "GET / 1.1 host=a.example close"},
      {"close wins over keep-alive", with("Connection: keep-alive\r\nConnection: close\r\n"),
       "GET / 1.1 host=a.example close"},
      {"empty items in Connection are ignored", with("Connection: ,, keep-alive,\r\n"),
       "GET / 1.1 host=a.example"},
      {"a method of one's own", line("M-SEARCH / HTTP/1.1"), "M-SEARCH / 1.1 host=a.example"},
      {"a target with every good byte", line("GET /aZ09-._~!$&'()*+,;=:@%2f/?[]?/ HTTP/1.1"),
       "GET /aZ09-._~!$&'()*+,;=:@%2f/?[]?/ 1.1 host=a.example"},
      {"a query with what browsers leave as it is", line("GET /?a={x|y}\\^`? HTTP/1.1"),
       "GET /?a={x|y}\\^`? 1.1 host=a.example"},
      {"a target that begins with two slashes is a path", line("GET //b.example/ HTTP/1.1"),
       "GET //b.example/ 1.1 host=a.example"},
      {"absolute-form", line("GET http://a.example/x HTTP/1.1"), "GET http://a.example/x 1.1 host=a.example"},
      {"absolute-form, letters in another case", line("GET HTTPS://A.Example/x HTTP/1.1"),
       "GET HTTPS://A.Example/x 1.1 host=A.Example"},
      {"absolute-form in HTTP/1.0 without Host", "GET http://b.example:80 HTTP/1.0\r\n\r\n",
       "GET http://b.example:80 1.0 host=b.example:80 close"},
      {"OPTIONS of the server", line("OPTIONS * HTTP/1.1"), "OPTIONS * 1.1 host=a.example"},
      {"CONNECT", "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n",
       "CONNECT b.example:443 1.1 host=b.example:443"},
      {"Host with a port", host("a.example:8080"), "GET / 1.1 host=a.example:8080"},
      {"Host that is an IPv6 address", host("[2001:db8::1]:80"), "GET / 1.1 host=[2001:db8::1]:80"},
      {"Host with spaces and tabs around it", "GET / HTTP/1.1\r\nHost:\t a.example \t\r\n\r\n",
       "GET / 1.1 host=a.example"},
      {"Host without a space before it", "GET / HTTP/1.1\r\nhOST:a.example\r\n\r\n",
       "GET / 1.1 host=a.example"},
      {"a length", post("Content-Length: 5\r\n") + "hello", "POST / 1.1 host=a.example length=5"},
      {"a length of zero is no body", post("Content-Length: 0\r\n"), "POST / 1.1 host=a.example"},
      {"a length of 18 digits", post("Content-Length: 999999999999999999\r\n"),
       "POST / 1.1 host=a.example length=999999999999999999"},
      {"chunked", post("Transfer-Encoding: chunked\r\n"), "POST / 1.1 host=a.example chunked"},
      {"chunked in any case of letters", post("TRANSFER-ENCODING:\tChunKed \r\n"),
       "POST / 1.1 host=a.example chunked"},
      {"Expect", post("Expect: 100-Continue\r\nContent-Length: 1\r\n"),
       "POST / 1.1 host=a.example length=1 continue"},
      {"another expectation is left to the server", with("Expect: tea\r\n"), "GET / 1.1 host=a.example"},
      {"Expect in HTTP/1.0 is ignored", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
       "GET / 1.0 host= close"},
      {"a WebSocket", with("Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"),
       "GET / 1.1 host=a.example upgrade websocket"},
      {"an upgrade to something else", with("Upgrade: h2c\r\nConnection: upgrade\r\n"),
       "GET / 1.1 host=a.example upgrade"},
      {"a choice of protocols is not a WebSocket", with("Upgrade: websocket, h2c\r\nConnection: upgrade\r\n"),
       "GET / 1.1 host=a.example upgrade"},
      {"two Upgrade fields are not a WebSocket",
       with("Upgrade: websocket\r\nUpgrade: x\r\nConnection: upgrade\r\n"),
       "GET / 1.1 host=a.example upgrade"},
      {"Upgrade that Connection does not name is none", with("Upgrade: websocket\r\n"),
       "GET / 1.1 host=a.example"},
      {"upgrade without Upgrade is none", with("Connection: upgrade\r\n"), "GET / 1.1 host=a.example"},
      {"Upgrade in HTTP/1.0 is ignored",
       "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "GET / 1.0 host= close"},
      {"a WebSocket is asked for with GET", post("Upgrade: websocket\r\nConnection: upgrade\r\n"),
       "POST / 1.1 host=a.example upgrade"},
      {"a WebSocket request has no body",
       with("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3\r\n") + "abc",
       "GET / 1.1 host=a.example length=3 upgrade"},
      {"an empty value", with("X:\r\nY: \t \r\n"), "GET / 1.1 host=a.example"},
      {"tabs and bytes from 0x80 on in a value", with("X: a\tb \x80\xff\r\n"), "GET / 1.1 host=a.example"},
      {"every token byte in a name", with("!#$%&'*+-.^_`|~09azAZ: x\r\n"), "GET / 1.1 host=a.example"},
      {"an underscore in a name of one's own", with("X_Trace_Id: 1\r\nUser_Agent: y\r\n"),
       "GET / 1.1 host=a.example"},
      {"Connection that names a field of one's own",
       with("Connection: X-Hop, TE, Keep-Alive\r\nX-Hop: 1\r\n"), "GET / 1.1 host=a.example"},
      {"nothing yet", "", "more"},
      {"half an empty line", "\r", "more"},
      {"half a request line", "GET / HT", "more"},
      {"all but the last byte", "GET / HTTP/1.1\r\nHost: a\r\n\r", "more"},
  });
}

TEST(HttpStrict, RequestLinesThatAreRefused) {
  const std::string three = "400 request line is not method, target and version";
  const std::string bytes = "400 request target with a byte that no URI has";
  const std::string form = "400 request target is neither a path nor an http URI";
  expect_all({
      {"two empty lines before the request", "\r\n\r\n" + line("GET / HTTP/1.1"),
       "400 more than one empty line before the request"},
      {"a small method", line("get / HTTP/1.1"), "400 malformed method"},
      {"a mixed method", line("Get / HTTP/1.1"), "400 malformed method"},
      {"a method with a byte that is no token", line("G@T / HTTP/1.1"), "400 malformed method"},
      {"a method with a separator that is a token byte", line("GET|X / HTTP/1.1"), "400 malformed method"},
      {"a method that begins with a digit", line("1GET / HTTP/1.1"), "400 malformed method"},
      {"a space first", line(" GET / HTTP/1.1"), "400 malformed method"},
      {"a byte from 0x80 on in the method", line("G\xc3\x89T / HTTP/1.1"), "400 malformed method"},
      {"HTTP/0.9", "GET /\r\n\r\n", three},
      {"a method only", "GET\r\n\r\n", three},
      {"a method and a version", "GET HTTP/1.1\r\n\r\n", three},
      {"no target", "GET  HTTP/1.1\r\n\r\n", bytes},
      {"two spaces before the target", line("GET  / HTTP/1.1"), bytes},
      {"two spaces before the version", line("GET /  HTTP/1.1"), bytes},
      {"a space behind the version", line("GET / HTTP/1.1 "), three},
      {"a tab between", line("GET\t/ HTTP/1.1"), "400 malformed method"},
      {"a tab in the target", line("GET /\tx HTTP/1.1"), bytes},
      {"a space in the target", line("GET /a b HTTP/1.1"), bytes},
      {"a fragment", line("GET /#x HTTP/1.1"), bytes},
      {"a quote in the target", line("GET /\" HTTP/1.1"), bytes},
      {"angles in the target", line("GET /<x> HTTP/1.1"), bytes},
      {"a backslash in the target", line("GET /\\ HTTP/1.1"), bytes},
      {"a brace in the target", line("GET /{ HTTP/1.1"), bytes},
      {"a bar in the target", line("GET /| HTTP/1.1"), bytes},
      {"a caret in the target", line("GET /^ HTTP/1.1"), bytes},
      {"a backquote in the target", line("GET /` HTTP/1.1"), bytes},
      {"a byte from 0x80 on in the target", line("GET /\xe9 HTTP/1.1"), bytes},
      {"NUL in the target", line(std::string("GET /\0 HTTP/1.1", 15)), "400 control character"},
      {"DEL in the target", line("GET /\x7f HTTP/1.1"), "400 control character"},
      {"no slash", line("GET x HTTP/1.1"), form},
      {"GET of the server", line("GET * HTTP/1.1"), "400 target * is for OPTIONS only"},
      {"more than an asterisk", line("OPTIONS ** HTTP/1.1"), form},
      {"another scheme", line("GET ftp://a.example/ HTTP/1.1"), form},
      {"absolute-form without host", line("GET http:///x HTTP/1.1"), form},
      {"absolute-form with a user", line("GET http://u@a.example/ HTTP/1.1"), form},
      {"absolute-form with a query behind the host", line("GET http://a.example?x HTTP/1.1"), form},
      {"CONNECT without port", line("CONNECT a.example HTTP/1.1"), "400 CONNECT needs host:port"},
      {"CONNECT to a path", line("CONNECT / HTTP/1.1"), "400 CONNECT needs host:port"},
      {"authority-form for GET", line("GET a.example:80 HTTP/1.1"), form},
      {"HTTP/1.2", line("GET / HTTP/1.2"), "505 HTTP version other than 1.0 and 1.1"},
      {"HTTP/2.0", line("GET / HTTP/2.0"), "505 HTTP version other than 1.0 and 1.1"},
      {"HTTP/0.9, said", line("GET / HTTP/0.9"), "505 HTTP version other than 1.0 and 1.1"},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
       "505 HTTP version other than 1.0 and 1.1"},
      {"HTTP/1.10", line("GET / HTTP/1.10"), three},
      {"HTTP/1", line("GET / HTTP/1"), three},
      {"HTTP/1.x", line("GET / HTTP/1.x"), "400 malformed HTTP version"},
      {"a small version", line("GET / http/1.1"), "400 malformed HTTP version"},
      {"another protocol", line("GET / RTSP/1.0"), "400 malformed HTTP version"},
      {"LF without CR behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400 LF without CR"},
      {"LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 LF without CR"},
      {"CR without LF in the request line", "GET / HTTP/1.1\rX\r\nHost: a\r\n\r\n", "400 CR without LF"},
      {"two CRs", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400 CR without LF"},
      {"the first bytes of TLS", std::string("\x16\x03\x01\x02\x00", 5), "400 control character"},
  });
}

TEST(HttpStrict, FieldLinesThatAreRefused) {
  const std::string name = "400 field name with a byte that no token has";
  expect_all({
      {"obs-fold", with("X: a\r\n b\r\n"), "400 obs-fold"},
      {"obs-fold by tab", with("X: a\r\n\tb\r\n"), "400 obs-fold"},
      {"obs-fold with nothing in its first line", with("X:\r\n b\r\n"), "400 obs-fold"},
      {"obs-fold of nothing", with("X: a\r\n \r\n"), "400 obs-fold"},
      {"a folded transfer coding", post("Transfer-Encoding:\r\n chunked\r\n"),
       "400 malformed Transfer-Encoding"},
      {"a space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
       "400 space before the first field"},
      {"a space before the colon", with("X : a\r\n"), "400 space before the colon"},
      {"a tab before the colon", with("X\t: a\r\n"), "400 space before the colon"},
      {"a space before the colon of the length", post("Content-Length : 5\r\n"),
       "400 space before the colon"},
      {"no colon", with("nothing\r\n"), "400 field line without colon"},
      {"an empty name", with(": x\r\n"), "400 empty field name"},
      {"a space in a name", with("X Y: a\r\n"), name},
      {"a bracket in a name", with("X[0]: a\r\n"), name},
      {"a byte from 0x80 on in a name", with("X\xc2\xa0: a\r\n"), name},
      {"a byte from 0x80 on in a known name", post("Content-Length\xa0: 5\r\n"), name},
      {"NUL in a name", with(std::string("X\0Y: a\r\n", 8)), "400 control character"},
      {"NUL in a value", with(std::string("X: \0\r\n", 6)), "400 control character"},
      {"ESC in a value", with("X: \x1b[0m\r\n"), "400 control character"},
      {"DEL in a value", with("X: \x7f\r\n"), "400 control character"},
      {"LF without CR in a value", with("X: a\nY: b\r\n"), "400 LF without CR"},
      {"LF without CR at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400 LF without CR"},
      {"CR without LF in a value", with("X: a\rY: b\r\n"), "400 CR without LF"},
      {"CR at the end, and no LF", "GET / HTTP/1.1\r\nHost: a\r\n\rX", "400 CR without LF"},
      {"no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", "400 HTTP/1.1 without Host"},
      {"two Hosts", with("Host: a.example\r\n"), "400 more than one Host"},
      {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400 more than one Host"},
      {"an empty Host", host(""), "400 empty Host"},
      {"a Host with a user and a path", host("a@b/c d"), "400 malformed Host"},
      {"a Host with a path", host("a.example/x"), "400 malformed Host"},
      {"a Host that is a list", host("a.example,b.example"), "400 malformed Host"},
      {"a Host with a bad port", host("a.example:8o"), "400 malformed Host"},
      {"a Host with an empty port", host("a.example:"), "400 malformed Host"},
      {"a Host with a port that is none", host("a.example:65536"), "400 malformed Host"},
      {"a Host that is a port", host(":80"), "400 malformed Host"},
      {"a Host with half a bracket", host("[::1"), "400 malformed Host"},
      {"a Host with something behind the bracket", host("[::1]x"), "400 malformed Host"},
      {"a Host with an empty bracket", host("[]"), "400 malformed Host"},
      {"a Host with bytes from 0x80 on", host("\xc3\xa9.example"), "400 malformed Host"},
      {"a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400 malformed Host"},
      {"a Host other than the target's", line("GET http://b.example/ HTTP/1.1"),
       "400 Host differs from the request target"},
      {"a Host other than CONNECT's", line("CONNECT b.example:443 HTTP/1.1"),
       "400 Host differs from the request target"},
      {"Content_Length", post("Content_Length: 5\r\n"),
       "400 field name that some servers read as a protected one"},
      {"Transfer_Encoding", post("Transfer_encoding: chunked\r\n"),
       "400 field name that some servers read as a protected one"},
      {"X_Forwarded-For", with("X_Forwarded-For: 1.2.3.4\r\n"),
       "400 field name that some servers read as a protected one"},
      {"Connection that is no list of tokens", with("Connection: a b\r\n"),
       "400 Connection is not a list of tokens"},
      {"Connection that names the length", post("Connection: Content-Length\r\nContent-Length: 5\r\n"),
       "400 Connection names a field that must stay"},
      {"Connection that names the Host", with("Connection: close, host\r\n"),
       "400 Connection names a field that must stay"},
      {"Connection that names the cookies", with("Connection: cookie\r\n"),
       "400 Connection names a field that must stay"},
      {"Connection that names X-Forwarded-For", with("Connection: X-Forwarded-For\r\n"),
       "400 Connection names a field that must stay"},
  });
}

TEST(HttpStrict, FramingThatIsRefused) {
  const std::string both = "400 both Content-Length and Transfer-Encoding";
  const std::string number = "400 Content-Length is not a number";
  const std::string zero = "400 Content-Length with a leading zero";
  const std::string other = "501 Transfer-Encoding other than chunked";
  const std::string malformed = "400 malformed Transfer-Encoding";
  const std::string behind = "400 Transfer-Encoding goes on behind chunked";
  const std::string length = "Content-Length: 5\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const auto coding = [](const std::string& value) { return post("Transfer-Encoding: " + value + "\r\n"); };
  const auto size = [](const std::string& value) { return post("Content-Length: " + value + "\r\n"); };
  expect_all({
      {"a length, then chunked", post(length + chunked), both},
      {"chunked, then a length", post(chunked + length), both},
      {"a length, something, then chunked", post(length + "X: y\r\n" + chunked), both},
      {"chunked, then a length of zero", post(chunked + "Content-Length: 0\r\n"), both},
      {"a length, then a coding we do not know", post(length + "Transfer-Encoding: gzip\r\n"), both},
      {"a coding we do not know, then a length", post("Transfer-Encoding: gzip\r\n" + length), other},
      {"two lengths that differ", post(length + "Content-Length: 6\r\n"), "400 more than one Content-Length"},
      {"two lengths that agree", post(length + length), "400 more than one Content-Length"},
      {"a list of lengths", size("5, 5"), number},
      {"a list with one length", size("5,"), number},
      {"a length with plus", size("+5"), number},
      {"a length with minus", size("-5"), number},
      {"a length in hexadecimal", size("0x5"), number},
      {"a length with a fraction", size("5.0"), number},
      {"two numbers in a length", size("5 5"), number},
      {"an empty length", size(""), number},
      {"a length in quotes", size("\"5\""), number},
      {"a length with a leading zero", size("05"), zero},
      {"a length of many zeros", size("000"), zero},
      {"a length of 19 digits", size("1000000000000000000"), "400 Content-Length is too large"},
      {"a length of 2^64 - 1", size("18446744073709551615"), "400 Content-Length is too large"},
      {"a length of 2^64 + 5", size("18446744073709551621"), "400 Content-Length is too large"},
      {"a length with a non-breaking space",
       size("\xa0"
            "5"),
       number},
      {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       "400 Transfer-Encoding in HTTP/1.0"},
      {"two lines of chunked", post(chunked + chunked), "400 more than one Transfer-Encoding"},
      {"a line of identity and one of chunked", post("Transfer-Encoding: identity\r\n" + chunked), other},
      {"chunked, identity", coding("chunked, identity"), behind},
      {"chunked, chunked", coding("chunked, chunked"), behind},
      {"chunked and a comma", coding("chunked,"), behind},
      {"a comma and chunked", coding(",chunked"), malformed},
      {"gzip, chunked", coding("gzip, chunked"), other},
      {"identity", coding("identity"), other},
      {"gzip", coding("gzip"), other},
      {"a gzip with a parameter", coding("gzip;level=9"), other},
      {"xchunked", coding("xchunked"), other},
      {"a chunked with a parameter", coding("chunked;q=1"),
       "400 Transfer-Encoding: chunked with a parameter"},
      {"a chunked and a word", coding("chunked x"), malformed},
      {"chunked in quotes", coding("\"chunked\""), malformed},
      {"a vertical tab before chunked", coding("\vchunked"), "400 control character"},
      {"an empty coding", coding(""), malformed},
  });
}

TEST(HttpStrict, HeadsThatAreTooLarge) {
  const std::string fit(limits::kRequestLineBytesMax - Bytes("GET / HTTP/1.1").size(), 'a');
  std::string many;
  for (std::size_t i = 1; i < limits::kHeadFieldsMax; ++i) many += "X: y\r\n";
  const std::size_t room = limits::kHeadBytesMax - with("X: \r\n").size();
  expect_all({
      {"a request line that just fits", line("GET /" + fit + " HTTP/1.1"),
       "GET /" + fit + " 1.1 host=a.example"},
      {"a request line of one byte more", line("GET /" + fit + "a HTTP/1.1"), "414 start line too long"},
      {"a request line that never ends", std::string(limits::kHeadBytesMax, 'A'), "414 start line too long"},
      {"a control character behind what fits", "GET /" + fit + fit + "\x01", "414 start line too long"},
      {"as many fields as fit", with(many), "GET / 1.1 host=a.example"},
      {"one field more", with(many + "X: y\r\n"), "431 too many fields"},
      {"one field more, which is wrong too", with(many + " X: y\r\n"), "400 obs-fold"},
      {"a head that just fits", with("X: " + std::string(room, 'b') + "\r\n"), "GET / 1.1 host=a.example"},
      {"a head of one byte more", with("X: " + std::string(room + 1, 'b') + "\r\n"), "431 head too large"},
      {"a value that never ends", "GET / HTTP/1.1\r\nX: " + std::string(limits::kHeadBytesMax, 'b'),
       "431 head too large"},
      {"a bare LF behind what fits", with("X: " + std::string(room + 10, 'b') + "\n"), "431 head too large"},
      {"more connection options than anybody has",
       with("Connection: a" +
            [] {
              std::string more;
              for (std::size_t i = 0; i < limits::kConnectionOptionsMax; ++i) more += ",b";
              return more;
            }() +
            "\r\n"),
       "400 too many connection options"},
  });
}

TEST(HttpStrict, WhatIsWrongIsNotWaitedFor) {
  // Each text ends at the byte that shows the fault, with no end of the head in sight.
  const std::vector<std::string> begins = {
      "\n",
      "\r\n\r\n",
      "\x16",
      "GET / HTTP/1.1\n",
      "GET / HTTP/1.1\rX",
      "get / HTTP/1.1\r\n",
      "SSH-2.0-OpenSSH_9.6\r\n",
      "GET / HTTP/2.0\r\n",
      "GET / HTTP/1.1\r\nHost: a\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
      "GET / HTTP/1.1\r\nX : y\r\n",
      "GET / HTTP/1.1\r\nX: y\r\n z\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
  };
  for (const std::string& begin : begins) {
    SCOPED_TRACE(begin);
    RequestHead head;
    if (begin.size() > 1) {
      EXPECT_EQ(head.feed(Bytes(begin).substr(0, begin.size() - 1)).state, HeadState::need_more);
    }
    EXPECT_EQ(head.feed(begin).state, HeadState::refused);
    EXPECT_EQ(head.feed(begin + "X: y\r\n\r\n").state, HeadState::refused) << "and it stays refused";
  }
}

}  // namespace
}  // namespace rejoin::proto
