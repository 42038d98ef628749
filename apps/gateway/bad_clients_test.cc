// The table of bad clients: what each does, in which phase of its life, over which road; what it is told,
// which counter says why, and that a good client beside it notices nothing. The finer points of frames and
// heads have tables of their own (link_test.cc, serve_player_test.cc, resume_test.cc).
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "apps/gateway/resume_client.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

using proto::WsOpcode;
using Count = std::function<std::uint64_t(Worker&)>;

Count of_worker(std::uint64_t Counts::*number) {
  return [number](Worker& worker) { return worker.counts().*number; };
}
Count of_sessions(std::uint64_t SessionCounts::*number) {
  return [number](Worker& worker) { return worker.sessions().counts().*number; };
}

/// How far a client gets before it does wrong.
enum class Until {
  connected,  // TCP is open
  head,       // half of a request's head was sent
  upgraded,   // WebSocket: 101. TCP: nothing more than connected
  welcomed,   // WELCOME came and was not answered
  attached,   // its messages reach the game server
};

enum class Then {
  told,    // it is told, and hung up on
  broken,  // it is hung up on without a word
  silent,  // it does nothing more: its time runs out
  ends,    // it says FIN and listens on
};

struct BadClient {
  const char* name;
  Road road;
  Until until;
  std::string says;  // raw bytes on the wire
  Then then;
  std::string told_last;  // of ResumeLink::told(), the end of it; HTTP: what the answer begins with
  Count counted;          // grows by one; none: a break is no fault of a client and has no counter of its own
  const char* session;    // what becomes of its session: "" none, "kept", "gone"
};

std::string wire(Road road, std::string_view frame) {
  if (road == Road::websocket) return masked(WsOpcode::binary, frame);
  char length[4];
  store_u32(length, static_cast<std::uint32_t>(frame.size()));
  return std::string(length, 4) + std::string(frame);
}
std::string length_of(std::uint32_t bytes) {
  char length[4];
  store_u32(length, bytes);
  return std::string(length, 4);
}
/// A masked frame (key 0) by hand: its first byte, its length byte, and what stands behind.
std::string raw_frame(unsigned char first, unsigned char length, std::string_view payload = {}) {
  return std::string{static_cast<char>(first), static_cast<char>(length | 0x80)} + std::string(4, '\0') +
         std::string(payload);
}
std::string bad_resume() {
  Kept made_up;
  made_up.ticket = std::string(120, 'A');
  return made_up.resume();
}

constexpr Road kWs = Road::websocket, kTcp = Road::tcp;
constexpr std::uint32_t kMessageMax = 4096;

