#include "tests/sim/session_arena.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <set>
#include <utility>

#include "apps/gateway/live_session.h"
#include "base/limits.h"

namespace rejoin::sim_test {
namespace {

constexpr std::uint16_t kGamePort = 7000;
/// From one look of the checkers to the next.
constexpr Duration kLookEvery = 20ms;

// Parsed once: thousands of arenas are made of it.
const config::Config& balancer_config() {
  static const config::Config config = [] {
    constexpr std::string_view kText = R"(
[keys]
seal = ["env:KEY"]
[[listener]]
name = "web"
listen = "10.0.0.1:80"
pool = "web"
[[listener]]
name = "raw"
listen = "10.0.0.1:82"
mode = "tcp"
pool = "raw"
[[listener]]
name = "stray-web"
listen = "10.0.0.1:84"
pool = "stray-web"
[[listener]]
name = "stray-raw"
listen = "10.0.0.1:86"
mode = "tcp"
pool = "stray-raw"
[[pool]]
name = "web"
affinity = [ { kind = "ticket", owner_gone = "600s", come_again = "300ms" }, { kind = "cookie-insert" } ]
health = { kind = "tcp", every = "1s", rise = 1 }
server = [ { name = "g1", address = "10.0.1.1:8000" }, { name = "g2", address = "10.0.1.2:8000" } ]
[[pool]]
name = "raw"
affinity = [ { kind = "ticket", owner_gone = "600s", come_again = "300ms" } ]
health = { kind = "tcp", every = "1s", rise = 1 }
server = [ { name = "g1", address = "10.0.1.1:8001" }, { name = "g2", address = "10.0.1.2:8001" } ]
[[pool]]
name = "stray-web"
health = { kind = "off" }
server = [ { name = "g1", address = "10.0.1.1:8000" }, { name = "g2", address = "10.0.1.2:8000" } ]
[[pool]]
name = "stray-raw"
health = { kind = "off" }
server = [ { name = "g1", address = "10.0.1.1:8001" }, { name = "g2", address = "10.0.1.2:8001" } ]
)";
    Result<config::Config> read = config::parse_config(kText, "balancer");
    if (!read) {
      std::fprintf(stderr, "%s\n", to_string(read.error()).c_str());
      std::abort();
    }
    return std::move(*read);
  }();
  return config;
}

Address at(const std::string& ip, std::uint16_t port) { return *Address::parse_ip(ip, port); }

std::string gateway_ip(std::size_t i) { return "10.0.1." + std::to_string(i + 1); }

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", to_string(result.error()).c_str());
  std::abort();
}

}  // namespace

void SessionArena::Seen::operator+=(const Seen& other) {
  resumes += other.resumes;
  sent_again += other.sent_again;
  replayed += other.replayed;
  duplicates += other.duplicates;
  relayed += other.relayed;
  replaced += other.replaced;
  logins += other.logins;
  lost += other.lost;
  messages += other.messages;
  come_again += other.come_again;
  expired += other.expired;
  overflowed += other.overflowed;
}

SessionArena::SessionArena(const SessionArenaOptions& options)
    : options_(options),
      sim_(options.seed, options.path),
      balancer_host_(sim_.add_host({.name = "balancer", .addresses = {"10.0.0.1"}})),
      game_host_(sim_.add_host({.name = "game", .addresses = {"10.0.3.1"}})),
      key_(route::generate_key(balancer_host_.world().random)) {
  if (std::getenv("REJOIN_TRACE") != nullptr) sim_.trace_to(&std::cerr);
  sim_.spare(game_host_);
  game_ = std::make_unique<GameServer>(game_host_, kGamePort, ledger_, options.game);
  for (std::size_t i = 0; i < 2; ++i) {
    gateways_[i].host = &sim_.add_host({.name = "g" + std::to_string(i + 1), .addresses = {gateway_ip(i)}});
    start_gateway(i);
  }
  if (options.balancer) start_balancer();
}

SessionArena::~SessionArena() {
  if (game_) (void)end();  // a test has failed: what it stands on goes in the right order all the same
}

