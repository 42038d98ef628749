// The servers behind the relays and gateways: echo servers that cost as little as they can, so that their
// core stays free for the load. One thread, one edge-triggered epoll, one receive buffer for all; messages
// are turned round where they lie and leave in one send. What is not whole waits in the connection. A message
// that begins with message_broadcast goes to every connection of its kind.
//
//   bench_ws_server [--listen ADDRESS:PORT=ID]... [--servers ADDRESS:PORT=COUNT] [--tcp ADDRESS:PORT]
//                   [--game ADDRESS:PORT]
//
// --listen: WebSocket; each listener is one "server": its ID stands in X-Server of every answer. GET /healthz
// is answered with 200. --servers: COUNT such listeners on consecutive addresses, all on one port, b1, b2 and
// so on.
// --tcp: messages behind a 4-byte big-endian length. --game: the same behind a greeting, as a game server for
// gateways.

#include <deque>
#include <memory>
#include <vector>

#include "load_message.h"
#include "ws_wire.h"

namespace bench {
namespace {

constexpr std::size_t receive_bytes = 256 * 1024;
constexpr std::size_t message_bytes_max = 1024 * 1024;
constexpr std::size_t head_bytes_max = 16 * 1024;
constexpr std::size_t length_bytes = 4;
constexpr std::string_view greeting("\0\0\0\7welcome", 11);

enum class Kind : std::uint8_t { websocket, tcp, game };

struct Listener {
  int fd;
  Kind kind;
  std::string id;
};

struct Connection {
  const Listener* listener = nullptr;  // null: closed
  bool open = false;                   // behind the 101
  std::string in;                      // a head or a message that is not whole
  std::string out;                     // what the client did not take; while there is some we do not read
};

enum class Next { go_on, end };

class Server {
 public:
  Server() : epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(receive_bytes) {}

  /// "ADDRESS:PORT=ID"
  void listen(Kind kind, const std::string& text) {
    const auto equals = text.find('=');
    const bool named = equals != std::string::npos;
    add(kind, text.substr(0, equals),
        named ? text.substr(equals + 1) : "b" + std::to_string(listeners_.size() + 1));
  }

  /// "ADDRESS:PORT=COUNT": consecutive addresses, and on each of them the same port.
  void listen_on_many(const std::string& text) {
    const auto equals = text.find('=');
    auto address = parse_address(text.substr(0, equals));
    const auto first = ntohl(address.sin_addr.s_addr);
    const auto count =
        equals == std::string::npos ? 1u : static_cast<unsigned>(std::atoi(text.c_str() + equals + 1));
    for (unsigned i = 0; i < count; ++i) {
      address.sin_addr.s_addr = htonl(first + i);
      const int fd = add(Kind::websocket, text_of(address), "b" + std::to_string(i + 1));
      socklen_t size = sizeof address;
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    }
  }

  bool listens() const { return !listeners_.empty(); }

  [[noreturn]] void run() {
    epoll_event events[512];
    for (;;) {
      const int count = epoll_wait(epoll_, events, 512, -1);
      if (count < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (const auto* listener = listener_of(fd)) {
          accept_all(*listener);
        } else if (on_event(fd, events[i].events) == Next::end) {
          close(fd);
          *connections_[static_cast<std::size_t>(fd)] = Connection{};
        }
      }
    }
  }

 private:
  int add(Kind kind, const std::string& address, std::string id) {
    const int fd = listen_on(address);
    listeners_.push_back({fd, kind, std::move(id)});
    const auto slot = static_cast<std::size_t>(fd);
    if (listener_by_fd_.size() <= slot) listener_by_fd_.resize(slot + 1);
    listener_by_fd_[slot] = &listeners_.back();
    watch(fd, EPOLLIN);
    return fd;
  }

  const Listener* listener_of(int fd) const {
    const auto slot = static_cast<std::size_t>(fd);
    return slot < listener_by_fd_.size() ? listener_by_fd_[slot] : nullptr;
  }

  void watch(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }

