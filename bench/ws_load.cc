// The load generator: WebSocket clients in one thread on one epoll, with a client of its own. It checks
// everything it gets (the 101 and its accept key, every byte of every echo, the server reached) and prints
// one line of JSON.
//
//   bench_ws_load echo      --to A:P [--connections 50] [--bytes 64] [--seconds 2 | --count N]
//   bench_ws_load handshake --to A:P [--concurrent 32] [--count 5000] [--returning CLIENTS] [--reset]
//   bench_ws_load idle      --to A:P [--connections 1000,4000] [--bytes 64] [--detach]
//   bench_ws_load storm     --to A:P [--connections 2000] --speak rejoin
//
// --speak rejoin: the resume protocol (spec/resume.md) to a gateway with the echo upstream; --speak greeted:
// plain messages to one, whose greeting comes first; --speak socketio: the text framing of Socket.IO 4.
// Without: plain echo. echo: all connections open before the clock starts, each keeps one message in flight.
// handshake: connect, upgrade, check, close. With --returning that many clients first connect once and keep
// their cookies; what is measured are their later visits, and "moved" counts those that reached another
// server than the one before. Connections are closed by FIN, with --reset by RST. idle: opens groups of
// connections, one echo each, and holds them; with --detach the links are broken then, and their sessions are
// held. storm: all links are broken at once, all come back at once with a RESUME in the handshake; prints the
// time until all are back.
// --wait: says "ready" and reads a line before the measured part (idle: "held N" after each group), and reads
// another before it closes anything, so that a script can read the relay's clocks and memory in between.

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "resume_wire.h"
#include "ws_load_options.h"
#include "ws_wire.h"

