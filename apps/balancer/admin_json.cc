#include "apps/balancer/admin_json.h"

#include <charconv>
#include <chrono>

namespace rejoin::balancer {
namespace {

using watch::Json;

constexpr std::size_t kIdDigits = 16;

std::int64_t ms(Duration time) { return std::chrono::duration_cast<std::chrono::milliseconds>(time).count(); }

}  // namespace

Json json_of(const ListenerNumbers& it) {
  Json out = Json::object();
  out.set("name", it.name);
  out.set("address", it.address.text());
  out.set("mode", it.mode);
  out.set("pool", it.pool);
  out.set("connections", it.connections);
  out.set("tunnels", it.tunnels);
  out.set("accepted", it.counts.accepted);
  out.set("requests", it.counts.requests);
  out.set("tunnels_opened", it.counts.tunnels);
  Json refused = Json::object();
  refused.set("bad_head", it.counts.refused_heads);
  refused.set("head_timeout", it.counts.timed_out);
  refused.set("no_server", it.counts.no_server);
  refused.set("server_failed", it.counts.server_failed);
  out.set("refused", std::move(refused));
  out.set("told_to_come_again", it.counts.come_again);
  out.set("bytes_in", it.counts.bytes_in);
  out.set("bytes_out", it.counts.bytes_out);
  return out;
}

Json json_of(const ServerNumbers& it, const std::string& pool) {
  Json out = Json::object();
  out.set("pool", pool);
  out.set("name", it.name);
  out.set("address", it.address.text());
  out.set("weight", it.weight);
  out.set("up", it.up);
  out.set("draining", it.draining);
  out.set("order", to_string(it.order));
  out.set("takes_new", it.takes_new);
  out.set("away_ms", it.away > Duration(0) ? Json(ms(it.away)) : Json());
  out.set("active", it.active);
  out.set("tunnels", it.tunnels);
  out.set("requests", it.counts.requests);
  out.set("tunnels_opened", it.counts.tunnels);
  out.set("connections", it.counts.connections);
  out.set("connects_failed", it.counts.connects_failed);
  out.set("failures", it.counts.failures);
  out.set("bytes_to", it.counts.bytes_to);
  out.set("bytes_from", it.counts.bytes_from);
  return out;
}

Json json_of(const PoolNumbers& it, bool with_servers) {
  Json out = Json::object();
  out.set("name", it.name);
  std::uint64_t up = 0, active = 0, tunnels = 0;
  for (const ServerNumbers& server : it.servers) {
    up += server.up ? 1 : 0;
    active += server.active;
    tunnels += server.tunnels;
  }
  out.set("servers", it.servers.size());
  out.set("up", up);
  out.set("usable", it.usable());
  out.set("active", active);
  out.set("tunnels", tunnels);
  out.set("idle_connections", it.idle);
  Json affinity = Json::list();
  for (const std::string_view kind : it.affinity) affinity.add(kind);
  out.set("affinity", std::move(affinity));
  Json decisions = Json::object();
  decisions.set("pinned", it.route.pinned);
  decisions.set("scheduled", it.route.scheduled);
  decisions.set("nobody", it.route.nobody);
  decisions.set("come_again", it.route.come_again);
  decisions.set("pins_unusable", it.route.pinned_down);
  out.set("decisions", std::move(decisions));
  if (!with_servers) return out;
  Json servers = Json::list();
  for (const ServerNumbers& server : it.servers) servers.add(json_of(server, it.name));
  out.set("server", std::move(servers));
  return out;
}

Json json_of(const TunnelRow& it) {
  Json out = Json::object();
  out.set("id", id_text(it.id));
  out.set("kind", it.kind);
  out.set("worker", it.worker);
  out.set("listener", it.listener);
  out.set("client", it.client);
  out.set("pool", it.pool);
  out.set("server", it.server);
  out.set("decision", it.decision);
  out.set("age_ms", ms(it.age));
  out.set("idle_ms", ms(it.idle));
  out.set("bytes_in", it.bytes_in);
  out.set("bytes_out", it.bytes_out);
  out.set("pauses", it.pauses);
  return out;
}

std::string id_text(std::uint64_t id) {
  std::string out(kIdDigits, '0');
  for (std::size_t i = kIdDigits; i-- > 0; id >>= 4) out[i] = "0123456789abcdef"[id & 15];
  return out;
}

std::optional<std::uint64_t> parse_id(std::string_view text) {
  std::uint64_t id = 0;
  const char* const end = text.data() + text.size();
  const auto [at, wrong] = std::from_chars(text.data(), end, id, 16);
  if (text.size() != kIdDigits || wrong != std::errc() || at != end) return std::nullopt;
  return id;
}

}  // namespace rejoin::balancer
