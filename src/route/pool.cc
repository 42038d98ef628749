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

Result<std::unique_ptr<Pool>> Pool::make(std::string name, std::vector<Server> servers, HealthRules health) {
  if (Status checked = check_servers(servers); !checked) return checked.error();
  if (Status checked = check_health(health); !checked) return checked.error();
  return std::unique_ptr<Pool>(new Pool(std::move(name), std::move(servers), std::move(health)));
}

Pool::Pool(std::string name, std::vector<Server> servers, HealthRules health)
    : name_(std::move(name)),
      servers_(std::move(servers)),
      health_rules_(std::move(health)),
      states_(std::make_unique<ServerState[]>(servers_.size())) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    by_name_[servers_[i].name] = static_cast<ServerIndex>(i);
    states_[i].weight.store(servers_[i].weight, std::memory_order_relaxed);
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
