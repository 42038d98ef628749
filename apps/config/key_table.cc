#include "apps/config/key_table.h"

#include <algorithm>

#include "base/limits.h"

namespace rejoin::config {
namespace {

// In the order of the enumerators.
constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error", "off"};
constexpr std::string_view kModes[] = {"http", "tcp"};
constexpr std::string_view kSchedulers[] = {"round-robin", "least-connections"};
constexpr std::string_view kAffinityKinds[] = {"cookie-insert", "cookie-rewrite", "cookie-prefix",
                                               "source-ip"};
constexpr std::string_view kSameSites[] = {"unset", "lax", "strict", "none"};
constexpr std::string_view kHealthKinds[] = {"off", "tcp", "http"};
constexpr std::string_view kGatewayListenerKinds[] = {"websocket", "tcp"};
constexpr std::string_view kUpstreamKinds[] = {"echo"};

constexpr Range<Duration> kTimeout{1ms, 24h * 365};
constexpr Range<Duration> kFromZero{0s, 24h * 365};
constexpr Range<int> kWorkers{1, limits::kWorkersMax};
constexpr int kRetriesMax = static_cast<int>(limits::kTriedServersMax) - 1;
constexpr Range<std::uint64_t> kMessage{1, 64 * 1024 * 1024};

}  // namespace

void visit(KeyVisitor& v, Config& it) {
  v.table({"keys",
           "The keys that seal cookies. Without this table a random key lives as long as the process, and "
           "clients lose their server at a restart.",
           R"({ seal = ["file:seal.key"] })"},
          it.keys);
  v.table({"log", "What goes to stderr.", R"({ level = "info" })"}, it.log);
  v.table({"balancer", "`rejoin balancer` as a whole.", "{ workers = 1 }"}, it.balancer);
  v.list({"listener", "Where the balancer listens, and for which pool.",
          R"({ name = "play", listen = "0.0.0.0:8080", pool = "gateways" })"},
         it.listeners, limits::kListenersMax);
  v.list({"pool", "Servers that do the same work, and how one of them is found for a client.",
          R"({ name = "gateways", server = [ { name = "g1", address = "127.0.0.1:8000" } ] })"},
         it.pools, limits::kPoolsMax);
  v.table({"gateway", "`rejoin gateway`. A file may hold the balancer, a gateway, or both.",
           R"({ name = "g1", listener = [ { listen = "127.0.0.1:8000" } ] })"},
          it.gateway);
}

void visit(KeyVisitor& v, Keys& it) {
  v.key_sources(
      {"seal",
       "Where keys are: `file:PATH` (64 hex digits; a relative path starts at the configuration's folder) "
       "or `env:NAME`. The first seals, all of them open. A single absent file is made on first use.",
       R"(["file:seal.key"])", Need::optional, "a random key"},
      it.seal);
}

void visit(KeyVisitor& v, Logging& it) {
  v.choice({"level", "The least important lines that are written."}, it.level, kLevels);
}

void visit(KeyVisitor& v, Balancer& it) {
  v.integer({"workers", "Threads, each with its own loop; connections are spread over them by the kernel."},
            it.workers, kWorkers);
  v.duration({"drain_timeout", "After SIGTERM: clients that are there have this long before they are cut."},
             it.drain_timeout, kFromZero);
}

void visit(KeyVisitor& v, Listener& it) {
  v.text({"name", "What logs and metrics call it.", R"("play")", Need::optional,
          "`listener-1`, `listener-2`, ..."},
         it.name, TextForm::name);
  v.address({"listen", "IP:PORT; port 0 lets the system choose.", R"("0.0.0.0:8080")", Need::required},
            it.listen, AddressUse::listen);
  v.choice(
      {"mode", "`http`: layer 7, reads requests and follows WebSockets. `tcp`: layer 4, passes bytes on."},
      it.mode, kModes);
  v.text({"pool", "The pool that serves it.", R"("gateways")", Need::optional, "the only pool"}, it.pool,
         TextForm::name);
  v.duration(
      {"head_timeout",
       "`http`: for a whole request head after its first byte, and for the first one after the accept."},
      it.head_timeout, kTimeout);
  v.duration({"idle_timeout", "`http`: between requests, and for a silent side within one."}, it.idle_timeout,
             kTimeout);
  v.duration({"tunnel_timeout", "A WebSocket, or a connection in mode `tcp`, that is silent both ways."},
             it.tunnel_timeout, kTimeout);
}

void visit(KeyVisitor& v, Pool& it) {
  v.text({"name", "What listeners call it.", R"("gateways")", Need::required}, it.name, TextForm::name);
  v.choice({"scheduler", "Who gets a client that is bound to no server. Both heed the weights."},
           it.scheduler, kSchedulers);
  v.list({"affinity",
          "How a client comes back to its server. Tried in order; the first that names a usable server wins, "
          "and the "
          "scheduler is asked when none does.",
          R"({ kind = "cookie-insert" })"},
         it.affinity, limits::kAffinityRulesMax);
  v.table(
      {"health", "How the balancer learns that a server is down.", R"({ kind = "http", path = "/healthz" })"},
      it.health);
  v.duration({"connect_timeout", "For the connection to a server."}, it.connect_timeout, kTimeout);
  v.integer({"retries", "Other servers tried when one refuses."}, it.retries, {0, kRetriesMax});
  v.list({"server", "The servers; at least one.", R"({ name = "g1", address = "127.0.0.1:8000" })",
          Need::required},
         it.servers, limits::kServersPerPoolMax);
}

void visit(KeyVisitor& v, Affinity& it) {
  v.choice({"kind",
            "`cookie-insert`: a sealed cookie of ours. `cookie-rewrite`: the server's cookie of that name "
            "gets our "
            "value. `cookie-prefix`: the server's cookie keeps its value, behind our sealed prefix. "
            "`source-ip`: the "
            "client's address.",
            R"("cookie-insert")", Need::required},
           it.kind, kAffinityKinds);
  const std::string_view kind = word_of(it.kind);

  v.only_for({"cookie-insert"}, kind);
  CookieInsert& insert = it.insert;
  v.text({"name", "The cookie's name."}, insert.name, TextForm::cookie_name);
  v.duration({"max_idle",
              "The cookie is as if absent when it was last used longer ago. `0s`: no bound. Counted from the "
              "last response: an open WebSocket does not renew it."},
             insert.max_idle, kFromZero);
  v.duration({"max_life", "The cookie is as if absent when it was first given longer ago. `0s`: no bound."},
             insert.max_life, kFromZero);
  v.text({"domain", "The attribute Domain; empty: none, and the cookie is the host's own."}, insert.domain,
         TextForm::cookie_domain);
  v.text({"path",
          "The attribute Path. With another than `/`, browsers keep the cookie from the rest of the site."},
         insert.path, TextForm::cookie_path);
  v.choice({"same_site",
            "The attribute SameSite; `unset` leaves it out. Browsers take `none` only with `secure`."},
           insert.same_site, kSameSites);
  v.flag({"secure", "The attribute Secure: https and wss only."}, insert.secure);
  v.flag({"http_only", "The attribute HttpOnly: scripts of the page cannot read it."}, insert.http_only);
  v.flag({"partitioned", "The attribute Partitioned, for pages of other sites; needs `secure`."},
         insert.partitioned);
  v.flag({"hide", "Strip the cookie from requests before the server sees them."}, insert.hide);

  v.only_for({"cookie-rewrite"}, kind);
  v.text({"name", "The server's cookie.", R"("SRV")", Need::required}, it.rewrite.name,
         TextForm::cookie_name);

  v.only_for({"cookie-prefix"}, kind);
  v.text({"name", "The server's cookie.", R"("SESSION")", Need::required}, it.prefix.name,
         TextForm::cookie_name);

  v.only_for({"source-ip"}, kind);
  v.duration({"grace", "How long an address keeps its server after its last connection closed."},
             it.source_ip.grace, kFromZero);
  v.integer({"prefix", "Bits of an IPv4 address that count: 24 binds a whole /24."}, it.source_ip.prefix,
            {1, 32});
  v.integer({"prefix_v6", "Bits of an IPv6 address that count."}, it.source_ip.prefix_v6, {1, 128});
  v.only_for({}, kind);
}

void visit(KeyVisitor& v, Health& it) {
  v.choice({"kind", "`tcp`: a connection can be opened. `http`: a GET is answered with the status `expect`."},
           it.kind, kHealthKinds);
  const std::string_view kind = word_of(it.kind);
  v.only_for({"http"}, kind);
  v.text({"path", "What is asked for.", R"("/healthz")"}, it.path, TextForm::url_path);
  v.text({"host", "The Host field.", R"("play.example")", Need::optional, "the server's IP:PORT"}, it.host,
         TextForm::host);
  v.integer({"expect", "The status of a healthy answer."}, it.expect, {200, 599});
  v.only_for({"tcp", "http"}, kind);
  v.duration({"every", "From one probe of a server to the next."}, it.every, {10ms, 24h});
  v.duration({"timeout", "A probe without an answer for so long has failed."}, it.timeout, {1ms, 24h});
  v.integer({"rise", "Good probes in a row that bring a server up."}, it.rise, {1, 100});
  v.integer({"fall", "Failed probes in a row that take it down."}, it.fall, {1, 100});
  v.only_for({}, kind);
}

void visit(KeyVisitor& v, Server& it) {
  v.text({"name",
          "Its name, unique in the pool. Clients are bound to the name: keep it when the address changes.",
          R"("g1")", Need::required},
         it.name, TextForm::name);
  v.address({"address", "IP:PORT.", R"("127.0.0.1:8000")", Need::required}, it.address, AddressUse::connect);
  v.integer({"weight", "Its share beside the others. 0: no new clients, bound ones may still come."},
            it.weight, {0, static_cast<int>(limits::kWeightMax)});
}

void visit(KeyVisitor& v, Gateway& it) {
  v.text({"name", "Its name, as the pool calls it.", R"("g1")", Need::required}, it.name, TextForm::name);
  v.integer({"workers", "Threads, each with its own loop."}, it.workers, kWorkers);
  v.list({"listener", "Where it listens; at least one.",
          R"({ listen = "127.0.0.1:8000", kind = "websocket" })", Need::required},
         it.listeners, limits::kListenersMax);
  v.table({"upstream", "What stands behind a client's session.", R"({ kind = "echo" })"}, it.upstream);
  v.size({"message_max", "The largest message taken from a client."}, it.message_max, kMessage);
  v.duration({"handshake_timeout", "For a client's handshake, from the accept on."}, it.handshake_timeout,
             kTimeout);
  v.duration({"drain_timeout", "After SIGTERM: clients that are there have this long before they are cut."},
             it.drain_timeout, kFromZero);
  v.text({"cookie",
          "A session cookie that the handshake sets for a client that brings none of ours, and that the "
          "greeting tells: "
          "for `cookie-rewrite` and `cookie-prefix` before the `echo` upstream.",
          R"("SESSION")", Need::optional, "none is set"},
         it.cookie, TextForm::cookie_name);
}

void visit(KeyVisitor& v, GatewayListener& it) {
  v.text({"name", "What logs and metrics call it.", R"("ws")", Need::optional, "its kind"}, it.name,
         TextForm::name);
  v.address({"listen", "IP:PORT; port 0 lets the system choose.", R"("127.0.0.1:8000")", Need::required},
            it.listen, AddressUse::listen);
  v.choice(
      {"kind",
       "`websocket`: answers `GET /healthz` and upgrades every other path. `tcp`: messages behind a 4-byte "
       "big-endian length."},
      it.kind, kGatewayListenerKinds);
}

void visit(KeyVisitor& v, Upstream& it) {
  v.choice({"kind", "`echo`: a greeting that names the gateway, then every message comes back."}, it.kind,
           kUpstreamKinds);
}

std::string_view our_word_for(std::string_view key) {
  struct Word {
    std::string_view theirs, ours;
  };
  static constexpr Word kWords[] = {
      {"bind", "listen"},         {"port", "listen"},
      {"interval", "every"},      {"inter", "every"},
      {"balance", "scheduler"},   {"algorithm", "scheduler"},
      {"policy", "scheduler"},    {"sticky", "affinity"},
      {"stickiness", "affinity"}, {"persistence", "affinity"},
      {"session", "affinity"},    {"cookie", "affinity"},
      {"backend", "pool"},        {"backends", "pool"},
      {"upstreams", "pool"},      {"frontend", "listener"},
      {"members", "server"},      {"targets", "server"},
      {"endpoints", "server"},    {"url", "address"},
      {"check", "health"},        {"health_check", "health"},
      {"status", "expect"},       {"uri", "path"},
      {"threads", "workers"},     {"id", "name"},
      {"type", "kind"},           {"max_age", "max_life"},
      {"ttl", "max_life"},        {"verbosity", "level"},
      {"protocol", "mode"},       {"max_message", "message_max"},
  };
  const auto found =
      std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& it) { return it.theirs == key; });
  return found == std::end(kWords) ? std::string_view() : found->ours;
}

std::string_view word_of(AffinityKind kind) { return kAffinityKinds[static_cast<std::size_t>(kind)]; }
std::string_view word_of(HealthKind kind) { return kHealthKinds[static_cast<std::size_t>(kind)]; }
std::string_view word_of(GatewayListenerKind kind) {
  return kGatewayListenerKinds[static_cast<std::size_t>(kind)];
}

}  // namespace rejoin::config
