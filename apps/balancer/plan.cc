#include "apps/balancer/plan.h"

#include <algorithm>

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

upstream::CareRules care_rules(const config::Config& config, const config::Listener& from, Random& random) {
  upstream::CareRules rules;
  rules.bytes_from_client = from.rate.from_client;
  rules.bytes_to_client = from.rate.to_client;
  rules.client_timeout = from.client_timeout;
  rules.server_timeout = from.server_timeout;
  rules.half_closed_timeout = from.half_closed_timeout;
  rules.write_timeout = from.write_timeout;
  rules.ping = from.websocket.ping;
  rules.pong_timeout = from.websocket.pong_timeout;
  rules.message_max = from.websocket.message_max;
  rules.frame_max = from.websocket.frame_max;
  rules.frames_per_second = static_cast<std::uint32_t>(from.websocket.messages);
  rules.closes_at_drain = config.balancer.drain.per_second != 0;
  random.fill(rules.token);
  return rules;
}

/// The gate of the same door in the plan before, if it asks the same: those who are inside still count.
std::shared_ptr<serve::Gate> gate_before(const Plan* before, const ListenerPlan& listener) {
  if (before == nullptr) return nullptr;
  for (const ListenerPlan& old : before->listeners) {
    if (old.same_door(listener) && old.rules.edge == listener.rules.edge &&
        old.rules.trusted == listener.rules.trusted)
      return old.gate;
  }
  return nullptr;
}

Result<std::size_t> index_of_pool(const config::Config& config, const config::Listener& listener,
                                  const std::string& name) {
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    if (config.pools[i].name == name) return i;
  }
  return Error{ErrorKind::config, Side::ours, Retry::no,
               "listener " + listener.name + ": there is no pool \"" + name + "\""};
}

std::shared_ptr<const PoolPlan> pool_called(const Plan& plan, const std::string& name) {
  for (const auto& pool : plan.pools) {
    if (pool->rules.name == name) return pool;
  }
  return nullptr;
}

/// What a listener that says the same of its TLS has already, so that its clients' rules did not change.
config::TlsInUse tls_of_before(const Plan& before, const config::Listener& listener) {
  for (const ListenerPlan& old : before.listeners) {
    if (old.rules.name == listener.name && old.rules.tls == listener.tls) return old.tls;
  }
  return nullptr;
}

bool same_keys(const Plan& a, const Plan& b) {
  return std::equal(a.keys.keys().begin(), a.keys.keys().end(), b.keys.keys().begin(), b.keys.keys().end(),
                    [](const route::Key& x, const route::Key& y) { return x.bytes() == y.bytes(); });
}

}  // namespace

Result<std::shared_ptr<const Plan>> make_plan(const config::Config& config, route::KeyRing keys,
                                              Random& random, const Plan* before) {
  Plan plan{.config = config, .pools = {}, .listeners = {}, .keys = std::move(keys)};
  const bool same_tickets = before != nullptr && before->config.tls == config.tls && same_keys(*before, plan);
  plan.tickets = same_tickets ? before->tickets : config::make_ticket_keys(config.tls, plan.keys, random);
  for (const config::Pool& pool : config.pools) {
    const std::shared_ptr<const PoolPlan> old = before ? pool_called(*before, pool.name) : nullptr;
    if (old && old->rules == pool) {
      plan.pools.push_back(old);
      continue;
    }
    auto shared = route::SharedRoute::make(rules_of(pool), random, old ? old->route.get() : nullptr);
    if (!shared) return std::move(shared.error());
    const bool close_on_down = pool.health.on_down == config::OnDown::close;
    PoolPlan made{pool, std::move(*shared), pool.connect_timeout, close_on_down, retry_on(pool.retry)};
    const bool same_tls = old && old->rules.tls == pool.tls && old->rules.health.kind == pool.health.kind;
    made.tls = same_tls ? old->tls : config::tls_in_use(pool.tls);
    made.probes = same_tls ? old->probes : made.tls;
    if (!made.probes && pool.health.kind == config::HealthKind::tls)
      made.probes = std::make_shared<io::TlsContextInUse>(nullptr);
    plan.pools.push_back(std::make_shared<const PoolPlan>(std::move(made)));
  }
  const bool tells_certificates =
      std::any_of(config.listeners.begin(), config.listeners.end(), [](const config::Listener& it) {
        return it.tls && it.tls->client_certificate != config::ClientCertificate::off;
      });
  for (const config::Listener& listener : config.listeners) {
    ListenerPlan made;
    made.rules = listener;
    const bool named = !listener.pool.empty() || listener.sni.empty();
    if (named) {
      const auto pool = index_of_pool(config, listener, listener.pool);
      if (!pool) return pool.error();
      made.pool = *pool;
    }
    auto http = make_http_plan(config, listener);
    if (!http) return std::move(http.error());
    made.http = std::make_shared<const HttpPlan>(std::move(*http));
    for (const config::SniRule& rule : listener.sni) {
      const auto pool = index_of_pool(config, listener, rule.pool);
      if (!pool) return pool.error();
      made.by_name.add(rule.name, *pool);
    }
    made.care = care_rules(config, listener, random);
    made.gate = gate_before(before, made);
    if (!made.gate) {
      Result<std::shared_ptr<serve::Gate>> gate = serve::Gate::make(listener.edge, listener.trusted, random);
      if (!gate) return std::move(gate.error());
      made.gate = std::move(*gate);
    }
    if (before != nullptr) made.tls = tls_of_before(*before, listener);
    if (!made.tls) made.tls = config::tls_in_use(listener.tls);
    made.tells_certificates = tells_certificates;
    plan.listeners.push_back(std::move(made));
  }
  return std::make_shared<const Plan>(std::move(plan));
}

void take_effect(const Plan& plan, const Plan& before) {
  for (const auto& pool : plan.pools) {
    const auto old = pool_called(before, pool->rules.name);
    if (old && old != pool) pool->route->pool->take_effect();
  }
}

void use_tls(const Plan& plan, const config::TlsContexts& contexts) {
  for (std::size_t i = 0; i < plan.listeners.size(); ++i)
    config::use(plan.listeners[i].tls, contexts.listeners[i]);
  for (std::size_t i = 0; i < plan.pools.size(); ++i) {
    config::use(plan.pools[i]->tls, contexts.pools[i]);
    config::use(plan.pools[i]->probes, contexts.probes[i]);
  }
}

bool wants_certificates(const Plan& plan) {
  const auto waits = [](const config::TlsInUse& it) { return it && !it->get(); };
  return std::any_of(plan.listeners.begin(), plan.listeners.end(),
                     [&](const ListenerPlan& it) { return waits(it.tls); }) ||
         std::any_of(plan.pools.begin(), plan.pools.end(),
                     [&](const auto& it) { return waits(it->tls) || waits(it->probes); });
}

}  // namespace rejoin::balancer
