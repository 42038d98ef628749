// Reading frames: RFC 6455's examples, everything that must be refused with its close code, cut at every
// byte.
#include "proto/ws_frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/ws_message.h"

namespace rejoin::proto {
namespace {

/// Bytes from a literal that may hold NULs.
template <std::size_t N>
std::string raw(const char (&text)[N]) {
  return std::string(text, N - 1);
}

constexpr MaskKey kKey{0x37, char(0xfa), 0x21, 0x3d};

/// One frame as a client (masked) or a server sends it.
std::string frame(WsRole sender, unsigned first, Bytes payload, const MaskKey& key = kKey) {
  FrameSpec spec;
  spec.payload_bytes = payload.size();
  if (sender == WsRole::client) spec.mask = key;
  std::string out(write_frame_header(spec).view());
  out[0] = static_cast<char>(first);
  const std::size_t begin = out.size();
  out += payload;
  if (spec.mask) apply_mask({out.data() + begin, payload.size()}, key);
  return out;
}
std::string from_client(unsigned first, Bytes payload) { return frame(WsRole::client, first, payload); }
std::string from_server(unsigned first, Bytes payload) { return frame(WsRole::server, first, payload); }

std::string told(const WsEvent& event) {
  switch (event.kind) {
    case WsEvent::Kind::ping: return "ping:" + std::string(event.view());
    case WsEvent::Kind::pong: return "pong:" + std::string(event.view());
    case WsEvent::Kind::close:
      return "close:" + std::to_string(number(event.code)) + ":" + std::string(event.view());
    case WsEvent::Kind::refused: return "refused:" + std::to_string(number(event.code));
    default: return "?";
  }
}

using Told = std::vector<std::string>;

/// Feeds `stream` cut at `cuts` to a reader, and tells whole messages and other events in their order. Each
/// piece has its own memory, so that asan sees a view that is kept too long.
Told read(FrameReader& reader, Bytes stream, const std::vector<std::size_t>& cuts) {
  MessageAssembler assembler;
  Told out;
  std::size_t at = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i == cuts.size() ? stream.size() : cuts[i];
    std::string lent(stream.substr(at, end - at));
    at = end;
    MutableBytes input = lent;
    for (;;) {
      const WsEvent event = reader.feed(input);
      if (event.kind == WsEvent::Kind::more) break;
      if (event.kind != WsEvent::Kind::data) {
        out.push_back(told(event));
        if (event.kind == WsEvent::Kind::refused) return out;
        continue;
      }
      if (const auto message = assembler.add(event)) {
        out.push_back((event.opcode == WsOpcode::text ? "text:" : "binary:") + std::string(*message));
      }
    }
    EXPECT_TRUE(input.empty());
  }
  return out;
}

/// The same whole, cut at every byte, and a byte at a time.
void expect(const char* what, WsRole role, const std::string& stream, const Told& expected,
            std::uint32_t max = 1 << 20, Rsv1 rsv1 = Rsv1::refused) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i <= stream.size(); ++i) {
    FrameReader reader(role, max, rsv1);
    EXPECT_EQ(read(reader, stream, {i}), expected) << what << ", cut at " << i;
    if (i != 0) all.push_back(i);
  }
  FrameReader reader(role, max, rsv1);
  EXPECT_EQ(read(reader, stream, all), expected) << what << ", byte by byte";
}