void SessionArena::start_gateway(std::size_t i) {
  make_gateway(i);
  if (!gateways_[i].worker->open({})) std::abort();
}

void SessionArena::make_gateway(std::size_t i) {
  config::Config config;
  config.gateway.emplace();
  config::Gateway& rules = *config.gateway;
  rules.name = "g" + std::to_string(i + 1);
  config::GatewayListener websocket, tcp;
  websocket.listen = at(gateway_ip(i), 8000);
  tcp.listen = at(gateway_ip(i), 8001);
  tcp.kind = config::GatewayListenerKind::tcp;
  rules.listeners = {websocket, tcp};
  rules.upstream.kind = config::UpstreamKind::tcp;
  rules.upstream.address = at("10.0.3.1", kGamePort);
  rules.session.grace = options_.grace;
  rules.session.window_bytes = options_.window_bytes;
  rules.session.window_messages = options_.window_messages;
  rules.session.pause = options_.pause;
  rules.session.spread = 200ms;
  rules.upgrade = options_.upgrade;
  rules.heartbeat.ping = options_.ping;
  rules.heartbeat.dead = options_.dead;
  rules.advertise = {"ws://" + gateway_ip(i) + ":8000/", "tcp://" + gateway_ip(i) + ":8001"};
  if (options_.peers) {
    const std::size_t other = 1 - i;
    rules.peers = {
        {"g" + std::to_string(other + 1), at(gateway_ip(other), 8000), at(gateway_ip(other), 8001)}};
  }
  Gateway& one = gateways_[i];
  one.up_at = kNever;
  one.plan = std::make_unique<gateway::Plan>(
      must(gateway::make_plan(config, route::KeyRing(key_), one.host->world().random)));
  one.worker = std::make_unique<gateway::Worker>(one.host->world(), *one.plan);
}

void SessionArena::start_balancer() {
  balancer_plan_ =
      must(balancer::make_plan(balancer_config(), route::KeyRing(key_), balancer_host_.world().random));
  balancer_ = std::make_unique<balancer::Worker>(balancer_host_.world(), balancer_plan_, 0);
  if (!balancer_->open({})) std::abort();
}

std::string SessionArena::url(Way way) {
  switch (way) {
    case Way::web: return "ws://10.0.0.1:80/play";
    case Way::raw: return "tcp://10.0.0.1:82";
    case Way::stray_web: return "ws://10.0.0.1:84/play";
    case Way::stray_raw: return "tcp://10.0.0.1:86";
    case Way::direct_web: return "ws://10.0.1.1:8000/play";
    case Way::direct_raw: return "tcp://10.0.1.2:8001";
  }
  return "";
}

SessionPlayer& SessionArena::add_player(Way way, session::Advertised advertised) {
  SessionPlayerOptions options;
  options.url = url(way);
  options.advertised = advertised;
  return add_player(std::move(options));
}

SessionPlayer& SessionArena::add_player(SessionPlayerOptions options) {
  options.number = static_cast<int>(players_.size()) + 1;
  const std::string net = "10.1." + std::to_string(options.number) + ".";
  io::SimHost& host = sim_.add_host({.name = "phone" + std::to_string(options.number),
                                     .addresses = {net + "1"},
                                     .roam_to = {net + "2", net + "3"}});
  players_.push_back(std::make_unique<SessionPlayer>(host, ledger_, std::move(options)));
  return *players_.back();
}

int SessionArena::owner_of(SessionPlayer& player) {
  const std::string& ticket = player.driver().session().ticket();
  if (ticket.empty()) return -1;
  for (int i = 0; i < 2; ++i) {
    if (gateways_[i].worker == nullptr) continue;
    const route::OpenedTicket opened = gateways_[i].worker->sessions().open_ticket(ticket);
    if (opened.ok()) return opened.ticket.owner == "g1" ? 0 : 1;
  }
  return -1;
}

// --- gateways die and come back ---

