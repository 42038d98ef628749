#include "proto/http_editor.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http_response.h"

namespace rejoin::proto {
namespace {

const std::string kRequest =
    "GET /a?b HTTP/1.1\r\n"
    "Host: a.example\r\n"
    "Cookie: x=1; REJOIN=secret; y=2\r\n"
    "X-Empty:\r\n"
    "Cookie: z=3\r\n"
    "\r\n";

/// A head read from text, with the text kept; fails the test when it is refused.
template <typename HeadType>
struct Read {
  explicit Read(std::string text_) : text(std::move(text_)) {
    const HeadVerdict verdict = head.feed(text);
    EXPECT_EQ(verdict.state, HeadState::complete) << verdict.reason;
  }
  std::string text;
  HeadType head;
};

/// What write() writes; also checks size(), and that one byte of room less is an error that writes nothing
/// behind it.
std::string written(const HeadEdits& edits) {
  const std::size_t size = edits.size();
  std::vector<char> room(size);
  if (size > 0) {
    const auto failed = edits.write(MutableBytes(room.data(), size - 1));
    EXPECT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().kind, ErrorKind::exhausted);
  }
  const auto result = edits.write(MutableBytes(room));
  if (!result.ok()) return "error: " + result.error().detail;
  EXPECT_EQ(*result, size);
  return std::string(room.begin(), room.end());
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\r\n";
  return text + "\r\n";
}

TEST(HeadEdits, NothingNotedIsTheHeadItself) {
  Read<RequestHead> read(kRequest);
  HeadEdits edits(read.head);
  EXPECT_TRUE(edits.empty());
  EXPECT_EQ(written(edits), kRequest);
}

TEST(HeadEdits, FieldsAreDropped) {
  for (std::size_t i = 0; i < 4; ++i) {
    SCOPED_TRACE(i);
    Read<RequestHead> read(kRequest);
    HeadEdits edits(read.head);
    edits.drop(read.head.fields()[i]);
    EXPECT_FALSE(edits.empty());
    std::vector<std::string> lines = {"GET /a?b HTTP/1.1", "Host: a.example",
                                      "Cookie: x=1; REJOIN=secret; y=2", "X-Empty:", "Cookie: z=3"};
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    EXPECT_EQ(written(edits), joined(lines));
  }
}

TEST(HeadEdits, AllFieldsOfANameAreDroppedAndAppendedOnesStay) {
  Read<RequestHead> read(kRequest);
  HeadEdits edits(read.head);
  edits.append("Cookie", "new=1");
  edits.drop_all(KnownField::cookie);
  EXPECT_EQ(written(edits), joined({"GET /a?b HTTP/1.1", "Host: a.example", "X-Empty:", "Cookie: new=1"}));
}

TEST(HeadEdits, ACookieIsCutOutOfItsFieldWithoutACopy) {
  Read<RequestHead> read(kRequest);
  HeadEdits edits(read.head);
  const Field& cookie = *read.head.find(KnownField::cookie);
  const Bytes value = read.head.value(cookie);
  edits.replace_value(cookie, {value.substr(0, 5), value.substr(20)});
  EXPECT_EQ(written(edits),
            joined({"GET /a?b HTTP/1.1", "Host: a.example", "Cookie: x=1; y=2", "X-Empty:", "Cookie: z=3"}));
}

TEST(HeadEdits, ALaterEditOfAFieldWins) {
  Read<RequestHead> read(kRequest);
  HeadEdits edits(read.head);
  const Field& empty = read.head.fields()[2];
  edits.replace_value(empty, "1");
  edits.replace_value(empty, {"2", "3", "4"});
  edits.drop(read.head.fields()[0]);
  edits.replace_value(read.head.fields()[0], "b.example");
  edits.replace_value(read.head.fields()[3], "gone");
  edits.drop(read.head.fields()[3]);
  EXPECT_EQ(written(edits), joined({"GET /a?b HTTP/1.1", "Host: b.example", "Cookie: x=1; REJOIN=secret; y=2",
                                    "X-Empty: 234"}));
}

TEST(HeadEdits, SetReplacesTheFirstAndDropsTheOthersOrAppends) {
  Read<RequestHead> read(kRequest);
  HeadEdits edits(read.head);
  edits.set(KnownField::cookie, "a=b");
  edits.set(KnownField::x_forwarded_for, edits.keep(std::string("192.0.2.7")));
  EXPECT_EQ(written(edits), joined({"GET /a?b HTTP/1.1", "Host: a.example", "Cookie: a=b",
                                    "X-Empty:", "X-Forwarded-For: 192.0.2.7"}));
}

TEST(HeadEdits, TargetAndReasonAreReplaced) {
  Read<RequestHead> request("OPTIONS http://a.example HTTP/1.0\r\n\r\n");
  HeadEdits request_edits(request.head);
  request_edits.replace_target(request.head.path_and_query());
  EXPECT_EQ(written(request_edits), "OPTIONS * HTTP/1.0\r\n\r\n");

  Read<ResponseHead> response("HTTP/1.1 200 Fine, thanks\r\nX: y\r\n\r\n");
  HeadEdits response_edits(response.head);
  response_edits.replace_reason("OK");
  EXPECT_FALSE(response_edits.empty());
  EXPECT_EQ(written(response_edits), "HTTP/1.1 200 OK\r\nX: y\r\n\r\n");

  Read<ResponseHead> empty("HTTP/1.1 200 \r\n\r\n");
  HeadEdits nothing(empty.head);
  nothing.append("X", "y");
  EXPECT_EQ(written(nothing), "HTTP/1.1 200 \r\nX: y\r\n\r\n");
}

TEST(HeadEdits, ATextThatWouldBreakTheHeadIsAnError) {
  Read<RequestHead> read(kRequest);
  const std::vector<std::pair<const char*, void (*)(HeadEdits&)>> breaks = {
      {"CR LF in a value", [](HeadEdits& edits) { edits.append("X", "a\r\nHost: b"); }},
      {"LF in the last piece of a value",
       [](HeadEdits& edits) {
         edits.append("X", {"a", "b", "c\n"});
       }},
      {"NUL in a value", [](HeadEdits& edits) { edits.set(KnownField::host, Bytes("a\0", 2)); }},
      {"a colon in a name", [](HeadEdits& edits) { edits.append("X:", "a"); }},
      {"no name", [](HeadEdits& edits) { edits.append("", "a"); }},
      {"a space in a target", [](HeadEdits& edits) { edits.replace_target("/a b"); }},
      {"a tab in a target", [](HeadEdits& edits) { edits.replace_target("/a\tb"); }},
      {"no target", [](HeadEdits& edits) { edits.replace_target(""); }},
  };
  for (const auto& [sentence, make] : breaks) {
    SCOPED_TRACE(sentence);
    HeadEdits edits(read.head);
    make(edits);
    std::array<char, 1024> room;
    const auto result = edits.write(room);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind, ErrorKind::bad_input);
    EXPECT_EQ(result.error().side, Side::ours);
  }
  HeadEdits tab(read.head);
  tab.append("X", "a\tb");
  EXPECT_TRUE(written(tab).ends_with("X: a\tb\r\n\r\n"));
}

