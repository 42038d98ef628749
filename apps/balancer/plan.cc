#include "apps/balancer/plan.h"

namespace rejoin::balancer {
namespace {

route::SameSite same_site(config::SameSite from) {
  switch (from) {
    case config::SameSite::unset: break;
    case config::SameSite::lax: return route::SameSite::lax;
    case config::SameSite::strict: return route::SameSite::strict;
    case config::SameSite::none: return route::SameSite::none;
  }
  return route::SameSite::unset;
}

route::AffinityRule affinity_rule(const config::Affinity& from) {
  switch (from.kind) {
    case config::AffinityKind::cookie_insert: {
      const config::CookieInsert& cookie = from.insert;
      route::CookieInsertRule rule;
      rule.name = cookie.name;
      rule.max_idle = cookie.max_idle;
      rule.max_life = cookie.max_life;
      rule.domain = cookie.domain;
      rule.path = cookie.path;
      rule.same_site = same_site(cookie.same_site);
      rule.secure = cookie.secure;
      rule.http_only = cookie.http_only;
      rule.partitioned = cookie.partitioned;
      rule.hide = cookie.hide;
      return rule;
    }
    case config::AffinityKind::cookie_rewrite: return route::CookieRewriteRule{from.rewrite.name};
    case config::AffinityKind::cookie_prefix: return route::CookiePrefixRule{from.prefix.name};
    case config::AffinityKind::ticket:
      return route::TicketRule{from.ticket.cookie, from.ticket.owner_gone, from.ticket.come_again};
    case config::AffinityKind::source_ip: break;
  }
  route::SourceIpRule rule;
  rule.leases.grace = from.source_ip.grace;
  rule.leases.prefix = static_cast<unsigned>(from.source_ip.prefix);
  rule.leases.prefix_v6 = static_cast<unsigned>(from.source_ip.prefix_v6);
  return rule;
}

route::HealthRules health_rules(const config::Health& from) {
  route::HealthRules rules;
  switch (from.kind) {
    case config::HealthKind::off: rules.kind = route::HealthKind::off; break;
    case config::HealthKind::tcp: rules.kind = route::HealthKind::tcp; break;
    case config::HealthKind::http: rules.kind = route::HealthKind::http; break;
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

route::RouteRules route_rules(const config::Pool& from) {
  route::RouteRules rules;
  rules.name = from.name;
  for (const config::Server& server : from.servers) {
    rules.servers.push_back({server.name, server.address, static_cast<std::uint32_t>(server.weight)});
  }
  rules.scheduler = from.scheduler == config::Scheduler::least_connections
                        ? route::SchedulerKind::least_connections
                        : route::SchedulerKind::round_robin;
  for (const config::Affinity& affinity : from.affinity) rules.affinity.push_back(affinity_rule(affinity));
  rules.health = health_rules(from.health);
  rules.retries = static_cast<unsigned>(from.retries);
  return rules;
}

}  // namespace

Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random) {
  Plan plan{.pools = {}, .listeners = {}, .keys = std::move(keys)};
  for (const config::Pool& pool : config.pools) {
    auto shared = route::SharedRoute::make(route_rules(pool), random);
    if (!shared) return std::move(shared.error());
    plan.pools.push_back({std::move(*shared), pool.connect_timeout});
  }
  for (const config::Listener& listener : config.listeners) {
    std::size_t pool = 0;
    while (pool < config.pools.size() && config.pools[pool].name != listener.pool) ++pool;
    if (pool == config.pools.size()) {
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   "listener " + listener.name + ": there is no pool \"" + listener.pool + "\""};
    }
    plan.listeners.push_back({listener, pool});
  }
  return plan;
}

}  // namespace rejoin::balancer
