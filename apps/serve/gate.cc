#include "apps/serve/gate.h"

namespace rejoin::serve {
namespace {

KeptOut kept_out(route::Refusal refusal) {
  switch (refusal) {
    case route::Refusal::none: break;
    case route::Refusal::denied: return {"denied", to_string(refusal)};
    case route::Refusal::full: return {"full", to_string(refusal)};
    case route::Refusal::client_full: return {"client_full", to_string(refusal)};
    case route::Refusal::client_too_fast: return {"client_too_fast", to_string(refusal)};
  }
  return {};
}

}  // namespace

void EdgeCounts::count(route::Refusal refusal) {
  switch (refusal) {
    case route::Refusal::none: break;
    case route::Refusal::denied: ++denied; break;
    case route::Refusal::full: ++full; break;
    case route::Refusal::client_full: ++client_full; break;
    case route::Refusal::client_too_fast: ++client_too_fast; break;
  }
}

Result<std::shared_ptr<Gate>> Gate::make(const config::Edge& edge, const std::vector<std::string>& trusted,
                                         Random& random) {
  route::AdmissionRules rules;
  rules.connections_max = static_cast<std::uint32_t>(edge.limits.connections);
  rules.connections_per_client = static_cast<std::uint32_t>(edge.limits.connections_per_client);
  rules.handshakes_per_second = static_cast<std::uint32_t>(edge.limits.handshakes_per_client);
  rules.prefix = static_cast<unsigned>(edge.limits.prefix);
  rules.prefix_v6 = static_cast<unsigned>(edge.limits.prefix_v6);
  PrefixSet believed;
  const struct {
    const std::vector<std::string>& from;
    PrefixSet& to;
  } lists[] = {{edge.allow, rules.allow}, {edge.deny, rules.deny}, {trusted, believed}};
  for (const auto& list : lists) {
    Result<PrefixSet> set = PrefixSet::parse(list.from);
    if (!set) return std::move(set.error());
    list.to = std::move(*set);
  }
  if (edge.proxy_protocol == config::ProxyIn::off && !rules.any()) return std::shared_ptr<Gate>();
  return std::make_shared<Gate>(edge.proxy_protocol, std::move(believed), std::move(rules), random);
}

KeptOut Gate::enter(const Address& peer, TimePoint now, EdgeCounts& counts, Entry& entry) {
  entry.through_proxy = proxy_ != config::ProxyIn::off && trusted_.has(peer);
  if (proxy_ == config::ProxyIn::require && !entry.through_proxy) {
    ++counts.proxy_untrusted;
    return {"proxy_untrusted", "a PROXY header is required, and this peer's would not be believed"};
  }
  const route::Refusal refusal = admission_.enter(entry.pass);
  counts.count(refusal);
  if (refusal != route::Refusal::none) return kept_out(refusal);
  return entry.through_proxy ? KeptOut() : name(entry.pass, peer, now, counts);
}

KeptOut Gate::name(route::Admission::Pass& pass, const Address& client, TimePoint now, EdgeCounts& counts) {
  const route::Refusal refusal = admission_.name(pass, client, now);
  counts.count(refusal);
  return kept_out(refusal);
}

}  // namespace rejoin::serve