TEST(FrameReader, ExamplesOfRfc6455Section57) {
  expect("unmasked text", WsRole::client, raw("\x81\x05\x48\x65\x6c\x6c\x6f"), {"text:Hello"});
  expect("masked text", WsRole::server, raw("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), {"text:Hello"});
  expect("fragmented", WsRole::client, raw("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), {"text:Hello"});
  expect("ping", WsRole::client, raw("\x89\x05\x48\x65\x6c\x6c\x6f"), {"ping:Hello"});
  expect("pong", WsRole::server, raw("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), {"pong:Hello"});
  expect("256 bytes", WsRole::client, raw("\x82\x7e\x01\x00") + std::string(256, 'b'),
         {"binary:" + std::string(256, 'b')});
  FrameReader reader(WsRole::client, 1 << 20);
  EXPECT_EQ(read(reader, raw("\x82\x7f\0\0\0\0\0\1\0\0") + std::string(65536, 'c'), {7, 40000}),
            Told{"binary:" + std::string(65536, 'c')});
}

TEST(FrameReader, MessagesFragmentsAndWhatComesBetween) {
  for (const WsRole role : {WsRole::server, WsRole::client}) {
    const WsRole peer = role == WsRole::server ? WsRole::client : WsRole::server;
    const auto f = [peer](unsigned first, Bytes payload) { return frame(peer, first, payload); };
    expect("empty text", role, f(0x81, ""), {"text:"});
    expect("empty binary in three fragments", role, f(0x02, "") + f(0, "") + f(0x80, ""), {"binary:"});
    expect("last fragment empty", role, f(0x01, "ab") + f(0x80, ""), {"text:ab"});
    expect("empty ones around", role, f(0x01, "") + f(0, "ab") + f(0, "") + f(0x80, "c"), {"text:abc"});
    expect("control frames between fragments", role,
           f(0x01, "a") + f(0x89, "p1") + f(0, "b") + f(0x8a, "") + f(0x89, "") + f(0x80, "c") + f(0x82, "d"),
           {"ping:p1", "pong:", "ping:", "text:abc", "binary:d"});
    expect("125 bytes of ping", role, f(0x89, std::string(125, 'p')), {"ping:" + std::string(125, 'p')});
    expect(
        "two messages and a close; the rest is swallowed", role,
        f(0x81, "x") + f(0x82, "y") + f(0x88, raw("\x03\xe8") + "bye") + f(0x81, "z") + raw("\xff\xff\xff"),
        {"text:x", "binary:y", "close:1000:bye"});
    expect("close inside a message", role, f(0x01, "x") + f(0x88, ""), {"close:1005:"});
    expect("text cut inside a character by fragments", role, f(0x01, "\xe2") + f(0, "\x82") + f(0x80, "\xac"),
           {"text:\xe2\x82\xac"});
    for (const std::size_t size : {126, 127, 300}) {
      expect("lengths of 16 bits", role, f(0x82, std::string(size, 'm')),
             {"binary:" + std::string(size, 'm')});
    }
  }
}

TEST(FrameReader, CloseCodes) {
  for (int code = 0; code < 6000; ++code) {
    const bool good =
        (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
    EXPECT_EQ(is_wire_close_code(static_cast<std::uint16_t>(code)), good) << code;
    const char bytes[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    FrameReader reader(WsRole::server, 100);
    const Told expected{good ? "close:" + std::to_string(code) + ":r" : "refused:1002"};
    EXPECT_EQ(read(reader, from_client(0x88, std::string(bytes, 2) + "r"), {}), expected);
  }
  EXPECT_FALSE(is_wire_close_code(65535));
}

TEST(FrameReader, BadFramesAndTheirCloseCodes) {
  const Told e1002{"refused:1002"}, e1007{"refused:1007"}, e1009{"refused:1009"};
  const struct {
    const char* what;
    WsRole role;
    std::string stream;
    Told expected;
  } table[] = {
      {"client does not mask", WsRole::server, from_server(0x81, "x"), e1002},
      {"client does not mask a ping", WsRole::server, from_server(0x89, ""), e1002},
      {"server masks", WsRole::client, from_client(0x81, "x"), e1002},
      {"server masks with zeros", WsRole::client, raw("\x81\x81\0\0\0\0x"), e1002},
      {"RSV1", WsRole::server, from_client(0xc1, "x"), e1002},
      {"RSV2", WsRole::server, from_client(0xa1, "x"), e1002},
      {"RSV3", WsRole::server, from_client(0x91, "x"), e1002},
      {"RSV1 on a ping", WsRole::server, from_client(0xc9, "x"), e1002},
      {"length 126 in 16 bits, but 125", WsRole::client, raw("\x82\x7e\x00\x7d"), e1002},
      {"0 in 16 bits", WsRole::client, raw("\x82\x7e\x00\x00"), e1002},
      {"65535 in 64 bits", WsRole::client, raw("\x82\x7f\0\0\0\0\0\0\xff\xff"), e1002},
      {"5 in 64 bits", WsRole::client, raw("\x82\x7f\0\0\0\0\0\0\0\x05"), e1002},
      {"top bit", WsRole::client, raw("\x82\x7f\x80\0\0\0\0\0\0\0"), e1002},
      {"all bits", WsRole::client, raw("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), e1002},
      {"2^62", WsRole::client, raw("\x82\x7f\x40\0\0\0\0\0\0\0"), e1009},
      {"4 GiB and one", WsRole::client, raw("\x82\x7f\0\0\0\1\0\0\0\1"), e1009},
      {"ping fragmented", WsRole::server, from_client(0x09, "x"), e1002},
      {"close fragmented", WsRole::server, from_client(0x08, ""), e1002},
      {"ping of 126", WsRole::server, from_client(0x89, std::string(126, 'x')), e1002},
      {"ping of 70000", WsRole::client, raw("\x89\x7f"), e1002},
      {"continuation of nothing", WsRole::server, from_client(0x80, "x"), e1002},
      {"continuation of nothing, not last", WsRole::server, from_client(0x00, ""), e1002},
      {"continuation behind a message",
       WsRole::server,
       from_client(0x81, "a") + from_client(0x80, "x"),
       {"text:a", "refused:1002"}},
      {"text in text", WsRole::server, from_client(0x01, "a") + from_client(0x81, "x"), e1002},
      {"binary in text",
       WsRole::server,
       from_client(0x01, "a") + from_client(0x89, "p") + from_client(0x02, "x"),
       {"ping:p", "refused:1002"}},
      {"close of one byte", WsRole::server, from_client(0x88, "\x03"), e1002},
      {"close 1005", WsRole::server, from_client(0x88, raw("\x03\xed")), e1002},
      {"close 1006", WsRole::server, from_client(0x88, raw("\x03\xee")), e1002},
      {"close 1015", WsRole::server, from_client(0x88, raw("\x03\xf7")), e1002},
      {"close 0", WsRole::server, from_client(0x88, raw("\x00\x00")), e1002},
      {"close reason not UTF-8", WsRole::server, from_client(0x88, raw("\x03\xe8\xff")), e1007},
      {"close reason cut inside a character", WsRole::server, from_client(0x88, raw("\x03\xe8\xe2\x82")),
       e1007},
      {"text not UTF-8", WsRole::server, from_client(0x81, "a\xff"), e1007},
      {"surrogate", WsRole::client, from_server(0x81, "\xed\xa0\x80"), e1007},
      {"text ends inside a character", WsRole::server, from_client(0x81, "a\xe2\x82"), e1007},
      {"fragmented text ends inside a character", WsRole::server,
       from_client(0x01, "\xe2") + from_client(0x80, "\x82"), e1007},
      {"empty last fragment inside a character", WsRole::server,
       from_client(0x01, "\xe2") + from_client(0x80, ""), e1007},
      {"overlong over fragments", WsRole::server, from_client(0x01, "\xe0") + from_client(0x00, "\x80"),
       e1007},
  };
  for (const auto& row : table) expect(row.what, row.role, row.stream, row.expected);
  for (const unsigned opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    expect("reserved opcode", WsRole::server, from_client(0x80 | opcode, ""), e1002);
  }
}

TEST(FrameReader, WrongTextIsRefusedBeforeTheMessageEnds) {
  FrameReader reader(WsRole::server, 1000);
  std::string stream = from_client(0x01, "ok \xf4\x90" + std::string(100, 'x'));
  stream.resize(6 + 5);  // up to the wrong byte
  EXPECT_EQ(read(reader, stream, {}), Told{"refused:1007"});
}

TEST(FrameReader, TheLimitIsForTheWholeMessageAndNotForControlFrames) {
  const auto f = from_client;
  expect("exactly", WsRole::server, f(0x82, "12345"), {"binary:12345"}, 5);
  expect("one above", WsRole::server, f(0x82, "123456").substr(0, 6), {"refused:1009"}, 5);
  expect("over fragments", WsRole::server, f(0x02, "123") + f(0x00, "45") + f(0x80, "6").substr(0, 6),
         {"refused:1009"}, 5);
  expect("exactly over fragments", WsRole::server,
         f(0x02, "123") + f(0x89, "controls") + f(0x80, "45") + f(0x81, "abcde"),
         {"ping:controls", "binary:12345", "text:abcde"}, 5);
  expect("none at all", WsRole::server, f(0x82, "") + f(0x82, "1").substr(0, 6), {"binary:", "refused:1009"},
         0);
  expect("the highest limit", WsRole::client, raw("\x82\x7f\0\0\0\1\0\0\0\0"), {"refused:1009"}, 0xffffffff);
  expect("below the highest limit", WsRole::client, raw("\x02\x7f\0\0\0\0\xff\xff\xff\xff"), {}, 0xffffffff);
}

TEST(FrameReader, Rsv1IsHandedOnWhereAllowed) {
  FrameReader reader(WsRole::server, 100, Rsv1::allowed);
  std::string stream = from_client(0x41, "\xff\xfe") + from_client(0x80, "\xfd") + from_client(0x81, "x");
  MutableBytes input = stream;
  WsEvent event = reader.feed(input);
  EXPECT_TRUE(event.kind == WsEvent::Kind::data && event.compressed && event.first && !event.last);
  event = reader.feed(input);
  EXPECT_TRUE(event.kind == WsEvent::Kind::data && event.compressed && event.last);
  event = reader.feed(input);
  EXPECT_TRUE(event.kind == WsEvent::Kind::data && !event.compressed);
  expect("on a continuation", WsRole::server, from_client(0x01, "") + from_client(0xc0, ""), {"refused:1002"},
         100, Rsv1::allowed);
  expect("on a ping", WsRole::server, from_client(0xc9, ""), {"refused:1002"}, 100, Rsv1::allowed);
  expect("on a close", WsRole::server, from_client(0xc8, ""), {"refused:1002"}, 100, Rsv1::allowed);
  expect("RSV2 stays refused", WsRole::server, from_client(0xa1, ""), {"refused:1002"}, 100, Rsv1::allowed);
}

TEST(FrameReader, PiecesLieInTheInputAndMayStopAnywhere) {
  FrameReader reader(WsRole::server, 100);
  EXPECT_TRUE(reader.idle());
  std::string stream = from_client(0x81, "hello") + from_client(0x82, "world");
  const std::string untouched = stream;
  MutableBytes input = stream;
  const WsEvent event = reader.feed(input);
  EXPECT_EQ(event.view(), "hello");
  EXPECT_EQ(event.view().data(), stream.data() + 6);
  EXPECT_TRUE(event.first && event.last && event.opcode == WsOpcode::text);
  EXPECT_EQ(input.size(), 11u);
  EXPECT_EQ(Bytes(input.data(), input.size()), untouched.substr(11));  // the rest may go elsewhere as it came
  std::string moved(input.data(), input.size());
  moved.resize(9);
  input = moved;
  const WsEvent part = reader.feed(input);
  EXPECT_EQ(part.view(), "wor");
  EXPECT_TRUE(part.first && !part.last);
  EXPECT_EQ(reader.frame_left(), 2u);
  EXPECT_TRUE(!reader.idle() && reader.in_message());
}

TEST(FrameReader, RefusalAndCloseLastForEver) {
  FrameReader reader(WsRole::server, 100);
  std::string bad = from_server(0x81, "x"), good = from_client(0x81, "x");
  MutableBytes input = bad;
  const WsEvent first = reader.feed(input);
  EXPECT_EQ(first.code, CloseCode::protocol_error);
  EXPECT_FALSE(first.reason.empty());
  input = good;
  const WsEvent again = reader.feed(input);
  EXPECT_EQ(again.kind, WsEvent::Kind::refused);
  EXPECT_EQ(again.reason, first.reason);

  FrameReader closed(WsRole::server, 100);
  std::string close = from_client(0x88, "");
  input = close;
  EXPECT_EQ(closed.feed(input).kind, WsEvent::Kind::close);
  EXPECT_TRUE(closed.closed());
  input = good;
  EXPECT_EQ(closed.feed(input).kind, WsEvent::Kind::more);
  EXPECT_TRUE(input.empty());
}

}  // namespace
}  // namespace rejoin::proto