void SessionArena::kill_gateway(std::size_t i, Duration down) {
  if (gateway_is_down(i)) return;
  for (auto& player : players_) {
    if (player->account() != nullptr && owner_of(*player) == static_cast<int>(i))
      player->account()->owner_gone = true;
  }
  gateways_[i].host->crash(io::Crash::killed);
  gateways_[i].worker->stop();
  gateways_[i].up_at = sim_.now() + down;
  killed_at_ = sim_.now();
}

// --- gateways are upgraded ---

template <typename Visit>
void SessionArena::each_worker(Visit visit) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (gateways_[i].worker != nullptr && !gateway_is_down(i)) visit(*gateways_[i].worker, i);
  }
  for (const auto& one : old_) {
    if (!one->killed) visit(*one->worker, one->gateway);
  }
}

SessionArena::Old* SessionArena::newest_old(std::size_t i) {
  for (auto at = old_.rbegin(); at != old_.rend(); ++at) {
    if ((*at)->gateway == i) return at->get();
  }
  return nullptr;
}

std::size_t SessionArena::old_processes(std::size_t i) const {
  return static_cast<std::size_t>(
      std::count_if(old_.begin(), old_.end(), [&](const auto& one) { return one->gateway == i; }));
}

bool SessionArena::upgrade_gateway(std::size_t i) {
  Gateway& present = gateways_[i];
  if (gateway_is_down(i) || present.worker == nullptr || !present.worker->may_hand_on()) return false;
  io::SimHost* host = nullptr;
  if (free_hosts_[i].empty()) {
    host = &sim_.add_host(
        {.name = "g" + std::to_string(i + 1) + "-" + std::to_string(++processes_), .beside = present.host});
  } else {
    host = free_hosts_[i].back();
    free_hosts_[i].pop_back();
  }
  auto old = std::make_unique<Old>();
  old->gateway = i;
  old->host = present.host;
  old->plan = std::move(present.plan);
  old->worker = std::move(present.worker);
  present.host = host;
  make_gateway(i);
  auto [ours, theirs] = sim_.pass_channel(*old->host, *host);
  present.worker->expect(std::move(theirs));
  old->worker->hand_on(std::move(ours));
  // The kernel lets both listen on one socket; here one follows the other at the same moment.
  old->worker->stop_accepting();
  if (!present.worker->open({})) std::abort();
  old_.push_back(std::move(old));
  return true;
}

// Players whose session dies with a process: it is in there, or on its way.
void SessionArena::lose_sessions_of(gateway::Worker& killed, bool and_those_between, std::size_t i) {
  for (auto& player : players_) {
    Account* const account = player->account();
    if (account == nullptr || owner_of(*player) != static_cast<int>(i)) continue;
    const route::OpenedTicket opened = killed.sessions().open_ticket(player->driver().session().ticket());
    bool somewhere = false;
    each_worker([&](gateway::Worker& worker, std::size_t) {
      somewhere = somewhere || worker.sessions().find(opened.ticket.session) != nullptr;
    });
    const bool here = killed.sessions().find(opened.ticket.session) != nullptr;
    if (here || (and_those_between && !somewhere)) account->owner_gone = true;
  }
}

bool SessionArena::kill_old(std::size_t i) {
  Old* const old = newest_old(i);
  if (old == nullptr || old->killed || gateway_is_down(i)) return false;
  lose_sessions_of(*old->worker, true, i);
  old->host->crash(io::Crash::killed);
  old->worker->stop();
  old->killed = true;
  killed_at_ = sim_.now();
  return true;
}

bool SessionArena::kill_next(std::size_t i) {
  Old* const old = newest_old(i);
  if (old == nullptr || old->killed || gateway_is_down(i) || !old->worker->moving_out()) return false;
  Gateway& next = gateways_[i];
  lose_sessions_of(*next.worker, true, i);
  next.host->crash(io::Crash::killed);
  next.worker->stop();
  killed_at_ = sim_.now();
  // The old one is the gateway again.
  auto dead = std::make_unique<Old>();
  dead->gateway = i;
  dead->host = std::exchange(next.host, old->host);
  dead->plan = std::exchange(next.plan, std::move(old->plan));
  dead->worker = std::exchange(next.worker, std::move(old->worker));
  dead->killed = true;
  std::erase_if(old_, [&](const auto& one) { return one.get() == old; });
  old_.insert(old_.begin(), std::move(dead));
  return true;
}

