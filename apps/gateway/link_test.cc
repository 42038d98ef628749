// Links: good and bad clients after the handshake, and the ways in which a link ends.
#include "apps/gateway/link.h"

#include <gtest/gtest.h>

#include "apps/gateway/test_scene.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

using proto::WsOpcode;

constexpr std::uint32_t kMessageMax = 4096;

// --- WebSocket: what a client says, and what it hears until the end ---

struct FrameCase {
  const char* name;
  std::string says;
  std::vector<HeardFrame> hears;
};

std::string hex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  }
  return out;
}

// A masked frame by hand: first byte, length as it stands in the second byte and behind, key 0 (so the
// payload is as it is).
std::string raw(std::string_view first_and_length, std::string_view payload = "") {
  std::string out = hex(first_and_length);
  out[1] = static_cast<char>(out[1] | '\x80');
  return out + std::string(4, '\0') + std::string(payload);
}

std::string close_payload(std::uint16_t code, std::string_view reason = "") {
  char bytes[2];
  store_u16(bytes, code);
  return std::string(bytes, 2) + std::string(reason);
}

std::vector<FrameCase> frame_cases() {
  const std::string after = masked(WsOpcode::text, "after the end");
  const HeardFrame hello = text_frame("hello");
  return {
      // the client closes: its own code comes back
      {"close 1000", masked(WsOpcode::close, close_payload(1000, "bye")) + after, {close_frame(1000)}},
      {"close 1001", masked(WsOpcode::close, close_payload(1001)), {close_frame(1001)}},
      {"close 3000", masked(WsOpcode::close, close_payload(3000)), {close_frame(3000)}},
      {"close 4999", masked(WsOpcode::close, close_payload(4999)), {close_frame(4999)}},
      {"close without a code", masked(WsOpcode::close, ""), {close_frame(0)}},
      {"a message, then close",
       masked(WsOpcode::text, "hello") + masked(WsOpcode::close, close_payload(1000)),
       {hello, close_frame(1000)}},
      // wrong close frames
      {"close 999", masked(WsOpcode::close, close_payload(999)), {close_frame(1002)}},
      {"close 1004", masked(WsOpcode::close, close_payload(1004)), {close_frame(1002)}},
      {"close 1005", masked(WsOpcode::close, close_payload(1005)), {close_frame(1002)}},
      {"close 1006", masked(WsOpcode::close, close_payload(1006)), {close_frame(1002)}},
      {"close 5000", masked(WsOpcode::close, close_payload(5000)), {close_frame(1002)}},
      {"close with half a code", masked(WsOpcode::close, "\x03"), {close_frame(1002)}},
      {"close with a reason that is no UTF-8",
       masked(WsOpcode::close, close_payload(1000, "\xff")),
       {close_frame(1007)}},
      // wrong frames
      {"no mask", hex("810568656c6c6f") + after, {close_frame(1002)}},
      {"RSV1", raw("c105", "hello"), {close_frame(1002)}},
      {"RSV2", raw("a105", "hello"), {close_frame(1002)}},
      {"RSV3", raw("9105", "hello"), {close_frame(1002)}},
      {"opcode 3", raw("8305", "hello"), {close_frame(1002)}},
      {"opcode 11", raw("8b05", "hello"), {close_frame(1002)}},
      {"a ping in fragments", raw("0905", "hello"), {close_frame(1002)}},
      {"a ping of 126 bytes", raw("897e007e", std::string(126, 'x')), {close_frame(1002)}},
      {"a length of 125 in two bytes", raw("817e007d", std::string(125, 'x')), {close_frame(1002)}},
      {"a length of 65535 in eight bytes", raw("827f000000000000ffff"), {close_frame(1002)}},
      {"a length with the top bit", raw("827f8000000000000000"), {close_frame(1002)}},
      {"a continuation of nothing", raw("8005", "hello"), {close_frame(1002)}},
      {"a message inside a message", raw("0105", "hello") + raw("8105", "hello"), {close_frame(1002)}},
      {"a message before a wrong frame",
       masked(WsOpcode::text, "hello") + raw("8305", "hello") + after,
       {hello, close_frame(1002)}},
      // wrong texts
      {"text that is no UTF-8", masked(WsOpcode::text, "a\xff"), {close_frame(1007)}},
      {"a surrogate", masked(WsOpcode::text, "\xed\xa0\x80"), {close_frame(1007)}},
      {"text that ends in a character", masked(WsOpcode::text, "\xe2\x82"), {close_frame(1007)}},
      {"UTF-8 broken over two fragments", raw("0102", "\xe2\x82") + raw("8001", "x"), {close_frame(1007)}},
      // too large: refused by the header, no payload is waited for
      {"a message of a byte too many", raw("827e1001"), {close_frame(1009)}},
      {"a terabyte", raw("827f0000010000000000"), {close_frame(1009)}},
      {"fragments that are too large together",
       raw("027e0800", std::string(2048, 'x')) + raw("807e0801"),
       {close_frame(1009)}},
  };
}

