#include "apps/config/cross_check.h"

#include <algorithm>
#include <map>

#include "apps/config/cookie_check.h"
#include "apps/config/edge_check.h"
#include "apps/config/key_table.h"
#include "apps/config/nearest.h"
#include "apps/config/tls_check.h"
#include "apps/config/units.h"
#include "proto/length_framing.h"
#include "proto/resume_frame.h"

namespace rejoin::config {
namespace {

class CrossCheck {
 public:
  CrossCheck(Config& config, const Places& places, std::vector<Diagnostic>& out)
      : config_(config), places_(places), out_(out) {}

  void run() {
    something_to_do();
    key_sources();
    names_of_listeners();
    names_of_pools();
    addresses();
    pools_of_listeners();
    if (config_.gateway && config_.gateway->upstream.kind != UpstreamKind::echo)
      upstream(*config_.gateway, config_.gateway->upstream);
    unused_pools();
    for (std::size_t i = 0; i < config_.pools.size(); ++i) pool(config_.pools[i], numbered("pool", i));
    dns(config_.dns);
    gateway_in_pools();
    if (config_.gateway) compression(*config_.gateway);
    if (config_.gateway) peers(*config_.gateway);
    if (config_.admin) admin(*config_.admin, "admin");
    if (config_.balancer.admin) admin(*config_.balancer.admin, "balancer.admin");
    seeing();
    config_.access_log.path_stands_at.place = places_.at("access_log.path").place;
    if (config_.gateway) config_.gateway->pages_stand_at.place = places_.at("gateway.pages").place;
  }

 private:
  static std::string numbered(std::string_view list, std::size_t index) {
    return std::string(list) + '[' + std::to_string(index) + ']';
  }

  void say(const std::string& path, std::string message, Severity severity = Severity::error) {
    Spot spot = places_.at(path);
    out_.push_back({config_.file, spot.place, std::move(spot.key), std::move(message), severity});
  }
  void warn(const std::string& path, std::string message) {
    say(path, std::move(message), Severity::warning);
  }

  std::string where(const std::string& path) const {
    const Place place = places_.at(path).place;
    return config_.file + ':' + std::to_string(place.line) + ':' + std::to_string(place.column);
  }

  /// Says which value of `seen` stands twice. `what` is "listener", "pool", ...
  void once(std::map<std::string, std::string>& seen, const std::string& value, const std::string& path,
            std::string_view what) {
    if (value.empty()) return;
    const auto [first, fresh] = seen.emplace(value, path);
    if (fresh) return;
    say(path, in_quotes(value) + " is already " + std::string(what) + " at " + where(first->second));
  }

  void something_to_do() {
    if (places_.has("listener") || places_.has("gateway") || has_errors(out_)) return;
    out_.push_back(
        {config_.file, {1, 1}, {}, "nothing to run: write a [[listener]] for the balancer, or a [gateway]"});
  }

  void key_sources() {
    std::map<std::string, Place> seen;
    for (std::size_t i = 0; i < config_.keys.seal.size(); ++i) {
      const KeySource& source = config_.keys.seal[i];
      const std::string from = (source.kind == KeySource::Kind::file ? "file:" : "env:") + source.from;
      const auto [first, fresh] = seen.emplace(from, source.place);
      if (fresh) continue;
      out_.push_back({config_.file, source.place, numbered("keys.seal", i),
                      in_quotes(from) + " is already in the list"});
    }
  }

  void names_of_listeners() {
    std::map<std::string, std::string> seen;
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      Listener& it = config_.listeners[i];
      if (it.name.empty()) it.name = "listener-" + std::to_string(i + 1);
      once(seen, it.name, numbered("listener", i) + ".name", "the name of the listener");
    }
    if (!config_.gateway) return;
    seen.clear();
    std::map<GatewayListenerKind, int> count;
    for (std::size_t i = 0; i < config_.gateway->listeners.size(); ++i) {
      GatewayListener& it = config_.gateway->listeners[i];
      const int number = ++count[it.kind];
      if (it.name.empty())
        it.name = std::string(word_of(it.kind)) + (number > 1 ? '-' + std::to_string(number) : "");
      once(seen, it.name, numbered("gateway.listener", i) + ".name", "the name of the listener");
    }
  }

