#include "apps/demo/scene.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "apps/demo/walker.h"

namespace rejoin::demo {
namespace {

const char* const kWifi = "127.0.0.5";
const char* const kAddresses[] = {"127.0.0.6", "127.0.0.7", "127.0.0.5"};  // 4G, another cell, Wi-Fi again
constexpr auto kStartTime = 10s;
constexpr auto kPatience = 10s;

/// The game server, as a process of its own.
class GameServer {
 public:
  explicit GameServer(Children& children) : children_(children) {}
  ~GameServer() {
    if (child_ != nullptr) children_.end(*child_, SIGTERM);
  }
  GameServer(const GameServer&) = delete;
  GameServer& operator=(const GameServer&) = delete;

  Status start() {
    Result<Child*> child = children_.start("game server", {"demo", "--game-server", "127.0.0.1:0"});
    if (!child) return std::move(child.error());
    child_ = *child;
    const Status ready =
        children_.wait([&] { return child_->ended() || child_->find("ready") != nullptr; }, kStartTime);
    const std::string* line = child_->find("listening on ");
    if (!ready || line == nullptr)
      return Error{ErrorKind::os, Side::ours, Retry::no, "the game server did not start"};
    address_ = line->substr(line->rfind(' ') + 1);
    return {};
  }
  const std::string& address() const { return address_; }
  /// Scenes that have ended so far.
  std::size_t ended_scenes() const {
    return static_cast<std::size_t>(
        std::count_if(child_->said().begin(), child_->said().end(),
                      [](const std::string& line) { return line.find(" ended at tick ") != line.npos; }));
  }

 private:
  Children& children_;
  Child* child_ = nullptr;
  std::string address_;
};

struct RoadWords {
  const char* title;
  const char* affinity;
};

RoadWords words_of(Road road) {
  switch (road) {
    case Road::ticket:
      return {"A SCENE GOES ON, BY TICKET: the client's ticket tells the balancer whose session it is",
              "{ kind = \"ticket\" }"};
    case Road::cookie:
      return {"A SCENE GOES ON, BY COOKIE: the balancer's own cookie brings the client to its gateway",
              "{ kind = \"cookie-insert\", name = \"REJOIN\" }"};
    case Road::direct: break;
  }
  return {
      "A SCENE GOES ON, BY DIRECT ADDRESS: the client dials the gateway that it was told of, without the "
      "balancer",
      "{ kind = \"cookie-insert\", name = \"REJOIN\" }"};
}

void tell_head() {
  std::printf("   %-10s  %-24s  %-6s  %-9s  %-8s  %-8s  %s\n", "from", "dialled", "trips", "ms", "missed",
              "unheard", "scene, tick, x");
}

void tell_link(const Walker& walker, int unheard) {
  const client::State& state = walker.state();
  const Walk& walk = walker.walk();
  std::printf("   %-10s  %-24s  %-6d  %-9.1f  %-8llu  %-8d  %d, %d, %d\n", state.local.ip_text().c_str(),
              state.peer.text().c_str(), state.round_trips, static_cast<double>(state.took.count()) / 1000.0,
              static_cast<unsigned long long>(state.to_come), unheard, walk.scene, walk.last_tick, walk.x);
  std::fflush(stdout);
}

Error no_way(const Walker& walker, const char* what) {
  return Error{ErrorKind::os, Side::ours, Retry::no, std::string(what) + ": " + walker.trouble()};
}

}  // namespace

Status play_scene_part(Children& children, const PrivateFolder& folder,
                       const std::array<Address, kGateways>& gateways, Road road, Narrator& narrator) {
  const RoadWords words = words_of(road);
  narrator.title(words.title);
  GameServer game(children);
  Status status = game.start();
  Stage stage(children, folder, gateways);
  if (status) status = stage.open({words.affinity, "http", "", game.address()});
  if (!status) return status;

  narrator.act("A player logs in and walks; the game server ticks 20 times a second");
  const auto advertised = road == Road::direct ? session::Advertised::yes : session::Advertised::no;
  auto made = Walker::make(stage.url(), *Address::parse_ip(kWifi), advertised);
  if (!made) return std::move(made.error());
  Walker& walker = **made;
  walker.walk_for(1s);
  if (walker.logins() != 1) return no_way(walker, "the player could not log in");
  tell_head();
  tell_link(walker, 0);

  // A dial that fails is followed by one to the next address that the client knows. For the direct one to be
  // seen at work, the other network is there at once.
  const std::chrono::milliseconds away = road == Road::direct ? 0ms : 300ms;
  narrator.act(road == Road::direct
                   ? "Its network is exchanged for one with another address, three times over"
                   : "Its network is gone for 300 ms and comes back with another address, three times over");
  tell_head();
  std::uint64_t missed = 0;
  int unheard = 0;
  bool one_trip = true, other_address = true;
  int direct = 0;
  for (const char* address : kAddresses) {
    const int said_before = walker.walk().steps;
    walker.lose_network();
    if (away > 0ms) walker.walk_for(away);  // it walks on, though nobody is there to hear it
    walker.find_network(*Address::parse_ip(address));
    if (!walker.wait_resumed(kPatience)) return no_way(walker, "the session did not go on");
    missed += walker.state().to_come;
    unheard += walker.walk().steps - said_before;
    tell_link(walker, walker.walk().steps - said_before);
    one_trip &= walker.state().round_trips == 1;
    other_address &= walker.state().local.ip_text() == address;
    direct += std::find(gateways.begin(), gateways.end(), walker.state().peer) != gateways.end() ? 1 : 0;
    walker.walk_for(500ms);
  }
  const bool caught_up = walker.catch_up(kPatience);
  const Walk& walk = walker.walk();
  narrator.claim(walker.logins() == 1 && walker.resumes() >= 3 && other_address,
                 "it came back from three addresses, and logged in once");
  if (away > 0ms)
    narrator.claim(missed > 0 && unheard > 0,
                   "what was said meanwhile came after all: " + std::to_string(missed) + " ticks, " +
                       std::to_string(unheard) + " steps");
  narrator.claim(one_trip, "each time it took one round trip after TCP's own");
  narrator.claim(walk.lost == 0 && walk.twice == 0 && walk.ticks == walk.last_tick,
                 std::to_string(walk.ticks) + " ticks of the game server: 0 lost, 0 twice");
  narrator.claim(
      caught_up && walk.faults == 0,
      std::to_string(walk.steps) + " steps of the player: 0 lost, 0 twice, x is " + std::to_string(walk.x));
  narrator.claim(walk.other_scenes == 0 && game.ended_scenes() == 0,
                 "it is the same scene, and the game server never noticed a thing");
  if (road == Road::direct) {
    // knows.
    narrator.claim(direct > 0,
                   "it dialled its gateway's own address, " + std::to_string(direct) + " times of 3");
  }
  return {};
}

}  // namespace rejoin::demo
