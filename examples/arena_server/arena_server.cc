#include "examples/arena_server/arena_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

namespace arena_server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTick{50};
constexpr double kWidth = 1000, kHeight = 600, kEdge = 24, kSpeed = 11, kReach = 30;
constexpr std::size_t kStars = 9, kPlayersMax = 256, kNameMax = 12;
constexpr std::size_t kMessageBytesMax = 1024, kUnsentBytesMax = 1024 * 1024;

struct Body {
  int id = 0, hue = 0, stars = 0;
  double x = 0, y = 0, dx = 0, dy = 0;
  std::string name;
};

struct Player {
  int door = 0;
  bool joined = false;
  Body body;
  long said = 0, orders = 0, bad = 0;
  std::string in, out;
};

struct Star {
  double x = 0, y = 0;
};

volatile sig_atomic_t stopping = 0;

class Arena {
 public:
  explicit Arena(const std::vector<int>& doors) : doors_(doors) {
    for (Star& star : stars_) drop(star);
    for (int i = 0; i < 3; ++i) {
      Body& wanderer = wanderers_[static_cast<std::size_t>(i)];
      wanderer.id = ++bodies_so_far_;
      wanderer.hue = 40 + 110 * i;
      wanderer.name = i == 0 ? "Finn" : i == 1 ? "Lotte" : "Kim";
      wanderer.x = 200 + 300 * i;
      wanderer.y = 150 + 150 * i;
    }
  }
  void run();

 private:
  void accept_at(int door);
  bool read_from(int fd, Player& player);
  void hear(Player& player, const std::string& message);
  void tick();
  void wander(Body& body);
  void move(Body& body);
  void drop(Star& star);
  std::string state_for(const Player& player) const;

  std::vector<int> doors_;
  std::map<int, Player> players_;
  std::array<Star, kStars> stars_;
  std::array<Body, 3> wanderers_;
  int bodies_so_far_ = 0;
  long ticks_ = 0;
  std::mt19937 random_{20261126};
};

void say(Player& player, const std::string& text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  const char head[4] = {static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                        static_cast<char>(length >> 8), static_cast<char>(length)};
  player.out.append(head, sizeof head);
  player.out += text;
}