void run_frame_case(const FrameCase& c, std::size_t segment_bytes) {
  SCOPED_TRACE(std::string(c.name) + ", segments of " + std::to_string(segment_bytes));
  config::Gateway rules;
  rules.message_max = kMessageMax;
  io::LinkOptions link;
  link.segment_bytes_max = segment_bytes;
  Scene scene(1, link, rules);
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  client.say(c.says);
  EXPECT_TRUE(scene.until([&] { return client.over(); }));
  EXPECT_TRUE(client.ended()) << "a FIN behind the close frame, so that it is read";
  EXPECT_EQ(frames_in(client.heard().substr(from)), c.hears);
  client.say_fin();
  EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
}

TEST(WebSocketLink, ends_with_the_code_that_fits) {
  for (const FrameCase& c : frame_cases()) run_frame_case(c, 1448);
}

TEST(WebSocketLink, ends_with_the_code_that_fits_when_bytes_come_one_by_one) {
  for (const FrameCase& c : frame_cases()) run_frame_case(c, 1);
}

TEST(WebSocketLink, ends_in_bounded_time_when_the_client_never_hangs_up) {
  Scene scene;
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  client.say(masked(WsOpcode::close, close_payload(1000)));
  scene.sim.run_for(Duration(limits::kLingerMs) + 1s);
  EXPECT_EQ(scene.worker->links(), 0u);
  EXPECT_EQ(frames_in(client.heard().substr(from)), std::vector{close_frame(1000)});
}

TEST(WebSocketLink, forgets_a_client_that_hangs_up_without_a_close_frame) {
  Scene scene;
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  client.say(raw("0105", "hello"));  // in the middle of a message
  client.say_fin();
  EXPECT_TRUE(scene.until([&] { return client.over(); }));
  EXPECT_EQ(client.heard().size(), from);
  EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
}

// --- WebSocket: good messages ---