namespace bench {
namespace {

constexpr std::size_t receive_bytes = 256 * 1024;
constexpr std::size_t head_bytes_max = 16 * 1024;
constexpr std::size_t message_extra_max = 4096;  // of a WELCOME, a greeting, another framing
constexpr int stall_ms = 10'000;
constexpr unsigned dial_at_once = 64;

struct Cookie {
  std::string name;
  std::string value;
};

/// One player: his cookies, and the server he was on.
struct Visitor {
  std::vector<Cookie> cookies;
  std::string server;
  bool visiting = false;
};

enum class Phase : std::uint8_t { closed, connecting, upgrading, open };

struct Connection {
  Session session;
  bool admitted = false;  // greeted, welcomed, resumed: what comes now are messages
  int fd = -1;
  Phase phase = Phase::closed;
  bool waits_for_writing = false;
  Visitor* visitor = nullptr;
  std::uint64_t sequence = 0;
  std::uint64_t sent_at_ns = 0;
  std::string key;
  std::string in;       // a head or a frame that is not whole
  std::string out;      // not yet taken by the socket
  std::string message;  // the one in flight
};

struct Counts {
  std::uint64_t opened = 0;
  std::uint64_t errors = 0;
  std::uint64_t moved = 0;
  std::uint64_t round_trips = 0;
  std::string first_error;
  std::string first_moved;
};

/// Sleeps until the script that drives us says go on.
void await_line(bool wait, const std::string& say) {
  if (!wait) return;
  std::printf("%s\n", say.c_str());
  std::fflush(stdout);
  for (char byte = 0; byte != '\n';)
    if (read(STDIN_FILENO, &byte, 1) != 1) return;
}

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)), epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(receive_bytes) {
    random_ = nanoseconds(CLOCK_MONOTONIC) | 1;
  }

  int run() {
    if (options_.mode == "echo") return run_echo();
    if (options_.mode == "idle") return run_idle();
    if (options_.mode == "storm") return run_storm();
    return run_handshakes();
  }

 private:
  // ---- the three modes
  // -------------------------------------------------------------------------------------------

  int run_echo() {
    const unsigned count = options_.connections.front();
    on_open_ = [](Connection&) {};
    open_all(0, count);
    await_line(options_.wait, "ready");
    on_echo_ = [this](Connection& connection, std::uint64_t now) {
      latencies_ns_.push_back(
          static_cast<std::uint32_t>(std::min<std::uint64_t>(now - connection.sent_at_ns, ~0u)));
      if (now < end_ns_ && (options_.count == 0 || ++begun_ <= options_.count)) send_message(connection, now);
    };
    latencies_ns_.reserve(1 << 20);
    const auto cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    const auto start = nanoseconds(CLOCK_MONOTONIC);
    end_ns_ = options_.count > 0 ? ~0ull : start + static_cast<std::uint64_t>(options_.seconds * 1e9);
    for (auto& connection : connections_)
      if (connection->phase == Phase::open && (options_.count == 0 || ++begun_ <= options_.count))
        send_message(*connection, start);
    // Those in flight at the end are waited for, so that messages and the relay's CPU time belong together.
    while (in_flight_ > 0 && turn()) {
    }
    report(start, cpu);
    await_line(options_.wait, "done");
    return counts_.errors == 0 ? 0 : 1;
  }

  int run_idle() {
    const auto start = nanoseconds(CLOCK_MONOTONIC);
    const auto cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    on_open_ = [this](Connection& connection) { send_message(connection, nanoseconds(CLOCK_MONOTONIC)); };
    on_echo_ = [this](Connection& connection, std::uint64_t) {
      // Nothing is left to be kept for a replay.
      if (options_.speaks == Speaks::rejoin)
        send_frame(connection, frame_head(0x11, 0, static_cast<std::uint32_t>(connection.session.received)));
    };
    unsigned held = 0;
    for (const unsigned group : options_.connections) {
      open_all(held, held + group);
      while (in_flight_ > 0 && turn()) {
      }
      held += group;
      if (counts_.errors > 0) break;
      if (options_.detach) break_all();
      await_line(options_.wait, "held " + std::to_string(held));
    }
    report(start, cpu);
    await_line(true, "done");
    return counts_.errors == 0 ? 0 : 1;
  }

  /// All links break at once, by RST; who was there keeps its session.
  void break_all() {
    for (auto& connection : connections_) {
      if (connection->phase == Phase::closed) continue;
      const linger now{1, 0};
      setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      close(connection->fd);
      Session session = std::move(connection->session);
      *connection = Connection{};
      connection->session = std::move(session);
      --busy_;
    }
  }

  int run_storm() {
    const unsigned count = options_.connections.front();
    on_open_ = [this](Connection& connection) { send_message(connection, nanoseconds(CLOCK_MONOTONIC)); };
    on_echo_ = [](Connection&, std::uint64_t) {};
    open_all(0, count);
    while (in_flight_ > 0 && turn()) {
    }
    await_line(options_.wait, "ready");
    const auto cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    const auto start = nanoseconds(CLOCK_MONOTONIC);
    counts_.opened = 0;
    on_open_ = [](Connection&) {};
    if (counts_.errors == 0) {
      break_all();
      unsigned back = 0;
      on_open_ = [&](Connection&) { ++back; };
      anonymous_.resize(1);
      for (unsigned slot = 0; slot < count && counts_.errors == 0; ++slot) dial(slot, anonymous_.front());
      while (back < count && counts_.errors == 0 && turn()) {
      }
      on_open_ = [](Connection&) {};
    }
    report(start, cpu);
    await_line(options_.wait, "done");
    return counts_.errors == 0 ? 0 : 1;
  }

  int run_handshakes() {
    const bool returning = options_.returning > 0;
    std::vector<Visitor> visitors(returning ? options_.returning : options_.concurrent);
    if (returning) visit(visitors, visitors.size(), returning);
    counts_.opened = 0;
    await_line(options_.wait, "ready");
    const auto cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    const auto start = nanoseconds(CLOCK_MONOTONIC);
    visit(visitors, options_.count == 0 ? 5000 : options_.count, returning);
    report(start, cpu);
    await_line(options_.wait, "done");
    return counts_.errors == 0 ? 0 : 1;
  }

  /// `count` handshakes, `concurrent` at a time, the visitors in turn. A new client is a visitor who forgot
  /// everything.
  void visit(std::vector<Visitor>& visitors, std::uint64_t count, bool returning) {
    std::uint64_t begun = 0;
    std::size_t turn_of = 0;
    const auto next = [&](std::size_t slot) {
      if (counts_.errors > 0 || begun++ >= count) return;  // a void run need not go on
      // Nobody comes twice at once: what he learnt on one visit he must know on the next. There are at least
      // as many visitors as slots, so that one is free.
      while (visitors[turn_of % visitors.size()].visiting) ++turn_of;
      auto& visitor = visitors[turn_of++ % visitors.size()];
      if (!returning) visitor = Visitor{};
      visitor.visiting = true;
      dial(slot, visitor);
    };
    on_open_ = [&](Connection& connection) { end(connection); };
    on_end_ = [&](std::size_t slot) { next(slot); };
    for (std::size_t slot = 0; slot < std::min<std::uint64_t>(options_.concurrent, visitors.size()); ++slot)
      next(slot);
    while (busy_ > 0 && turn()) {
    }
    on_end_ = nullptr;
  }

  /// Opens connections [from, to), some at a time, and returns when all are open or failed.
  void open_all(unsigned from, unsigned to) {
    anonymous_.resize(1);
    unsigned begun = from;
    const auto before = on_open_;
    const auto more = [&] {
      if (begun < to) dial(begun++, anonymous_.front());
    };
    on_open_ = [&](Connection& connection) {
      --opening_;
      more();
      before(connection);
    };
    on_end_ = [&](std::size_t) { --opening_; };
    opening_ = to - from;
    while (begun < std::min(to, from + dial_at_once)) more();
    while (opening_ > 0 && counts_.errors == 0 && turn()) {
    }
    on_open_ = before;
    on_end_ = nullptr;
  }

  void report(std::uint64_t start, std::uint64_t cpu) {
    const double wall_s = static_cast<double>(nanoseconds(CLOCK_MONOTONIC) - start) / 1e9;
    const double cpu_s = static_cast<double>(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9;
    std::sort(latencies_ns_.begin(), latencies_ns_.end());
    const auto percentile_us = [&](double part) {
      if (latencies_ns_.empty()) return 0.0;
      return latencies_ns_[static_cast<std::size_t>(part * static_cast<double>(latencies_ns_.size() - 1))] /
             1e3;
    };
    for (auto* text : {&counts_.first_error, &counts_.first_moved})
      std::erase_if(*text,
                    [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32; });
    std::printf(
        "{\"mode\":\"%s\",\"opened\":%llu,\"round_trips\":%llu,\"wall_s\":%.6f,\"cpu_s\":%.6f,\"errors\":%"
        "llu,"
        "\"moved\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"first_error\":\"%s\",\"first_moved\":\"%s\"}\n",
        options_.mode.c_str(), static_cast<unsigned long long>(counts_.opened),
        static_cast<unsigned long long>(counts_.round_trips), wall_s, cpu_s,
        static_cast<unsigned long long>(counts_.errors), static_cast<unsigned long long>(counts_.moved),
        percentile_us(0.50), percentile_us(0.99), counts_.first_error.c_str(), counts_.first_moved.c_str());
    std::fflush(stdout);
  }

  // ---- connections
  // -----------------------------------------------------------------------------------------------

  /// One turn of the loop. False, and an error, when nothing happened for `stall_ms`.
  bool turn() {
    epoll_event events[512];
    const int count = epoll_wait(epoll_, events, 512, stall_ms);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    if (count == 0) {
      note("nothing came for 10 s");
      return false;
    }
    const auto now = nanoseconds(CLOCK_MONOTONIC);
    for (int i = 0; i < count; ++i) on_event(*connections_[events[i].data.u32], now);
    return true;
  }

  void note(const std::string& error) {
    if (counts_.errors++ == 0) counts_.first_error = error;
  }

  void fail(Connection& connection, const std::string& error) {
    note(error);
    end(connection);
  }

  void end(Connection& connection) {
    if (options_.reset) {
      const linger now{1, 0};
      setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (!connection.message.empty()) --in_flight_;
    close(connection.fd);
    const auto slot = slot_of_[static_cast<std::size_t>(connection.fd)];
    connection.visitor->visiting = false;
    connection = Connection{};
    --busy_;
    if (on_end_) on_end_(slot);
  }

  void dial(std::size_t slot, Visitor& visitor) {
    while (connections_.size() <= slot) connections_.push_back(std::make_unique<Connection>());
    auto& connection = *connections_[slot];
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.fd < 0) die("socket");
    const int one = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(connection.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    // Each connection from the next of 200 addresses: ports do not run out with TIME_WAIT, and a returning
    // client never comes from where it was, so that only its cookie can bring it back.
    const auto turn_of = dialled_++ % 200;
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f070001u + static_cast<std::uint32_t>(turn_of));
    if (bind(connection.fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) die("bind");
    if (connect(connection.fd, reinterpret_cast<const sockaddr*>(&options_.to), sizeof options_.to) != 0 &&
        errno != EINPROGRESS)
      die("connect");
    const auto number = static_cast<std::size_t>(connection.fd);
    if (slot_of_.size() <= number) slot_of_.resize(number + 1);
    slot_of_[number] = static_cast<std::uint32_t>(slot);
    connection.phase = Phase::connecting;
    connection.visitor = &visitor;
    connection.out = upgrade_request(connection);
    ++busy_;
    // Over loopback the connection stands already: the head goes out at once, and EPOLLOUT is hardly ever
    // asked for.
    const auto sent = send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      connection.out.erase(0, static_cast<std::size_t>(sent));
      connection.phase = Phase::upgrading;
    } else if (errno != EAGAIN) {
      return fail(connection, std::string("connect: ") + std::strerror(errno));
    }
    watch(connection, EPOLL_CTL_ADD);
  }

  void watch(Connection& connection, int operation) {
    connection.waits_for_writing = !connection.out.empty();
    epoll_event event{};
    event.events = connection.waits_for_writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = slot_of_[static_cast<std::size_t>(connection.fd)];
    if (epoll_ctl(epoll_, operation, connection.fd, &event) != 0) die("epoll_ctl");
  }

  void on_event(Connection& connection, std::uint64_t now) {
    if (connection.phase == Phase::closed) return;
    if (!connection.out.empty() && !flush(connection)) return;
    const auto size = recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return fail(connection, std::string("recv: ") + std::strerror(errno));
    if (size == 0) return fail(connection, "closed by the relay");
    const auto received = static_cast<std::size_t>(size);
    if (connection.phase == Phase::open && connection.in.empty()) {
      const auto used = take_frames(connection, buffer_.data(), received, now);
      if (used < received && connection.phase == Phase::open)
        connection.in.assign(reinterpret_cast<char*>(buffer_.data()) + used, received - used);
      return;
    }
    connection.in.append(reinterpret_cast<char*>(buffer_.data()), received);
    if (connection.phase != Phase::open && !take_head(connection)) return;
    const auto waiting = std::move(connection.in);
    connection.in.clear();
    const auto* bytes = reinterpret_cast<const unsigned char*>(waiting.data());
    const auto used = take_frames(connection, bytes, waiting.size(), now);
    if (connection.phase == Phase::open) connection.in.append(waiting, used);
  }

  /// False when the connection failed or the socket took nothing.
  bool flush(Connection& connection) {
    const auto sent = send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return connection.phase == Phase::open;
    if (sent < 0) return fail(connection, std::string("send: ") + std::strerror(errno)), false;
    connection.out.erase(0, static_cast<std::size_t>(sent));
    if (connection.phase == Phase::connecting) connection.phase = Phase::upgrading;
    if (connection.out.empty()) watch(connection, EPOLL_CTL_MOD);
    return true;
  }

  // ---- the handshake
  // ---------------------------------------------------------------------------------------------

  /// What a browser sends, 600 to 700 bytes with the cookies a site leaves.
  std::string upgrade_request(Connection& connection) {
    const std::uint64_t nonce[2] = {next_random(), next_random()};
    connection.key = base64(reinterpret_cast<const unsigned char*>(nonce), sizeof nonce);
    std::string head =
        "GET /play?room=lobby-7 HTTP/1.1\r\nHost: play.example.com\r\nConnection: Upgrade\r\nPragma: "
        "no-cache\r\n"
        "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
        "like Gecko) "
        "Chrome/126.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://play.example.com\r\n"
        "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n"
        "Cookie: theme=dark; visit=GA1.2.1127441.1718031222; consent=yes";
    for (const auto& cookie : connection.visitor->cookies) head += "; " + cookie.name + "=" + cookie.value;
    head += "\r\nSec-WebSocket-Key: " + connection.key + "\r\n";
    if (options_.speaks == Speaks::rejoin) {
      head += "Sec-WebSocket-Protocol: rejoin.v1";
      if (!connection.session.ticket.empty())
        head += ", rejoin.v1.resume." + base64url(resume_frame(connection.session));
      head += "\r\n\r\n";
      return head;
    }
    head += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    if (options_.speaks == Speaks::socketio)
      head.replace(0, head.find(" HTTP/1.1"), "GET /socket.io/?EIO=4&transport=websocket");
    return head;
  }

  /// Takes the answer's head out of `in`. True when the connection is open and still here.
  bool take_head(Connection& connection) {
    const auto size = connection.in.find("\r\n\r\n");
    if (size == std::string::npos) {
      if (connection.in.size() > head_bytes_max) fail(connection, "an answer without end");
      return false;
    }
    const auto head = std::string_view(connection.in).substr(0, size + 2);
    if (!head.starts_with("HTTP/1.1 101 ")) return fail(connection, std::string(head.substr(0, 60))), false;
    if (find_field(head, "Sec-WebSocket-Accept") != accept_of(connection.key))
      return fail(connection, "wrong Sec-WebSocket-Accept"), false;
    remember(*connection.visitor, head);
    connection.in.erase(0, size + 4);
    connection.phase = Phase::open;
    if (options_.speaks == Speaks::websocket) {
      admit(connection);
    } else if (options_.speaks == Speaks::rejoin && connection.session.ticket.empty()) {
      send_frame(connection, hello_frame());
    }
    return connection.phase == Phase::open;
  }

  void admit(Connection& connection) {
    connection.admitted = true;
    ++counts_.opened;
    on_open_(connection);
  }

  void remember(Visitor& visitor, std::string_view head) {
    const std::string server(find_field(head, "X-Server"));
    if (&visitor == anonymous_.data()) return;  // shared by all connections of this mode: everybody is new
    if (!visitor.server.empty() && visitor.server != server && counts_.moved++ == 0) {
      counts_.first_moved = visitor.server + " to " + server + " with";
      for (const auto& cookie : visitor.cookies)
        counts_.first_moved += " " + cookie.name + "=" + cookie.value;
    }
    visitor.server = server;
    for (std::size_t from = 0;;) {
      const auto text = find_field(head, "Set-Cookie", from);
      if (text.empty()) return;
      const auto pair = text.substr(0, text.find(';'));
      const auto equals = std::min(pair.find('='), pair.size() - 1);
      Cookie cookie{std::string(pair.substr(0, equals)), std::string(pair.substr(equals + 1))};
      std::erase_if(visitor.cookies, [&](const Cookie& old) { return old.name == cookie.name; });
      visitor.cookies.push_back(std::move(cookie));
    }
  }

  // ---- messages
  // --------------------------------------------------------------------------------------------------

  std::uint64_t next_random() {  // xorshift64: masks and keys need be different, not secret
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    return random_ ^= random_ << 17;
  }

  /// A binary message that names connection and sequence number, so that crossed, lost and doubled bytes are
  /// seen.
  void send_message(Connection& connection, std::uint64_t now) {
    auto& message = connection.message;
    if (message.empty()) ++in_flight_;
    message.assign(options_.bytes, 'x');
    const std::uint64_t stamp[2] = {static_cast<std::uint64_t>(connection.fd), ++connection.sequence};
    std::memcpy(message.data(), stamp, std::min(sizeof stamp, message.size()));
    const auto mask = static_cast<std::uint32_t>(next_random());
    connection.sent_at_ns = now;
    if (options_.speaks == Speaks::rejoin) {
      send_payload(connection, 0x82, data_head(connection.session), message, mask);
    } else if (options_.speaks == Speaks::socketio) {
      for (char& byte : message) byte = static_cast<char>('a' + (static_cast<unsigned char>(byte) & 15));
      send_payload(connection, 0x81, "42[\"m\",\"" + message + "\"]", {}, mask);
    } else {
      send_payload(connection, 0x82, {}, message, mask);
    }
  }

  void send_frame(Connection& connection, const std::string& payload, unsigned char first = 0x82) {
    send_payload(connection, first, payload, {}, static_cast<std::uint32_t>(next_random()));
  }

  void send_payload(Connection& connection, unsigned char first, const std::string& before,
                    std::string_view message, std::uint32_t mask) {
    payload_.assign(before);
    payload_.append(message);
    frame_.resize(14 + payload_.size());
    const auto head = write_frame_head(frame_.data(), first, payload_.size(), &mask);
    copy_masked(frame_.data() + head, reinterpret_cast<const unsigned char*>(payload_.data()),
                payload_.size(), mask);
    const auto size = head + payload_.size();
    if (!connection.out.empty()) {
      connection.out.append(reinterpret_cast<char*>(frame_.data()), size);
      return;
    }
    const auto sent = send(connection.fd, frame_.data(), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return fail(connection, std::string("send: ") + std::strerror(errno));
    const auto taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken == size) return;
    connection.out.assign(reinterpret_cast<char*>(frame_.data()) + taken, size - taken);
    watch(connection, EPOLL_CTL_MOD);
  }

  /// Returns how many bytes were whole frames. The connection may be gone when it returns.
  std::size_t take_frames(Connection& connection, const unsigned char* bytes, std::size_t size,
                          std::uint64_t now) {
    std::size_t used = 0;
    FrameHead head;
    while (connection.phase == Phase::open && read_frame_head(bytes + used, size - used, head)) {
      const auto payload_size = static_cast<std::size_t>(head.payload_size);
      if (head.masked || payload_size > options_.bytes + message_extra_max)
        return fail(connection, "not the frame of an echo"), size;
      if (size - used < head.head_size + payload_size) return used;
      const std::string_view payload(reinterpret_cast<const char*>(bytes) + used + head.head_size,
                                     payload_size);
      used += head.head_size + payload_size;
      take_payload(connection, head.first, payload, now);
    }
    return used;
  }

  void take_payload(Connection& connection, unsigned char first, std::string_view payload,
                    std::uint64_t now) {
    switch (options_.speaks) {
      case Speaks::websocket: return take_echo(connection, first == 0x82, payload, now);
      case Speaks::greeted:
        if (connection.admitted) return take_echo(connection, first == 0x82, payload, now);
        return admit(connection);
      case Speaks::socketio: return take_socketio(connection, payload, now);
      case Speaks::rejoin: return take_rejoin(connection, first, payload, now);
    }
  }

  void take_echo(Connection& connection, bool right_kind, std::string_view payload, std::uint64_t now) {
    auto& message = connection.message;
    if (!right_kind || message.empty() || payload != message) return fail(connection, "wrong echo");
    message.clear();
    --in_flight_;
    ++counts_.round_trips;
    on_echo_(connection, now);
  }

  /// Engine.IO 4 in text frames: 0 open, 2 ping, 4 message; Socket.IO in its messages: 40 connect, 42 event.
  void take_socketio(Connection& connection, std::string_view payload, std::uint64_t now) {
    if (payload.starts_with("0")) return send_frame(connection, "40", 0x81);
    if (payload.starts_with("2")) return send_frame(connection, "3", 0x81);
    if (payload.starts_with("40")) return admit(connection);
    if (!payload.starts_with("42[\"m\",\""))
      return fail(connection, "not of Socket.IO: " + std::string(payload));
    payload.remove_prefix(8);
    take_echo(connection, true, payload.substr(0, payload.find('"')), now);
  }

  void take_rejoin(Connection& connection, unsigned char first, std::string_view payload, std::uint64_t now) {
    Session& session = connection.session;
    if (first == 0x88 || payload.size() < 10)
      return fail(connection, "closed by the gateway" + std::string(payload.substr(0, 40)));
    switch (payload[0]) {
      case 0x02: {  // WELCOME: version, secret, ticket
        session.secret = payload.substr(11, 32);
        const auto size = static_cast<std::size_t>(static_cast<unsigned char>(payload[43])) << 8 |
                          static_cast<unsigned char>(payload[44]);
        session.ticket = payload.substr(45, size);
        return send_frame(connection, frame_head(0x11, 0, 0));
      }
      case 0x04:  // RESUMED
        send_frame(connection, frame_head(0x11, 0, static_cast<std::uint32_t>(session.received)));
        return admit(connection);
      case 0x10:
        ++session.received;
        if (!connection.admitted) return admit(connection);  // the greeting
        return take_echo(connection, true, payload.substr(10), now);
      case 0x11: return;
      case 0x12: {
        std::string pong = frame_head(0x13, 0, static_cast<std::uint32_t>(session.received));
        pong += payload.substr(10);
        return send_frame(connection, pong);
      }
      default: return fail(connection, "refused, type " + std::to_string(payload[0]));
    }
  }

  const Options options_;
  int epoll_;
  std::vector<unsigned char> buffer_;
  std::vector<unsigned char> frame_;
  std::string payload_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by slot
  std::vector<std::uint32_t> slot_of_;                    // by descriptor
  std::vector<Visitor> anonymous_;
  std::vector<std::uint32_t> latencies_ns_;
  std::function<void(Connection&)> on_open_;
  std::function<void(Connection&, std::uint64_t)> on_echo_;
  std::function<void(std::size_t)> on_end_;
  Counts counts_;
  unsigned opening_ = 0;
  std::uint64_t busy_ = 0;       // connections that are not closed
  std::uint64_t in_flight_ = 0;  // messages
  std::uint64_t begun_ = 0;
  std::uint64_t end_ns_ = 0;
  std::uint64_t dialled_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  bench::Load load(bench::parse(count, arguments));
  return load.run();
}
