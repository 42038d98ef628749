#include "route/pool.h"

#include <cassert>
#include <unordered_set>
#include <utility>

namespace rejoin::route {
namespace {

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

Result<std::unique_ptr<Pool>> Pool::make(std::string name, std::vector<Server> servers, HealthRules health,
                                         const Pool* before) {
  if (Status checked = check_servers(servers); !checked) return checked.error();
  if (Status checked = check_health(health); !checked) return checked.error();
  std::unique_ptr<Pool> pool(new Pool(std::move(name), std::move(servers), std::move(health)));
  if (before != nullptr) {
    pool->follow(*before);
  } else {
    pool->begin_anew();
  }
  for (std::size_t i = 0; i < pool->size(); ++i)
    pool->by_number_[pool->numbers_[i]] = static_cast<ServerIndex>(i);
  return pool;
}

Pool::Pool(std::string name, std::vector<Server> servers, HealthRules health)
    : name_(std::move(name)), servers_(std::move(servers)), health_rules_(std::move(health)) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    by_name_[servers_[i].name] = static_cast<ServerIndex>(i);
    states_.emplace_back(*new ServerState(name_ + '/' + servers_[i].name));
    states_[i]->weight.store(servers_[i].weight, std::memory_order_relaxed);
  }
}

void Pool::begin_anew() {
  for (std::size_t i = 0; i < servers_.size(); ++i) numbers_.push_back(next_number_++);
}

void Pool::follow(const Pool& before) {
  next_number_ = before.next_number_;
  new_health_ = health_rules_.kind != before.health_rules_.kind;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto there = before.index_of(servers_[i].name);
    numbers_.push_back(there ? before.number(*there) : next_number_++);
    if (!there || before.server(*there).address != servers_[i].address) continue;
    states_[i] = before.states_[*there];
    if (before.server(*there) != servers_[i]) new_words_.push_back(static_cast<ServerIndex>(i));
  }
}

std::unique_ptr<Pool> Pool::alone(ServerIndex index) const {
  std::unique_ptr<Pool> pool(new Pool(name_, {servers_[index]}, health_rules_));
  pool->states_[0] = states_[index];
  pool->begin_anew();
  pool->by_number_[0] = 0;
  return pool;
}

void Pool::take_effect() {
  for (const ServerIndex index : new_words_) {
    set_weight(index, servers_[index].weight);
    set_order(index, ServerOrder::ready);
  }
  if (!new_health_) return;
  for (const ServerRef& server : states_) {
    server->health.store(HealthState{}, std::memory_order_relaxed);
    server->draining.store(false, std::memory_order_relaxed);
  }
}

void Pool::set_weight(ServerIndex index, std::uint32_t weight) {
  assert(weight <= limits::kWeightMax);
  state(index).weight.store(weight, std::memory_order_relaxed);
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
    // Another worker may have been quicker: then its result came first, and ours is judged again behind it.
    if (shared.compare_exchange_weak(seen, step.state, std::memory_order_relaxed)) return step.change;
  }
}

}  // namespace rejoin::route