TEST(WebSocketLink, says_messages_back_whole_and_with_their_kind) {
  const struct {
    const char* name;
    std::string says;
    std::vector<HeardFrame> hears;
  } cases[] = {
      {"text", masked(WsOpcode::text, "gr\xc3\xbc\xc3\x9f dich"), {text_frame("gr\xc3\xbc\xc3\x9f dich")}},
      {"binary",
       masked(WsOpcode::binary, std::string("\0\xff", 2)),
       {{WsOpcode::binary, std::string("\0\xff", 2)}}},
      {"empty", masked(WsOpcode::text, ""), {text_frame("")}},
      {"fragments, one of them empty, cut in a character",
       raw("0102", "\xe2\x82") + raw("0000") + raw("8001", "\xac"),
       {text_frame("\xe2\x82\xac")}},
      {"a ping between fragments",
       raw("0103", "abc") + masked(WsOpcode::ping, "are you there") + raw("8003", "def"),
       {{WsOpcode::pong, "are you there"}, text_frame("abcdef")}},
      {"a pong that nobody asked for",
       masked(WsOpcode::pong, "x") + masked(WsOpcode::text, "y"),
       {text_frame("y")}},
      {"many at once",
       masked(WsOpcode::text, "1") + masked(WsOpcode::ping, "") + masked(WsOpcode::text, "2"),
       {{WsOpcode::pong, ""}, text_frame("1"), text_frame("2")}},
  };
  for (const auto& c : cases) {
    for (const std::size_t segment_bytes : {1448u, 1u}) {
      SCOPED_TRACE(std::string(c.name) + ", segments of " + std::to_string(segment_bytes));
      io::LinkOptions link;
      link.segment_bytes_max = segment_bytes;
      Scene scene(1, link);
      std::size_t from = 0;
      RawClient& client = scene.websocket(from);
      client.say(c.says + masked(WsOpcode::close, close_payload(1000)));
      EXPECT_TRUE(scene.until([&] { return client.over(); }));
      std::vector<HeardFrame> hears = c.hears;
      hears.push_back(close_frame(1000));
      EXPECT_EQ(frames_in(client.heard().substr(from)), hears);
    }
  }
}

TEST(WebSocketLink, says_a_message_of_the_largest_size_back) {
  for (const std::size_t size : {125u, 126u, 65535u, 65536u, unsigned(limits::kMessageBytesMax)}) {
    SCOPED_TRACE(size);
    Scene scene;
    std::size_t from = 0;
    RawClient& client = scene.websocket(from);
    std::string message(size, '\0');
    for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<char>(i * 31 >> 3);
    client.say(masked(WsOpcode::binary, message) + masked(WsOpcode::close, close_payload(1000)));
    EXPECT_TRUE(scene.until([&] { return client.over(); }));
    const std::vector<HeardFrame> frames = frames_in(client.heard().substr(from));
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_TRUE(frames[0].payload == message);
  }
}

TEST(WebSocketLink, holds_no_buffer_while_it_is_idle) {
  Scene scene;
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  client.say(masked(WsOpcode::text, "hello"));
  EXPECT_TRUE(scene.until([&] { return client.heard().size() == from + 7; }));
  EXPECT_EQ(scene.gateway.leftovers().buffers, 0u);
  EXPECT_EQ(scene.gateway.leftovers().timers, 1u) << "its session's heartbeat";
}

// --- a client that does not read ---

/// A game server that waits for as long as a link may be stalled.
config::Gateway patient() {
  config::Gateway rules;
  rules.session.pause = 10min;
  rules.heartbeat = {.ping = 10min, .dead = 10min};
  return rules;
}

TEST(WebSocketLink, stops_reading_a_client_that_does_not_read_and_goes_on_when_it_does) {
  Scene scene(1, {}, patient());
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  client.stop_reading();
  constexpr std::size_t kMessages = 200, kEach = 8 * 1024;
  for (std::size_t i = 0; i < kMessages; ++i) {
    client.say(masked(WsOpcode::binary, std::string(kEach, static_cast<char>('a' + i % 26))));
  }
  scene.sim.run_for(5s);
  EXPECT_EQ(scene.worker->counts().pauses, 1u);
  // Taken in: what lies in four kernels' buffers of 64 KiB, in the session's window, and in the link or at
  // the echo up to their mark and one read more.
  const std::size_t taken = kMessages * kEach - client.unsent();
  EXPECT_LT(taken, 4 * 64 * 1024 + 256 * 1024 + 2 * limits::kLinkUnsentHighBytes + 2 * limits::kBufferBytes);
  EXPECT_GT(client.unsent(), 0u);

  client.read_on();
  EXPECT_TRUE(scene.until([&] { return client.heard().size() >= from + kMessages * (kEach + 4); }));
  const std::vector<HeardFrame> frames = frames_in(client.heard().substr(from));
  ASSERT_EQ(frames.size(), kMessages);
  for (std::size_t i = 0; i < kMessages; ++i) {
    ASSERT_EQ(frames[i].payload, std::string(kEach, static_cast<char>('a' + i % 26))) << i;
  }
  EXPECT_EQ(scene.worker->links(), 1u);
}

