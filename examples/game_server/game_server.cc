// A small game server, as many are: TCP, each message behind its length (4 bytes, big-endian), one scene per
// connection, and the scene is gone when the connection is. It knows nothing of Rejoin, of reconnecting or of
// sessions; put a gateway in front of it and its players survive broken links all the same.
//
//   game_server [PORT] [TICKS_PER_SECOND]        default: 7000 20; port 0: any, it says which
//
// What it sends, numbered from 1:   "N tick T at X,Y"      so many times a second
//                                   "N did C WORD at X,Y"  in answer to the C-th command
// What it understands:              "left", "right", "up", "down", "quit"
#include <arpa/inet.h>
#include <fcntl.h>
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
#include <string>
#include <vector>

namespace {

constexpr std::size_t kMessageMax = 64 * 1024;
constexpr std::size_t kUnsentMax = 1024 * 1024;  // a player who does not read for so long is gone

struct Scene {
  int socket, number;
  long messages = 0, ticks = 0, commands = 0;
  int x = 0, y = 0;
  bool over = false;
  std::string in{}, out{};
};

void send_message(Scene& scene, const std::string& text) {
  const std::string numbered = std::to_string(++scene.messages) + " " + text;
  const std::uint32_t length = htonl(static_cast<std::uint32_t>(numbered.size()));
  scene.out.append(reinterpret_cast<const char*>(&length), sizeof length);
  scene.out += numbered;
}

std::string place(const Scene& scene) {
  return " at " + std::to_string(scene.x) + "," + std::to_string(scene.y);
}

void obey(Scene& scene, const std::string& command) {
  ++scene.commands;
  if (command == "left") --scene.x;
  if (command == "right") ++scene.x;
  if (command == "up") ++scene.y;
  if (command == "down") --scene.y;
  send_message(scene, "did " + std::to_string(scene.commands) + " " + command + place(scene));
  if (command == "quit") scene.over = true;
}

/// False: the connection is over.
bool hear(Scene& scene) {
  char block[4096];
  const ssize_t got = recv(scene.socket, block, sizeof block, 0);
  if (got == 0) return false;
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  scene.in.append(block, static_cast<std::size_t>(got));
  for (;;) {
    std::uint32_t length;
    if (scene.in.size() < sizeof length) return true;
    std::memcpy(&length, scene.in.data(), sizeof length);
    length = ntohl(length);
    if (length > kMessageMax) return false;
    if (scene.in.size() < sizeof length + length) return true;
    obey(scene, scene.in.substr(sizeof length, length));
    scene.in.erase(0, sizeof length + length);
  }
}

bool speak(Scene& scene) {
  while (!scene.out.empty()) {
    const ssize_t sent = send(scene.socket, scene.out.data(), scene.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    scene.out.erase(0, static_cast<std::size_t>(sent));
  }
  return !scene.over;
}

int listen_on(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 1000) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("game_server: listen");
    std::exit(1);
  }
  std::printf("game_server listens on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

}  // namespace

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 7000;
  const int rate = argc > 2 ? std::max(1, std::atoi(argv[2])) : 20;
  signal(SIGPIPE, SIG_IGN);
  const int listener = listen_on(port);
  std::vector<Scene> scenes;
  int opened = 0;
  using Clock = std::chrono::steady_clock;
  const auto period = std::chrono::microseconds(1'000'000 / rate);
  auto next_tick = Clock::now() + period;
  for (;;) {
    std::vector<pollfd> wait{{listener, POLLIN, 0}};
    for (const Scene& scene : scenes) {
      const short events = scene.out.empty() ? POLLIN : POLLIN | POLLOUT;
      wait.push_back({scene.socket, events, 0});
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(next_tick - Clock::now()).count() + 1;
    poll(wait.data(), wait.size(), left > 0 ? static_cast<int>(left) : 0);

    for (std::size_t i = 0; i < scenes.size(); ++i) {
      if ((wait[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !hear(scenes[i]))
        scenes[i].over = true;
    }
    for (; Clock::now() >= next_tick; next_tick += period) {
      for (Scene& scene : scenes) {
        if (!scene.over) send_message(scene, "tick " + std::to_string(++scene.ticks) + place(scene));
      }
    }
    for (Scene& scene : scenes) {
      if (!speak(scene) || scene.out.size() > kUnsentMax) scene.over = true;
    }
    for (std::size_t i = scenes.size(); i-- > 0;) {
      if (!scenes[i].over) continue;
      std::printf("scene %d is over after %ld ticks and %ld commands%s\n", scenes[i].number, scenes[i].ticks,
                  scenes[i].commands, place(scenes[i]).c_str());
      std::fflush(stdout);
      close(scenes[i].socket);
      scenes.erase(scenes.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if ((wait[0].revents & POLLIN) != 0) {
      const int socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) scenes.push_back({socket, ++opened});
      if (socket >= 0) std::printf("scene %d begins\n", opened);
      std::fflush(stdout);
    }
  }
}
