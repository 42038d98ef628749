#include "route/pool.h"

#include <algorithm>
#include <cassert>
#include <unordered_set>
#include <utility>

namespace rejoin::route {
namespace {

constexpr std::uint32_t kMaxConnectionsMax = 10'000'000;

Error config_error(std::string detail) {
  return {ErrorKind::config, Side::ours, Retry::no, std::move(detail)};
}

}  // namespace

Status check_servers(const std::vector<Server>& servers) {
  if (servers.empty()) return config_error("a pool needs a server");
  if (servers.size() > limits::kServersPerPoolMax) {
    return config_error("a pool has at most " + std::to_string(limits::kServersPerPoolMax) + " servers");
  }
  std::unordered_set<std::string_view> names;
  for (const Server& server : servers) {
    if (server.name.empty() || server.name.size() > limits::kServerNameBytesMax) {
      return config_error("server \"" + server.name + "\": a name has 1 to " +
                          std::to_string(limits::kServerNameBytesMax) + " bytes");
    }
    if (!names.insert(server.name).second)
      return config_error("two servers are called \"" + server.name + "\"");
    if (!server.address || server.address.port == 0) {
      return config_error("server \"" + server.name + "\" needs an address with a port");
    }
    if (server.max_connections > kMaxConnectionsMax) {
      return config_error("server \"" + server.name + "\": max_connections must be 0 to " +
                          std::to_string(kMaxConnectionsMax));
    }
    if (server.weight > limits::kWeightMax) {
      return config_error("server \"" + server.name + "\": weight must be 0 to " +
                          std::to_string(limits::kWeightMax));
    }
  }
  return {};
}

std::string_view to_string(ServerOrder order) {
  switch (order) {
    case ServerOrder::ready: return "ready";
    case ServerOrder::drain: return "drain";
    case ServerOrder::maintenance: return "maintenance";
  }
  return "?";
}

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::open: return "open";
    case Standing::weight_0: return "weight_0";
    case Standing::draining: return "draining";
    case Standing::full: return "full";
    case Standing::drained: return "drained";
    case Standing::maintenance: return "maintenance";
    case Standing::out: return "out";
    case Standing::down: return "down";
  }
  return "?";
}

Result<std::unique_ptr<Pool>> Pool::make(std::string name, std::vector<Server> servers, HealthRules health,
                                         const Pool* before, Duration slow_start, NoServers empty) {
  if (Status checked = check_servers(servers); !checked && !(servers.empty() && empty == NoServers::allowed))
    return checked.error();
  if (Status checked = check_health(health); !checked) return checked.error();
  if (slow_start < 0s) return config_error("slow_start cannot be negative");
  auto life = before != nullptr ? before->life_ : std::make_shared<PoolLife>();
  std::unique_ptr<Pool> pool(
      new Pool(std::move(name), std::move(servers), std::move(health), slow_start, std::move(life)));
  if (before != nullptr) {
    pool->follow(*before);
  } else {
    pool->begin_anew();
  }
  for (std::size_t i = 0; i < pool->size(); ++i)
    pool->by_number_[pool->numbers_[i]] = static_cast<ServerIndex>(i);
  return pool;
}

Pool::Pool(std::string name, std::vector<Server> servers, HealthRules health, Duration slow_start,
           std::shared_ptr<PoolLife> life)
    : name_(std::move(name)),
      servers_(std::move(servers)),
      health_rules_(std::move(health)),
      life_(std::move(life)),
      slow_start_(slow_start) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    by_name_[servers_[i].name] = static_cast<ServerIndex>(i);
    states_.emplace_back(*new ServerState(name_ + '/' + servers_[i].name, life_));
    states_[i]->weight.store(servers_[i].weight, std::memory_order_relaxed);
    states_[i]->max_connections.store(servers_[i].max_connections, std::memory_order_relaxed);
    if (health_rules_.passive.failures != 0)
      failures_.push_back(std::make_unique<FailureWindow>(health_rules_.passive));
    has_backups_ |= servers_[i].backup;
  }
}

void Pool::begin_anew() {
  for (const ServerRef& server : states_) numbers_.push_back(server->number = next_number_++);
}