  void names_of_pools() {
    std::map<std::string, std::string> seen;
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
      once(seen, config_.pools[i].name, numbered("pool", i) + ".name", "the name of the pool");
    }
  }

  void addresses() {
    std::map<std::string, std::string> seen;
    const auto taken_once = [&](const Address& address, const std::string& path) {
      if (address.port == 0) return;  // the system chooses, or the parser refused it
      once(seen, address.text(), path, "listened on");
    };
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      taken_once(config_.listeners[i].listen, numbered("listener", i) + ".listen");
    }
    if (config_.admin) taken_once(config_.admin->listen, "admin.listen");
    if (config_.balancer.admin) taken_once(config_.balancer.admin->listen, "balancer.admin.listen");
    if (!config_.gateway) return;
    for (std::size_t i = 0; i < config_.gateway->listeners.size(); ++i) {
      taken_once(config_.gateway->listeners[i].listen, numbered("gateway.listener", i) + ".listen");
    }
  }

  void pools_of_listeners() {
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      Listener& it = config_.listeners[i];
      const std::string path = numbered("listener", i) + ".pool";
      sni_pools(it, i);
      if (it.pool.empty() && !places_.has(path) && !places_.has(numbered("listener", i) + ".sni"))
        default_pool(it, path);
      served_by(it, i, it.pool, path);
      for (std::size_t r = 0; r < it.rules.size(); ++r) {
        served_by(it, i, it.rules[r].pool, numbered(numbered("listener", i) + ".rule", r) + ".pool");
      }
    }
  }

  void served_by(const Listener& it, std::size_t index, const std::string& pool, const std::string& path) {
    if (pool.empty()) return;
    const Pool* found = config_.find_pool(pool);
    if (found) {
      serves(it, index, *found);
    } else {
      no_such_pool(pool, path);
    }
  }

  void sni_pools(const Listener& it, std::size_t listener) {
    for (std::size_t i = 0; i < it.sni.size(); ++i) {
      if (it.sni[i].pool.empty()) continue;
      if (const Pool* found = config_.find_pool(it.sni[i].pool)) {
        serves(it, listener, *found);
      } else {
        no_such_pool(it.sni[i].pool, numbered(numbered("listener", listener) + ".sni", i) + ".pool");
      }
    }
  }

  void unused_pools() {
    if (config_.listeners.empty() && places_.has("listener")) return;  // refused as a whole, and said
    for (const Listener& it : config_.listeners) {
      if (!config_.find_pool(it.pool) && it.sni.empty()) return;  // said; and it may have meant any of them
    }
    const bool has_upstream = config_.gateway && config_.gateway->upstream.kind != UpstreamKind::echo;
    const std::string of_upstream = has_upstream ? config_.gateway->upstream.pool : "";
    if (!of_upstream.empty() && !config_.find_pool(of_upstream)) return;
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
      const std::string& name = config_.pools[i].name;
      if (name.empty() || name == of_upstream || is_listened_for(name)) continue;
      warn(numbered("pool", i) + ".name",
           has_upstream ? "no listener and no upstream uses this pool" : "no listener uses this pool");
    }
  }

  bool is_listened_for(const std::string& pool) const {
    return std::any_of(config_.listeners.begin(), config_.listeners.end(), [&](const Listener& it) {
      return it.pool == pool ||
             std::any_of(it.rules.begin(), it.rules.end(),
                         [&](const Rule& rule) { return rule.pool == pool; }) ||
             std::any_of(it.sni.begin(), it.sni.end(),
                         [&](const SniRule& rule) { return rule.pool == pool; });
    });
  }

  void default_pool(Listener& it, const std::string& path) {
    if (config_.pools.size() == 1) {
      it.pool = config_.pools.front().name;
    } else if (config_.pools.empty()) {
      if (!places_.has("pool")) say(path, "is missing, and the file has no [[pool]]");
    } else {
      say(path, "is missing; there are several pools: write pool = " + in_quotes(config_.pools.front().name));
    }
  }

  void no_such_pool(const std::string& name, const std::string& path) {
    if (config_.pools.empty() && places_.has("pool")) return;  // refused as a whole, and said
    std::vector<std::string_view> names;
    for (const Pool& pool : config_.pools) {
      if (pool.name.empty()) return;  // it may be the one that is meant
      names.push_back(pool.name);
    }
    std::string message = "there is no pool " + in_quotes(name);
    if (const std::string_view near = nearest(name, names); !near.empty()) {
      message += "; did you mean " + in_quotes(near) + "?";
    } else if (config_.pools.empty()) {
      message += ": the file has no [[pool]]";
    } else {
      message += "; there is ";
      for (std::size_t i = 0; i < names.size() && i < 8; ++i)
        message += (i > 0 ? ", " : "") + in_quotes(names[i]);
    }
    say(path, std::move(message));
  }

  /// What a listener and its pool cannot do together.
  void serves(const Listener& listener, std::size_t listener_index, const Pool& pool) {
    const auto pool_index = static_cast<std::size_t>(&pool - config_.pools.data());
    for (std::size_t i = 0; listener.mode == Mode::tcp && i < pool.affinity.size(); ++i) {
      const std::string path = numbered(numbered("pool", pool_index) + ".affinity", i) + ".kind";
      const AffinityKind kind = pool.affinity[i].kind;
      if (!places_.good(path) || kind == AffinityKind::source_ip || kind == AffinityKind::ticket) continue;
      if (kind == AffinityKind::key) {
        say(path, "cannot work for listener " + in_quotes(listener.name) + " (" +
                      where(numbered("listener", listener_index) + ".mode") +
                      "), whose mode is \"tcp\": the key is in HTTP, which layer 4 does not read; use kind "
                      "\"source-ip\", or a pool of its own");
        continue;
      }
      say(path, "cannot work for listener " + in_quotes(listener.name) + " (" +
                    where(numbered("listener", listener_index) + ".mode") +
                    "), whose mode is \"tcp\": a cookie is in HTTP, which layer 4 does not read; use kind "
                    "\"source-ip\" or \"ticket\", or a pool of its own");
    }
    if (listener.mode == Mode::tcp && pool.scheduler == Scheduler::key_hash) {
      say(numbered("pool", pool_index) + ".scheduler",
          "cannot work for listener " + in_quotes(listener.name) + " (" +
              where(numbered("listener", listener_index) + ".mode") +
              "), whose mode is \"tcp\": the key is in HTTP, which layer 4 does not read; use "
              "\"source-hash\"");
    }
    for (std::size_t i = 0; listener.listen.port != 0 && i < pool.servers.size(); ++i) {
      if (pool.servers[i].address != listener.listen) continue;
      say(numbered(numbered("pool", pool_index) + ".server", i) + ".address",
          "is the address of listener " + in_quotes(listener.name) +
              " itself: the balancer would connect to itself for ever");
    }
  }

  // --- the gateway's game servers ---

  void upstream(Gateway& gateway, Upstream& it) {
    const std::string path = "gateway.upstream";
    const bool has_address = places_.has(path + ".address"), has_pool = places_.has(path + ".pool");
    if (!has_address && !has_pool) {
      say(path + ".address",
          R"(is missing; write address = "127.0.0.1:7000", or pool = "NAME" for several game servers)");
    } else if (has_address && has_pool) {
      say(path + ".pool", "stands beside `address` (" + where(path + ".address") +
                              "); write one of them: the one game server, or the pool of several");
    } else if (has_pool && !it.pool.empty()) {
      pool_of_upstream(it, path);
    }
    if (it.address) not_itself(gateway, it.address, path + ".address");
    if (it.kind == UpstreamKind::tcp) lengths(gateway, it, path);
  }

  void pool_of_upstream(Upstream& it, const std::string& path) {
    const Pool* const found = config_.find_pool(it.pool);
    if (!found) return no_such_pool(it.pool, path + ".pool");
    const std::string pool = numbered("pool", static_cast<std::size_t>(found - config_.pools.data()));
    if (places_.has(path + ".connect_timeout")) {
      say(path + ".connect_timeout",
          "belongs to a single game server; this one is for the pool to say (" + where(pool + ".name") + ')');
    }
    it.connect_timeout = found->connect_timeout;
    if (it.tls) {
      say(path + ".tls",
          "belongs to a single game server; this one is for the pool to say (" + where(pool + ".name") + ')');
    }
    it.tls = found->tls;
    if (!found->affinity.empty() && !is_listened_for(it.pool)) {
      warn(pool + ".affinity",
           "means nothing for game servers: a session keeps its one connection for as long as it lives");
    }
    for (std::size_t i = 0; i < found->servers.size(); ++i)
      not_itself(*config_.gateway, found->servers[i].address, numbered(pool + ".server", i) + ".address");
  }

  void not_itself(const Gateway& gateway, const Address& game_server, const std::string& path) {
    for (const GatewayListener& it : gateway.listeners) {
      if (it.listen.port == 0 || it.listen != game_server) continue;
      say(path, "is the address of the gateway's listener " + in_quotes(it.name) +
                    " itself: every session would open another one, for ever");
    }
  }

  void lengths(Gateway& gateway, Upstream& it, const std::string& path) {
    if (it.length_bytes == 3) {
      say(path + ".length_bytes", "3 is not a width; write 2 or 4");
      return;
    }
    proto::LengthFormat format;
    format.length = it.length_bytes == 2 ? proto::LengthBytes::two : proto::LengthBytes::four;
    format.counts = it.counts_itself ? proto::LengthCounts::payload_and_itself : proto::LengthCounts::payload;
    const std::uint64_t most = format.representable_max();
    const std::string too_much = "is more than a length of " + std::to_string(it.length_bytes) +
                                 " bytes can say (" + where(path + ".length_bytes") + ')';
    if (it.message_max > most) {
      if (places_.has(path + ".message_max")) warn(path + ".message_max", too_much);
      it.message_max = most;
    }
    if (gateway.message_max <= most) return;
    if (places_.good("gateway.message_max")) {
      say("gateway.message_max",
          too_much + "; write at most " + in_quotes(size_text(most)) + ", or length_bytes = 4");
    }
    gateway.message_max = most;
  }

  void pool(const Pool& it, const std::string& path) {
    std::map<std::string, std::string> names, addresses, cookies;
    bool somebody_takes_new = it.servers.empty();
    for (std::size_t i = 0; i < it.servers.size(); ++i) {
      const std::string server = numbered(path + ".server", i);
      once(names, it.servers[i].name, server + ".name", "the name of a server of this pool");
      somebody_takes_new |= it.servers[i].weight > 0;
      where_it_is(it.servers[i], server);
      if (!it.servers[i].address) continue;
      const auto [first, fresh] = addresses.emplace(it.servers[i].address.text(), server + ".address");
      if (!fresh)
        warn(server + ".address",
             "is also the address at " + where(first->second) + ": one server, two names");
    }
    if (!somebody_takes_new) warn(path + ".server", "every weight is 0: no new client will be served");
    schedule(it, path);
    room(it, path);
    std::map<AffinityKind, std::string> once_a_pool;
    for (std::size_t i = 0; i < it.affinity.size(); ++i) {
      const std::string rule = numbered(path + ".affinity", i);
      if (!places_.good(rule + ".kind")) continue;
      const AffinityKind kind = it.affinity[i].kind;
      if (kind == AffinityKind::source_ip || kind == AffinityKind::ticket) {
        const auto [first, fresh] = once_a_pool.emplace(kind, rule + ".kind");
        if (!fresh) {
          say(rule + ".kind",
              "one " + std::string(word_of(kind)) + " is enough; the other is at " + where(first->second));
          continue;
        }
      }
      once(cookies, it.affinity[i].cookie_name(), rule + (kind == AffinityKind::ticket ? ".cookie" : ".name"),
           "the name of a cookie of this pool");
      if (kind == AffinityKind::cookie_insert)
        once(cookies, it.affinity[i].insert.cross_site, rule + ".cross_site",
             "the name of a cookie of this pool");
      if (kind == AffinityKind::key) {
        one_place(it.affinity[i].key, rule);
        once(cookies, it.affinity[i].key.cookie, rule + ".cookie", "the name of a cookie of this pool");
      }
      if (kind != AffinityKind::ticket) continue;
      if (it.affinity[i].ticket.cookie != proto::kTicketCookie)
        once(cookies, std::string(proto::kTicketCookie), rule + ".kind", "the name of a cookie of this pool");
      ticket(it.affinity[i].ticket, rule);
      if (has_gateway(it)) ticket_of_gateway(it.affinity[i].ticket, rule, *config_.gateway);
    }
    if (it.health.kind != HealthKind::off && it.health.timeout > it.health.every) {
      warn(path + ".health.timeout",
           "is longer than `every`: a probe may begin while the one before still waits");
    }
  }

  /// An address, or a name that stands for several.
  void where_it_is(const Server& it, const std::string& path) {
    const bool resolved = places_.has(path + ".resolve"), addressed = places_.has(path + ".address");
    if (resolved && addressed) {
      say(path + ".resolve", "stands beside `address` (" + where(path + ".address") + "); write one of them");
    } else if (!resolved && !addressed) {
      say(path + ".address",
          R"(is missing; write address = "127.0.0.1:8000", or resolve = "NAME" for the addresses of a name in DNS)");
    }
    if (!resolved) {
      if (places_.has(path + ".port"))
        say(path + ".port", "belongs to `resolve`; here it is part of `address`");
      if (places_.has(path + ".type")) say(path + ".type", "belongs to `resolve`");
      return;
    }
    if (it.type == NameType::srv && places_.has(path + ".port")) {
      say(path + ".port", "is told by the SRV records themselves; leave it out");
    } else if (it.type != NameType::srv && it.port == 0) {
      say(path + ".port", "is missing; addresses in DNS have no port: write port = 8000");
    }
    if (it.resolve.find(':') != it.resolve.npos || it.resolve.size() > 253) {
      say(path + ".resolve", "is no name; write " + std::string(R"(resolve = "gateways.internal")") +
                                 ", and the port in `port`");
    }
    if (config_.gateway && config_.gateway->upstream.pool == pool_of(path)) {
      say(path + ".resolve", "is for the balancer; a gateway's pool wants addresses");
    }
  }

  std::string pool_of(const std::string& server_path) const {
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
      if (server_path.starts_with(numbered("pool", i) + '.')) return config_.pools[i].name;
    }
    return {};
  }

  void dns(const Dns& it) {
    for (std::size_t i = 0; i < it.servers.size(); ++i) {
      if (Address::parse(it.servers[i]) || Address::parse_ip(it.servers[i])) continue;
      say(places_.has("dns.server") ? "dns.server" : "dns",
          in_quotes(it.servers[i]) + " is not an address; write IP or IP:PORT");
    }
    if (it.ttl_max < it.ttl_min)
      say(places_.has("dns.ttl_max") ? "dns.ttl_max" : "dns.ttl_min", "ttl_max is less than ttl_min");
  }

  /// A key is in one place.
  void one_place(const RequestKey& it, const std::string& path) {
    const int written = !it.header.empty() + !it.query.empty() + !it.cookie.empty();
    if (written == 1) return;
    const std::string wants = R"(write one of header = "X-Room", query = "room" and cookie = "ROOM")";
    if (written == 0) return say(path, "does not say where the key is; " + wants);
    say(path + (it.header.empty()  ? ".cookie"
                : it.query.empty() ? ".cookie"
                                   : ".query"),
        "is one place too many; " + wants);
  }

  void schedule(const Pool& it, const std::string& path) {
    const bool hashes = it.scheduler == Scheduler::source_hash || it.scheduler == Scheduler::key_hash;
    if (places_.good(path + ".scheduler") && it.scheduler == Scheduler::key_hash && !it.hash_key) {
      say(path + ".scheduler",
          R"("key-hash" needs the place of the key; write hash_key = { query = "room" })");
    }
    if (it.hash_key) one_place(*it.hash_key, path + ".hash_key");
    const bool is_known = !places_.has(path + ".scheduler") || places_.good(path + ".scheduler");
    if (it.hash_key && it.scheduler != Scheduler::key_hash && is_known)
      warn(path + ".hash_key", R"(means nothing without scheduler = "key-hash")");
    if (it.slow_start == Duration(0)) return;
    if (hashes) {
      warn(path + ".slow_start", "means nothing for a scheduler that hashes: clients would change servers");
    } else if (it.health.kind == HealthKind::off && !it.health.passive) {
      warn(
          path + ".slow_start",
          R"(means nothing without health checks: no server ever comes up; write health = { kind = "tcp" })");
    }
  }

  /// Limits, the queue before them, and who steps in.
  void room(const Pool& it, const std::string& path) {
    const auto any = [&](auto has) { return std::any_of(it.servers.begin(), it.servers.end(), has); };
    if (it.queue.size > 0 && !any([](const Server& server) { return server.max_connections > 0; }))
      warn(path + ".queue", "nobody will ever wait: no server has max_connections");
    if (!it.servers.empty() && !any([](const Server& server) { return !server.backup; }))
      warn(path + ".server", "every server is a backup, so it makes no difference");
  }

  void ticket(const Ticket& it, const std::string& rule) {
    if (config_.keys.seal.empty() && !places_.has("keys")) {
      warn(rule + ".kind",
           "finds nobody without a table [keys]: tickets are sealed by the gateways, so the balancer needs "
           "the "
           "key that they have; write [keys] with the same seal in every file");
    }
    if (it.owner_gone != Duration(0) && it.come_again > it.owner_gone) {
      warn(places_.has(rule + ".come_again") ? rule + ".come_again" : rule + ".owner_gone",
           "come_again is longer than owner_gone: a client that comes again finds its gateway given up");
    }
  }

  bool has_gateway(const Pool& pool) const {
    return config_.gateway && std::any_of(pool.servers.begin(), pool.servers.end(),
                                          [&](const Server& it) { return it.name == config_.gateway->name; });
  }

  /// One file for both programs: what the balancer supposes of the gateway's tickets.
  void ticket_of_gateway(const Ticket& it, const std::string& rule, const Gateway& gateway) {
    if (it.owner_gone != Duration(0) && it.owner_gone < gateway.session.grace) {
      warn(places_.has(rule + ".owner_gone") ? rule + ".owner_gone" : rule + ".kind",
           "owner_gone, " + in_quotes(duration_text(it.owner_gone)) +
               ", is shorter than the gateway's grace, " + in_quotes(duration_text(gateway.session.grace)) +
               ": clients are sent to another gateway while their sessions still live");
    }
    if (gateway.session_cookie && gateway.session_cookie->name != it.cookie) {
      warn(places_.has(rule + ".cookie") ? rule + ".cookie" : rule + ".kind",
           "plain WebSocket clients bring the gateway's session_cookie, " +
               in_quotes(gateway.session_cookie->name) + ", and this one looks for " + in_quotes(it.cookie));
    }
  }

  /// One file for both programs: the pool and the gateway must agree on the gateway's name.
  void gateway_in_pools() {
    if (!config_.gateway || config_.gateway->name.empty()) return;
    const Gateway& gateway = *config_.gateway;
    for (std::size_t p = 0; p < config_.pools.size(); ++p) {
      const auto& servers = config_.pools[p].servers;
      for (std::size_t s = 0; s < servers.size(); ++s) {
        const bool here = std::any_of(
            gateway.listeners.begin(), gateway.listeners.end(),
            [&](const GatewayListener& it) { return it.listen && it.listen == servers[s].address; });
        if (!here || servers[s].name.empty() || servers[s].name == gateway.name) continue;
        warn(numbered(numbered("pool", p) + ".server", s) + ".name",
             "the gateway at this address calls itself " + in_quotes(gateway.name) + " (" +
                 where("gateway.name") + ')');
      }
    }
  }

  void admin(const Admin& it, const std::string& path) {
    if (!it.listen) return;
    const bool loopback = it.listen.family == Address::Family::ipv4
                              ? it.listen.ip[0] == 127
                              : it.listen == *Address::parse_ip("::1", it.listen.port);
    if (!loopback && !places_.has(path + ".token")) {
      say(path + ".listen",
          "is not this machine's own, and there is no token: whoever reaches it could end every connection; "
          "write "
          "\"127.0.0.1:9090\", or token = \"file:admin.token\"");
    }
  }

  /// What is there to be seen of a balancer, and a balancer that is not there.
  void seeing() {
    if (!places_.has("listener") && places_.has("balancer.admin")) {
      warn("balancer.admin", "means nothing here: it is the balancer's, and the file has no [[listener]]");
    }
    if (config_.access_log.format == AccessFormat::off && places_.has("access_log.path")) {
      warn("access_log.path", "nothing is written there: write format = \"json\" or format = \"line\"");
    }
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      const std::string path = numbered("listener", i) + ".health_path";
      if (config_.listeners[i].mode == Mode::tcp && places_.has(path))
        say(path, "cannot work in mode \"tcp\": layer 4 reads no requests");
    }
  }

  /// One list may serve the whole fleet, so an entry for this gateway itself is no fault; another's at its
  /// address is.
  void peers(const Gateway& gateway) {
    for (std::size_t i = 0; i < gateway.peers.size(); ++i) {
      const PeerGateway& peer = gateway.peers[i];
      if (peer.name.empty() || peer.name == gateway.name) continue;
      for (const GatewayListener& it : gateway.listeners) {
        if (!it.listen || it.listen.port == 0) continue;
        const bool websocket = it.listen == peer.websocket;
        if (!websocket && it.listen != peer.tcp) continue;
        say(numbered("gateway.peer", i) + (websocket ? ".websocket" : ".tcp"),
            "is the address of this gateway's own listener " + in_quotes(it.name) + ", and this gateway is " +
                in_quotes(gateway.name) + ": write where " + in_quotes(peer.name) + " listens");
      }
    }
  }

  /// Compression that no client could ever be given.
  void compression(const Gateway& gateway) {
    const std::string path = "gateway.compression.kind";
    if (gateway.compression.kind == CompressionKind::off || !places_.good(path)) return;
    bool any = gateway.listeners.empty(), plain = any;  // refused, and said
    for (const GatewayListener& it : gateway.listeners) {
      const bool websocket = it.kind == GatewayListenerKind::websocket;
      any |= websocket;
      plain |= websocket && it.protocol != LinkProtocol::rejoin;
    }
    if (!any) {
      warn(path, "nothing will be compressed: no listener is of kind \"websocket\"");
    } else if (!plain && !gateway.compression.on_resumable_links) {
      warn(path,
           "nothing will be compressed: every websocket listener speaks the resume protocol only; write "
           "on_resumable_links = true");
    }
  }

  Config& config_;
  const Places& places_;
  std::vector<Diagnostic>& out_;
};

}  // namespace

void cross_check(Config& config, const Places& places, std::vector<Diagnostic>& out) {
  CrossCheck(config, places, out).run();
  cross_check_http(config, places, out);
  check_cookies(config, places, out);
  check_edges(config, places, out);
  check_tls(config, places, out);
}

}  // namespace rejoin::config
