// The floor that every relay is measured against: TCP bytes from one socket to another with nothing around
// them. One thread, one edge-triggered epoll, one buffer for all connections, no HTTP. A message that passes
// costs one recv and one send, and a share of an epoll_wait; nothing less is possible with epoll.
//
//   bench_bare_relay --listen ADDRESS:PORT --to ADDRESS:PORT [--to ...] [--as-designed] [--workers N]
//
// Several --to take turns. The end of one side closes both at once. --as-designed adds what the design asks
// of a relay that people use: the clock read once a turn, time of last use and bytes counted for each
// connection, a sweep that ends silent ones, and half-closed connections kept until the other side ends too.
// Workers share nothing: each has its thread, its epoll, its listener (SO_REUSEPORT) and its table of
// descriptors, and so as many as the limit of open files allows one process.

#include <sched.h>

#include <cstdlib>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include "ws_wire.h"

namespace bench {
namespace {

constexpr std::size_t buffer_bytes = 64 * 1024;
constexpr std::uint64_t silent_ns_max = 3600ull * 1'000'000'000u;
constexpr int sweep_ms = 10'000;

struct Pair;

struct End {
  int fd = -1;  // -1: closed; events of this turn that still name it are skipped
  bool ended = false;
  std::uint64_t sent_bytes = 0;
  Pair* pair = nullptr;
  End* other = nullptr;
  std::unique_ptr<std::string>
      unsent;  // what the socket did not take; while there is some, `other` is not read
};

struct Pair {
  End client;
  End server;
  std::uint64_t used_at_ns = 0;
};

enum class Style { lean, as_designed };

class Relay {
 public:
  Relay(const std::string& listen, std::vector<sockaddr_in> targets, Style style)
      : style_(style),
        targets_(std::move(targets)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        buffer_(buffer_bytes) {
    listener_.fd = listen_on(listen, /*shared_by_threads=*/true);
    // Level-triggered, one accept a turn: at any load no accept is made in vain.
    watch(listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    epoll_event events[256];
    for (;;) {
      const int count = epoll_wait(epoll_, events, 256, style_ == Style::lean ? -1 : sweep_ms);
      if (count < 0 && errno != EINTR) die("epoll_wait");
      if (style_ == Style::as_designed) now_ns_ = nanoseconds(CLOCK_MONOTONIC);
      for (int i = 0; i < count; ++i) {
        auto& end = *static_cast<End*>(events[i].data.ptr);
        if (&end == &listener_) {
          accept_one();
        } else if (end.fd >= 0) {
          on_event(end, events[i].events);
        }
      }
      if (style_ == Style::as_designed && now_ns_ >= next_sweep_ns_) sweep();
      dead_.clear();
    }
  }

 private:
  void watch(End& end, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &end;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, end.fd, &event) != 0) die("epoll_ctl");
  }

  void accept_one() {
    const int client = accept4(listener_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) {
      if (errno == EAGAIN || errno == ECONNABORTED) return;
      die("accept");
    }
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server < 0) die("socket");
    const int one = 1;
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const auto& target = targets_[turn_++ % targets_.size()];
    const auto* address = reinterpret_cast<const sockaddr*>(&target);
    if (connect(server, address, sizeof target) != 0 && errno != EINPROGRESS) die("connect");
    auto pair = std::make_unique<Pair>();
    pair->client = End{client, false, 0, pair.get(), &pair->server, nullptr};
    pair->server = End{server, false, 0, pair.get(), &pair->client, nullptr};
    pair->used_at_ns = now_ns_;
    watch(pair->client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    watch(pair->server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    pairs_.insert(pair.release());
  }

  void on_event(End& end, std::uint32_t events) {
    auto& pair = *end.pair;
    if (style_ == Style::as_designed) pair.used_at_ns = now_ns_;
    if ((events & EPOLLOUT) != 0 && end.unsent != nullptr) {
      const auto waiting = std::move(end.unsent);
      if (!put(end, waiting->data(), waiting->size())) return close_both(pair);
      if (end.unsent == nullptr) pump(*end.other, true);
      if (end.fd < 0) return;
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
      pump(end, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }

  /// Moves what has arrived at `from` to its other side. A short read emptied the socket, so that nothing
  /// more is asked of it unless `to_the_end`: an end or an error is known to stand behind the bytes, or bytes
  /// waited for the writer.
  void pump(End& from, bool to_the_end) {
    auto& to = *from.other;
    while (!from.ended && to.unsent == nullptr) {
      const auto size = recv(from.fd, buffer_.data(), buffer_.size(), 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size < 0) return close_both(*from.pair);
      if (size == 0) return on_end(from);
      if (!put(to, buffer_.data(), static_cast<std::size_t>(size))) return close_both(*from.pair);
      if (!to_the_end && static_cast<std::size_t>(size) < buffer_.size()) return;
    }
  }

  /// False when the socket is broken.
  static bool put(End& to, const char* bytes, std::size_t size) {
    const auto sent = send(to.fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    const auto taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    to.sent_bytes += taken;
    if (taken < size) to.unsent = std::make_unique<std::string>(bytes + taken, size - taken);
    return true;
  }

  void on_end(End& from) {
    if (style_ == Style::lean || from.other->ended) return close_both(*from.pair);
    from.ended = true;
    shutdown(from.other->fd, SHUT_WR);
  }

  void close_both(Pair& pair) {
    for (auto* end : {&pair.client, &pair.server}) {
      close(end->fd);
      end->fd = -1;
    }
    pairs_.erase(&pair);
    dead_.emplace_back(&pair);
  }

  void sweep() {
    next_sweep_ns_ = now_ns_ + sweep_ms * 1'000'000ull;
    std::vector<Pair*> silent;
    for (auto* pair : pairs_)
      if (now_ns_ - pair->used_at_ns > silent_ns_max) silent.push_back(pair);
    for (auto* pair : silent) close_both(*pair);
  }

  const Style style_;
  const std::vector<sockaddr_in> targets_;
  std::size_t turn_ = 0;
  int epoll_;
  std::vector<char> buffer_;
  End listener_;
  std::unordered_set<Pair*> pairs_;
  std::vector<std::unique_ptr<Pair>> dead_;  // freed when no event of this turn can name them
  std::uint64_t now_ns_ = nanoseconds(CLOCK_MONOTONIC);
  std::uint64_t next_sweep_ns_ = 0;
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  std::string listen;
  std::vector<sockaddr_in> targets;
  auto style = bench::Style::lean;
  int workers = 1;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--as-designed") {
      style = bench::Style::as_designed;
    } else if (name == "--listen" && i + 1 < count) {
      listen = arguments[++i];
    } else if (name == "--workers" && i + 1 < count) {
      workers = std::atoi(arguments[++i]);
    } else if (name == "--to" && i + 1 < count) {
      targets.push_back(bench::parse_address(arguments[++i]));
    } else {
      std::fprintf(stderr, "unknown or incomplete: %s\n", arguments[i]);
      return 2;
    }
  }
  if (listen.empty() || targets.empty()) {
    std::fprintf(stderr,
                 "usage: bench_bare_relay --listen ADDRESS:PORT --to ADDRESS:PORT [--to ...] [--as-designed] "
                 "[--workers N]\n");
    return 2;
  }
  bench::Relay relay(listen, targets, style);
  std::vector<std::thread> others;
  for (int i = 1; i < workers; ++i) {
    others.emplace_back([&] {
      if (unshare(CLONE_FILES) != 0) bench::die("unshare");
      bench::Relay(listen, targets, style).run();
    });
  }
  std::fprintf(stderr, "ready\n");
  relay.run();
}