  void accept_all(const Listener& listener) {
    for (;;) {
      const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EAGAIN || errno == ECONNABORTED) return;
        die("accept");
      }
      const auto slot = static_cast<std::size_t>(fd);
      if (connections_.size() <= slot) connections_.resize(slot + 1);
      if (connections_[slot] == nullptr) connections_[slot] = std::make_unique<Connection>();
      auto& connection = *connections_[slot];
      connection.listener = &listener;
      connection.open = listener.kind != Kind::websocket;
      watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
      if (listener.kind == Kind::game) write(fd, connection, greeting.data(), greeting.size());
    }
  }

  Next on_event(int fd, std::uint32_t events) {
    auto& connection = *connections_[static_cast<std::size_t>(fd)];
    if ((events & EPOLLOUT) != 0 && !connection.out.empty()) {
      const auto waiting = std::move(connection.out);
      connection.out.clear();
      if (write(fd, connection, waiting.data(), waiting.size()) == Next::end) return Next::end;
    }
    while (connection.out.empty()) {
      const auto size = recv(fd, buffer_.data(), buffer_.size(), 0);
      if (size == 0 || (size < 0 && errno != EAGAIN)) return Next::end;
      if (size < 0) return Next::go_on;
      const auto received = static_cast<std::size_t>(size);
      if (on_bytes(fd, connection, received) == Next::end) return Next::end;
      // A short read emptied the socket: asking again would only fetch EAGAIN. An end that stood behind it
      // comes as EPOLLRDHUP, and with that the loop goes on to read it.
      if (received < buffer_.size() && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return Next::go_on;
    }
    return Next::go_on;
  }

  Next on_bytes(int fd, Connection& connection, std::size_t size) {
    if (connection.in.empty() && connection.open) return echo(fd, connection, buffer_.data(), size);
    auto whole = std::move(connection.in);
    connection.in.clear();
    whole.append(reinterpret_cast<char*>(buffer_.data()), size);
    auto* bytes = reinterpret_cast<unsigned char*>(whole.data());
    if (connection.open) return echo(fd, connection, bytes, whole.size());
    const auto end = whole.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (whole.size() > head_bytes_max) return Next::end;
      connection.in = std::move(whole);
      return Next::go_on;
    }
    if (answer(fd, connection, std::string_view(whole).substr(0, end + 2)) == Next::end) return Next::end;
    // Requests are not pipelined by any relay here, so that what stands behind a head can only be frames.
    return connection.open ? echo(fd, connection, bytes + end + 4, whole.size() - end - 4) : Next::go_on;
  }

  Next answer(int fd, Connection& connection, std::string_view head) {
    const auto key = find_field(head, "Sec-WebSocket-Key");
    std::string text;
    if (!key.empty()) {
      connection.open = true;
      text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Server: " +
             connection.listener->id + "\r\nSec-WebSocket-Accept: " + accept_of(key) + "\r\n\r\n";
    } else {
      const bool healthy = head.starts_with("GET /healthz ");
      text = std::string("HTTP/1.1 ") + (healthy ? "200 OK" : "404 Not Found") +
             "\r\nX-Server: " + connection.listener->id + "\r\nContent-Length: 3\r\n\r\n" +
             (healthy ? "ok\n" : "no\n");
    }
    return write(fd, connection, text.data(), text.size());
  }

  Next echo(int fd, Connection& connection, unsigned char* bytes, std::size_t size) {
    if (connection.listener->kind == Kind::websocket) return echo_frames(fd, connection, bytes, size);
    return echo_messages(fd, connection, bytes, size);
  }

