#include "apps/gateway/game_plan.h"

#include <algorithm>
#include <limits>

#include "apps/config/route_rules.h"

namespace rejoin::gateway {
namespace {

upstream::GameKind kind_of(config::UpstreamKind kind) {
  switch (kind) {
    case config::UpstreamKind::echo: break;
    case config::UpstreamKind::tcp: return upstream::GameKind::tcp;
    case config::UpstreamKind::ws: return upstream::GameKind::ws;
  }
  return upstream::GameKind::echo;
}

upstream::ProxyProtocol proxy_protocol(config::ProxyProtocol version) {
  switch (version) {
    case config::ProxyProtocol::off: break;
    case config::ProxyProtocol::v1: return upstream::ProxyProtocol::v1;
    case config::ProxyProtocol::v2: return upstream::ProxyProtocol::v2;
  }
  return upstream::ProxyProtocol::off;
}

upstream::GameRules game_rules(const config::Upstream& from) {
  upstream::GameRules rules;
  rules.kind = kind_of(from.kind);
  rules.address = from.address;
  rules.connect_timeout = from.connect_timeout;
  rules.message_max = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(from.message_max, std::numeric_limits<std::uint32_t>::max()));
  rules.length.message_max = rules.message_max;
  rules.length.length = from.length_bytes == 2 ? proto::LengthBytes::two : proto::LengthBytes::four;
  rules.length.endian = from.endian == config::Endian::little ? proto::Endian::little : proto::Endian::big;
  rules.length.counts =
      from.counts_itself ? proto::LengthCounts::payload_and_itself : proto::LengthCounts::payload;
  rules.proxy_protocol = proxy_protocol(from.proxy_protocol);
  rules.path = from.path;
  rules.host = from.host;
  return rules;
}

}  // namespace

Result<GamePlan> make_game_plan(const config::Config& config, Random& random) {
  const config::Upstream& upstream = config.gateway->upstream;
  GamePlan plan{.rules = game_rules(upstream), .pool = nullptr};
  plan.rules.tls = config::tls_in_use(upstream.tls);
  if (upstream.tls) plan.rules.tls_name = upstream.tls->name;
  plan.probes = plan.rules.tls;
  if (upstream.pool.empty()) return plan;
  const config::Pool* const pool = config.find_pool(upstream.pool);
  if (pool == nullptr) {
    return Error{ErrorKind::config, Side::ours, Retry::no,
                 "gateway.upstream: there is no pool \"" + upstream.pool + "\""};
  }
  auto shared = route::SharedRoute::make(config::route_rules(*pool), random);
  if (!shared) return std::move(shared.error());
  plan.pool = std::move(*shared);
  if (!plan.probes && pool->health.kind == config::HealthKind::tls)
    plan.probes = std::make_shared<io::TlsContextInUse>(nullptr);
  return plan;
}

}  // namespace rejoin::gateway
