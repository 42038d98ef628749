#include "apps/demo/access_network.h"

#include <sys/signalfd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/log.h"
#include "base/random.h"
#include "io/epoll_loop.h"
#include "io/stream.h"
#include "proto/http_editor.h"
#include "proto/http_head.h"

namespace rejoin::demo {
namespace {

constexpr Duration kHeadTime = 10s, kDialTime = 3s, kSwallowTime = 120s, kAnswerTime = 10s;
constexpr std::string_view kOwnPaths = "/network/";

bool good_id(std::string_view id) {
  return !id.empty() && id.size() <= kPathIdBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

/// The value of `name` in the query of a target; empty: none.
std::string query_value(std::string_view target, std::string_view name) {
  const std::size_t mark = target.find('?');
  std::string_view rest = mark == target.npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return std::string(pair.substr(name.size() + 1));
  }
  return {};
}

}  // namespace

/// How one player reaches the world at present. Lives as long as the network: an address stays theirs.
struct AccessNetwork::Path {
  std::string id;
  unsigned number = 0, changes = 0;
  TimePoint frozen_until{};
  List<Carried> carried;

  /// 127.1.0.1, 127.1.0.2, ... for the first player, 127.1.1.1 for the next.
  std::string address() const {
    return "127." + std::to_string(1 + number / 250) + '.' + std::to_string(number % 250) + '.' +
           std::to_string(1 + changes % 250);
  }
};

/// One connection of a browser, and ours to the balancer.
struct AccessNetwork::Carried : ListNode {
  enum class Ends : std::uint8_t { browser, balancer, both };
  Carried(io::World& world, io::Socket socket, Stop& stop)
      : browser(world, std::move(socket), Side::client, stop), balancer(world, Side::server, stop) {}

  /// The path breaks: the coroutines that carry end, and break what is to be broken.
  void cut(Ends which) {
    broken = which;
    is_cut = true;
    leave();
    browser.interrupt();
    balancer.interrupt();
  }

