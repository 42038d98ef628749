#include "apps/balancer/discovery.h"

#include <algorithm>
#include <set>

#include "base/limits.h"
#include "io/stream.h"

namespace rejoin::balancer {
namespace {

/// A name that is made of an address: "g-10.0.0.7", and for IPv6 "g-fd00__7", since ':' stands in no name.
std::string name_by_address(const std::string& prefix, const Address& address) {
  std::string out = prefix + '-' + address.ip_text();
  std::replace(out.begin(), out.end(), ':', '_');
  return out;
}

std::string with_port(std::string name, const Address& address) {
  return name + '-' + std::to_string(address.port);
}

/// The servers of one entry, each with a name that is its own.
std::vector<config::Server> servers_of(const config::Server& entry,
                                       const std::vector<upstream::FoundServer>& found) {
  std::map<std::string, int> hosts;  // how many addresses have this name
  const auto short_name = [&](const upstream::FoundServer& it) {
    return entry.name + '-' + it.host.substr(0, it.host.find('.'));
  };
  for (const upstream::FoundServer& it : found) ++hosts[short_name(it)];
  std::map<std::string, int> addresses;
  for (const upstream::FoundServer& it : found) ++addresses[it.address.ip_text()];
  std::vector<config::Server> out;
  for (const upstream::FoundServer& it : found) {
    config::Server server = entry;
    server.resolve.clear();
    server.port = 0;
    server.type = config::NameType::a;
    server.address = it.address;
    if (!it.host.empty() && hosts[short_name(it)] == 1) {
      server.name = short_name(it);
    } else {
      server.name = name_by_address(entry.name, it.address);
      if (addresses[it.address.ip_text()] > 1) server.name = with_port(server.name, it.address);
    }
    if (entry.type == config::NameType::srv && entry.weight != 0) server.weight = it.weight;
    server.backup |= it.backup;
    if (server.name.size() > limits::kServerNameBytesMax)
      server.name = with_port(name_by_address("a", it.address), it.address);
    out.push_back(std::move(server));
  }
  return out;
}

std::string text_of(const upstream::NameQuery& query) {
  const std::string_view kinds[] = {"A", "AAAA", "SRV"};
  return query.name + " (" + std::string(kinds[static_cast<std::size_t>(query.kind)]) + ')';
}

std::set<upstream::NameQuery> queries_of(const config::Config& config) {
  std::set<upstream::NameQuery> out;
  for (const config::Pool& pool : config.pools) {
    for (const config::Server& server : pool.servers) {
      if (!server.resolve.empty()) out.insert(query_of(server));
    }
  }
  return out;
}

}  // namespace

upstream::NameQuery query_of(const config::Server& server) {
  upstream::NameQuery out;
  out.name = server.resolve;
  out.port = static_cast<std::uint16_t>(server.port);
  switch (server.type) {
    case config::NameType::a: out.kind = upstream::NameKind::a; break;
    case config::NameType::aaaa: out.kind = upstream::NameKind::aaaa; break;
    case config::NameType::srv: out.kind = upstream::NameKind::srv; break;
  }
  return out;
}

config::Config with_known_names(const config::Config& file, const KnownNames& known) {
  config::Config out = file;
  for (config::Pool& pool : out.pools) {
    std::vector<config::Server> servers;
    std::set<std::string> names;
    for (const config::Server& server : pool.servers) names.insert(server.name);
    for (config::Server& server : pool.servers) {
      servers.push_back(server);
      const auto found = server.resolve.empty() ? known.end() : known.find(query_of(server));
      if (found == known.end()) continue;
      for (config::Server& one : servers_of(server, found->second)) {
        // Two entries may find the same address: it is one server of the pool, of the first entry.
        const bool there = std::any_of(servers.begin(), servers.end(), [&](const config::Server& it) {
          return it.resolve.empty() && it.address == one.address;
        });
        if (there || servers.size() >= limits::kServersPerPoolMax) continue;
        if (!names.insert(one.name).second) continue;
        servers.push_back(std::move(one));
      }
    }
    pool.servers = std::move(servers);
  }
  return out;
}

/// One name that is kept up to date.
struct Discovery::Watch {
  explicit Watch(upstream::NameQuery of) : query(std::move(of)) {}
  upstream::NameQuery query;
  Stop stop;
  Duration wait{};                       // until it is asked for again
  std::optional<TimePoint> empty_since;  // of answers without addresses
  bool failing = false;                  // said so already
  bool wanted = true;
  bool ended = false;
};

Discovery::Discovery(io::World& world, upstream::Names* names, Stop& stop, KnownNames known)
    : world_(world), names_(names), stop_(stop), known_(std::move(known)), tasks_(world.ready) {}

Discovery::~Discovery() = default;

void Discovery::stop() {
  for (auto& watch : watches_) watch->stop.request();
}

// --- the first time ---

Task<void> Discovery::learn(config::Config config) {
  if (names_ == nullptr) co_return;
  Scope questions(world_.ready);
  for (const upstream::NameQuery& query : queries_of(config)) {
    if (!known_.contains(query)) questions.spawn(ask_once(query, config.dns));
  }
  co_await questions.join();
}

Task<void> Discovery::ask_once(upstream::NameQuery query, config::Dns rules) {
  Result<upstream::NameAnswer> answer = co_await names_->look_up(query);
  if (!answer) {
    world_.log.warn("no answer yet: " + answer.error().detail);
    co_return;
  }
  known_[query] = std::move(answer->found);
  first_ttls_[query] = std::clamp(answer->ttl, rules.ttl_min, std::max(rules.ttl_min, rules.ttl_max));
}

// --- and from then on ---

void Discovery::follow(const config::Config& config, std::function<void()> changed) {
  rules_ = config.dns;
  changed_ = std::move(changed);
  std::erase_if(watches_, [](const auto& watch) { return watch->ended; });
  std::set<upstream::NameQuery> wanted = queries_of(config);
  for (auto& watch : watches_) {
    if (watch->stop.requested()) continue;
    if (wanted.erase(watch->query) == 0) {
      watch->stop.request();
      known_.erase(watch->query);
    }
  }
  for (const upstream::NameQuery& query : wanted) {
    if (names_ == nullptr) break;
    watches_.push_back(std::make_unique<Watch>(query));
    const auto first = first_ttls_.find(query);
    if (first != first_ttls_.end()) {
      watches_.back()->wait = first->second;
    } else {
      watches_.back()->wait = known_.contains(query) ? rules_.ttl_min : rules_.retry;
    }
    tasks_.spawn(keep(*watches_.back()));
  }
  first_ttls_.clear();
}

Task<void> Discovery::keep(Watch& watch) {
  for (;;) {
    // The watch's own stop ends the wait; look_up() has the program's, and ends by itself.
    const Woken woken = co_await io::sleep_until(world_, world_.clock.now() + watch.wait, watch.stop);
    if (woken == Woken::stopped || stop_.requested()) break;
    const Result<upstream::NameAnswer> answer = co_await names_->look_up(watch.query);
    if (watch.stop.requested() || stop_.requested()) break;
    settle(watch, answer);
  }
  watch.ended = true;
}

void Discovery::settle(Watch& watch, const Result<upstream::NameAnswer>& answer) {
  const TimePoint now = world_.clock.now();
  if (!answer) {
    watch.wait = rules_.retry;
    if (!watch.failing) world_.log.warn("no answer, the last good one stays: " + answer.error().detail);
    watch.failing = true;
    return;
  }
  watch.failing = false;
  watch.wait = std::clamp(answer->ttl, rules_.ttl_min, std::max(rules_.ttl_min, rules_.ttl_max));
  std::vector<upstream::FoundServer>& known = known_[watch.query];
  if (answer->found.empty() && !known.empty()) {
    watch.wait = rules_.retry;
    if (!watch.empty_since) {
      watch.empty_since = now;
      world_.log.warn("name " + text_of(watch.query) + " has no addresses; the last ones stay for a while");
    }
    watch.wait =
        std::min(watch.wait, std::max(rules_.keep_empty - (now - *watch.empty_since), Duration(1ms)));
    if (now - *watch.empty_since < rules_.keep_empty) return;
    world_.log.warn("name " + text_of(watch.query) + " still has no addresses: it has no servers now");
  }
  watch.empty_since.reset();
  if (known == answer->found) return;
  known = answer->found;
  changed_();
}

}  // namespace rejoin::balancer
