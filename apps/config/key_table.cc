#include "apps/config/key_table.h"

#include <algorithm>

#include "apps/config/key_words.h"
#include "base/limits.h"

namespace rejoin::config {

void visit(KeyVisitor& v, Config& it) {
  v.table({"keys",
           "The keys that seal cookies and tickets; balancers and gateways need the same. Without this table "
           "a random key lives as long as the process, and "
           "clients lose their server at a restart.",
           R"({ seal = ["file:seal.key"] })"},
          it.keys);
  v.table({"log", "What goes to stderr.", R"({ level = "info" })"}, it.log);
  v.table({"tls", "What all listeners with TLS have together.", R"({ session_lifetime = "2h" })"}, it.tls);
  v.table(
      {"access_log",
       "A line for each request, connection and tunnel of the balancer, and for each link and session of the "
       "gateway: docs/access-log.md.",
       R"({ format = "json", path = "/var/log/rejoin/access.log" })"},
      it.access_log);
  v.table({"process",
           "Who the process becomes as soon as it listens, if it was started as root; and how it asks the "
           "kernel.",
           R"({ user = "rejoin" })"},
          it.process);
  v.table({"balancer", "`rejoin balancer` as a whole.", "{ workers = 1 }"}, it.balancer);
  v.list({"listener", "Where the balancer listens, and for which pool.",
          R"({ name = "play", listen = "0.0.0.0:8080", pool = "gateways" })"},
         it.listeners, limits::kListenersMax);
  v.list({"pool", "Servers that do the same work, and how one of them is found for a client.",
          R"({ name = "gateways", server = [ { name = "g1", address = "127.0.0.1:8000" } ] })"},
         it.pools, limits::kPoolsMax);
  v.table({"dns", "How names of servers (`resolve`) are looked up.", R"({ server = ["10.0.0.2"] })"}, it.dns);
  v.table({"gateway", "`rejoin gateway`. A file may hold the balancer, a gateway, or both.",
           R"({ name = "g1", listener = [ { listen = "127.0.0.1:8000" } ] })"},
          it.gateway);
  v.table({"admin",
           "The admin port, for `rejoin ctl` and Prometheus: docs/admin.md. It is the gateway's; in a file "
           "without "
           "[gateway] the balancer's. Without this table there is none.",
           R"({ listen = "127.0.0.1:9090" })"},
          it.admin);
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
  v.choice({"level", "The least important lines that are written.", R"("warn")"}, it.level, kLevels);
}

void visit(KeyVisitor& v, Balancer& it) {
  v.integer(
      {"workers", "Threads, each with its own loop; connections are spread over them by the kernel.", "4"},
      it.workers, kWorkers);
  v.duration({"drain_timeout", "After SIGTERM: clients that are there have this long before they are cut.",
              R"("30s")"},
             it.drain_timeout, kFromZero);
  v.table({"admin", "The balancer's own admin port, in a file that has a [gateway] as well.",
           R"({ listen = "127.0.0.1:9091" })"},
          it.admin);
  v.table({"drain",
           "How WebSockets are ended in a drain, so that their clients come back one after the other and not "
           "all at once.",
           "{ per_second = 50, code = 1012 }"},
          it.drain);
  v.duration(
      {"upgrade_timeout",
       "After an upgrade of the binary: tunnels that stay with the old process have this long.", R"("2h")"},
      it.upgrade_timeout, kFromZero);
}

void visit(KeyVisitor& v, Listener& it) {
  v.text({"name", "What logs and metrics call it.", R"("play")", Need::optional,
          "`listener-1`, `listener-2`, ..."},
         it.name, TextForm::name);
  v.address({"listen", "IP:PORT; port 0 lets the system choose.", R"("0.0.0.0:8080")", Need::required},
            it.listen, AddressUse::listen);
  v.choice(
      {"mode", "`http`: layer 7, reads requests and follows WebSockets. `tcp`: layer 4, passes bytes on.",
       R"("tcp")"},
      it.mode, kModes);
  v.text({"pool", "The pool that serves it.", R"("gateways")", Need::optional, "the only pool"}, it.pool,
         TextForm::name);
  v.duration(
      {"head_timeout",
       "`http`: for a whole request head after its first byte, and for the first one after the accept.",
       R"("5s")"},
      it.head_timeout, kTimeout);
  v.duration(
      {"idle_timeout", "`http`: for a side that is silent, or takes nothing, within a request.", R"("30s")"},
      it.idle_timeout, kTimeout);
  v.duration({"keep_alive_timeout", "`http`: for the next request of a client that stays connected.",
              R"("15s")", Need::optional, "the `idle_timeout`"},
             it.keep_alive_timeout, kTimeout);
  v.duration(
      {"tunnel_timeout", "A WebSocket, or a connection in mode `tcp`, that is silent both ways.", R"("2h")"},
      it.tunnel_timeout, kTimeout);
  v.text(
      {"health_path",
       "`http`: a GET for exactly this path is answered by the balancer itself, for a balancer in front: 200 "
       "when its pool has a server for new clients, else 503.",
       R"("/healthz")", Need::optional, "none"},
      it.health_path, TextForm::url_path);
  v.size({"max_body", "`http`: a request with a larger body is answered with 413. `0B`: no bound.",
          R"("16MiB")"},
         it.max_body, {0, 1024ull * 1024 * 1024 * 1024});
  v.choice({"redirect",
            "`https`: every request is sent to the same address under https, and none to a pool. (A `rule` "
            "that matches goes before it.)",
            R"("https")"},
           it.redirect, kRedirects);
  v.integer({"redirect_port", "The port of that https; 443 is not written into the address.", "8443"},
            it.redirect_port, {1, 65535});
  v.table({"forwarded", "`http`: what servers are told of where a request came from.",
           R"({ trust = ["10.0.0.0/8"] })"},
          it.forwarded);
  v.list({"rule",
          "`http`: what becomes of requests for a host, a path, or both. The most specific wins, wherever it "
          "stands: first by host (a name, then the longest `*.`, then none), then by the longest path. "
          "Requests that no rule matches go to the listener's `pool`.",
          R"({ path = "/api/", pool = "api" })"},
         it.rules, kRulesMax);
  v.pairs(
      {"error_pages",
       "`http`: files that are sent with errors of our own, by status; read at the start, at most 256 KiB "
       "each. Relative paths start at the configuration's folder.",
       R"({ 503 = "sorry.html" })", Need::optional, "a line of text"},
      it.error_pages, TextForm::status, TextForm::file_path, kErrorPagesMax);
  v.table({"tls", "Its clients speak TLS: https, wss, or whatever the servers speak, in TLS. Without: none.",
           R"({ certificate = "play.pem", key = "play.key" })"},
          it.tls);
  visit_listener_edge(v, it);
}

void visit(KeyVisitor& v, Pool& it) {
  v.text({"name", "What listeners call it.", R"("gateways")", Need::required}, it.name, TextForm::name);
  v.choice(
      {"scheduler",
       "Who gets a client that is bound to no server; all heed the weights. `random-two`: the one with fewer "
       "connections of two drawn by lot. `source-hash`, `key-hash`: the same address, or the same `hash_key` "
       "of the request, to the same server (Maglev), and nearly all of them still when servers are added.",
       R"("least-connections")"},
      it.scheduler, kSchedulers);
  v.table({"hash_key", "`key-hash`: where the key is. Requests without one go by their address.",
           R"({ query = "room" })", Need::optional, "none"},
          it.hash_key);
  v.list({"affinity",
          "How a client comes back to its server. Tried in order; the first that names a usable server wins, "
          "and the "
          "scheduler is asked when none does.",
          R"({ kind = "cookie-insert" })"},
         it.affinity, limits::kAffinityRulesMax);
  v.table(
      {"health", "How the balancer learns that a server is down.", R"({ kind = "http", path = "/healthz" })"},
      it.health);
  v.table(
      {"queue",
       "Where clients wait when servers are at their `max_connections`: those first that belong to a server, "
       "for their own, then the others, for any.",
       R"({ size = 100, timeout = "10s" })"},
      it.queue);
  v.duration({"slow_start",
              "A server that came up again takes its full share of new clients only after so long; from a "
              "hundredth on it grows evenly. `0s`: at once. Not with the schedulers that hash.",
              R"("30s")"},
             it.slow_start, {0s, 24h});
  v.duration({"burst",
              "Clients without a pin that come within so long of each other, from one address and with one "
              "User-Agent and Accept-Language, go to one server: a page's first sockets, none of which has a "
              "cookie yet. `0s`: no such thing.",
              R"("3s")"},
             it.burst, {0s, 60s});
  v.text(
      {"unpin_field",
       "A server ends a client's binding (a logout) by this field with the value 1 in a response; clients do "
       "not see it. The cookie of `cookie-insert` is deleted, an address's lease is dropped. Empty: servers "
       "cannot.",
       R"("X-Logged-Out")"},
      it.unpin_field, TextForm::no_or_field_name);
  v.duration({"connect_timeout", "For the connection to a server.", R"("1s")"}, it.connect_timeout, kTimeout);
  v.integer({"retries", "Other servers tried when one refuses, or does as `retry` says.", "3"}, it.retries,
            {0, kRetriesMax});
  v.table({"retry", "When a request is sent to another server.", R"({ on = ["connect", "reset", "503"] })"},
          it.retry);
  v.duration({"response_timeout", "For the head of a server's answer, from the end of the request on.",
              R"("30s")", Need::optional, "the listener's `idle_timeout`"},
             it.response_timeout, kTimeout);
  v.table({"keep_alive", "Connections to servers that are kept for the next request.",
           R"({ connections = 128, idle = "30s" })"},
          it.keep_alive);
  v.table({"tls", "Its servers speak TLS, to probes as well. Without: none.",
           R"({ ca = "servers-ca.pem", name = "gateways.internal" })"},
          it.tls);
  v.choice(
      {"proxy_protocol",
       "Whether connections to the servers begin with a PROXY header that tells who the client is. `v1`: a "
       "line of text. `v2`: binary, with a unique id and what is known of the client's TLS. In mode `http` "
       "a connection to a server then serves one client alone.",
       R"("v2")"},
      it.proxy_protocol, kProxyProtocols);
  v.list({"server", "The servers; at least one.", R"({ name = "g1", address = "127.0.0.1:8000" })",
          Need::required},
         it.servers, limits::kServersPerPoolMax);
}

void visit(KeyVisitor& v, Affinity& it) {
  v.choice({"kind",
            "`cookie-insert`: a sealed cookie of ours. `cookie-rewrite`: the server's cookie of that name "
            "gets our value. `cookie-prefix`: the server's cookie keeps its value, behind our sealed "
            "prefix. `source-ip`: the client's address. `ticket`: the resume ticket that a gateway of this "
            "pool has given, in the sub-protocol list, the field `Rejoin-Ticket`, a cookie, or the first "
            "frame on TCP, where clients then have to speak first. `key`: a header, query parameter or "
            "cookie of the application (a room), by consistent hash: nothing is remembered, and a key "
            "whose server is away goes to the next of its preference until that is back.",
            R"("cookie-insert")", Need::required},
           it.kind, kAffinityKinds);
  const std::string_view kind = word_of(it.kind);

  v.only_for({"cookie-insert"}, kind);
  CookieInsert& insert = it.insert;
  v.text({"name", "The cookie's name.", R"("SERVERID")"}, insert.name, TextForm::cookie_name);
  v.duration(
      {"max_idle",
       "The cookie is as if absent when it was last used longer ago. `0s`: no bound. Counted from the last "
       "response, or from the end of a WebSocket: those that are open are remembered, but not over a "
       "restart, nor by another balancer.",
       R"("30m")"},
      insert.max_idle, kFromZero);
  v.duration({"max_life", "The cookie is as if absent when it was first given longer ago. `0s`: no bound.",
              R"("12h")"},
             insert.max_life, kFromZero);
  v.text(
      {"domain", "The attribute Domain; empty: none, and the cookie is the host's own.", R"("play.example")"},
      insert.domain, TextForm::cookie_domain);
  v.text({"path",
          "The attribute Path. With another than `/`, browsers keep the cookie from the rest of the site.",
          R"("/play")"},
         insert.path, TextForm::cookie_path);
  v.choice(
      {"same_site", "The attribute SameSite; `unset` leaves it out. Browsers take `none` only with `secure`.",
       R"("none")"},
      insert.same_site, kSameSites);
  v.flag({"secure", "The attribute Secure: https and wss only.", "true"}, insert.secure);
  v.flag({"http_only", "The attribute HttpOnly: scripts of the page cannot read it.", "false"},
         insert.http_only);
  v.flag({"partitioned", "The attribute Partitioned, for pages of other sites; needs `secure`.", "true"},
         insert.partitioned);
  v.flag({"hide", "Strip the cookie from requests before the server sees them.", "false"}, insert.hide);
  v.text({"cross_site",
          "The name of a second cookie with the same binding, `SameSite=None; Secure; Partitioned`, for "
          "pages of other sites that embed this one. Browsers take it over https and wss only.",
          R"("REJOINCORS")", Need::optional, "there is none"},
         insert.cross_site, TextForm::no_or_cookie_name);

  v.only_for({"cookie-rewrite"}, kind);
  v.text({"name", "The server's cookie.", R"("SRV")", Need::required}, it.rewrite.name,
         TextForm::cookie_name);

  v.only_for({"cookie-prefix"}, kind);
  v.text({"name", "The server's cookie.", R"("SESSION")", Need::required}, it.prefix.name,
         TextForm::cookie_name);

  v.only_for({"source-ip"}, kind);
  v.duration({"grace", "How long an address keeps its server after its last connection closed.", R"("10m")"},
             it.source_ip.grace, kFromZero);
  v.integer({"prefix", "Bits of an IPv4 address that count: 24 binds a whole /24.", "24"},
            it.source_ip.prefix, {1, 32});
  v.integer({"prefix_v6", "Bits of an IPv6 address that count.", "64"}, it.source_ip.prefix_v6, {1, 128});

  v.only_for({"ticket"}, kind);
  v.text({"cookie",
          "The gateways' `session_cookie`, which bears it for plain WebSocket clients. Clients that know "
          "the resume protocol have it in a cookie `REJOIN-TICKET`, which always counts.",
          R"("GAME-SESSION")"},
         it.ticket.cookie, TextForm::cookie_name);
  v.duration(
      {"owner_gone",
       "A gateway that is away for less may come back with its sessions, so its clients are told to come "
       "again and are sent to no other. The `grace` of the sessions is right.",
       R"("2m")"},
      it.ticket.owner_gone, kFromZero);
  v.duration({"come_again", "How long they are told to wait.", R"("2s")"}, it.ticket.come_again, {10ms, 1h});

  v.only_for({"key"}, kind);
  visit(v, it.key);
  v.only_for({"cookie-insert", "cookie-rewrite", "cookie-prefix", "source-ip", "key"}, kind);
  v.flag({"strict",
          "A client whose server is down, drained, or full for too long is answered 503 (layer 4: reset) "
          "instead of being sent to another.",
          "true"},
         it.strict);
  v.only_for({}, kind);
}

void visit(KeyVisitor& v, RequestKey& it) {
  v.text({"header", "The name of a field of requests. One of `header`, `query`, `cookie`.", R"("X-Room")",
          Need::optional, "none"},
         it.header, TextForm::no_or_field_name);
  v.text({"query", "The name of a parameter in the query: `room` for `/play?room=42`.", R"("room")",
          Need::optional, "none"},
         it.query, TextForm::parameter_name);
  v.text({"cookie", "The name of a cookie of the application.", R"("ROOM")", Need::optional, "none"},
         it.cookie, TextForm::no_or_cookie_name);
}

void visit(KeyVisitor& v, Queue& it) {
  v.integer({"size",
             "Clients that wait at once, over all workers. A waiting request holds up to 100 kB. `0`: nobody "
             "waits, "
             "and who finds no room is answered 503.",
             "200"},
            it.size, {0, 100'000});
  v.duration(
      {"timeout",
       "How long one waits. A client that belongs to a server is then sent to another one that has room, the "
       "others are answered 503.",
       R"("5s")"},
      it.timeout, kTimeout);
}

void visit(KeyVisitor& v, Passive& it) {
  v.integer(
      {"failures",
       "So many failures put a server out: connects that fail, answers 5xx (but 501 and 505), answers that "
       "break off or do not come.",
       "10"},
      it.failures, {1, 1000});
  v.duration({"within", "... when they come within this time.", R"("5s")"}, it.within, {10ms, 1h});
  v.duration(
      {"out",
       "For so long it is as if it were down. Never more than half of a pool's servers at once: when all "
       "fail it is not the servers.",
       R"("1m")"},
      it.out, {10ms, 24h});
}

void visit(KeyVisitor& v, Health& it) {
  v.choice(
      {"kind",
       "`tcp`: a connection can be opened. `http`: a GET is answered with a status of `expect`. `tls`: a "
       "handshake of TLS succeeds; in a pool without `tls`, whose servers speak it with the clients "
       "themselves, whatever the certificate is.",
       R"("http")"},
      it.kind, kHealthKinds);
  const std::string_view kind = word_of(it.kind);
  v.only_for({"http"}, kind);
  v.text({"path", "What is asked for.", R"("/healthz")"}, it.path, TextForm::url_path);
  v.text({"host", "The Host field.", R"("play.example")", Need::optional, "the server's IP:PORT"}, it.host,
         TextForm::host);
  v.statuses({"expect", "The statuses of a healthy answer: one, a range, or a list of both.",
              R"(["200-299", 304])", Need::optional, "`200`"},
             it.expect, {200, 599});
  v.text({"weight_field",
          "A field of the answer by which a server asks for a share of its weight, `0%` to `100%`. Without "
          "the field it has all of it. Empty: nobody looks.",
          R"("X-Agent-Weight")"},
         it.weight_field, TextForm::no_or_field_name);
  v.duration(
      {"drain_time",
       "A server that says it drains (503 with `Rejoin-State: draining`) takes no new clients, and its own "
       "for so long. `0s`: as long as it says so.",
       R"("10m")"},
      it.drain_time, kFromZero);
  v.only_for({"tcp", "http", "tls"}, kind);
  v.duration({"every", "From one probe of a server to the next.", R"("5s")"}, it.every, {10ms, 24h});
  v.duration({"timeout", "A probe without an answer for so long has failed.", R"("2s")"}, it.timeout,
             {1ms, 24h});
  v.integer({"rise", "Good probes in a row that bring a server up.", "3"}, it.rise, {1, 100});
  v.integer({"fall", "Failed probes in a row that take it down.", "5"}, it.fall, {1, 100});
  v.only_for({}, kind);
  v.table({"passive", "What clients' connections tell of a server, with or without probes.",
           R"({ failures = 5, within = "10s", out = "30s" })", Need::optional,
           "failures count only where a probe or a connect fails"},
          it.passive);
  v.choice(
      {"on_down",
       "The open connections to a server that is found down, or put out. `keep`: left alone, they end when "
       "somebody notices. `close`: ended, so that clients come back at once.",
       R"("close")"},
      it.on_down, kOnDown);
}

void visit(KeyVisitor& v, Server& it) {
  v.text({"name",
          "Its name, unique in the pool. Clients are bound to the name: keep it when the address changes.",
          R"("g1")", Need::required},
         it.name, TextForm::name);
  v.address({"address", "IP:PORT. Either this or `resolve`.", R"("127.0.0.1:8000")", Need::optional, "none"},
            it.address, AddressUse::connect);
  v.integer({"weight", "Its share beside the others. 0: no new clients, bound ones may still come.", "2"},
            it.weight, {0, static_cast<int>(limits::kWeightMax)});
  v.flag({"backup",
          "Takes new clients only while no other server could. Clients that it has come back to it.", "true"},
         it.backup);
  v.integer({"max_connections",
             "Connections and requests in progress at once, over all workers. `0`: no bound. See `queue`.",
             "20000"},
            it.max_connections, {0, 10'000'000});
  v.text({"tls_name",
          "In a pool with `tls`: the name that its certificate must be for, and that it is asked for.",
          R"("g1.internal")", Need::optional, "the pool's `tls.name`"},
         it.tls_name, TextForm::server_name);
  v.text({"resolve",
          "A name in DNS, absolute. Each of its addresses is a server, called `NAME-ADDRESS` (with `srv` "
          "`NAME-HOST`, by the first label of the target), so that pins hold whatever the order of the "
          "answer. Asked again when "
          "its TTL is over.",
          R"("gateways.internal")", Need::optional, "none"},
         it.resolve, TextForm::host);
  v.integer({"port", "With `resolve`, for the types `a` and `aaaa`.", "8000", Need::optional, "none"},
            it.port, {0, 65535});
  v.choice(
      {"type",
       "With `resolve`: which records. `srv` tells ports and weights, too; targets that do not have the best "
       "priority are backups.",
       R"("srv")"},
      it.type, kNameTypes);
}

void visit(KeyVisitor& v, Dns& it) {
  v.texts({"server", "Who is asked, IP or IP:PORT.", R"(["10.0.0.2", "10.0.0.3:5353"])", Need::optional,
           "those of /etc/resolv.conf"},
          it.servers, TextForm::host, limits::kPeersMax);
  v.duration({"timeout", "For a server's first answer; each further try has twice the time.", R"("1s")"},
             it.timeout, {10ms, 1min});
  v.integer({"tries", "Of each server.", "2"}, it.tries, {1, 10});
  v.duration(
      {"ttl_min", "Names are asked for again after their TTL, but not more often than this.", R"("5s")"},
      it.ttl_min, {100ms, 24h});
  v.duration({"ttl_max", "... and not less often than this.", R"("1m")"}, it.ttl_max, {100ms, 24h});
  v.duration({"retry", "After a failure. The last good answer stays in force, however long.", R"("10s")"},
             it.retry, {100ms, 24h});
  v.duration(
      {"keep_empty",
       "An answer without addresses is believed only when nothing else has come for so long; until then "
       "the last good one stays in force.",
       R"("5m")"},
      it.keep_empty, kFromZero);
}

std::string_view our_word_for(std::string_view key) {
  struct Word {
    std::string_view theirs, ours;
  };
  static constexpr Word kWords[] = {
      {"bind", "listen"},
      {"port", "listen"},
      {"interval", "every"},
      {"inter", "every"},
      {"balance", "scheduler"},
      {"algorithm", "scheduler"},
      {"policy", "scheduler"},
      {"sticky", "affinity"},
      {"stickiness", "affinity"},
      {"persistence", "affinity"},
      {"session", "affinity"},
      {"cookie", "affinity"},
      {"backend", "pool"},
      {"backends", "pool"},
      {"upstreams", "pool"},
      {"frontend", "listener"},
      {"members", "server"},
      {"targets", "server"},
      {"endpoints", "server"},
      {"url", "address"},
      {"check", "health"},
      {"health_check", "health"},
      {"status", "expect"},
      {"uri", "path"},
      {"threads", "workers"},
      {"id", "name"},
      {"type", "kind"},
      {"max_age", "max_life"},
      {"ttl", "max_life"},
      {"verbosity", "level"},
      {"protocol", "mode"},
      {"max_message", "message_max"},
      {"byte_order", "endian"},
      {"send_proxy", "proxy_protocol"},
      {"deflate", "compression"},
      {"permessage_deflate", "compression"},
      {"threshold", "min_bytes"},
      {"mem_level", "memory_level"},
      {"maxconn", "max_connections"},
      {"slowstart", "slow_start"},
      {"observe", "passive"},
      {"outlier", "passive"},
      {"on_marked_down", "on_down"},
      {"max_conns", "max_connections"},
      {"ssl", "tls"},
      {"crt", "certificate"},
      {"cert", "certificate"},
      {"cert_file", "certificate"},
      {"key_file", "key"},
      {"ssl_certificate", "certificate"},
      {"private_key", "key"},
      {"ca_file", "ca"},
      {"sni", "name"},
      {"ssl_min_ver", "min_version"},
      {"insecure", "verify"},
      {"tls_version", "min_version"},
  };
  const auto found =
      std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& it) { return it.theirs == key; });
  return found == std::end(kWords) ? std::string_view() : found->ours;
}

std::string_view word_of(AffinityKind kind) { return kAffinityKinds[static_cast<std::size_t>(kind)]; }
std::string_view word_of(HealthKind kind) { return kHealthKinds[static_cast<std::size_t>(kind)]; }
std::string_view word_of(CompressionKind kind) { return kCompressionKinds[static_cast<std::size_t>(kind)]; }
std::string_view word_of(GatewayListenerKind kind) {
  return kGatewayListenerKinds[static_cast<std::size_t>(kind)];
}
std::string_view word_of(UpstreamKind kind) { return kUpstreamKinds[static_cast<std::size_t>(kind)]; }

}  // namespace rejoin::config