void SessionArena::look_after_old() {
  for (const auto& one : old_) {
    if (!one->killed && one->worker->over() && !one->worker->draining()) one->worker->drain();
    if ((!one->killed && !one->worker->over()) || !one->worker->idle()) continue;
    count(*one->worker);
    one->worker.reset();
    if (one->killed) one->host->restart();
    free_hosts_[one->gateway].push_back(one->host);
  }
  std::erase_if(old_, [](const auto& one) { return one->worker == nullptr; });
}

gateway::MoveCounts SessionArena::moves() const {
  gateway::MoveCounts out = moves_;
  const auto add = [&](const gateway::Worker& worker) {
    out.out += worker.moves().out;
    out.in += worker.moves().in;
    out.failed += worker.moves().failed;
    out.told += worker.moves().told;
    out.connections += worker.moves().connections;
  };
  for (const Gateway& one : gateways_) {
    if (one.worker != nullptr) add(*one.worker);
  }
  for (const auto& one : old_) add(*one->worker);
  return out;
}

void SessionArena::look_after_gateways() {
  look_after_old();
  for (std::size_t i = 0; i < 2; ++i) {
    Gateway& one = gateways_[i];
    if (one.worker != nullptr && one.up_at != kNever && one.worker->idle()) {
      count(*one.worker);
      one.worker.reset();
    }
    if (one.worker != nullptr || sim_.now() < one.up_at) continue;
    one.host->restart();
    start_gateway(i);
  }
}

// --- the checkers ---

void SessionArena::check_links() {
  std::set<route::SessionId> sessions, linked;
  each_worker([&](gateway::Worker& worker, std::size_t i) {
    worker.sessions().for_each([&](const gateway::LiveSession& session) {
      if (!sessions.insert(session.state().id()).second) ledger_.complain("a session lives in two gateways");
    });
    worker.for_each_link([&](const gateway::Link& link) {
      if (link.session() == nullptr) return;
      if (link.session()->link() != &link) ledger_.complain("a link serves a session that is not its own");
      if (!linked.insert(link.session()->state().id()).second) ledger_.complain("two links on one session");
    });
    check_bytes(worker, i);
  });
}

void SessionArena::check_bytes(gateway::Worker& worker, std::size_t i) {
  const std::string name = "g" + std::to_string(i + 1);
  const std::uint64_t window = options_.window_bytes;
  std::size_t links = 0;
  worker.for_each_link([&](const gateway::Link& link) {
    ++links;
    if (link.unsent() > limits::kLinkUnsentHighBytes + window + limits::kLinkFetchBytes)
      ledger_.complain(name + ": a link holds " + std::to_string(link.unsent()) + " bytes");
  });
  worker.sessions().for_each([&](const gateway::LiveSession& session) {
    const session::Session& state = session.state();
    if (state.window().held_bytes() > window ||
        state.window().held_messages() > static_cast<std::size_t>(options_.window_messages))
      ledger_.complain(name + ": more than the window is held");
    if (state.memory_bytes() > 4 * window + 8 * static_cast<std::size_t>(options_.window_messages))
      ledger_.complain(name + ": a window takes " + std::to_string(state.memory_bytes()) + " bytes");
    if (state.pending() > static_cast<std::uint64_t>(options_.window_messages))
      ledger_.complain(name + ": more than a window waits for the game server");
  });
  if (worker.sessions().size() > 8 * players_.size() + 8)
    ledger_.complain(name + ": " + std::to_string(worker.sessions().size()) + " sessions");
}