  io::Stream browser, balancer;
  Path* path = nullptr;
  Buffer head;  // the first request's, and what came behind it
  std::string target;
  bool websocket = false, is_cut = false;
  Ends broken = Ends::both;
};

AccessNetwork::AccessNetwork(io::World& world, const Address& balancer)
    : world_(world), balancer_(balancer), connections_(world.ready) {}
AccessNetwork::~AccessNetwork() = default;

Status AccessNetwork::open(const Address& at) {
  io::ListenOptions options;
  options.reuse_port = false;
  auto listener = world_.network.listen(at, options, *this);
  if (!listener) return std::move(listener.error());
  listener_ = std::move(*listener);
  return {};
}

void AccessNetwork::close() {
  listener_.reset();
  stop_.request();
}

void AccessNetwork::on_accept(io::Socket socket, const Address&) {
  if (connections_.running() < kCarriedMax) connections_.spawn(carry(std::move(socket)));
}

// --- one connection ---

Task<void> AccessNetwork::carry(io::Socket socket) {
  Carried carried(world_, std::move(socket), stop_);
  const bool heard = co_await hear_head(carried);
  if (!heard) co_return;
  if (carried.target.starts_with(kOwnPaths)) {
    co_await answer(carried, carried.target);
    co_return;
  }
  co_await thaw(carried);
  io::ConnectOptions options;
  if (carried.path != nullptr) options.bind = *Address::parse_ip(carried.path->address());
  const TimePoint deadline = world_.clock.now() + kDialTime;
  Status open = co_await carried.balancer.connect(balancer_, options, deadline);
  if (!open || carried.is_cut) {
    carried.browser.socket().reset();
    co_return;
  }
  const Bytes head = carried.head.view();
  Status sent = co_await carried.balancer.write_all(head, deadline);
  carried.head.release();
  Scope upwards(world_.ready);
  if (sent) {
    upwards.spawn(pump(carried, carried.browser, carried.balancer));
    co_await pump(carried, carried.balancer, carried.browser);
    if (!carried.websocket) carried.browser.interrupt();  // its one answer is over
    co_await upwards.join();
  }
  if (!carried.is_cut) co_return;
  carried.browser.go_on();
  carried.balancer.go_on();
  if (carried.broken != Carried::Ends::balancer) carried.browser.socket().reset();
  if (carried.broken != Carried::Ends::browser) carried.balancer.socket().reset();
  // The other end knows of nothing: it is heard, and what it says is lost on the way.
  if (carried.broken == Carried::Ends::browser) co_await swallow(carried.balancer);
  if (carried.broken == Carried::Ends::balancer) co_await swallow(carried.browser);
}

/// Reads the first request. What has no player is told to end after one answer, so that each request is seen.
Task<bool> AccessNetwork::hear_head(Carried& carried) {
  carried.head = world_.buffers.borrow();
  const TimePoint deadline = world_.clock.now() + kHeadTime;
  proto::RequestHead request;
  for (;;) {
    Status more = co_await carried.browser.read_into(carried.head, deadline);
    if (!more) co_return false;
    const proto::HeadVerdict verdict = request.feed(carried.head.view());
    if (verdict.state == proto::HeadState::refused) co_return false;
    if (verdict.state == proto::HeadState::complete) break;
  }
  carried.target = request.path_and_query();
  carried.websocket = request.wants_websocket();
  const std::string id = query_value(carried.target, "p");
  if (carried.websocket && good_id(id)) {
    carried.path = path_of(id);
    if (carried.path == nullptr) co_return false;
    carried.path->carried.push_back(carried);
  }
  if (carried.websocket) co_return true;
  proto::HeadEdits edits(request);
  edits.drop_all(proto::KnownField::connection);
  edits.append("Connection", {"close"});
  Buffer edited = world_.buffers.borrow();
  const Status written = edits.write(edited);
  if (!written) co_return false;
  carried.head = std::move(edited);
  co_return true;
}

/// Moves bytes until either end is over, and tells the other.
Task<void> AccessNetwork::pump(Carried& carried, io::Stream& from, io::Stream& to) {
  Buffer moving = world_.buffers.borrow();
  for (;;) {
    Status got = co_await from.read_into(moving, kNever);
    if (carried.is_cut) co_return;
    if (!got && got.error().kind == ErrorKind::closed) {
      to.socket().shutdown_write();
      co_return;
    }
    if (!got) {
      if (got.error().kind != ErrorKind::cancelled) to.socket().reset();
      to.interrupt();
      co_return;
    }
    co_await thaw(carried);
    if (carried.is_cut) co_return;
    const Bytes bytes = moving.view();
    Status sent = co_await to.write_all(bytes, kNever);
    if (!sent) {
      from.interrupt();
      co_return;
    }
    moving.clear();
  }
}

Task<void> AccessNetwork::swallow(io::Stream& from) {
  Buffer lost = world_.buffers.borrow();
  const TimePoint deadline = world_.clock.now() + kSwallowTime;
  for (;;) {
    Status got = co_await from.read_into(lost, deadline);
    if (!got) co_return;
    lost.clear();
  }
}

Task<void> AccessNetwork::thaw(const Carried& carried) {
  while (carried.path != nullptr && !carried.is_cut && carried.path->frozen_until > world_.clock.now()) {
    const TimePoint until = std::min(carried.path->frozen_until, world_.clock.now() + Duration(100ms));
    const Woken woken = co_await io::sleep_until(world_, until, stop_);
    if (woken == Woken::stopped) co_return;
  }
}

// --- the network's own answers ---

Task<void> AccessNetwork::answer(Carried& carried, std::string target) {
  std::string_view rest = std::string_view(target).substr(kOwnPaths.size());
  rest = rest.substr(0, rest.find('?'));
  const std::string id(rest.substr(0, rest.find('/')));
  const std::string_view what = rest.size() > id.size() ? rest.substr(id.size() + 1) : "";
  Path* const path = good_id(id) ? path_of(id) : nullptr;
  const bool known = what.empty() || what == "cut" || what == "dead" || what == "address" || what == "freeze";
  std::string body, status = "200 OK";
  if (path == nullptr || !known) {
    status = "404 Not Found";
    body = R"({"error":"ask for /network/ID, or its /cut, /dead, /address or /freeze?ms=N"})";
  } else {
    long ms = 10'000;
    const std::string asked = query_value(target, "ms");
    std::from_chars(asked.data(), asked.data() + asked.size(), ms);
    command(*path, what, std::clamp<Duration>(std::chrono::milliseconds(ms), Duration(0), kFreezeMax));
    body = state_of(*path);
  }
  const std::string text = "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " +
                           std::to_string(body.size()) +
                           "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n" + body;
  const TimePoint deadline = world_.clock.now() + kAnswerTime;
  Status written = co_await carried.browser.write_all(text, deadline);
  if (written) co_await carried.browser.linger();
}

AccessNetwork::Path* AccessNetwork::path_of(const std::string& id) {
  const auto found = paths_.find(id);
  if (found != paths_.end()) return &found->second;
  if (paths_.size() == kPathsMax) {  // of somebody who has gone
    const auto old =
        std::find_if(paths_.begin(), paths_.end(), [](auto& it) { return it.second.carried.empty(); });
    if (old == paths_.end()) return nullptr;
    paths_.erase(old);
  }
  Path& path = paths_[id];
  path.id = id;
  path.number = paths_so_far_++;
  return &path;
}

void AccessNetwork::command(Path& path, std::string_view what, Duration freeze) {
  if (what == "freeze") path.frozen_until = world_.clock.now() + freeze;
  if (what == "address") ++path.changes;
  if (what != "cut" && what != "dead" && what != "address") return;
  const Carried::Ends ends = what == "cut"    ? Carried::Ends::both
                             : what == "dead" ? Carried::Ends::balancer
                                              : Carried::Ends::browser;
  while (!path.carried.empty()) path.carried.front().cut(ends);
}

std::string AccessNetwork::state_of(Path& path) const {
  std::size_t connections = 0;
  path.carried.for_each([&](Carried&) { ++connections; });
  const Duration frozen = std::max(Duration(0), path.frozen_until - world_.clock.now());
  return R"({"address":")" + path.address() + R"(","connections":)" + std::to_string(connections) +
         R"(,"frozen_ms":)" + std::to_string(frozen / 1ms) + "}";
}

// --- the process ---

int run_access_network(const Address& at, const Address& balancer) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const int told = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  const std::unique_ptr<Log> log = make_stderr_log("network", LogLevel::warn);
  SystemRandom random;
  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(*log);
  if (!loop) return 1;
  io::World world = (*loop)->world(random, *log);
  AccessNetwork network(world, balancer);
  const Status open = network.open(at);
  if (!open) {
    std::fprintf(stderr, "%s\n", open.error().detail.c_str());
    return 1;
  }
  std::fprintf(stderr, "listening on %s\nready\n", network.address().text().c_str());
  bool stopping = false;
  (*loop)->watch(told, [&] { stopping = true; });
  while (!stopping) (*loop)->turn(1s);
  (*loop)->unwatch(told);
  network.close();
  while (!network.idle()) (*loop)->turn(100ms);
  return 0;
}

}  // namespace rejoin::demo
