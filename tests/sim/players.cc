#include "tests/sim/players.h"

#include <algorithm>

#include "proto/chunk_scanner.h"
#include "proto/http_head.h"
#include "proto/length_framing.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"
#include "proto/ws_message.h"

namespace rejoin::sim_test {
namespace {

constexpr Duration kPatience = 20s;

/// Text that says whose it is in every 16 bytes, so that a stray piece of it is known wherever it lands.
std::string own_text(std::uint64_t number, std::uint64_t count, std::size_t size) {
  std::string out;
  char piece[40];
  std::snprintf(piece, sizeof piece, "<%06llu:%07llu>", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(count));
  while (out.size() < size) out += piece;
  out.resize(size);
  return out;
}

std::string greeting_server(Bytes greeting) {
  const auto at = greeting.find("\"server\":\"");
  if (at == greeting.npos) return {};
  const Bytes rest = greeting.substr(at + 10);
  return std::string(rest.substr(0, rest.find('"')));
}

/// One client over its connections.
struct Player {
  io::World& world;
  PlayerOptions options;
  Stop& stop;
  Tally& tally;
  std::string cookie{};  // "REJOIN=..." once we have it
  std::string server{};  // that gave it
  std::uint64_t sent = 0;

  TimePoint patience() const { return world.clock.now() + kPatience; }
  std::string next_text() {
    return own_text(options.number, ++sent, world.random.below(options.message_max));
  }
  std::size_t messages() const {
    return world.random.below(static_cast<std::uint64_t>(options.messages) + 1);
  }
  Duration pause() const { return Duration(static_cast<std::int64_t>(world.random.below(300'000))); }
};

/// Ends a connection in one of the ways in which players do.
void leave(Player& player, io::Stream& stream) {
  switch (player.world.random.below(3)) {
    case 0: stream.socket().reset(); break;
    case 1: stream.socket().shutdown_write(); break;
    default: break;  // closed by its destructor
  }
}

void keep_cookie(Player& player, const proto::ResponseHead& head) {
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    const Bytes value = head.value(field);
    if (value.starts_with("REJOIN=")) player.cookie = value.substr(0, value.find(';'));
  }
}

/// Reads a response head to its end; what is behind it stays in `arrived`.
Task<bool> hear_head(Player& player, io::Stream& stream, Buffer& arrived, proto::ResponseHead& head) {
  for (;;) {
    proto::HeadVerdict verdict;
    if (!arrived.empty()) verdict = head.feed(arrived.view());
    if (verdict.state == proto::HeadState::complete) co_return true;
    if (verdict.state == proto::HeadState::refused) {
      ++player.tally.crossed;  // the proxy sent what is no response
      co_return false;
    }
    const TimePoint deadline = player.patience();
    Status more = co_await stream.read_into(arrived, deadline);
    if (!more) co_return false;
  }
}

/// The next whole WebSocket message; false when the connection is over.
struct Messages {
  proto::FrameReader reader{proto::WsRole::client, 1 << 20};
  proto::MessageAssembler assembler{};
};
Task<bool> next_message(Player& player, io::Stream& stream, Buffer& arrived, Messages& in,
                        std::string& message) {
  for (;;) {
    MutableBytes input(arrived.data(), arrived.size());
    while (!input.empty()) {
      const std::size_t before = input.size();
      const proto::WsEvent event = in.reader.feed(input);
      const std::size_t used = before - input.size();
      if (event.kind == proto::WsEvent::Kind::data) {
        const auto whole = in.assembler.add(event);
        if (whole) message.assign(*whole);
        arrived.consume(used);
        if (whole) co_return true;
        continue;
      }
      arrived.consume(used);
      if (event.kind == proto::WsEvent::Kind::refused) ++player.tally.crossed;
      if (event.kind == proto::WsEvent::Kind::refused || event.kind == proto::WsEvent::Kind::close)
        co_return false;
    }
    const TimePoint deadline = player.patience();
    Status more = co_await stream.read_into(arrived, deadline);
    if (!more) co_return false;
  }
}

Task<void> one_websocket(Player& player) {
  io::World& world = player.world;
  io::Stream stream(world, Side::server, player.stop);
  ++player.tally.dials;
  const io::ConnectOptions from;
  const TimePoint deadline = player.patience();
  Status open = co_await stream.connect(player.options.to, from, deadline);
  if (!open) co_return;

  Buffer arrived = world.buffers.borrow();
  const proto::HandshakeKey key = proto::make_handshake_key(world.random);
  proto::UpgradeRequest request;
  request.target = "/play";
  request.host = "game.example";
  request.cookies = player.cookie;
  Status written = proto::write_upgrade_request(arrived, request, key);
  if (written) written = co_await stream.write_all(arrived.view(), deadline);
  if (!written) co_return;
  arrived.clear();

  proto::ResponseHead head;
  const bool heard = co_await hear_head(player, stream, arrived, head);
  if (!heard) co_return;
  ++player.tally.statuses[head.status()];
  if (head.status() != 101) co_return;
  ++player.tally.opened;
  const std::string cookie_before = player.cookie;
  keep_cookie(player, head);
  arrived.consume(head.bytes().size());

  Messages in;
  std::string message;
  bool got = co_await next_message(player, stream, arrived, in, message);
  if (!got) co_return;
  const std::string server = greeting_server(message);
  if (!cookie_before.empty()) ++(server == player.server ? player.tally.returned : player.tally.strayed);
  player.server = server;

  for (std::size_t left = player.messages(); left != 0; --left) {
    const std::string text = player.next_text();
    std::string frame;
    append_frame(frame, proto::WsOpcode::text, text, proto::make_mask_key(world.random));
    const TimePoint until = player.patience();
    Status sent = co_await stream.write_all(frame, until);
    if (!sent) co_return;
    got = co_await next_message(player, stream, arrived, in, message);
    if (!got) co_return;
    ++(message == text ? player.tally.echoes : player.tally.crossed);
  }
  leave(player, stream);
}

Task<void> one_tcp(Player& player) {
  io::World& world = player.world;
  io::Stream stream(world, Side::server, player.stop);
  ++player.tally.dials;
  const io::ConnectOptions from;
  const TimePoint deadline = player.patience();
  Status open = co_await stream.connect(player.options.to, from, deadline);
  if (!open) co_return;
  ++player.tally.opened;

  Buffer arrived = world.buffers.borrow();
  const proto::LengthFormat format;
  proto::LengthReader reader(format);
  proto::MessageAssembler assembler;
  std::string expected;  // empty: the greeting, which is not ours
  std::size_t left = player.messages();
  for (;;) {
    Bytes input = arrived.view();
    bool whole_came = false;
    while (!input.empty() && !whole_came) {
      const proto::LengthEvent event = reader.feed(input);
      if (event.kind == proto::LengthEvent::Kind::refused) {
        ++player.tally.crossed;
        co_return;
      }
      if (event.kind != proto::LengthEvent::Kind::piece) continue;
      const auto whole = assembler.add(event);
      if (!whole) continue;
      whole_came = true;
      if (!expected.empty()) ++(*whole == expected ? player.tally.echoes : player.tally.crossed);
    }
    arrived.consume(arrived.size() - input.size());
    const TimePoint until = player.patience();
    if (!whole_came) {
      Status more = co_await stream.read_into(arrived, until);
      if (!more) co_return;
      continue;
    }
    if (left-- == 0) break;
    expected =
        own_text(player.options.number, ++player.sent, 1 + world.random.below(player.options.message_max));
    Result<proto::LengthHeader> length = write_length(format, expected.size());
    const std::string framed = std::string(length->view()) + expected;
    Status sent = co_await stream.write_all(framed, until);
    if (!sent) co_return;
  }
  leave(player, stream);
}

std::string http_request(Player& player, bool head_only, const std::string& content) {
  Random& random = player.world.random;
  std::string out = head_only ? "HEAD" : content.empty() ? "GET" : "POST";
  out +=
      " /scene HTTP/1.1\r\nHost: game.example\r\nX-Client: " + std::to_string(player.options.number) + "\r\n";
  if (!player.cookie.empty()) out += "Cookie: theme=dark; " + player.cookie + "\r\n";
  if (content.empty()) return out + "\r\n";
  if (random.below(2) == 0)
    return out + "Content-Length: " + std::to_string(content.size()) + "\r\n\r\n" + content;
  out += "Transfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t count = 1 + random.below(content.size() - at);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", count);
    out.append(size).append(content, at, count).append("\r\n");
    at += count;
  }
  return out + "0\r\n\r\n";
}

/// The content of a response, read to its end. False: it was broken off.
Task<bool> read_content(Player& player, io::Stream& stream, Buffer& arrived, proto::Body body,
                        std::string& out) {
  proto::ChunkScanner chunks;
  std::uint64_t left = body.kind == proto::BodyKind::length ? body.length : UINT64_MAX;
  bool done = body.kind == proto::BodyKind::none;
  while (!done) {
    if (arrived.empty()) {
      const TimePoint deadline = player.patience();
      Status more = co_await stream.read_into(arrived, deadline);
      if (!more) co_return body.kind == proto::BodyKind::until_close&& more.error().kind == ErrorKind::closed;
    }
    if (body.kind == proto::BodyKind::chunked) {
      const auto step = chunks.step(arrived.view());
      if (step.state == proto::ChunkState::refused) ++player.tally.crossed;
      if (step.state == proto::ChunkState::refused) co_return false;
      out.append(step.payload);
      arrived.consume(step.consumed);
      done = step.state == proto::ChunkState::done;
      continue;
    }
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, arrived.size()));
    out.append(arrived.view().substr(0, count));
    arrived.consume(count);
    left -= count;
    done = left == 0;
  }
  co_return true;
}

Task<void> one_http_connection(Player& player) {
  io::World& world = player.world;
  io::Stream stream(world, Side::server, player.stop);
  ++player.tally.dials;
  const io::ConnectOptions from;
  TimePoint deadline = player.patience();
  Status open = co_await stream.connect(player.options.to, from, deadline);
  if (!open) co_return;
  ++player.tally.opened;
  Buffer arrived = world.buffers.borrow();
  for (std::size_t left = 1 + player.messages(); left != 0; --left) {
    const bool head_only = world.random.below(6) == 0;
    const std::string content = head_only || world.random.below(3) == 0 ? "" : player.next_text();
    const std::string request = http_request(player, head_only, content);
    deadline = player.patience();
    Status sent = co_await stream.write_all(request, deadline);
    if (!sent) co_return;
    proto::ResponseHead head;
    arrived.compact();
    const bool heard = co_await hear_head(player, stream, arrived, head);
    if (!heard) co_return;
    ++player.tally.statuses[head.status()];
    if (head.status() != 200) co_return;
    const proto::Field* whose = head.find("X-Client");
    if (whose == nullptr || head.value(*whose) != std::to_string(player.options.number))
      ++player.tally.crossed;
    const proto::Field* server = head.find("X-Server");
    const std::string name = server == nullptr ? "" : std::string(head.value(*server));
    if (!player.cookie.empty()) ++(name == player.server ? player.tally.returned : player.tally.strayed);
    player.server = name;
    keep_cookie(player, head);
    const proto::Body body = head.body(head_only ? proto::Method::head : proto::Method::post);
    const bool stays = head.keep_alive() && body.kind != proto::BodyKind::until_close;
    arrived.consume(head.bytes().size());
    std::string answer;
    const bool whole = co_await read_content(player, stream, arrived, body, answer);
    // A body that ends with its connection cannot tell a broken connection from its end (RFC 9112 8): a
    // prefix is allowed.
    const bool right =
        body.kind == proto::BodyKind::until_close ? content.starts_with(answer) : answer == content;
    if (whole && !head_only) ++(right ? player.tally.echoes : player.tally.crossed);
    if (!whole || !stays) co_return;
  }
  leave(player, stream);
}

using OneConnection = Task<void> (*)(Player&);

Task<void> play(io::World& world, PlayerOptions options, Stop& stop, Tally& tally,
                OneConnection connect_once) {
  Player player{world, options, stop, tally};
  for (int i = 0; i < options.connections && !stop.requested(); ++i) {
    co_await connect_once(player);
    const TimePoint until = world.clock.now() + player.pause();
    co_await io::sleep_until(world, until, stop);
  }
}

}  // namespace

Task<void> websocket_player(io::World& world, PlayerOptions options, Stop& stop, Tally& tally) {
  return play(world, options, stop, tally, one_websocket);
}
Task<void> http_player(io::World& world, PlayerOptions options, Stop& stop, Tally& tally) {
  return play(world, options, stop, tally, one_http_connection);
}
Task<void> tcp_player(io::World& world, PlayerOptions options, Stop& stop, Tally& tally) {
  return play(world, options, stop, tally, one_tcp);
}

}  // namespace rejoin::sim_test
