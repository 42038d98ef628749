#include "apps/config/route_rules.h"

namespace rejoin::config {
namespace {

route::HealthRules health_rules(const Health& from) {
  route::HealthRules rules;
  switch (from.kind) {
    case HealthKind::off: rules.kind = route::HealthKind::off; break;
    case HealthKind::tcp: rules.kind = route::HealthKind::tcp; break;
    case HealthKind::http: rules.kind = route::HealthKind::http; break;
    case HealthKind::tls: rules.kind = route::HealthKind::tls; break;
  }
  rules.path = from.path;
  rules.host = from.host;
  rules.expect.clear();
  for (const StatusRange& range : from.expect) rules.expect.push_back({range.first, range.last});
  rules.weight_field = from.weight_field;
  rules.drain_time = from.drain_time;
  rules.every = from.every;
  rules.timeout = from.timeout;
  rules.rise = static_cast<std::uint16_t>(from.rise);
  rules.fall = static_cast<std::uint16_t>(from.fall);
  if (from.passive) {
    rules.passive = {static_cast<std::uint16_t>(from.passive->failures), from.passive->within,
                     from.passive->out};
  }
  return rules;
}

route::SchedulerKind scheduler(Scheduler from) {
  switch (from) {
    case Scheduler::round_robin: break;
    case Scheduler::least_connections: return route::SchedulerKind::least_connections;
    case Scheduler::random_two: return route::SchedulerKind::random_two;
    case Scheduler::source_hash: return route::SchedulerKind::source_hash;
    case Scheduler::key_hash: return route::SchedulerKind::key_hash;
  }
  return route::SchedulerKind::round_robin;
}

}  // namespace

route::KeyPlace key_place(const RequestKey& from) {
  if (!from.query.empty()) return {route::KeyPlace::In::query, from.query};
  if (!from.cookie.empty()) return {route::KeyPlace::In::cookie, from.cookie};
  return {route::KeyPlace::In::header, from.header};
}

route::RouteRules route_rules(const Pool& pool) {
  route::RouteRules rules;
  rules.name = pool.name;
  for (const Server& server : pool.servers) {
    rules.may_be_empty |= !server.resolve.empty();
    if (!server.resolve.empty()) continue;
    route::Server& it = rules.servers.emplace_back(
        route::Server{server.name, server.address, static_cast<std::uint32_t>(server.weight), server.backup,
                      static_cast<std::uint32_t>(server.max_connections)});
    it.tls_name = server.tls_name.empty() && pool.tls ? pool.tls->name : server.tls_name;
  }
  rules.scheduler = scheduler(pool.scheduler);
  if (pool.hash_key) rules.hash_key = key_place(*pool.hash_key);
  rules.slow_start = pool.slow_start;
  rules.burst = pool.burst;
  rules.queue = {static_cast<std::size_t>(pool.queue.size), pool.queue.timeout};
  rules.unpin_field = pool.unpin_field;
  rules.health = health_rules(pool.health);
  rules.retries = static_cast<unsigned>(pool.retries);
  return rules;
}

}  // namespace rejoin::config
