#include "apps/balancer/plan.h"

#include "apps/config/route_rules.h"

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

route::RouteRules rules_of(const config::Pool& from) {
  route::RouteRules rules = config::route_rules(from);
  for (const config::Affinity& affinity : from.affinity) rules.affinity.push_back(affinity_rule(affinity));
  return rules;
}

}  // namespace

Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random) {
  Plan plan{.pools = {}, .listeners = {}, .keys = std::move(keys)};
  plan.tickets = config::make_ticket_keys(config.tls, plan.keys, random);
  for (const config::Pool& pool : config.pools) {
    auto shared = route::SharedRoute::make(rules_of(pool), random);
    if (!shared) return std::move(shared.error());
    PoolPlan& made = plan.pools.emplace_back(PoolPlan{std::move(*shared), pool.connect_timeout});
    made.tls = config::tls_in_use(pool.tls);
    made.probes = made.tls;
    if (!made.tls && pool.health.kind == config::HealthKind::tls)
      made.probes = std::make_shared<io::TlsContextInUse>(nullptr);
  }
  for (const config::Listener& listener : config.listeners) {
    std::size_t pool = 0;
    while (pool < config.pools.size() && config.pools[pool].name != listener.pool) ++pool;
    if (pool == config.pools.size()) {
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   "listener " + listener.name + ": there is no pool \"" + listener.pool + "\""};
    }
    plan.listeners.push_back({listener, pool, config::tls_in_use(listener.tls)});
    const bool asks = listener.tls && listener.tls->client_certificate != config::ClientCertificate::off;
    plan.pools[pool].tells_certificates |= asks;
  }
  return plan;
}

void use_tls(const Plan& plan, const config::TlsContexts& contexts) {
  for (std::size_t i = 0; i < plan.listeners.size(); ++i)
    config::use(plan.listeners[i].tls, contexts.listeners[i]);
  for (std::size_t i = 0; i < plan.pools.size(); ++i) {
    config::use(plan.pools[i].tls, contexts.pools[i]);
    config::use(plan.pools[i].probes, contexts.probes[i]);
  }
}

void renew_certificates(const config::Config& config, const Plan& plan, Log& log) {
  const config::TlsReading read = config::load_tls(config, plan.tickets, SystemClock().unix_now());
  config::say_reading(read, log);
  if (read.ok()) use_tls(plan, read.contexts);
}

}  // namespace rejoin::balancer