std::vector<BadClient> bad_clients() {
  const Count refused = of_worker(&Counts::refused_frames), bad = of_worker(&Counts::bad_frames),
              over = of_worker(&Counts::over_limit), late = of_worker(&Counts::timed_out),
              heads = of_worker(&Counts::refused_heads), silent = of_sessions(&SessionCounts::silent),
              ticket = of_sessions(&SessionCounts::bad_ticket),
              detached = of_sessions(&SessionCounts::detached);
  const std::string hello_on_ws = wire(kWs, hello()), hello_on_tcp = wire(kTcp, hello());
  const std::string long_hello = hello(std::string(limits::kHelloBytesMax, 'i'));
  const std::string welcome = "WELCOME; ", gone = welcome + "DETACH 4401 login; close 4401";
  return {
      // --- slow, at every phase ---
      {"silent from the start", kWs, Until::connected, "", Then::broken, "", nullptr, ""},
      {"half a head and no more", kWs, Until::head, "", Then::silent, "HTTP/1.1 408 ", late, ""},
      {"no opening frame, ws", kWs, Until::upgraded, "", Then::silent, "DETACH 4408 again; close 4408", late,
       ""},
      {"no opening frame, tcp", kTcp, Until::upgraded, "", Then::silent, "", late, ""},
      {"half an opening frame, ws", kWs, Until::upgraded, hello_on_ws.substr(0, 9), Then::silent,
       "DETACH 4408 again; close 4408", late, ""},
      {"half an opening frame, tcp", kTcp, Until::upgraded, hello_on_tcp.substr(0, 9), Then::silent, "", late,
       ""},
      {"WELCOME is not answered, ws", kWs, Until::welcomed, "", Then::silent, gone, nullptr, "gone"},
      {"WELCOME is not answered, tcp", kTcp, Until::welcomed, "", Then::silent, welcome + "DETACH 4401 login",
       nullptr, "gone"},
      {"silent when attached, ws", kWs, Until::attached, "", Then::silent, "DETACH 4408 again; close 4408",
       silent, "kept"},
      {"silent when attached, tcp", kTcp, Until::attached, "", Then::silent, "DETACH 4408 again", silent,
       "kept"},
      {"half a message and no more, ws", kWs, Until::attached, wire(kWs, data(2, "slow")).substr(0, 8),
       Then::silent, "DETACH 4408 again; close 4408", silent, "kept"},
      // --- half-open: FIN where more was due ---
      {"FIN in a head", kWs, Until::head, "", Then::ends, "", nullptr, ""},
      {"FIN in an opening frame, tcp", kTcp, Until::upgraded, hello_on_tcp.substr(0, 9), Then::ends, "",
       nullptr, ""},
      {"FIN without a close frame", kWs, Until::attached, "", Then::ends, "", detached, "kept"},
      {"FIN inside a message, tcp", kTcp, Until::attached, wire(kTcp, data(2, "cut")).substr(0, 8),
       Then::ends, "", detached, "kept"},
      // --- wrong heads ---
      {"no HTTP", kWs, Until::connected, std::string("\x16\x03\x01\x02\x00\x01\r\n\r\n", 10), Then::told,
       "HTTP/1.1 400 ", heads, ""},
      {"a head without end", kWs, Until::head, "X: " + std::string(limits::kHeadBytesMax, 'x'), Then::told,
       "HTTP/1.1 431 ", heads, ""},
      // --- wrong WebSocket frames: no session is harmed by them ---
      {"no mask", kWs, Until::attached, std::string("\x82\x02hi", 4), Then::told, "close 1002", refused,
       "kept"},
      {"a reserved bit", kWs, Until::attached, raw_frame(0xa2, 2, "hi"), Then::told, "close 1002", refused,
       "kept"},
      {"RSV1 without compression", kWs, Until::attached, raw_frame(0xc2, 2, "hi"), Then::told, "close 1002",
       refused, "kept"},
      {"a reserved opcode", kWs, Until::attached, raw_frame(0x83, 2, "hi"), Then::told, "close 1002", refused,
       "kept"},
      {"no mask before the opening", kWs, Until::upgraded, std::string("\x82\x02hi", 4), Then::told,
       "close 1002", refused, ""},
      {"bad UTF-8 in a text frame", kWs, Until::attached, masked(WsOpcode::text, "a\xff"), Then::told,
       "close 1007", refused, "kept"},
      {"a text frame", kWs, Until::attached, masked(WsOpcode::text, "hi"), Then::told,
       "DETACH 4400 again; close 4400", bad, "kept"},
      // --- wrong frames of rejoin.v1 ---
      {"bad UTF-8 in a text message, ws", kWs, Until::attached, wire(kWs, data(2, "a\xff")), Then::told,
       "DETACH 4400 again; close 4400", bad, "kept"},
      {"bad UTF-8 in a text message, tcp", kTcp, Until::attached, wire(kTcp, data(2, "a\xff")), Then::told,
       "DETACH 4400 again", bad, "kept"},
      {"a gap", kWs, Until::attached, wire(kWs, data(3, "gap")), Then::told, "DETACH 4400 again; close 4400",
       bad, "kept"},
      {"an ack of what was never sent", kTcp, Until::attached, wire(kTcp, ack_of(9)), Then::told,
       "DETACH 4400 again", bad, "kept"},
      {"no frame at all", kWs, Until::attached, wire(kWs, "x"), Then::told, "DETACH 4400 again; close 4400",
       bad, "kept"},
      {"a second HELLO", kTcp, Until::attached, wire(kTcp, hello()), Then::told, "DETACH 4400 again", bad,
       "kept"},
      {"DATA before the opening", kWs, Until::upgraded, wire(kWs, data(1, "early")), Then::told,
       "DETACH 4400 again; close 4400", bad, ""},
      {"HELLO twice before the answer", kWs, Until::upgraded, hello_on_ws + hello_on_ws, Then::told,
       "DETACH 4400 again; close 4400", bad, ""},
      // --- oversized ---
      {"HELLO above its limit, ws", kWs, Until::upgraded, wire(kWs, long_hello), Then::told,
       "DETACH 4400 again; close 4400", bad, ""},
      {"announces a large HELLO, ws", kWs, Until::upgraded,
       std::string("\x82\xfe\x40\x01\x00\x00\x00\x00", 8), Then::told, "DETACH 4400 again; close 4400", bad,
       ""},
      {"a message above the window, ws", kWs, Until::attached, wire(kWs, data(2, std::string(20'000, 'x'))),
       Then::told, "DETACH 4413 again; close 4413", over, "kept"},
      {"a message above the window, tcp", kTcp, Until::attached,
       wire(kTcp, data(2, std::string(20'000, 'x'))), Then::told, "DETACH 4413 again", over, "kept"},
      {"announces four gigabytes, tcp", kTcp, Until::attached, length_of(0xffffffff), Then::told,
       "DETACH 4413 again", over, "kept"},
      {"announces a terabyte, ws", kWs, Until::attached,
       std::string("\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00", 10) + std::string(4, '\0'), Then::told,
       "DETACH 4413 again; close 4413", over, "kept"},
      // --- tickets and proofs ---
      {"a made-up ticket, ws", kWs, Until::upgraded, wire(kWs, bad_resume()), Then::told, "DETACH 4401 login",
       ticket, ""},
      {"a made-up ticket, tcp", kTcp, Until::upgraded, wire(kTcp, bad_resume()), Then::told,
       "DETACH 4401 login", ticket, ""},
  };
}

/// A client that plays by the rules, and sees that it is not disturbed.
class GoodClient {
 public:
  explicit GoodClient(Scene& scene) : scene_(scene), link_(scene, kWs) {
    link_.say(hello("good"));
    EXPECT_TRUE(link_.hears("WELCOME"));
    link_.say(ack_of(0));
    speak();
  }
  void speak() {
    ++said_;
    link_.say(data(said_, "still here", said_ - 1));
    EXPECT_TRUE(link_.hears("DATA " + std::to_string(said_ + kGreetings) + " 'still here'"));
  }

 private:
  static constexpr std::uint64_t kGreetings = 1;
  Scene& scene_;
  ResumeLink link_;
  std::uint64_t said_ = 0;
};

config::Gateway strict_rules() {
  config::Gateway rules;
  rules.message_max = kMessageMax;
  rules.session.window_bytes = 8192;
  rules.heartbeat = {.ping = 3s, .dead = 8s};
  rules.handshake_timeout = 4s;
  rules.session.grace = 60s;
  return rules;
}

/// Brings the client to where it does wrong.
std::unique_ptr<ResumeLink> bring(Scene& scene, const BadClient& bad, RawClient*& raw) {
  if (bad.road == kWs && (bad.until == Until::connected || bad.until == Until::head)) {
    raw = &scene.client();
    if (bad.until == Until::head) raw->say(kUpgrade);
    return nullptr;
  }
  auto link = std::make_unique<ResumeLink>(scene, bad.road);
  raw = &link->raw();
  if (bad.road == kWs) {
    EXPECT_TRUE(scene.until([&] { return raw->heard().starts_with("HTTP/1.1 101 "); }));
  }
  if (bad.until == Until::welcomed || bad.until == Until::attached) {
    link->say(hello());
    EXPECT_TRUE(link->hears("WELCOME"));
  }
  if (bad.until == Until::attached) {
    link->say(ack_of(0));
    link->say(data(1, "hello"));
    EXPECT_TRUE(link->hears("'hello'"));
  }
  return link;
}

void run(const BadClient& bad, std::size_t segment_bytes) {
  SCOPED_TRACE(std::string(bad.name) + ", segments of " + std::to_string(segment_bytes));
  io::LinkOptions link_options;
  link_options.segment_bytes_max = segment_bytes;
  Scene scene(1, link_options, strict_rules());
  GoodClient good(scene);
  RawClient* raw = nullptr;
  const std::unique_ptr<ResumeLink> link = bring(scene, bad, raw);
  const std::uint64_t before = bad.counted ? bad.counted(*scene.worker) : 0;
  raw->say(bad.says);
  if (bad.then == Then::ends) raw->say_fin();

  // Whatever it is, it is over in bounded time, and meanwhile others are served.
  const TimePoint begin = scene.sim.now();
  while (!raw->over() && scene.sim.now() < begin + 15s) {
    good.speak();
    scene.sim.run_for(500ms);
  }
  if (std::string_view(bad.told_last).ends_with("login") && bad.until == Until::upgraded) {
    // One more opening frame may follow, so the link is still there for a while.
    EXPECT_TRUE(scene.until([&] { return raw->over(); }));
  }
  EXPECT_TRUE(raw->over());
  const std::string told = link != nullptr ? link->told() : raw->heard();
  if (bad.told_last.starts_with("HTTP/")) {
    EXPECT_TRUE(told.starts_with(bad.told_last)) << told;
  } else if (std::string_view(bad.told_last).starts_with("WELCOME")) {
    EXPECT_TRUE(told.starts_with("WELCOME") && told.ends_with(bad.told_last.substr(9))) << told;
  } else if (bad.told_last.empty()) {
    EXPECT_EQ(told.find("DETACH"), std::string::npos) << told;
  } else {
    EXPECT_NE(told.find(bad.told_last), std::string::npos) << told;
  }
  if (bad.counted) {
    EXPECT_EQ(bad.counted(*scene.worker), before + 1) << "counted by its reason, once";
  }
  good.speak();

  // Its session, if it had one, goes on or is gone, and nothing else.
  if (bad.session == std::string_view("kept")) {
    EXPECT_EQ(scene.worker->sessions().size(), 2u);
    Kept kept = link->kept();
    ResumeLink again(scene, bad.road, kept.resume());
    EXPECT_TRUE(scene.until([&] { return again.told().starts_with("RESUMED 1/"); })) << again.told();
  } else {
    EXPECT_EQ(scene.worker->sessions().size(), 1u) << "the good client's";
  }
}

TEST(BadClients, each_is_told_and_counted_and_disturbs_nobody) {
  for (const BadClient& bad : bad_clients()) run(bad, 1448);
}
TEST(BadClients, each_is_told_and_counted_when_bytes_come_one_by_one) {
  for (const BadClient& bad : bad_clients()) {
    if (bad.says.size() < 2000) run(bad, 1);
  }
}

// Each costs an opened ticket and an HMAC, and its address pays; a player at another address comes back
// meanwhile.
TEST(BadClients, a_flood_of_resumes_with_bad_proofs_keeps_nobody_from_coming_back) {
  Scene scene(1, {}, strict_rules());
  GoodClient good(scene);
  ResumeLink first(scene, kTcp);
  first.say(hello());
  ASSERT_TRUE(first.hears("WELCOME"));
  first.say(ack_of(0));
  Kept kept = first.kept();
  Kept stolen = kept;  // its ticket without its secret
  stolen.secret[0] ^= 1;
  io::SimHost& flooder = scene.sim.add_host({.name = "flooder", .addresses = {"10.66.0.1"}});
  std::vector<std::unique_ptr<RawClient>> flood;
  for (int i = 0; i < 300; ++i) {
    flood.push_back(std::make_unique<RawClient>(flooder, scene.gateway.address(Scene::kTcpPort)));
    flood.back()->say(wire(kTcp, stolen.resume()));
    if (i % 50 == 0) good.speak();
  }
  EXPECT_TRUE(scene.until([&] {
    return std::all_of(flood.begin(), flood.end(), [](const auto& one) { return !one->heard().empty(); });
  }));
  const SessionCounts& counts = scene.worker->sessions().counts();
  EXPECT_GT(counts.bad_proof, 0u);
  EXPECT_EQ(counts.bad_proof + counts.over_budget, 300u) << "the rest is not even looked at";
  EXPECT_GE(counts.over_budget, 100u);
  EXPECT_EQ(counts.replaced, 0u) << "the live link is not touched";
  ResumeLink back(scene, kTcp, kept.resume());
  EXPECT_TRUE(scene.until([&] { return back.told().starts_with("RESUMED "); })) << back.told();
  good.speak();
  flood.clear();
}

}  // namespace
}  // namespace rejoin::gateway
