#include "apps/balancer/http_rules.h"

#include <algorithm>

#include "proto/http_path.h"

namespace rejoin::balancer {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

std::vector<std::pair<std::string, std::string>> fields_of(const std::vector<std::string>& lines) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& line : lines) {
    const std::size_t colon = line.find(':');
    out.emplace_back(line.substr(0, colon), proto::trim_ows(Bytes(line).substr(colon + 1)));
  }
  return out;
}

/// Bigger is more specific.
auto rank_of(const RulePlan& rule) {
  return std::make_tuple(static_cast<int>(rule.host_kind), rule.host.size(), rule.path.size(), rule.exact,
                         rule.below_only);
}

}  // namespace

void HeaderRules::apply(proto::HeadEdits& edits) const {
  for (const std::string& name : remove) edits.drop_all(Bytes(name));
  for (const auto& [name, value] : set) edits.set(Bytes(name), Bytes(value));
  for (const auto& [name, value] : add) edits.append(name, Bytes(value));
}

bool RulePlan::matches_host(Bytes asked) const {
  if (host_kind == Host::any) return true;
  if (asked.ends_with('.')) asked.remove_suffix(1);  // the root's dot: the same name
  if (host_kind == Host::name) return proto::equals_ignoring_case(asked, host);
  return asked.size() > host.size() &&
         proto::equals_ignoring_case(asked.substr(asked.size() - host.size()), host);
}

bool RulePlan::matches_path(Bytes asked) const {
  if (exact) return asked == rule.path;
  if (path == "/") return true;
  if (!asked.starts_with(path)) return false;
  if (asked.size() == path.size()) return !below_only;
  return asked[path.size()] == '/';
}

RulePlan make_rule(const config::Rule& from, std::size_t pool) {
  RulePlan plan;
  plan.rule = from;
  plan.pool = pool;
  plan.exact = from.exact;
  plan.path = from.path;
  if (plan.path.size() > 1 && plan.path.ends_with('/')) {
    plan.path.pop_back();
    plan.below_only = true;
  }
  if (from.host.starts_with("*.")) {
    plan.host_kind = RulePlan::Host::below;
    plan.host = from.host.substr(1);
  } else if (!from.host.empty()) {
    plan.host_kind = RulePlan::Host::name;
    plan.host = from.host;
  }
  std::ranges::transform(plan.host, plan.host.begin(), lower);
  plan.request = {fields_of(from.set_request_headers), fields_of(from.add_request_headers),
                  from.remove_request_headers};
  plan.response = {fields_of(from.set_response_headers), fields_of(from.add_response_headers),
                   from.remove_response_headers};
  return plan;
}

void sort_rules(std::vector<RulePlan>& rules) {
  std::stable_sort(rules.begin(), rules.end(),
                   [](const RulePlan& a, const RulePlan& b) { return rank_of(a) > rank_of(b); });
}

const RulePlan* find_rule(const std::vector<RulePlan>& rules, Bytes host, Bytes path) {
  const Bytes name = without_port(host);
  for (const RulePlan& rule : rules) {
    if (rule.matches_path(path) && rule.matches_host(name)) return &rule;
  }
  return nullptr;
}

Bytes without_port(Bytes host) {
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == Bytes::npos ? 0 : bracket);
  return host.substr(0, colon);
}

std::string strip_prefix(Bytes target, Bytes path, Bytes prefix) {
  const Bytes query = proto::query_of(target);
  const Bytes own_path = target.substr(0, target.size() - query.size());
  // Only a path in normal form is cut as it came: of "/api/../x" nothing may be left that leads elsewhere.
  std::string out(own_path == path ? own_path : path);
  out.erase(0, prefix.size());
  if (!out.starts_with('/')) out.insert(out.begin(), '/');
  return out.append(query);
}

std::string redirect_location(Bytes to, Bytes host, Bytes path_and_query) {
  std::string out;
  while (!to.empty()) {
    const bool is_host = to.starts_with("{host}"), is_path = to.starts_with("{path}");
    if (is_host || is_path) {
      // Behind a host or a path that ends in '/', "//" would begin another host's name.
      const bool doubled = is_path && out.ends_with('/') && path_and_query.starts_with('/');
      out.append(is_host ? without_port(host) : path_and_query.substr(doubled ? 1 : 0));
      to.remove_prefix(6);
    } else {
      out.push_back(to.front());
      to.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace rejoin::balancer