// Every end has a reason that the rules know.
void SessionArena::judge_ends() {
  std::uint64_t expired = 0;
  for (const auto& [name, account] : ledger_.accounts) {
    if (!account.over || account.closed) continue;
    const std::string what = name + " ended with " + std::to_string(account.end_code);
    // Until its WELCOME is answered a session lives ten seconds, of which WELCOME may have used up a dial's
    // time; no game server has heard of it. Else it was as any other.
    const Duration at_least = Duration(limits::kUnconfirmedS) - Duration(limits::kDialS);
    const bool unconfirmed = account.connection == 0 && account.ended - account.opened >= at_least;
    if (unconfirmed && (account.end_code == 4401 || account.end_code == 4410)) continue;
    switch (account.end_code) {
      case 4401: {
        // How a session ended is remembered for as long as it would have waited, and forgotten then.
        const bool forgotten = options_.grace < 10s && (account.game_gone || account.flooded);
        // Its WELCOME was under way when its gateway was killed.
        const Duration later = killed_at_ == kNever ? -1s : account.opened - killed_at_;
        const bool orphan = account.owner_gone || (later >= 0s && later < Duration(limits::kDialS));
        expired += orphan || forgotten ? 0 : 1;
        break;
      }
      case 4410: ++expired; break;
      case 4411:
        if (!account.game_gone) ledger_.complain(what + ", though its game server lived");
        break;
      case 4413:
        if (!account.flooded) ledger_.complain(what + ", and nobody flooded it");
        break;
      default: ledger_.complain(what); break;
    }
  }
  const Seen all = seen();
  if (expired > all.expired) {
    ledger_.complain(std::to_string(expired) + " sessions ended by themselves, and " +
                     std::to_string(all.expired) + " were expired");
  }
}

std::string SessionArena::wrong() {
  judge_ends();
  for (const auto& player : players_) {
    if (player->bad_frames() != 0) ledger_.complain("a client heard, or was told of, bad frames");
  }
  std::uint64_t bad = bad_frames_, over = over_limit_;
  for (const Gateway& one : gateways_) {
    if (one.worker == nullptr) continue;
    bad += one.worker->counts().bad_frames;
    over += one.worker->counts().over_limit;
  }
  for (const auto& one : old_) {
    bad += one->worker->counts().bad_frames;
    over += one->worker->counts().over_limit;
  }
  if (bad != 0) ledger_.complain("a gateway found " + std::to_string(bad) + " bad frames");
  if (over != 0) ledger_.complain("a gateway found " + std::to_string(over) + " links over a limit");
  std::string text = ledger_.text();
  if (!text.empty()) {
    for (std::size_t i = 0; i < players_.size(); ++i)
      text += "player " + std::to_string(i + 1) + ": " + players_[i]->story() + "\n";
    if (std::getenv("REJOIN_SIM_TELL") == nullptr) return text;
    for (const Gateway& one : gateways_) {
      for (const std::string& line : one.host->log_lines()) text += one.host->name() + ": " + line + "\n";
    }
    for (const auto& one : old_) {
      for (const std::string& line : one->host->log_lines()) text += one->host->name() + ": " + line + "\n";
    }
  }
  return text;
}

void SessionArena::count(gateway::Worker& worker) {
  const gateway::SessionCounts& counts = worker.sessions().counts();
  seen_.replayed += counts.replayed;
  seen_.relayed += counts.relayed;
  seen_.replaced += counts.replaced;
  seen_.expired += counts.expired;
  seen_.overflowed += counts.overflowed;
  bad_frames_ += worker.counts().bad_frames;
  over_limit_ += worker.counts().over_limit;
  moves_.out += worker.moves().out;
  moves_.in += worker.moves().in;
  moves_.failed += worker.moves().failed;
  moves_.told += worker.moves().told;
  moves_.connections += worker.moves().connections;
}

SessionArena::Seen SessionArena::seen() {
  Seen out = seen_;
  std::vector<const gateway::Worker*> workers;
  for (const Gateway& one : gateways_) {
    if (one.worker != nullptr) workers.push_back(one.worker.get());
  }
  for (const auto& one : old_) workers.push_back(one->worker.get());
  for (const gateway::Worker* const worker : workers) {
    const gateway::SessionCounts& counts = worker->sessions().counts();
    out.replayed += counts.replayed;
    out.relayed += counts.relayed;
    out.replaced += counts.replaced;
    out.expired += counts.expired;
    out.overflowed += counts.overflowed;
  }
  for (const auto& player : players_) {
    out.resumes += player->resumes();
    out.sent_again += player->sent_again();
    out.duplicates += player->duplicates();
    out.logins += player->logins();
  }
  for (const auto& [name, account] : ledger_.accounts) {
    out.messages += account.game_heard + account.player_heard;
    if (account.over && !account.closed) ++out.lost;
  }
  if (balancer_) out.come_again = balancer_->counts().come_again;
  return out;
}