bool write_to(int fd, Player& player) {
  while (!player.out.empty()) {
    const ssize_t sent = send(fd, player.out.data(), player.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return (errno == EAGAIN || errno == EINTR) && player.out.size() <= kUnsentBytesMax;
    player.out.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

void Arena::accept_at(int door) {
  const int listener = doors_[static_cast<std::size_t>(door)];
  for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    if (players_.size() >= kPlayersMax) {
      close(fd);
      continue;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    players_[fd].door = door;
  }
}

// False: the connection is over.
bool Arena::read_from(int fd, Player& player) {
  char bytes[4096];
  for (;;) {
    const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    player.in.append(bytes, static_cast<std::size_t>(got));
    while (player.in.size() >= 4) {
      const auto* head = reinterpret_cast<const unsigned char*>(player.in.data());
      const std::size_t length = static_cast<std::size_t>(head[0]) << 24 |
                                 static_cast<std::size_t>(head[1]) << 16 |
                                 static_cast<std::size_t>(head[2]) << 8 | head[3];
      if (length > kMessageBytesMax) return false;
      if (player.in.size() < 4 + length) break;
      hear(player, player.in.substr(4, length));
      player.in.erase(0, 4 + length);
    }
  }
}

void Arena::hear(Player& player, const std::string& message) {
  Body& body = player.body;
  if (!player.joined && message.compare(0, 5, "join ") == 0) {
    char* rest = nullptr;
    body.hue = static_cast<int>(std::strtol(message.c_str() + 5, &rest, 10) % 360 + 360) % 360;
    for (; *rest != '\0' && body.name.size() < kNameMax; ++rest) {
      if (std::isalnum(static_cast<unsigned char>(*rest)) != 0) body.name += *rest;
    }
    body.id = ++bodies_so_far_;
    body.x = std::uniform_real_distribution<>(kWidth / 4, kWidth * 3 / 4)(random_);
    body.y = std::uniform_real_distribution<>(kHeight / 4, kHeight * 3 / 4)(random_);
    player.joined = true;
    say(player, "{\"t\":\"hello\",\"you\":" + std::to_string(body.id) +
                    ",\"door\":" + std::to_string(player.door) + "}");
    return;
  }
  long number = 0;
  double dx = 0, dy = 0;
  if (!player.joined || std::sscanf(message.c_str(), "go %ld %lf %lf", &number, &dx, &dy) != 3) return;
  if (number != player.orders + 1) ++player.bad;
  player.orders = number;
  if (!std::isfinite(dx) || !std::isfinite(dy)) return;
  const double length = std::max(1.0, std::hypot(dx, dy));
  body.dx = dx / length;
  body.dy = dy / length;
}

void Arena::drop(Star& star) {
  star.x = std::uniform_real_distribution<>(60, kWidth - 60)(random_);
  star.y = std::uniform_real_distribution<>(60, kHeight - 60)(random_);
}

// To the nearest star, not in a straight line.
void Arena::wander(Body& body) {
  const Star* nearest = stars_.data();
  const auto distance = [&](const Star& star) { return std::hypot(star.x - body.x, star.y - body.y); };
  for (const Star& star : stars_) {
    if (distance(star) < distance(*nearest)) nearest = &star;
  }
  const double sway = std::sin(static_cast<double>(ticks_) / 14.0 + body.id) * 0.9;
  const double towards = std::atan2(nearest->y - body.y, nearest->x - body.x) + sway;
  body.dx = std::cos(towards) * 0.45;
  body.dy = std::sin(towards) * 0.45;
}

void Arena::move(Body& body) {
  body.x = std::clamp(body.x + body.dx * kSpeed, kEdge, kWidth - kEdge);
  body.y = std::clamp(body.y + body.dy * kSpeed, kEdge, kHeight - kEdge);
  for (Star& star : stars_) {
    if (std::hypot(star.x - body.x, star.y - body.y) > kReach) continue;
    ++body.stars;
    drop(star);
  }
}

std::string Arena::state_for(const Player& player) const {
  std::string out = "{\"t\":\"state\",\"n\":" + std::to_string(player.said) +
                    ",\"go\":" + std::to_string(player.orders) + ",\"bad\":" + std::to_string(player.bad) +
                    ",\"p\":[";
  const auto add = [&out](const Body& body) {
    if (out.back() != '[') out += ',';
    out += '[' + std::to_string(body.id) + ',' + std::to_string(std::lround(body.x)) + ',' +
           std::to_string(std::lround(body.y)) + ',' + std::to_string(body.hue) + ',' +
           std::to_string(body.stars) + ",\"" + body.name + "\"]";
  };
  for (const Body& wanderer : wanderers_) add(wanderer);
  for (const auto& [fd, other] : players_) {
    if (other.joined) add(other.body);
  }
  out += "],\"s\":[";
  for (const Star& star : stars_) {
    if (out.back() != '[') out += ',';
    out += '[' + std::to_string(std::lround(star.x)) + ',' + std::to_string(std::lround(star.y)) + ']';
  }
  return out + "]}";
}

void Arena::tick() {
  ++ticks_;
  for (Body& wanderer : wanderers_) {
    wander(wanderer);
    move(wanderer);
  }
  for (auto& [fd, player] : players_) {
    if (player.joined) move(player.body);
  }
  for (auto& [fd, player] : players_) {
    if (!player.joined) continue;
    ++player.said;
    say(player, state_for(player));
  }
}

void Arena::run() {
  Clock::time_point next = Clock::now() + kTick;
  while (stopping == 0) {
    std::vector<pollfd> polled;
    for (const int door : doors_) polled.push_back({door, POLLIN, 0});
    for (auto& [fd, player] : players_) {
      polled.push_back({fd, static_cast<short>(POLLIN | (player.out.empty() ? 0 : POLLOUT)), 0});
    }
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count() + 1;
    poll(polled.data(), polled.size(), static_cast<int>(std::max<long>(wait, 0)));
    for (std::size_t door = 0; door < doors_.size(); ++door) accept_at(static_cast<int>(door));
    std::vector<int> gone;
    for (auto& [fd, player] : players_) {
      if (!read_from(fd, player)) gone.push_back(fd);
    }
    for (; next <= Clock::now(); next += kTick) tick();
    for (auto& [fd, player] : players_) {
      if (!write_to(fd, player)) gone.push_back(fd);
    }
    for (const int fd : gone) {
      if (players_.erase(fd) == 0) continue;
      close(fd);
    }
  }
  for (auto& [fd, player] : players_) close(fd);
}

int open_door(const Door& door) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(door.port));
  if (inet_pton(AF_INET, door.ip.c_str(), &at.sin_addr) != 1 ||
      bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(fd, 128) != 0) {
    std::fprintf(stderr, "cannot listen on %s:%d: %s\n", door.ip.c_str(), door.port, std::strerror(errno));
    return -1;
  }
  socklen_t length = sizeof at;
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &length);
  std::fprintf(stderr, "listening on %s:%d\n", door.ip.c_str(), ntohs(at.sin_port));
  return fd;
}

}  // namespace

int serve(const std::vector<Door>& doors) {
  struct sigaction end {};
  end.sa_handler = [](int) { stopping = 1; };
  sigaction(SIGTERM, &end, nullptr);
  sigaction(SIGINT, &end, nullptr);
  std::vector<int> listeners;
  for (const Door& door : doors) {
    listeners.push_back(open_door(door));
    if (listeners.back() < 0) return 1;
  }
  std::fprintf(stderr, "ready\n");
  Arena(listeners).run();
  for (const int listener : listeners) close(listener);
  return 0;
}

}  // namespace arena_server