void Pool::follow(const Pool& before) {
  next_number_ = before.next_number_;
  new_health_ = health_rules_.kind != before.health_rules_.kind;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto there = before.index_of(servers_[i].name);
    numbers_.push_back(there ? before.number(*there) : next_number_++);
    states_[i]->number = numbers_[i];
    if (!there || before.server(*there).address != servers_[i].address) continue;
    states_[i] = before.states_[*there];
    if (before.server(*there) != servers_[i]) new_words_.push_back(static_cast<ServerIndex>(i));
  }
}

std::unique_ptr<Pool> Pool::alone(ServerIndex index) const {
  std::unique_ptr<Pool> pool(new Pool(name_, {servers_[index]}, health_rules_, slow_start_, life_));
  pool->states_[0] = states_[index];
  pool->numbers_.push_back(0);
  pool->by_number_[0] = 0;
  return pool;
}

void Pool::take_effect() {
  for (const ServerIndex index : new_words_) {
    state(index).max_connections.store(servers_[index].max_connections, std::memory_order_relaxed);
    set_weight(index, servers_[index].weight);
    set_order(index, ServerOrder::ready);
  }
  if (!new_health_) return;
  for (const ServerRef& server : states_) {
    server->health.store(HealthState{}, std::memory_order_relaxed);
    server->drains_until.store(0, std::memory_order_relaxed);
    server->out_until.store(0, std::memory_order_relaxed);
    if (server->share_percent.exchange(100, std::memory_order_relaxed) != 100) ++life_->weights_version;
    server->changed();
  }
}

Standing Pool::standing(ServerIndex index, TimePoint now) const {
  const ServerState& of = state(index);
  if (!health(index).up) return Standing::down;
  if (out(index, now)) return Standing::out;
  const ServerOrder says = order(index);
  if (says == ServerOrder::maintenance) return Standing::maintenance;
  const std::uint64_t drains_until = of.drains_until.load(std::memory_order_relaxed);
  if (drains_until != 0 && drains_until <= monotonic_ms(now)) return Standing::drained;
  if (full(index)) return Standing::full;
  if (drains_until != 0 || says == ServerOrder::drain) return Standing::draining;
  return steady_weight(index) == 0 ? Standing::weight_0 : Standing::open;
}

bool Pool::would_take_new(ServerIndex index, TimePoint now) const {
  const Standing is = standing(index, now);
  return is == Standing::open || (is == Standing::full && !draining(index) &&
                                  order(index) == ServerOrder::ready && steady_weight(index) != 0);
}

Pool::Taking Pool::taking(ServerIndex index, TimePoint now) const {
  Taking out;
  const Standing is = standing(index, now);
  if (is == Standing::open) {
    out.weight = present_weight(index, now);
    // The next of its hundred steps. A hundredth is what it has up to the second.
    const std::uint64_t ends = slow_start_ends_ms(index), ms = monotonic_ms(now);
    if (ms >= ends) return out;
    const auto whole = static_cast<std::uint64_t>(slow_start_ / 1ms);
    const std::uint64_t since = ends - whole;
    const std::uint64_t percent = ms > since ? std::max<std::uint64_t>(1, (ms - since) * 100 / whole) : 1;
    out.until_ms = std::min(ends, since + ((percent + 1) * whole + 99) / 100);
  } else if (is == Standing::out) {
    out.until_ms = state(index).out_until.load(std::memory_order_relaxed);
  } else {
    out.lacks_room = would_take_new(index, now);
  }
  return out;
}

/// When it has, or had, all of its weight; 0: it never came up, or there is no slow start.
std::uint64_t Pool::slow_start_ends_ms(ServerIndex index) const {
  const ServerState& of = state(index);
  // Who was out comes back as slowly as who was down.
  const std::uint64_t since =
      std::max(of.came_up.load(std::memory_order_relaxed), of.out_until.load(std::memory_order_relaxed));
  return since == 0 || slow_start_ == Duration(0) ? 0 : since + static_cast<std::uint64_t>(slow_start_ / 1ms);
}

