#include "apps/demo/walker.h"

#include <sys/socket.h>

#include <cstdio>

#include "io/sockaddr.h"
#include "proto/url.h"

namespace rejoin::demo {
namespace {

constexpr auto kStep = 100ms;
constexpr int kDescriptorsMax = 1024;

}  // namespace

Walker::Walker()
    : log_(make_stderr_log("walker", LogLevel::off)),
      step_timer_([](void* self) { static_cast<Walker*>(self)->step(); }, this) {}

Walker::~Walker() {
  driver_.reset();
  step_timer_.cancel();
}

Result<std::unique_ptr<Walker>> Walker::make(const std::string& url, const Address& from,
                                             session::Advertised advertised) {
  std::unique_ptr<Walker> walker(new Walker());
  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(*walker->log_);
  if (!loop) return std::move(loop.error());
  walker->loop_ = std::move(*loop);
  walker->world_ = std::make_unique<io::World>(walker->loop_->world(walker->random_, *walker->log_));
  Result<proto::Url> parsed = proto::Url::parse(url);
  if (!parsed) return std::move(parsed.error());
  client::DriverOptions options;
  options.url = *parsed;
  options.identity = "walker";
  options.advertised = advertised;
  options.link.bind = from;
  auto driver = client::Driver::make(*walker->world_, nullptr, walker->names_, std::move(options), *walker);
  if (!driver) return std::move(driver.error());
  walker->driver_ = std::move(*driver);
  walker->driver_->start();
  return walker;
}

void Walker::on_message(Bytes message, bool) {
  int scene = 0, tick = 0, x = 0;
  const std::string text(message);
  if (std::sscanf(text.c_str(), "scene %d tick %d x %d", &scene, &tick, &x) != 3) {
    ++walk_.faults;
    return;
  }
  if (walk_.scene == 0) walk_.scene = scene;
  if (scene != walk_.scene) ++walk_.other_scenes;
  ++walk_.ticks;
  if (tick <= walk_.last_tick) {
    ++walk_.twice;
    return;
  }
  walk_.lost += tick - walk_.last_tick - 1;
  walk_.last_tick = tick;
  walk_.x = x;
}

void Walker::on_state(const client::State& state) {
  using Kind = client::State::Kind;
  if (state.kind == Kind::open) ++logins_;
  if (state.kind == Kind::resumed) ++resumes_;
  if (state.kind == Kind::open || state.kind == Kind::resumed) state_ = state;
  if (state.kind == Kind::reconnecting || state.kind == Kind::lost || state.kind == Kind::ended)
    trouble_ = state.reason;
}

void Walker::step() {
  if (!walking_) return;
  const std::string text = "step " + std::to_string(walk_.steps + 1);
  if (driver_->send(text, true) == client::Driver::Sent::taken) ++walk_.steps;
  driver_->flush();
  world_->timers.arm(step_timer_, world_->clock.now() + kStep);
}

template <typename Done>
bool Walker::turn_until(Done done, std::chrono::milliseconds at_most) {
  const TimePoint until = loop_->now() + at_most;
  while (!done()) {
    if (loop_->now() >= until) return false;
    loop_->turn(10ms);
  }
  return true;
}

void Walker::walk_for(std::chrono::milliseconds time) {
  walking_ = true;
  if (!step_timer_.armed()) step();
  turn_until([] { return false; }, time);
}

bool Walker::catch_up(std::chrono::milliseconds at_most) {
  walking_ = false;
  return turn_until([this] { return walk_.x == walk_.steps; }, at_most);
}

// Connections are taken from under the program (a TCP socket that is told to connect to nowhere sends a RST
// and has no peer any more), and dials leave from an address that no interface has.
void Walker::lose_network() {
  driver_->dial_from(*Address::parse_ip("192.0.2.1"));  // RFC 5737: for documentation only
  for (int descriptor = 3; descriptor < kDescriptorsMax; ++descriptor) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &length) != 0) continue;
    if (io::from_sockaddr(peer) != state_.peer) continue;
    const sockaddr nowhere{.sa_family = AF_UNSPEC, .sa_data = {}};
    (void)connect(descriptor, &nowhere, sizeof nowhere);
  }
}

void Walker::find_network(const Address& from) {
  driver_->dial_from(from);
  driver_->network_changed(client::Driver::Change::path_gone);  // as a phone's system tells its programs
}

bool Walker::wait_resumed(std::chrono::milliseconds at_most) {
  const int before = resumes_;
  return turn_until([this, before] { return resumes_ > before; }, at_most);
}

}  // namespace rejoin::demo