TEST(HeadEdits, TooManyEditsAndTooMuchKeptAreErrors) {
  Read<RequestHead> read(kRequest);
  std::array<char, 4096> room;
  HeadEdits many(read.head);
  for (std::size_t i = 0; i < kEditsMax; ++i) many.append("X", "y");
  EXPECT_TRUE(many.write(room).ok());
  many.append("X", "y");
  EXPECT_EQ(many.write(room).error().kind, ErrorKind::exhausted);

  HeadEdits kept(read.head);
  const std::string half(limits::kHeadEditsKeptBytesMax / 2, 'a');
  EXPECT_EQ(kept.keep(half), half);
  EXPECT_EQ(kept.keep(half), half);
  EXPECT_EQ(kept.keep("b"), "");
  EXPECT_EQ(kept.write(room).error().kind, ErrorKind::exhausted);
}

TEST(HeadEdits, ABufferIsAppendedToOrLeftAlone) {
  Read<RequestHead> read(kRequest);
  BufferPool pool(kRequest.size() + 10);
  Buffer buffer = pool.borrow();
  HeadEdits edits(read.head);
  buffer.append("before");
  EXPECT_TRUE(edits.write(buffer).ok());
  EXPECT_EQ(buffer.view(), "before" + kRequest);
  EXPECT_FALSE(edits.write(buffer).ok());
  EXPECT_EQ(buffer.view(), "before" + kRequest);
}

TEST(HeadEdits, AHeadThatWasMovedIsEditedAtItsNewPlace) {
  Read<RequestHead> read(kRequest + "body");
  const std::string copy(read.head.bytes());
  EXPECT_EQ(copy, kRequest);
  std::fill(read.text.begin(), read.text.end(), '!');
  read.head.rebind(copy);
  HeadEdits edits(read.head);
  edits.drop_all(KnownField::cookie);
  EXPECT_EQ(written(edits), joined({"GET /a?b HTTP/1.1", "Host: a.example", "X-Empty:"}));
}

// --- hop by hop ---

struct HopCase {
  const char* sentence;
  std::vector<std::string> lines;
  NextHop next;
  std::vector<std::string> wanted;
};

template <typename HeadType>
void expect_hops(const std::vector<HopCase>& cases) {
  for (const HopCase& one : cases) {
    SCOPED_TRACE(one.sentence);
    Read<HeadType> read(joined(one.lines));
    HeadEdits edits(read.head);
    hop_by_hop(read.head, edits, one.next);
    EXPECT_EQ(written(edits), joined(one.wanted));
  }
}

