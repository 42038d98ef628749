#include "upstream/connector.h"

#include <algorithm>
#include <cassert>

#include "base/pack.h"
#include "upstream/prober.h"

namespace rejoin::upstream {
namespace {

constexpr std::size_t kKindBytes = 4;  // what save_kind() writes

}  // namespace

namespace {
constexpr Duration kTlsWarnEvery = 10s;  // of one Connector
}

Connector::Servers::Servers(route::SharedRoute& pool, Random& random, unsigned worker)
    : seal(route::KeyRing(route::generate_key(random)), random), router(pool, seal, worker) {}

Connector::Connector(io::World& world, const GameRules& rules, std::string name, route::SharedRoute* pool,
                     unsigned worker)
    : world_(world),
      rules_(rules),
      tls_(world, {}),
      echo_(std::move(name)),
      end_timer_([](void* self) { static_cast<Connector*>(self)->end_echoes(); }, this),
      probes_(world.ready) {
  assert((pool != nullptr) == (rules.kind != GameKind::echo && !rules.address));
  if (pool != nullptr) servers_.emplace(*pool, world.random, worker);
}

Connector::~Connector() = default;

GamePtr Connector::make(GameEvents& events) {
  switch (rules_.kind) {
    case GameKind::echo: break;
    case GameKind::tcp: return GamePtr(&tcp_.make(*this, events));
    case GameKind::ws: return GamePtr(&ws_.make(*this, events));
  }
  return GamePtr(&echoes_.make(*this, events));
}

// --- from another process ---

// What messages look like must be the same on both sides: with a length of other width the stream would be
// read wrongly from there on.
void Connector::save_kind(std::string& state) const {
  Packer pack(state);
  pack.u8(static_cast<std::uint8_t>(rules_.kind));
  pack.u8(static_cast<std::uint8_t>(rules_.length.length));
  pack.u8(static_cast<std::uint8_t>(rules_.length.endian));
  pack.u8(static_cast<std::uint8_t>(rules_.length.counts));
}

bool Connector::fits(Bytes state, bool has_socket) const {
  std::string kind;
  save_kind(kind);
  return state.starts_with(kind) && has_socket == (rules_.kind != GameKind::echo);
}

GamePtr Connector::adopt(GameEvents& events, Bytes state, io::Socket& socket) {
  if (!fits(state, static_cast<bool>(socket))) return nullptr;
  state.remove_prefix(kKindBytes);
  GamePtr made = make(events);
  bool arrived = false;
  switch (rules_.kind) {
    case GameKind::echo: arrived = static_cast<EchoConnection&>(*made).arrive(state); break;
    case GameKind::tcp:
    case GameKind::ws: arrived = static_cast<DialledConnection&>(*made).arrive(state, socket); break;
  }
  if (!arrived) made.reset();
  return made;
}

std::optional<route::ServerIndex> Connector::server_at(Bytes address) {
  if (!servers_ || address.empty()) return std::nullopt;
  const route::Pool& pool = servers_->router.pool();
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const auto index = static_cast<route::ServerIndex>(i);
    if (pool.server(index).address.text() == address) return index;
  }
  return std::nullopt;
}

std::size_t Connector::connections() const { return echoes_.live() + tcp_.live() + ws_.live(); }

void Connector::probe_servers(std::shared_ptr<io::TlsContextInUse> tls) {
  if (!servers_) return;
  route::Pool& pool = servers_->router.pool();
  const ProbeTls with{&tls_, std::move(tls)};
  for (std::size_t i = 0; i < pool.size(); ++i)
    probes_.spawn(probe_for_ever(world_, pool, static_cast<route::ServerIndex>(i), {}, stop_, with));
}

void Connector::stop() { stop_.request(); }

// --- servers ---

route::Choice Connector::choose(const Player& player) {
  if (!servers_) return {};
  return servers_->router.choose(
      {.client = player.client, .now = world_.clock.now(), .unix_now = world_.clock.unix_now()});
}

bool Connector::next_server(route::Choice& choice, const Error& why) {
  ++counts_.failed;
  const TimePoint now = world_.clock.now();
  if (rules_.tls && why.kind == ErrorKind::bad_input &&
      (tls_warned_ == TimePoint() || now >= tls_warned_ + kTlsWarnEvery)) {
    tls_warned_ = now;
    world_.log.warn("game server " + address_of(choice.server).text() +
                    " cannot be spoken to: " + to_string(why));
  }
  if (!choice.server) {
    world_.log.debug("game server " + rules_.address.text() + " did not take a player: " + to_string(why));
    return false;
  }
  route::Router& router = servers_->router;
  const std::string name = router.rules().name + "/" + router.pool().server(*choice.server).name;
  const route::HealthChange change = router.failed(choice, world_.clock.now());
  world_.log.debug("game server " + name + " did not take a player: " + to_string(why));
  if (change == route::HealthChange::went_down)
    world_.log.warn("server " + name + " is down: " + to_string(why));
  return choice.server.has_value();
}

Address Connector::address_of(std::optional<route::ServerIndex> server) {
  return server ? servers_->router.pool().server(*server).address : rules_.address;
}

route::ServerUse Connector::use(const route::Choice& choice) {
  if (!choice.server) return {};
  return {servers_->router.pool(), *choice.server};
}

Result<io::Socket> Connector::dial(const Address& to, std::optional<route::ServerIndex> server) {
  io::ConnectOptions options;
  if (!rules_.tls) return world_.network.connect(to, options);
  options.server_name = server ? servers_->router.pool().server(*server).tls_name : rules_.tls_name;
  tls_.use({.client = rules_.tls->get(), .server = nullptr});
  return tls_.connect(to, options);
}

// --- echoes that end ---

void Connector::end_soon(EchoConnection& echo, GameEvents& events) {
  ending_.emplace_back(&echo, &events);
  world_.timers.arm(end_timer_, world_.clock.now());
}

void Connector::forget(EchoConnection& echo) {
  const auto gone = std::erase_if(ending_, [&](const auto& one) { return one.first == &echo; });
  if (gone != 0) ended(GameEnd::stopped);
}

// One at a time: who is told may end others.
void Connector::end_echoes() {
  while (!ending_.empty()) {
    GameEvents* const events = ending_.front().second;
    ending_.erase(ending_.begin());
    ended(GameEnd::stopped);
    events->game_ended(GameEnd::stopped, {ErrorKind::cancelled, Side::ours, Retry::no, "finished"});
  }
}

}  // namespace rejoin::upstream