TEST(WebSocketLink, gives_a_client_up_that_takes_nothing_for_long) {
  Scene scene(1, {}, patient());
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  client.stop_reading();
  for (int i = 0; i < 200; ++i) client.say(masked(WsOpcode::binary, std::string(8 * 1024, 'x')));
  scene.sim.run_for(Duration(limits::kLinkStallS) - 5s);
  EXPECT_EQ(scene.worker->links(), 1u);
  scene.sim.run_for(10s);
  EXPECT_EQ(scene.worker->links(), 0u);
}

// --- draining ---

TEST(WebSocketLink, is_told_that_the_gateway_goes_away) {
  Scene scene;
  std::size_t from = 0;
  RawClient& client = scene.websocket(from);
  scene.worker->drain();
  EXPECT_TRUE(scene.until([&] { return client.heard().size() > from; }));
  EXPECT_EQ(frames_in(client.heard().substr(from)), std::vector{close_frame(1001)});
  client.say(masked(WsOpcode::text, "too late") + masked(WsOpcode::close, close_payload(1001)));
  EXPECT_TRUE(scene.until([&] { return client.over(); }));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(frames_in(client.heard().substr(from)).size(), 1u) << "nothing is said after our close frame";
  client.say_fin();
  EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
}

TEST(WebSocketLink, that_does_not_answer_the_close_frame_ends_all_the_same) {
  Scene scene;
  std::size_t from = 0;
  (void)scene.websocket(from);
  scene.worker->drain();
  scene.sim.run_for(Duration(limits::kCloseReplyS) + 1s);
  EXPECT_TRUE(scene.worker->idle());
}

TEST(Worker, takes_nobody_in_while_it_drains) {
  Scene scene;
  RawClient& between_requests = scene.client();
  between_requests.say("GET /healthz HTTP/1.1\r\nHost: g1\r\n\r\n");
  EXPECT_TRUE(scene.until([&] { return !between_requests.heard().empty(); }));
  scene.worker->drain();
  const RawClient& late = scene.client();
  const RawClient& late_tcp = scene.client(Scene::kPlainTcpPort);
  EXPECT_TRUE(scene.until([&] { return between_requests.over() && late.over() && late_tcp.over(); }));
  EXPECT_TRUE(late.broken());
  EXPECT_TRUE(late_tcp.broken());
  EXPECT_TRUE(scene.worker->idle());
}

// --- length-framed TCP ---

std::string framed(std::string_view message) {
  char length[4];
  store_u32(length, static_cast<std::uint32_t>(message.size()));
  return std::string(length, 4) + std::string(message);
}

