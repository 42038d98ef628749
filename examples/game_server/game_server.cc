#include "examples/game_server/game_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

namespace game_server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTick{50};
constexpr std::size_t kMessageBytesMax = 1024;
constexpr std::size_t kUnsentBytesMax = 1024 * 1024;

struct Scene {
  int number = 0;
  int tick = 0;
  int x = 0;
  int faults = 0;
  std::string in, out;
  Clock::time_point next_tick;
};

volatile sig_atomic_t stopping = 0;

void say(Scene& scene, const std::string& text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  const char head[4] = {static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                        static_cast<char>(length >> 8), static_cast<char>(length)};
  scene.out.append(head, sizeof head);
  scene.out += text;
}

void hear(Scene& scene, const std::string& message) {
  if (message.compare(0, 5, "step ") != 0) return;
  const int step = std::atoi(message.c_str() + 5);
  if (step == scene.x + 1) {
    scene.x = step;
  } else {
    ++scene.faults;
    say(scene, "fault expected " + std::to_string(scene.x + 1) + " and heard " + std::to_string(step));
  }
}

// False: the connection is over.
bool read_from(int fd, Scene& scene) {
  char bytes[4096];
  for (;;) {
    const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    scene.in.append(bytes, static_cast<std::size_t>(got));
    while (scene.in.size() >= 4) {
      const auto* head = reinterpret_cast<const unsigned char*>(scene.in.data());
      const std::size_t length = static_cast<std::size_t>(head[0]) << 24 |
                                 static_cast<std::size_t>(head[1]) << 16 |
                                 static_cast<std::size_t>(head[2]) << 8 | head[3];
      if (length > kMessageBytesMax) return false;
      if (scene.in.size() < 4 + length) break;
      hear(scene, scene.in.substr(4, length));
      scene.in.erase(0, 4 + length);
    }
  }
}

bool write_to(int fd, Scene& scene) {
  while (!scene.out.empty()) {
    const ssize_t sent = send(fd, scene.out.data(), scene.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return (errno == EAGAIN || errno == EINTR) && scene.out.size() <= kUnsentBytesMax;
    scene.out.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

void tick(Scene& scene, Clock::time_point now) {
  while (scene.next_tick <= now) {
    scene.next_tick += kTick;
    say(scene, "scene " + std::to_string(scene.number) + " tick " + std::to_string(++scene.tick) + " x " +
                   std::to_string(scene.x));
  }
}

int open_listener(const std::string& ip, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, ip.c_str(), &at.sin_addr) != 1 ||
      bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(fd, 128) != 0) {
    std::fprintf(stderr, "cannot listen on %s:%d: %s\n", ip.c_str(), port, std::strerror(errno));
    return -1;
  }
  socklen_t length = sizeof at;
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &length);
  std::fprintf(stderr, "listening on %s:%d\nready\n", ip.c_str(), ntohs(at.sin_port));
  return fd;
}

}  // namespace

int serve(const std::string& ip, int port) {
  struct sigaction end {};
  end.sa_handler = [](int) { stopping = 1; };
  sigaction(SIGTERM, &end, nullptr);
  sigaction(SIGINT, &end, nullptr);
  const int listener = open_listener(ip, port);
  if (listener < 0) return 1;

  std::map<int, Scene> scenes;
  int scenes_so_far = 0;
  while (stopping == 0) {
    std::vector<pollfd> polled{{listener, POLLIN, 0}};
    Clock::time_point next = Clock::now() + std::chrono::seconds(1);
    for (auto& [fd, scene] : scenes) {
      polled.push_back({fd, static_cast<short>(POLLIN | (scene.out.empty() ? 0 : POLLOUT)), 0});
      next = std::min(next, scene.next_tick);
    }
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count() + 1;
    poll(polled.data(), polled.size(), static_cast<int>(std::max<long>(wait, 0)));

    for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      scenes[fd].number = ++scenes_so_far;
      scenes[fd].next_tick = Clock::now() + kTick;
    }
    const Clock::time_point now = Clock::now();
    for (auto at = scenes.begin(); at != scenes.end();) {
      auto& [fd, scene] = *at;
      const bool open = read_from(fd, scene);
      tick(scene, now);
      if (open && write_to(fd, scene)) {
        ++at;
        continue;
      }
      std::fprintf(stderr, "scene %d ended at tick %d, x %d, faults %d\n", scene.number, scene.tick, scene.x,
                   scene.faults);
      close(fd);
      at = scenes.erase(at);
    }
  }
  for (auto& [fd, scene] : scenes) close(fd);
  close(listener);
  return 0;
}

}  // namespace game_server