TEST(HopByHop, Requests) {
  const std::string get = "GET / HTTP/1.1", host = "Host: a";
  expect_hops<RequestHead>({
      {"nothing to drop", {get, host, "X: y"}, NextHop::persist, {get, host, "X: y"}},
      {"the fixed ones go",
       {get, "TE: trailers", host, "Keep-Alive: 5", "Proxy-Connection: close", "Upgrade: x", "Connection: x"},
       NextHop::persist,
       {get, host}},
      {"the named ones go, in any case of letters",
       {get, host, "X-One: 1", "x-two: 2", "X-One: 3", "X-Three: 4", "Connection: X-TWO",
        "Connection: close, x-one"},
       NextHop::persist,
       {get, host, "X-Three: 4"}},
      {"Transfer-Encoding and Trailer stay, as the body passes as it is",
       {"POST / HTTP/1.1", host, "Transfer-Encoding: chunked", "Trailer: X-Sum", "TE: trailers",
        "Connection: TE"},
       NextHop::persist,
       {"POST / HTTP/1.1", host, "Transfer-Encoding: chunked", "Trailer: X-Sum"}},
      {"an upgrade is passed on",
       {get, host, "Upgrade: websocket", "Connection: keep-alive, Upgrade, X-Hop", "X-Hop: 1"},
       NextHop::upgrade,
       {get, host, "Upgrade: websocket", "Connection: upgrade"}},
      {"a second Upgrade is not",
       {get, host, "Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"},
       NextHop::upgrade,
       {get, host, "Upgrade: websocket", "Connection: upgrade"}},
      {"the end is said",
       {get, "Connection: keep-alive", host},
       NextHop::close,
       {get, "Connection: close", host}},
      {"HTTP/1.0 must say that it stays",
       {"GET / HTTP/1.0", "X: y"},
       NextHop::persist,
       {"GET / HTTP/1.0", "X: y", "Connection: keep-alive"}},
  });
}

TEST(HopByHop, Responses) {
  const std::string ok = "HTTP/1.1 200 OK", length = "Content-Length: 3";
  const std::string switching = "HTTP/1.1 101 Switching Protocols";
  expect_hops<ResponseHead>({
      {"the fixed and the named ones go",
       {ok, length, "Connection: keep-alive, X-Hop", "Keep-Alive: timeout=5", "X-Hop: 1", "Set-Cookie: a=b"},
       NextHop::persist,
       {ok, length, "Set-Cookie: a=b"}},
      {"a client of HTTP/1.0 is told that it stays",
       {ok, length, "Connection: close"},
       NextHop::persist_aloud,
       {ok, length, "Connection: keep-alive"}},
      {"a 101 passes",
       {switching, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: x"},
       NextHop::upgrade,
       {switching, "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: x"}},
      {"a 204 has no length",
       {"HTTP/1.1 204 No Content", "Content-Length: 0", "X: y"},
       NextHop::persist,
       {"HTTP/1.1 204 No Content", "X: y"}},
      {"a 304 has", {"HTTP/1.1 304 X", length}, NextHop::persist, {"HTTP/1.1 304 X", length}},
  });
}

// --- responses of our own ---

TEST(SimpleResponse, ItIsWholeAndReadable) {
  BufferPool pool(512);
  for (int status : {200, 400, 404, 408, 413, 414, 431, 500, 501, 502, 503, 504, 505}) {
    SCOPED_TRACE(status);
    Buffer out = pool.borrow();
    ASSERT_TRUE(write_simple_response(out, {.status = status}).ok());
    ResponseHead head;
    const HeadVerdict verdict = head.feed(out.view());
    ASSERT_EQ(verdict.state, HeadState::complete) << verdict.reason;
    EXPECT_EQ(head.status(), status);
    EXPECT_EQ(head.reason(), reason_phrase(status));
    EXPECT_NE(head.reason(), "Unknown");
    EXPECT_FALSE(head.keep_alive());
    const std::string text = std::to_string(status) + " " + std::string(reason_phrase(status)) + "\n";
    EXPECT_EQ(out.view().substr(verdict.consumed), text);
    EXPECT_EQ(head.content_length(), text.size());
  }
}

TEST(SimpleResponse, TextFieldsAndTheConnectionAreTheCallers) {
  BufferPool pool(512);
  Buffer out = pool.borrow();
  ASSERT_TRUE(
      write_simple_response(
          out, {.status = 503, .text = "full", .field_lines = "Retry-After: 1\r\n", .next = NextHop::persist})
          .ok());
  EXPECT_EQ(out.view(),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: "
            "no-store\r\n"
            "Content-Length: 4\r\nRetry-After: 1\r\n\r\nfull");
}

TEST(SimpleResponse, TheAnswerToHeadTellsTheLengthAndHasNoBody) {
  BufferPool pool(512);
  Buffer out = pool.borrow();
  ASSERT_TRUE(
      write_simple_response(
          out,
          {.status = 200, .text = "fine", .next = NextHop::persist_aloud, .request_method = Method::head})
          .ok());
  ResponseHead head;
  EXPECT_EQ(head.feed(out.view()).consumed, out.size());
  EXPECT_EQ(head.content_length(), 4u);
  EXPECT_TRUE(head.keep_alive());
}

TEST(SimpleResponse, WithoutRoomNothingIsWritten) {
  BufferPool pool(64);
  Buffer out = pool.borrow();
  out.append("x");
  const Status status = write_simple_response(out, {.status = 400});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::exhausted);
  EXPECT_EQ(out.view(), "x");
}

}  // namespace
}  // namespace rejoin::proto