/// Starts a TCP client, and counts its greeting off.
RawClient& tcp_client(Scene& scene, std::size_t& heard_from) {
  RawClient& client = scene.client(Scene::kPlainTcpPort);
  EXPECT_TRUE(scene.until([&] { return client.heard().ends_with('}'); }));
  heard_from = client.heard().size();
  EXPECT_EQ(load_u32(client.heard().data()), heard_from - 4);
  EXPECT_TRUE(client.heard().substr(4).starts_with(R"({"server":"g1","client":"10.1.0.2:)"));
  return client;
}

TEST(TcpLink, greets_and_says_messages_back) {
  const std::string says = framed("hello") + framed("") + framed(std::string(100'000, 'x')) + framed("\xff");
  for (const std::size_t segment_bytes : {1448u, 1u}) {
    io::LinkOptions link;
    link.segment_bytes_max = segment_bytes;
    Scene scene(1, link);
    std::size_t from = 0;
    RawClient& client = tcp_client(scene, from);
    client.say(says);
    client.say_fin();  // and still waits for the answers
    EXPECT_TRUE(scene.until([&] { return client.over(); }));
    EXPECT_TRUE(client.ended());
    EXPECT_TRUE(client.heard().substr(from) == says);
    EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
  }
}

TEST(TcpLink, ends_when_a_message_is_too_large) {
  config::Gateway rules;
  rules.message_max = kMessageMax;
  Scene scene(1, {}, rules);
  std::size_t from = 0;
  RawClient& client = tcp_client(scene, from);
  client.say(framed("hello") + framed(std::string(kMessageMax + 1, 'x')).substr(0, 4));
  EXPECT_TRUE(scene.until([&] { return client.over(); }));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.heard().substr(from), framed("hello"));
  EXPECT_EQ(scene.worker->counts().refused_frames, 1u);
}

TEST(TcpLink, ends_with_a_fin_when_the_gateway_drains) {
  Scene scene;
  std::size_t from = 0;
  RawClient& client = tcp_client(scene, from);
  scene.worker->drain();
  EXPECT_TRUE(scene.until([&] { return client.over(); }));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.heard().size(), from);
  client.say_fin();
  EXPECT_TRUE(scene.until([&] { return scene.worker->idle(); }));
}

// --- whatever breaks ---

// Each operation of the gateway fails once, until the scenario survives: nothing may be left behind by any of
// them (the scene's end looks).
TEST(Link, leaves_nothing_behind_whichever_operation_fails) {
  std::uint64_t nth = 1;
  for (;; ++nth) {
    ASSERT_LT(nth, 100u);
    SCOPED_TRACE(nth);
    Scene scene;
    const std::uint64_t before = scene.gateway.operations();
    scene.gateway.fail_operation(nth);
    RawClient& web = scene.client();
    RawClient& tcp = scene.client(Scene::kPlainTcpPort);
    web.say(kUpgrade + "\r\n" + masked(WsOpcode::text, "hello") +
            masked(WsOpcode::close, close_payload(1000)));
    tcp.say(framed("hello"));
    scene.sim.run_for(1s);
    web.say_fin();
    tcp.say_fin();
    EXPECT_TRUE(scene.until([&] { return web.over() && tcp.over(); }))
        << "websocket " << web.over() << ", tcp " << tcp.over();
    scene.gateway.fail_operation(0);
    if (scene.gateway.operations() - before < nth) break;  // it never came to the nth
  }
  EXPECT_GE(nth, 8u) << "too few operations for two whole links";
}

// Clients that are cut off anywhere, on a bad network.
TEST(Link, survives_a_bad_network) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    io::LinkOptions link;
    link.jitter = 20ms;
    Scene scene(seed, link);
    for (std::uint64_t nth = 0; nth < 6; ++nth) {
      io::Cut cut;
      cut.nth = nth;
      cut.after_bytes = scene.sim.random().below(3000);
      cut.towards = nth % 2 == 0 ? io::Towards::listener : io::Towards::dialler;
      cut.how = nth % 3 == 0 ? io::Break::hole : io::Break::reset;
      scene.sim.cut(cut);
    }
    for (int i = 0; i < 8; ++i) {
      RawClient& client = scene.client(i % 4 == 3 ? Scene::kPlainTcpPort : Scene::kWebSocketPort);
      if (i % 4 == 3) {
        client.say(framed(std::string(500, 'x')));
      } else {
        client.say(kUpgrade + "\r\n");
        for (int m = 0; m < 5; ++m) client.say(masked(WsOpcode::text, std::string(500, 'x')));
      }
    }
    scene.sim.run_for(30s);
    scene.sim.heal();
  }
}

}  // namespace
}  // namespace rejoin::gateway
