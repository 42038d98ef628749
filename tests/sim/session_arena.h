// The whole system in one thread: a balancer, two gateways, a game server that knows nothing of them, and
// players with client drivers, on a simulated network with faults from a seed.
//
// Tests make one, and either storm() through it or add players and do what they want; wrong() says what the
// checkers found, end() whether anything is left. Checkers: each message once and in order, both ways, or the
// session ended aloud and for a reason that the rules know; at most one live link on a session; a session in
// one gateway only; bytes bounded; no bad frames.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "apps/gateway/plan.h"
#include "apps/gateway/worker.h"
#include "io/sim_network.h"
#include "route/key_ring.h"
#include "tests/sim/game_server.h"
#include "tests/sim/ledger.h"
#include "tests/sim/session_player.h"

namespace rejoin::sim_test {

/// By which way a player comes. Through the balancer: by ticket and cookie (layer 7), by ticket in the first
/// frame (layer 4), or by listeners that know no affinity, so that the ticket of one gateway comes to the
/// other. Directly: to the one gateway or the other.
enum class Way : std::uint8_t { web, raw, stray_web, stray_raw, direct_web, direct_raw };
inline constexpr int kWays = 6;

struct SessionArenaOptions {
  std::uint64_t seed = 1;
  io::LinkOptions path{};
  Duration grace = 120s;
  Duration ping = 1500ms, dead = 4s;
  Duration pause = 2s;
  std::uint64_t window_bytes = 16 * 1024;
  int window_messages = 64;
  bool peers = true;
  bool balancer = true;
  config::Upgrade upgrade{400ms, 1s, 3s};
  GameManner game{};
};

class SessionArena {
 public:
  explicit SessionArena(const SessionArenaOptions& options);
  ~SessionArena();

  // --- the parts ---
  io::Simulation& sim() { return sim_; }
  io::SimHost& balancer_host() { return balancer_host_; }
  io::SimHost& gateway_host(std::size_t i) { return *gateways_[i].host; }
  gateway::Worker& gateway(std::size_t i) { return *gateways_[i].worker; }
  balancer::Worker& balancer() { return *balancer_; }
  GameServer& game() { return *game_; }
  Ledger& ledger() { return ledger_; }
  SessionPlayer& player(std::size_t i) { return *players_[i]; }
  std::size_t players() const { return players_.size(); }

  /// Not started.
  SessionPlayer& add_player(Way way, session::Advertised advertised = session::Advertised::no);
  /// The same, with all that can be chosen; "" as the url: by `way`.
  SessionPlayer& add_player(SessionPlayerOptions options);
  static std::string url(Way way);
  /// Which gateway has this player's session; -1: none.
  int owner_of(SessionPlayer& player);

  /// A gateway's process is killed, and begins anew after `down`.
  void kill_gateway(std::size_t i, Duration down);
  bool gateway_is_down(std::size_t i) const { return gateways_[i].up_at != kNever; }
  /// A gateway's next process begins beside the present one, which hands on to it. False: not now.
  bool upgrade_gateway(std::size_t i);
  /// While an upgrade is under way: the next process is killed, and the old one goes on; or the old one is,
  /// with what has not moved. False: there is none under way.
  bool kill_next(std::size_t i);
  bool kill_old(std::size_t i);
  /// Old processes of this gateway that are still there.
  std::size_t old_processes(std::size_t i) const;
  /// Sessions that have moved so far, and what else moves came to.
  gateway::MoveCounts moves() const;

  // --- going on ---
  /// Runs on, looking at all checkers every few milliseconds.
  void run_for(Duration time);
  bool run_until(const std::function<bool()>& done, Duration at_most = 60s);
  /// Heals everything; true when all that was said is delivered and acknowledged in time.
  bool settle(Duration at_most = 60s);

  /// What the checkers found, one line each; empty when all is well.
  std::string wrong();
  /// Ends players, balancer, gateways and game server, and says what any of them left behind.
  std::string end();

  /// What was seen, for tests that must not pass by nothing happening.
  struct Seen {
    std::uint64_t resumes = 0, sent_again = 0, replayed = 0, duplicates = 0, relayed = 0, replaced = 0;
    std::uint64_t logins = 0, lost = 0, messages = 0, come_again = 0, expired = 0, overflowed = 0;
    void operator+=(const Seen& other);
  };
  Seen seen();

 private:
  struct Gateway {
    io::SimHost* host = nullptr;
    std::unique_ptr<gateway::Plan> plan;
    std::unique_ptr<gateway::Worker> worker;
    TimePoint up_at = kNever;  // killed: when it begins anew
  };
  /// A process of a gateway that was upgraded.
  struct Old {
    std::size_t gateway = 0;
    io::SimHost* host = nullptr;
    std::unique_ptr<gateway::Plan> plan;
    std::unique_ptr<gateway::Worker> worker;
    bool killed = false;
  };
  void make_gateway(std::size_t i);
  void start_gateway(std::size_t i);
  void look_after_old();
  void lose_sessions_of(gateway::Worker& killed, bool and_those_between, std::size_t i);
  Old* newest_old(std::size_t i);
  template <typename Visit>
  void each_worker(Visit visit);
  void start_balancer();
  void look_after_gateways();
  void check_links();
  void check_bytes(gateway::Worker& worker, std::size_t i);
  void judge_ends();
  void count(gateway::Worker& worker);

  SessionArenaOptions options_;
  io::Simulation sim_;
  io::SimHost& balancer_host_;
  io::SimHost& game_host_;
  route::Key key_;
  Gateway gateways_[2];
  std::vector<std::unique_ptr<Old>> old_;    // the oldest first
  std::vector<io::SimHost*> free_hosts_[2];  // beside the gateway's first, for further processes
  std::size_t processes_ = 2;
  gateway::MoveCounts moves_;  // of workers that are gone
  std::shared_ptr<const balancer::Plan> balancer_plan_;
  std::unique_ptr<balancer::Worker> balancer_;
  Ledger ledger_;
  std::unique_ptr<GameServer> game_;
  std::vector<std::unique_ptr<SessionPlayer>> players_;
  TimePoint killed_at_ = kNever;  // the last gateway that was
  Seen seen_;                     // by gateways that are gone
  std::uint64_t bad_frames_ = 0, over_limit_ = 0;
};

}  // namespace rejoin::sim_test