  /// Turns the client's frames into the server's where they lie: a server's head is 4 bytes shorter, so that
  /// what is written never catches up with what is read.
  Next echo_frames(int fd, Connection& connection, unsigned char* bytes, std::size_t size) {
    std::size_t from = 0;
    std::size_t to = 0;
    FrameHead head;
    bool closed = false;
    while (!closed && read_frame_head(bytes + from, size - from, head)) {
      if (!head.masked || head.payload_size > message_bytes_max) return Next::end;
      const auto payload_size = static_cast<std::size_t>(head.payload_size);
      if (size - from < head.head_size + payload_size) break;
      const int opcode = head.first & 0x0f;
      closed = opcode == 8;
      if (opcode != 10) {  // a pong is not echoed
        const auto first = opcode == 9 ? static_cast<unsigned char>(0x8a) : head.first;
        const auto head_size = write_frame_head(bytes + to, first, payload_size, nullptr);
        copy_masked(bytes + to + head_size, bytes + from + head.head_size, payload_size, head.mask);
        if (opcode < 8 && payload_size > 0 && bytes[to + head_size] == message_broadcast) {
          tell_all(Kind::websocket, bytes + to, head_size + payload_size);
        } else {
          to += head_size + payload_size;
        }
      }
      from += head.head_size + payload_size;
    }
    if (from < size && !closed) connection.in.assign(reinterpret_cast<char*>(bytes) + from, size - from);
    if (to == 0) return Next::go_on;
    const auto next = write(fd, connection, reinterpret_cast<char*>(bytes), to);
    return closed ? Next::end : next;
  }

  Next echo_messages(int fd, Connection& connection, unsigned char* bytes, std::size_t size) {
    std::size_t from = 0;
    std::size_t to = 0;
    while (size - from >= length_bytes) {
      std::size_t whole = 0;
      for (std::size_t i = 0; i < length_bytes; ++i) whole = whole << 8 | bytes[from + i];
      whole += length_bytes;
      if (whole > length_bytes + message_bytes_max) return Next::end;
      if (size - from < whole) break;
      if (whole > length_bytes && bytes[from + length_bytes] == message_broadcast) {
        tell_all(connection.listener->kind, bytes + from, whole);
      } else {
        if (to != from) std::memmove(bytes + to, bytes + from, whole);
        to += whole;
      }
      from += whole;
    }
    if (from < size) connection.in.assign(reinterpret_cast<char*>(bytes) + from, size - from);
    return to == 0 ? Next::go_on : write(fd, connection, reinterpret_cast<char*>(bytes), to);
  }

  /// Whose socket is broken will be told so by an event of its own.
  void tell_all(Kind kind, const unsigned char* bytes, std::size_t size) {
    for (std::size_t slot = 0; slot < connections_.size(); ++slot) {
      auto* connection = connections_[slot].get();
      if (connection == nullptr || !connection->open || connection->listener->kind != kind) continue;
      write(static_cast<int>(slot), *connection, reinterpret_cast<const char*>(bytes), size);
    }
  }

  static Next write(int fd, Connection& connection, const char* bytes, std::size_t size) {
    if (!connection.out.empty()) {
      connection.out.append(bytes, size);
      return Next::go_on;
    }
    const auto sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return Next::end;
    const auto taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken < size) connection.out.append(bytes + taken, size - taken);
    return Next::go_on;
  }

  int epoll_;
  std::vector<unsigned char> buffer_;
  std::deque<Listener> listeners_;  // connections point into it
  std::vector<const Listener*> listener_by_fd_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor, used again
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  bench::Server server;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const std::string value = arguments[i + 1];
    if (name == "--listen") {
      server.listen(bench::Kind::websocket, value);
    } else if (name == "--servers") {
      server.listen_on_many(value);
    } else if (name == "--tcp") {
      server.listen(bench::Kind::tcp, value);
    } else if (name == "--game") {
      server.listen(bench::Kind::game, value);
    } else {
      std::fprintf(stderr, "unknown: %s\n", arguments[i]);
      return 2;
    }
  }
  if (!server.listens()) {
    std::fprintf(stderr,
                 "usage: bench_ws_server [--listen ADDRESS:PORT=ID]... [--servers ADDRESS:PORT=COUNT] [--tcp "
                 "ADDRESS:PORT] [--game ADDRESS:PORT]\n");
    return 2;
  }
  std::fprintf(stderr, "ready\n");
  server.run();
}