// --- going on ---

void SessionArena::run_for(Duration time) {
  const TimePoint until = sim_.now() + time;
  (void)run_until([&] { return sim_.now() >= until; }, time);
}

bool SessionArena::run_until(const std::function<bool()>& done, Duration at_most) {
  const TimePoint until = sim_.now() + at_most;
  while (!done()) {
    if (sim_.now() >= until || !ledger_.wrong.empty()) return done();
    sim_.run_for(std::min(kLookEvery, until - sim_.now()));
    look_after_gateways();
    check_links();
  }
  return true;
}

bool SessionArena::settle(Duration at_most) {
  sim_.heal();
  game_->calm_down();
  for (auto& player : players_) {
    if (player->over()) player->come_back();
    player->network_changed(client::Driver::Change::doubt);
  }
  const bool settled = run_until(
      [this] {
        for (auto& player : players_) {
          if (player->over()) player->come_back();
        }
        return game_->has_said_all() && std::all_of(players_.begin(), players_.end(),
                                                    [](const auto& player) { return player->settled(); });
      },
      at_most);
  if (settled || !ledger_.wrong.empty()) return settled;
  for (const auto& player : players_) {
    if (player->settled()) continue;
    const Account* const account = player->account();
    std::string what = "it never settles: " + player->story();
    if (account != nullptr) {
      what += ": " + account->name + " said " + std::to_string(account->player_said) +
              ", heard by the game " + std::to_string(account->game_heard) + "; the game said " +
              std::to_string(account->game_said) + ", heard " + std::to_string(account->player_heard);
    }
    const client::Stats stats = player->driver().stats();
    what += "; dials " + std::to_string(stats.dials) + ", failed " + std::to_string(stats.failed_dials) +
            "; its gateway: g" + std::to_string(owner_of(*player) + 1);
    ledger_.complain(what);
  }
  if (!game_->has_said_all()) ledger_.complain("the game server cannot say all");
  return false;
}

std::string SessionArena::end() {
  for (auto& player : players_) {
    if (!player->over() && !player->leaving()) player->leave();
  }
  std::string wrong;
  const bool left = sim_.run_until(
      [this] {
        return std::all_of(players_.begin(), players_.end(),
                           [](const auto& player) { return player->over(); });
      },
      20s);
  if (!left) wrong += "a player cannot leave\n";
  sim_.run_for(4s);
  players_.clear();
  for (std::size_t i = 0; i < 2; ++i) {
    if (gateways_[i].worker == nullptr || gateway_is_down(i)) continue;
    gateways_[i].worker->drain();
  }
  look_after_old();
  for (const auto& one : old_) one->worker->drain();
  if (balancer_) balancer_->drain();
  sim_.run_for(4s);
  if (balancer_) balancer_->stop();
  for (Gateway& one : gateways_) {
    if (one.worker != nullptr) one.worker->stop();
  }
  for (const auto& one : old_) one->worker->stop();
  sim_.run_for(4s);
  if (balancer_ && !balancer_->idle()) wrong += "the balancer did not end\n";
  for (Gateway& one : gateways_) {
    if (one.worker != nullptr && !one.worker->idle()) wrong += "a gateway did not end\n";
  }
  for (const auto& one : old_) {
    if (!one->worker->idle()) wrong += "an old process of a gateway did not end\n";
  }
  if (game_->connections() != 0) wrong += "a game server's connection did not end\n";
  if (!wrong.empty()) return wrong;
  balancer_.reset();
  for (Gateway& one : gateways_) one.worker.reset();
  old_.clear();
  game_.reset();
  sim_.run_for(1s);
  return sim_.leftovers_text();
}

}  // namespace rejoin::sim_test
