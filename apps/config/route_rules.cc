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
  rules.expect = from.expect;
  rules.every = from.every;
  rules.timeout = from.timeout;
  rules.rise = static_cast<std::uint16_t>(from.rise);
  rules.fall = static_cast<std::uint16_t>(from.fall);
  return rules;
}

}  // namespace

route::RouteRules route_rules(const Pool& pool) {
  route::RouteRules rules;
  rules.name = pool.name;
  for (const Server& server : pool.servers) {
    route::Server& it = rules.servers.emplace_back(
        route::Server{server.name, server.address, static_cast<std::uint32_t>(server.weight)});
    it.tls_name = server.tls_name.empty() && pool.tls ? pool.tls->name : server.tls_name;
  }
  rules.scheduler = pool.scheduler == Scheduler::least_connections ? route::SchedulerKind::least_connections
                                                                   : route::SchedulerKind::round_robin;
  rules.health = health_rules(pool.health);
  rules.retries = static_cast<unsigned>(pool.retries);
  return rules;
}

}  // namespace rejoin::config