std::uint64_t Pool::present_weight(ServerIndex index, TimePoint now) const {
  const std::uint64_t steady = steady_weight(index);
  const std::uint64_t ends = slow_start_ends_ms(index), ms = monotonic_ms(now);
  if (ms >= ends) return steady;
  const auto whole = static_cast<std::uint64_t>(slow_start_ / 1ms);
  const std::uint64_t since = ends - whole;
  const std::uint64_t percent = ms > since ? std::max<std::uint64_t>(1, (ms - since) * 100 / whole) : 1;
  return steady * percent / 100;
}

void Pool::set_weight(ServerIndex index, std::uint32_t weight) {
  assert(weight <= limits::kWeightMax);
  if (state(index).weight.exchange(weight, std::memory_order_relaxed) != weight) ++life_->weights_version;
  state(index).changed();
}

void Pool::set_share_percent(ServerIndex index, std::uint8_t percent) {
  assert(percent <= 100);
  if (state(index).share_percent.exchange(percent, std::memory_order_relaxed) == percent) return;
  ++life_->weights_version;
  state(index).changed();
}

std::optional<ServerIndex> Pool::index_of(std::string_view server_name) const {
  const auto found = by_name_.find(server_name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

std::optional<ServerIndex> Pool::index_of_number(ServerNumber number) const {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return std::nullopt;
  return found->second;
}

HealthChange Pool::observe(ServerIndex index, ProbeResult result, TimePoint now) {
  std::atomic<HealthState>& shared = state(index).health;
  HealthState seen = shared.load(std::memory_order_relaxed);
  while (true) {
    const HealthStep step = route::observe(health_rules_, seen, result, now);
    if (step.state == seen) return step.change;
    // Before clients can see it: its slow start begins with its first one.
    if (step.change == HealthChange::went_up)
      state(index).came_up.store(monotonic_ms(now), std::memory_order_relaxed);
    // Another worker may have been quicker: then its result came first, and ours is judged again behind it.
    if (!shared.compare_exchange_weak(seen, step.state, std::memory_order_relaxed)) continue;
    if (step.state.up != seen.up) state(index).changed();
    return step.change;
  }
}

bool Pool::mark_failure(ServerIndex index, TimePoint now) {
  if (failures_.empty() || out(index, now) || !failures_[index]->add(now)) return false;
  std::size_t left = 0;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto other = static_cast<ServerIndex>(i);
    left += other != index && up(other) && !out(other, now);
  }
  // When all of them fail it is not the server: then half of them shall at least try.
  if (2 * left < servers_.size()) return false;
  state(index).out_until.store(monotonic_ms(now + health_rules_.passive.out), std::memory_order_relaxed);
  state(index).changed();
  return true;
}

ServerHealth Pool::health_of(ServerIndex index, TimePoint now) const {
  const ServerState& of = state(index);
  ServerHealth out;
  out.state = of.health.load(std::memory_order_relaxed);
  out.drains_until = of.drains_until.load(std::memory_order_relaxed);
  out.came_up = of.came_up.load(std::memory_order_relaxed);
  out.out_until = of.out_until.load(std::memory_order_relaxed);
  out.share_percent = of.share_percent.load(std::memory_order_relaxed);
  if (!failures_.empty()) out.failures = failures_[index]->recent(now);
  return out;
}

void Pool::go_on_with(ServerIndex index, const ServerHealth& told) {
  ServerState& of = state(index);
  of.health.store(told.state, std::memory_order_relaxed);
  of.drains_until.store(told.drains_until, std::memory_order_relaxed);
  of.came_up.store(told.came_up, std::memory_order_relaxed);
  of.out_until.store(told.out_until, std::memory_order_relaxed);
  set_share_percent(index, told.share_percent);
  if (!failures_.empty()) failures_[index]->put_back(told.failures);
  of.changed();
}

ServerUse ServerUse::take(const Pool& pool, ServerIndex index) {
  const std::uint32_t max = pool.max_connections(index);
  if (max == 0) return ServerUse(pool, index);
  ServerUse use;
  ServerState& state = pool.state(index);
  std::uint32_t active = state.active.load(std::memory_order_relaxed);
  while (active < max) {
    if (!state.active.compare_exchange_weak(active, active + 1, std::memory_order_relaxed)) continue;
    state.count_changed(active + 1);
    use.server_ = ServerRef(state);
    break;
  }
  return use;
}

}  // namespace rejoin::route
