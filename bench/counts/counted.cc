// What the calculators cost, in instructions: each is run a thousand times under callgrind, which counts only
// between ZERO and DUMP. counts_test.py holds the counts beside budget.json.
//
//   valgrind --tool=callgrind --collect-atstart=no counted
//
// Without callgrind it only says whether every case does what it should.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "proto/cookie.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"
#include "proto/length_framing.h"
#include "proto/resume_frame.h"
#include "proto/utf8.h"
#include "proto/ws_frame.h"
#include "proto/ws_frame_walk.h"
#include "proto/ws_handshake.h"
#include "route/maglev.h"
#include "route/scheduler.h"
#include "route/seal.h"
#include "session/conversation.h"

namespace rejoin {
namespace {

constexpr int kWarm = 20, kTimes = 1000;

// The compiler must not see through it.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "counted: %s does not do what it should\n", what);
  std::exit(1);
}

/// `once()` says whether it did what it should.
template <typename Once>
void count(const char* name, Once once) {
  for (int i = 0; i < kWarm; ++i) must(once(), name);
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
  bool good = true;
  for (int i = 0; i < kTimes; ++i) good &= once();
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS_AT(name);
  must(good, name);
}

// What Chromium sends to open a WebSocket, with one cookie of ours.
const std::string kUpgrade =
    "GET /play/arena?room=4711&build=2024.11 HTTP/1.1\r\n"
    "Host: play.example.com\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: https://play.example.com\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: theme=dark; REJOIN=AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz01; "
    "session=8f14e45fceea167a5a36dedd4bea2543\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "\r\n";
const std::string kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Thu, 26 Nov 2026 06:00:00 GMT\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 200\r\n"
    "Connection: keep-alive\r\n"
    "\r\n";

void count_heads() {
  using namespace proto;
  count("request head, 14 fields", [] {
    RequestHead head;
    const bool complete = head.feed(kUpgrade).state == HeadState::complete;
    keep(head);
    return complete;
  });
  count("response head, 5 fields", [] {
    ResponseHead head;
    const bool complete = head.feed(kResponse).state == HeadState::complete;
    keep(head);
    return complete;
  });
  BufferPool pool(limits::kBufferBytes);
  Buffer out = pool.borrow();
  RequestHead head;
  head.feed(kUpgrade);
  count("request head, edited and written", [&] {
    out.clear();
    HeadEdits edits(head);
    hop_by_hop(head, edits, NextHop::upgrade);
    edits.set(KnownField::x_forwarded_for, Bytes("203.0.113.7"));
    edits.set(KnownField::x_forwarded_proto, Bytes("https"));
    return edits.write(out).ok();
  });
  const Bytes cookies = head.value(*head.find(KnownField::cookie));
  count("cookie, found among three and cut out", [cookies] {
    const auto pair = find_cookie(cookies, "REJOIN");
    if (!pair) return false;
    keep(without_cookie(cookies, *pair));
    return true;
  });
  AcceptHasher hasher;
  count("accept of a handshake", [&hasher] {
    keep(hasher.accept("dGhlIHNhbXBsZSBub25jZQ=="));
    return true;
  });
}

void count_frames() {
  using namespace proto;
  const auto read = [](const char* name, std::size_t bytes, WsOpcode opcode, WsRole role) {
    const std::optional<MaskKey> mask =
        role == WsRole::server ? std::optional(MaskKey{1, 2, 3, 4}) : std::nullopt;
    std::string stream;
    append_frame(stream, opcode, std::string(bytes, 'x'), mask);
    FrameReader reader(role, 1 << 20);
    count(name, [&] {
      // Unmasking works in place: each time undoes the one before, and binary payload is not looked at.
      MutableBytes input = stream;
      const WsEvent event = reader.feed(input);
      return event.kind == WsEvent::Kind::data && event.last;
    });
  };
  read("WebSocket frame of a client, 64 bytes", 64, WsOpcode::binary, WsRole::server);
  read("WebSocket frame of a client, 16 KiB", 16384, WsOpcode::binary, WsRole::server);
  read("WebSocket frame of a server, 64 bytes of text", 64, WsOpcode::text, WsRole::client);
  const std::string text(16384, 'a');
  count("UTF-8, 16 KiB of ASCII", [&text] { return is_utf8(text); });

  std::string walked;
  append_frame(walked, WsOpcode::binary, std::string(64, 'x'), MaskKey{1, 2, 3, 4});
  WsFrameWalk walk(WsRole::client);
  count("WebSocket frame, walked over", [&] {
    Bytes rest = walked;
    while (!rest.empty()) rest.remove_prefix(walk.step(rest).bytes);
    return walk.at_boundary();
  });

  const std::string framed = std::string("\0\0\0\x40", 4) + std::string(64, 'x');
  LengthReader lengths((LengthFormat()));
  count("message behind a length, 64 bytes", [&] {
    Bytes input = framed;
    const LengthEvent event = lengths.feed(input);
    return event.kind == LengthEvent::Kind::piece && event.last;
  });

  const FrameHeadBytes head = data_head(false, 7, 6);
  const std::string data = std::string(head.data(), head.size()) + std::string(64, 'x');
  count("DATA of rejoin.v1, read", [&data] {
    const auto frame = parse_frame(data);
    return frame && frame->head.is(FrameType::data);
  });
  std::uint64_t seq = 0;
  count("DATA of rejoin.v1, its head written", [&seq] {
    ++seq;
    keep(data_head(false, seq, seq));
    return true;
  });
}

void count_windows() {
  session::SendWindow window(session::WindowLimits{});
  const std::string message(64, 'x');
  session::SendWindow::Cursor cursor = window.end();
  count("window: pushed, sent, acknowledged", [&] {
    const std::uint64_t seq = window.push(message, false);
    if (!window.more(cursor)) return false;
    keep(window.take(cursor));
    return window.acknowledge(static_cast<std::uint32_t>(seq)) == session::SendWindow::Ack::freed;
  });
}

void count_affinity() {
  using namespace route;
  SystemRandom random;
  Seal seal{KeyRing(generate_key(random)), random};
  constexpr std::string_view kBound{"gateways\0REJOIN", 15};
  constexpr std::string_view kPlaintext{"\x6a\x00\x00\x00\x6a\x00\x00\x00gateway-1", 17};
  std::string text, plaintext;
  count("cookie sealed", [&] {
    text.clear();
    seal.seal(Purpose::cookie, kBound, kPlaintext, text);
    return !text.empty();
  });
  count("cookie opened again",
        [&] { return seal.open(Purpose::cookie, kBound, text, plaintext) == Opened::ok; });
  std::string forged = text;
  forged[40] = forged[40] == 'A' ? 'B' : 'A';
  count("cookie opened, forged",
        [&] { return seal.open(Purpose::cookie, kBound, forged, plaintext) == Opened::forged; });
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("server-" + std::to_string(i));
  std::vector<MaglevTable::Member> members;
  for (std::size_t i = 0; i < names.size(); ++i)
    members.push_back({names[i], static_cast<ServerIndex>(i), 1});
  const MaglevTable table(members);
  count("server of a key among 100", [&table] { return table.at(hash_of("player 4711")) < 100; });
}

/// `kind` among `servers`, of weights 1 to `weights` in turn; each client's connection stays while the next
/// hundred come.
void count_picks(const char* name, route::SchedulerKind kind, std::size_t servers, std::uint32_t weights) {
  using namespace route;
  std::vector<Server> list;
  for (std::size_t i = 0; i < servers; ++i) {
    Server server;
    server.name = "server-" + std::to_string(i);
    server.address = *Address::parse_ip("127.0.0.1", static_cast<std::uint16_t>(1 + i));
    server.weight = 1 + static_cast<std::uint32_t>(i) % weights;
    list.push_back(std::move(server));
  }
  const auto pool = std::move(*Pool::make("gateways", std::move(list)));
  const auto scheduler = make_scheduler(kind, *pool, 0, 4711);
  std::vector<ServerUse> uses(100);
  std::size_t next = 0;
  const Tried nobody;
  count(name, [&] {
    const auto picked = scheduler->pick({.tried = nobody, .now = TimePoint(1h)});
    if (!picked) return false;
    uses[next++ % uses.size()] = ServerUse(*pool, *picked);
    return true;
  });
}

void count_schedulers() {
  using Kind = route::SchedulerKind;
  count_picks("round-robin among 10 servers", Kind::round_robin, 10, 1);
  count_picks("round-robin among 1,000 servers", Kind::round_robin, 1000, 1);
  count_picks("round-robin among 1,000 servers, 100 weights", Kind::round_robin, 1000, 100);
  count_picks("least-connections among 10 servers", Kind::least_connections, 10, 1);
  count_picks("least-connections among 1,000 servers", Kind::least_connections, 1000, 1);
  count_picks("random-two among 10 servers", Kind::random_two, 10, 1);
  count_picks("random-two among 1,000 servers", Kind::random_two, 1000, 1);
}

}  // namespace
}  // namespace rejoin

int main() {
  rejoin::count_heads();
  rejoin::count_frames();
  rejoin::count_windows();
  rejoin::count_affinity();
  rejoin::count_schedulers();
}
