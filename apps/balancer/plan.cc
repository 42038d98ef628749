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
      rule.cross_site = cookie.cross_site;
      rule.strict = from.strict;
      return rule;
    }
    case config::AffinityKind::cookie_rewrite:
      return route::CookieRewriteRule{from.rewrite.name, from.strict};
    case config::AffinityKind::cookie_prefix: return route::CookiePrefixRule{from.prefix.name, from.strict};
    case config::AffinityKind::key: return route::KeyRule{config::key_place(from.key), from.strict};
    case config::AffinityKind::ticket:
      return route::TicketRule{from.ticket.cookie, from.ticket.owner_gone, from.ticket.come_again};
    case config::AffinityKind::source_ip: break;
  }
  route::SourceIpRule rule;
  rule.strict = from.strict;
  rule.leases.grace = from.source_ip.grace;
  rule.leases.prefix = static_cast<unsigned>(from.source_ip.prefix);
  rule.leases.prefix_v6 = static_cast<unsigned>(from.source_ip.prefix_v6);
  return rule;
}

RetryOn retry_on(const config::RetryRules& from) {
  RetryOn on{.connect = false, .reset = false, .timeout = false, .statuses = {}};
  for (const std::string& word : from.on) {
    on.connect |= word == "connect";
    on.reset |= word == "reset";
    on.timeout |= word == "timeout";
    if (word[0] >= '0' && word[0] <= '9') on.statuses.push_back(std::stoi(word));
  }
  return on;
}

route::RouteRules rules_of(const config::Pool& from) {
  route::RouteRules rules = config::route_rules(from);
  for (const config::Affinity& affinity : from.affinity) rules.affinity.push_back(affinity_rule(affinity));
  return rules;
}

std::shared_ptr<const PoolPlan> pool_called(const Plan& plan, const std::string& name) {
  for (const auto& pool : plan.pools) {
    if (pool->rules.name == name) return pool;
  }
  return nullptr;
}

}  // namespace

Result<std::shared_ptr<const Plan>> make_plan(const config::Config& config, route::KeyRing keys,
                                              Random& random, const Plan* before) {
  Plan plan{.config = config, .pools = {}, .listeners = {}, .keys = std::move(keys)};
  for (const config::Pool& pool : config.pools) {
    const std::shared_ptr<const PoolPlan> old = before ? pool_called(*before, pool.name) : nullptr;
    if (old && old->rules == pool) {
      plan.pools.push_back(old);
      continue;
    }
    auto shared = route::SharedRoute::make(rules_of(pool), random, old ? old->route.get() : nullptr);
    if (!shared) return std::move(shared.error());
    const bool close_on_down = pool.health.on_down == config::OnDown::close;
    plan.pools.push_back(std::make_shared<const PoolPlan>(
        PoolPlan{pool, std::move(*shared), pool.connect_timeout, close_on_down, retry_on(pool.retry)}));
  }
  for (const config::Listener& listener : config.listeners) {
    std::size_t pool = 0;
    while (pool < config.pools.size() && config.pools[pool].name != listener.pool) ++pool;
    if (pool == config.pools.size()) {
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   "listener " + listener.name + ": there is no pool \"" + listener.pool + "\""};
    }
    auto http = make_http_plan(config, listener);
    if (!http) return std::move(http.error());
    plan.listeners.push_back({listener, pool, std::make_shared<const HttpPlan>(std::move(*http))});
  }
  return std::make_shared<const Plan>(std::move(plan));
}

void take_effect(const Plan& plan, const Plan& before) {
  for (const auto& pool : plan.pools) {
    const auto old = pool_called(before, pool->rules.name);
    if (old && old != pool) pool->route->pool->take_effect();
  }
}

}  // namespace rejoin::balancer
