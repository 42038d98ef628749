#include "route/affinity.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "route/affinity_ticket.h"
#include "route/cookie_insert.h"
#include "route/cookie_prefix.h"
#include "route/cookie_rewrite.h"
#include "route/key_affinity.h"
#include "route/source_ip.h"

namespace rejoin::route {
namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

Error config_error(std::string detail) {
  return {ErrorKind::config, Side::ours, Retry::no, std::move(detail)};
}

Status check_name(const std::string& name) {
  if (proto::is_cookie_name(name)) return {};
  return config_error("\"" + name + "\" cannot be a cookie's name: write letters, digits, '-' and '_'");
}

Status check_rule(const CookieInsertRule& rule) {
  if (Status named = check_name(rule.name); !named) return named;
  if (rule.max_idle < 0s || rule.max_life < 0s)
    return config_error("max_idle and max_life cannot be negative");
  proto::CookieSpec spec;
  spec.name = rule.name;
  spec.domain = rule.domain;
  spec.path = rule.path;
  spec.same_site = rule.same_site;
  spec.secure = rule.secure;
  spec.partitioned = rule.partitioned;
  if (Status checked = spec.check(); !checked) return config_error(checked.error().detail);
  if (rule.cross_site.empty()) return {};
  if (Status named = check_name(rule.cross_site); !named) return named;
  spec.name = rule.cross_site;
  spec.same_site = SameSite::none;
  spec.secure = spec.partitioned = true;
  if (Status checked = spec.check(); !checked) return config_error(checked.error().detail);
  return {};
}
Status check_rule(const CookieRewriteRule& rule) { return check_name(rule.name); }
Status check_rule(const CookiePrefixRule& rule) { return check_name(rule.name); }
Status check_rule(const SourceIpRule& rule) {
  const LeaseRules& leases = rule.leases;
  if (leases.prefix < 1 || leases.prefix > 32) return config_error("prefix must be 1 to 32");
  if (leases.prefix_v6 < 1 || leases.prefix_v6 > 128) return config_error("prefix_v6 must be 1 to 128");
  if (leases.grace < 0s) return config_error("grace cannot be negative");
  if (leases.leases_max == 0) return config_error("a source-ip table needs room for one address");
  return {};
}
Status check_rule(const TicketRule& rule) {
  if (Status named = check_name(rule.cookie); !named) return named;
  if (rule.owner_gone < 0s) return config_error("owner_gone cannot be negative");
  // A client that is told to wait for nothing says its RESUME again on the same link, which we end.
  if (rule.come_again < 1ms) return config_error("come_again is 1 ms or more");
  return {};
}

Status check_rule(const KeyRule& rule) {
  if (rule.key.name.empty()) return config_error("a key needs the name of its header, query or cookie");
  return {};
}

std::string key_text(const KeyPlace& key) {
  switch (key.in) {
    case KeyPlace::In::header: return "header " + key.name;
    case KeyPlace::In::query: return "query " + key.name;
    case KeyPlace::In::cookie: break;
  }
  return "cookie " + key.name;
}

/// What two rules on one pool must not both have.
std::vector<std::string> keys_of(const AffinityRule& rule) {
  using Keys = std::vector<std::string>;
  return std::visit(Overloaded{[](const SourceIpRule&) { return Keys{"source-ip"}; },
                               [](const TicketRule& ticket) {
                                 Keys keys{"ticket", "cookie " + std::string(proto::kTicketCookie)};
                                 if (ticket.cookie != proto::kTicketCookie)
                                   keys.push_back("cookie " + ticket.cookie);
                                 return keys;
                               },
                               [](const KeyRule& key) { return Keys{key_text(key.key)}; },
                               [](const CookieInsertRule& cookie) {
                                 Keys keys{"cookie " + cookie.name};
                                 if (!cookie.cross_site.empty())
                                   keys.push_back("cookie " + cookie.cross_site);
                                 return keys;
                               },
                               [](const auto& cookie) { return Keys{"cookie " + cookie.name}; }},
                    rule);
}

}  // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::none: return "none";
    case Reason::found: return "found";
    case Reason::malformed: return "malformed";
    case Reason::unknown_key: return "unknown_key";
    case Reason::forged: return "forged";
    case Reason::expired: return "expired";
    case Reason::ahead: return "ahead";
    case Reason::unknown_server: return "unknown_server";
  }
  return "?";
}

Status check_affinity(const std::vector<AffinityRule>& rules) {
  if (rules.size() > limits::kAffinityRulesMax) {
    return config_error("a pool has at most " + std::to_string(limits::kAffinityRulesMax) +
                        " affinity rules");
  }
  std::vector<std::string> keys;
  for (const AffinityRule& rule : rules) {
    if (Status checked = std::visit([](const auto& kind) { return check_rule(kind); }, rule); !checked)
      return checked;
    for (std::string& key : keys_of(rule)) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
        return config_error("two affinity rules for " + key + ": leave one of them out");
      }
      keys.push_back(std::move(key));
    }
  }
  return {};
}

std::optional<ServerIndex> Affinity::server_for(const Pin& pin, const Wanted&) { return pin.server; }

bool Affinity::edit_response(const proto::ResponseHead&, Pin&, ServerIndex, UnixSeconds, proto::HeadEdits&,
                             Texts&) {
  return false;
}

bool Affinity::ends_pin(const proto::ResponseHead&, UnixSeconds) const { return false; }

void Affinity::forget(const proto::ResponseHead&, proto::HeadEdits&, Texts&) {}

Address lease_key(std::uint64_t key) {
  Address out;
  out.family = Address::Family::ipv6;
  std::memcpy(out.ip.data(), &key, sizeof key);
  return out;
}

bool is_deleted(const proto::SetCookie& cookie, UnixSeconds unix_now) {
  if (cookie.max_age) {  // wins over Expires
    const std::string_view text = *cookie.max_age;
    if (text.starts_with('-')) return text.size() > 1;
    std::uint64_t seconds = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return seconds == 0;
  }
  if (!cookie.expires) return false;
  const auto expires = proto::parse_cookie_date(*cookie.expires);
  return expires && *expires <= unix_now;
}

std::unique_ptr<Affinity> make_affinity(const AffinityRule& rule, const Pool& pool, Seal& seal,
                                        const AffinityTables& tables) {
  return std::visit(Overloaded{
                        [&](const CookieInsertRule& r) -> std::unique_ptr<Affinity> {
                          return std::make_unique<CookieInsert>(r, pool, seal, tables.idle_leases);
                        },
                        [&](const CookieRewriteRule& r) -> std::unique_ptr<Affinity> {
                          return std::make_unique<CookieRewrite>(r, pool, seal);
                        },
                        [&](const CookiePrefixRule& r) -> std::unique_ptr<Affinity> {
                          return std::make_unique<CookiePrefix>(r, pool, seal);
                        },
                        [&](const SourceIpRule& r) -> std::unique_ptr<Affinity> {
                          return std::make_unique<SourceIp>(pool, *tables.leases, r.strict);
                        },
                        [&](const TicketRule& r) -> std::unique_ptr<Affinity> {
                          return std::make_unique<AffinityTicket>(r, pool, seal);
                        },
                        [&](const KeyRule& r) -> std::unique_ptr<Affinity> {
                          return std::make_unique<KeyAffinity>(r, pool, *tables.maglev);
                        },
                    },
                    rule);
}

}  // namespace rejoin::route
