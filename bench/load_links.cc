// Connections of the load generator: from dialling to the end of the handshake, and bytes in and out.
// load_speech.cc is what they say.
#include "load_links.h"

#include <algorithm>

namespace bench {
namespace {

constexpr std::size_t receive_bytes = 256 * 1024;
constexpr std::size_t head_bytes_max = 16 * 1024;
constexpr int events_max = 512;
constexpr std::uint32_t first_source = 0x7f070001u;  // 127.7.0.1

std::string why(const char* what) {
  return std::string(what) + ": " + (errno == EPROTO ? "TLS: " + tls_error() : std::strerror(errno));
}

}  // namespace

Links::Links(const Options& options)
    : options_(options),
      tls_(options.tls.empty() ? nullptr : std::make_unique<TlsClient>(options.tls, options.tls_name)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      buffer_(receive_bytes),
      filler_(options.bytes, static_cast<char>(message_filler)),
      random_(nanoseconds(CLOCK_MONOTONIC) | 1) {}

Link& Links::at(std::uint32_t slot) {
  while (links_.size() <= slot) {
    links_.push_back(std::make_unique<Link>());
    links_.back()->slot = static_cast<std::uint32_t>(links_.size() - 1);
  }
  return *links_[slot];
}

// ---- connections -----------------------------------------------------------------------------------------

bool Links::turn(std::uint64_t wait_ns) {
  if (!good()) return false;
  epoll_event events[events_max];
  const timespec wait{static_cast<time_t>(wait_ns / 1'000'000'000u),
                      static_cast<long>(wait_ns % 1'000'000'000u)};
  // Nanoseconds, because messages that are due at a fixed rate cannot wait for a whole millisecond.
  const int count = epoll_pwait2(epoll_, events, events_max, &wait, nullptr);
  if (count < 0 && errno != EINTR) die("epoll_pwait2");
  if (count == 0 && wait_ns == stall_ns) note("nothing came for 10 s");
  const auto now = nanoseconds(CLOCK_MONOTONIC);
  for (int i = 0; i < count; ++i) on_event(*links_[events[i].data.u32], events[i].events, now);
  return good();
}

void Links::note(const std::string& error) {
  if (counts_.errors++ == 0) counts_.first_error = error;
}

void Links::fail(Link& link, const std::string& error) {
  note(error);
  end(link, End::fin);
}

void Links::end(Link& link, End how) {
  if (link.phase == Phase::closed) return;
  if (how == End::reset) {
    const linger now{1, 0};
    setsockopt(link.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  close(link.fd);
  link.player->visiting = false;
  const auto slot = link.slot;
  const auto life = link.life;
  link = Link{};
  link.slot = slot;
  link.life = life + 1;
}

void Links::dial(std::uint32_t slot, Player& player) {
  auto& link = at(slot);
  link.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (link.fd < 0) die("socket");
  const int one = 1;
  setsockopt(link.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(link.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(first_source + static_cast<std::uint32_t>(dialled_++ % options_.sources));
  if (bind(link.fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) die("bind");
  link.dialled_at_ns = nanoseconds(CLOCK_MONOTONIC);
  link.phase = Phase::connecting;
  link.player = &player;
  player.visiting = true;
  if (connect(link.fd, reinterpret_cast<const sockaddr*>(&options_.to), sizeof options_.to) != 0 &&
      errno != EINPROGRESS)
    return fail(link, std::string("connect: ") + std::strerror(errno));
  if (tls_) {
    link.resumes = player.tls != nullptr;
    link.tls = tls_->make(link.fd, player.tls);
  }
  if (options_.transport == Transport::websocket) {
    // Over loopback the connection stands already, and the head goes out at once.
    link.out = upgrade_request(link);
    if (!flush(link)) return;
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = slot;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, link.fd, &event) != 0) die("epoll_ctl");
}

void Links::on_event(Link& link, std::uint32_t events, std::uint64_t now) {
  if (link.phase == Phase::closed) return;
  if ((events & EPOLLOUT) != 0) {
    if (!link.out.empty() && !flush(link)) return;
    if (link.phase == Phase::connecting && (events & (EPOLLERR | EPOLLHUP)) == 0) {
      link.phase = Phase::upgrading;
      if (options_.transport == Transport::tcp) begin_speech(link, now);
    }
  }
  if ((events & ~EPOLLOUT) == 0) return;
  while (link.phase != Phase::closed) {
    const auto life = link.life;
    const auto size = link.tls ? tls_receive(link.tls.get(), buffer_.data(), buffer_.size())
                               : recv(link.fd, buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN) {
      if (link.tls && !link.out.empty()) flush(link);  // which may have waited for the handshake
      return;
    }
    if (size < 0) return fail(link, why("recv"));
    if (size == 0) return fail(link, "closed by the other side");
    take_bytes(link, static_cast<std::size_t>(size), now);
    // What was dialled anew in between has had no event of its own yet. A short read emptied the socket, and
    // an end that stands behind it is told of by EPOLLRDHUP.
    if (link.life != life) return;
    if (!link.tls && static_cast<std::size_t>(size) < buffer_.size() &&
        (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
      return;
  }
}

void Links::take_bytes(Link& link, std::size_t size, std::uint64_t now) {
  if (link.phase == Phase::open && link.in.empty()) {
    const auto life = link.life;
    const auto used = take_messages(link, buffer_.data(), size, now);
    if (used < size && link.life == life && link.phase == Phase::open)
      link.in.assign(reinterpret_cast<char*>(buffer_.data()) + used, size - used);
    return;
  }
  link.in.append(reinterpret_cast<char*>(buffer_.data()), size);
  if (link.phase != Phase::open && !take_head(link, now)) return;
  const auto life = link.life;
  const auto waiting = std::move(link.in);
  link.in.clear();
  const auto* bytes = reinterpret_cast<const unsigned char*>(waiting.data());
  const auto used = take_messages(link, bytes, waiting.size(), now);
  if (link.life == life && link.phase == Phase::open) link.in.append(waiting, used);
}

ssize_t Links::send_to(Link& link, const void* bytes, std::size_t size) {
  return link.tls ? tls_send(link.tls.get(), bytes, size) : send(link.fd, bytes, size, MSG_NOSIGNAL);
}

/// False when the link failed.
bool Links::flush(Link& link) {
  const auto sent = send_to(link, link.out.data(), link.out.size());
  if (sent < 0 && errno == EAGAIN) return true;
  if (sent < 0) return fail(link, why("send")), false;
  link.out.erase(0, static_cast<std::size_t>(sent));
  if (link.phase == Phase::connecting && options_.transport == Transport::websocket)
    link.phase = Phase::upgrading;
  return true;
}

/// False when the link failed. What the socket does not take waits in the link.
bool Links::put(Link& link, const unsigned char* bytes, std::size_t size) {
  std::size_t taken = 0;
  if (link.out.empty()) {
    const auto sent = send_to(link, bytes, size);
    if (sent < 0 && errno != EAGAIN) return fail(link, why("send")), false;
    taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  if (taken < size) link.out.append(reinterpret_cast<const char*>(bytes) + taken, size - taken);
  return true;
}

// ---- the handshake ---------------------------------------------------------------------------------------

/// What a browser sends, 600 to 700 bytes with the cookies a site leaves.
std::string Links::upgrade_request(Link& link) {
  const std::uint64_t nonce[2] = {next_random(), next_random()};
  link.key = base64(reinterpret_cast<const unsigned char*>(nonce), sizeof nonce);
  std::string head =
      "GET /play?room=lobby-7 HTTP/1.1\r\nHost: play.example.com\r\nConnection: Upgrade\r\nPragma: "
      "no-cache\r\n"
      "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
      "like "
      "Gecko) Chrome/126.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://play.example.com\r\n"
      "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n"
      "Cookie: theme=dark; visit=GA1.2.1127441.1718031222; consent=yes";
  for (const auto& cookie : link.player->cookies) head += "; " + cookie.name + "=" + cookie.value;
  head += "\r\nSec-WebSocket-Key: " + link.key + "\r\n";
  if (options_.speaks == Speaks::rejoin) {
    head += "Sec-WebSocket-Protocol: rejoin.v1";
    if (!link.player->session.ticket.empty())
      head += ", rejoin.v1.resume." + base64url(resume_frame(link.player->session));
    head += "\r\n\r\n";
    return head;
  }
  head += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
  if (options_.speaks == Speaks::socketio)
    head.replace(0, head.find(" HTTP/1.1"), "GET /socket.io/?EIO=4&transport=websocket");
  return head;
}

/// Takes the answer's head out of `in`. True when the link is open and still here.
bool Links::take_head(Link& link, std::uint64_t now) {
  const auto size = link.in.find("\r\n\r\n");
  if (size == std::string::npos) {
    if (link.in.size() > head_bytes_max) fail(link, "an answer without end");
    return false;
  }
  const auto head = std::string_view(link.in).substr(0, size + 2);
  if (!head.starts_with("HTTP/1.1 101 ")) return fail(link, std::string(head.substr(0, 60))), false;
  if (find_field(head, "Sec-WebSocket-Accept") != accept_of(link.key))
    return fail(link, "wrong Sec-WebSocket-Accept"), false;
  if (link.resumes && !tls_resumed(link.tls.get()))
    return fail(link, "its TLS session was not resumed"), false;
  remember(*link.player, head);
  link.in.erase(0, size + 4);
  const auto life = link.life;
  begin_speech(link, now);
  return link.life == life && link.phase == Phase::open;
}

void Links::remember(Player& player, std::string_view head) {
  const std::string server(find_field(head, "X-Server"));
  if (!player.server.empty() && player.server != server && counts_.moved++ == 0) {
    counts_.first_moved = player.server + " to " + server + " with";
    for (const auto& cookie : player.cookies) counts_.first_moved += " " + cookie.name + "=" + cookie.value;
  }
  player.server = server;
  for (std::size_t from = 0;;) {
    const auto text = find_field(head, "Set-Cookie", from);
    if (text.empty()) return;
    const auto pair = text.substr(0, text.find(';'));
    const auto equals = std::min(pair.find('='), pair.size() - 1);
    Cookie cookie{std::string(pair.substr(0, equals)), std::string(pair.substr(equals + 1))};
    std::erase_if(player.cookies, [&](const Cookie& old) { return old.name == cookie.name; });
    player.cookies.push_back(std::move(cookie));
  }
}

}  // namespace bench
