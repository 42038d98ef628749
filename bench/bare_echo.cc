// The floor that gateways and echo servers are measured against: what comes on a TCP connection goes back as
// it came. One thread, one edge-triggered epoll, one buffer for all connections; no WebSocket, no message, no
// session. An echoed message costs one recv and one send, and a share of an epoll_wait; with epoll nothing
// less is possible, and what a message costs more with thousands of connections is here the kernel's alone:
// of this program it touches nothing that belongs to one.
//
//   bench_bare_echo ADDRESS:PORT [--workers N [--own-tables]]
//
// Workers share nothing: each has its thread, its epoll and its listener (SO_REUSEPORT); with --own-tables
// its table of descriptors, too, and so as many as the limit of open files allows one process.

#include <sched.h>

#include <thread>
#include <unordered_map>
#include <vector>

#include "ws_wire.h"

namespace bench {
namespace {

constexpr std::size_t buffer_bytes = 64 * 1024;

class Echo {
 public:
  explicit Echo(const std::string& listen)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listen_on(listen, true)), buffer_(buffer_bytes) {
    watch(listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    epoll_event events[256];
    for (;;) {
      const int count = epoll_wait(epoll_, events, 256, -1);
      if (count < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_) {
          accept_one();
        } else {
          on_event(events[i].data.fd, events[i].events);
        }
      }
    }
  }

 private:
  void watch(int fd, std::uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }

  void accept_one() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (errno != EAGAIN && errno != ECONNABORTED) die("accept");
  }

  void on_event(int fd, std::uint32_t happened) {
    if ((happened & EPOLLOUT) != 0 && !unsent_.empty()) {
      if (const auto waiting = unsent_.find(fd); waiting != unsent_.end()) {
        const std::string bytes = std::move(waiting->second);
        unsent_.erase(waiting);
        if (!put(fd, bytes.data(), bytes.size())) return drop(fd);
        happened |= EPOLLIN;  // it was not read meanwhile
      }
    }
    const bool to_the_end = (happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if ((happened & EPOLLIN) == 0 && !to_the_end) return;
    while (unsent_.empty() || !unsent_.contains(fd)) {
      const auto size = recv(fd, buffer_.data(), buffer_.size(), 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0 || !put(fd, buffer_.data(), static_cast<std::size_t>(size))) return drop(fd);
      // A short read emptied the socket.
      if (!to_the_end && static_cast<std::size_t>(size) < buffer_.size()) return;
    }
  }

  /// False when the socket is broken.
  bool put(int fd, const char* bytes, std::size_t size) {
    const auto sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    const auto taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken < size) unsent_[fd].assign(bytes + taken, size - taken);
    return true;
  }

  void drop(int fd) {
    unsent_.erase(fd);
    close(fd);
  }

  int epoll_, listener_;
  std::vector<char> buffer_;
  std::unordered_map<int, std::string>
      unsent_;  // what a socket did not take; while there is some, it is not read
};

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  const bool many = count >= 4 && std::string_view(arguments[2]) == "--workers";
  const bool own = count == 5 && std::string_view(arguments[4]) == "--own-tables";
  const int workers = many ? std::atoi(arguments[3]) : 1;
  if ((count != 2 && !(many && (count == 4 || own))) || workers < 1) {
    std::fprintf(stderr, "usage: bench_bare_echo ADDRESS:PORT [--workers N [--own-tables]]\n");
    return 2;
  }
  std::vector<std::thread> others;
  bench::Echo first(arguments[1]);
  for (int i = 1; i < workers; ++i) {
    others.emplace_back([arguments, own] {
      if (own && unshare(CLONE_FILES) != 0) bench::die("unshare");
      bench::Echo(arguments[1]).run();
    });
  }
  std::fprintf(stderr, "ready\n");
  first.run();
}
