#include "apps/config/key_table.h"

#include <algorithm>

#include "base/limits.h"

namespace rejoin::config {
namespace {

// In the order of the enumerators.
constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error", "off"};
constexpr std::string_view kModes[] = {"http", "tcp"};
constexpr std::string_view kRedirects[] = {"off", "https"};
constexpr std::string_view kSchedulers[] = {"round-robin", "least-connections", "random-two", "source-hash",
                                            "key-hash"};
constexpr std::string_view kAffinityKinds[] = {"cookie-insert", "cookie-rewrite", "cookie-prefix",
                                               "source-ip",     "ticket",         "key"};
constexpr std::string_view kSameSites[] = {"unset", "lax", "strict", "none"};
constexpr std::string_view kOnDown[] = {"keep", "close"};
constexpr std::string_view kHealthKinds[] = {"off", "tcp", "http"};
constexpr std::string_view kGatewayListenerKinds[] = {"websocket", "tcp"};
constexpr std::string_view kLinkProtocols[] = {"any", "rejoin", "plain"};
constexpr std::string_view kOverflows[] = {"pause", "expire"};
constexpr std::string_view kUpstreamKinds[] = {"echo", "tcp", "ws"};
constexpr std::string_view kEndians[] = {"big", "little"};
constexpr std::string_view kProxyProtocols[] = {"off", "v1", "v2"};
constexpr std::string_view kCompressionKinds[] = {"off", "shared", "dedicated"};

constexpr Range<Duration> kTimeout{1ms, 24h * 365};
constexpr Range<Duration> kFromZero{0s, 24h * 365};
constexpr Range<int> kWorkers{1, limits::kWorkersMax};
constexpr int kRetriesMax = static_cast<int>(limits::kTriedServersMax) - 1;
constexpr Range<std::uint64_t> kMessage{1, 64 * 1024 * 1024};
constexpr std::size_t kRulesMax = 1024;  // of one listener
constexpr std::size_t kErrorPagesMax = 64;

}  // namespace

void visit(KeyVisitor& v, Config& it) {
  v.table({"keys",
           "The keys that seal cookies and tickets; balancers and gateways need the same. Without this table "
           "a random key lives as long as the process, and "
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
  v.table(
      {"admin",
       "The gateway's admin port, for `rejoin ctl` and Prometheus: sessions, drains, metrics. Without this "
       "table there is none.",
       R"({ listen = "127.0.0.1:9090" })"},
      it.admin);
}

void visit(KeyVisitor& v, Admin& it) {
  v.address({"listen",
             "IP:PORT. There is no password: whoever reaches it sees players' addresses and can end their "
             "sessions, so let it be the machine's own (127.0.0.1).",
             R"("127.0.0.1:9090")", Need::required},
            it.listen, AddressUse::listen_here);
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
  v.duration({"idle_timeout", "`http`: for a side that is silent, or takes nothing, within a request."},
             it.idle_timeout, kTimeout);
  v.duration({"keep_alive_timeout", "`http`: for the next request of a client that stays connected.",
              R"("15s")", Need::optional, "the `idle_timeout`"},
             it.keep_alive_timeout, kTimeout);
  v.duration({"tunnel_timeout", "A WebSocket, or a connection in mode `tcp`, that is silent both ways."},
             it.tunnel_timeout, kTimeout);
  v.size({"max_body", "`http`: a request with a larger body is answered with 413. `0B`: no bound."},
         it.max_body, {0, 1024ull * 1024 * 1024 * 1024});
  v.choice({"redirect",
            "`https`: every request is sent to the same address under https, and none to a pool. (A `rule` "
            "that matches goes before it.)"},
           it.redirect, kRedirects);
  v.integer({"redirect_port", "The port of that https; 443 is not written into the address."},
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
}

void visit(KeyVisitor& v, Pool& it) {
  v.text({"name", "What listeners call it.", R"("gateways")", Need::required}, it.name, TextForm::name);
  v.choice(
      {"scheduler",
       "Who gets a client that is bound to no server; all heed the weights. `random-two`: the one with fewer "
       "connections of two drawn by lot. `source-hash`, `key-hash`: the same address, or the same `hash_key` "
       "of the request, to the same server (Maglev), and nearly all of them still when servers are added."},
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
              "hundredth on it grows evenly. `0s`: at once. Not with the schedulers that hash."},
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
       {}},
      it.unpin_field, TextForm::no_or_field_name);
  v.duration({"connect_timeout", "For the connection to a server."}, it.connect_timeout, kTimeout);
  v.integer({"retries", "Other servers tried when one refuses, or does as `retry` says."}, it.retries,
            {0, kRetriesMax});
  v.table({"retry", "When a request is sent to another server.", R"({ on = ["connect", "reset", "503"] })"},
          it.retry);
  v.duration({"response_timeout", "For the head of a server's answer, from the end of the request on.",
              R"("30s")", Need::optional, "the listener's `idle_timeout`"},
             it.response_timeout, kTimeout);
  v.table({"keep_alive", "Connections to servers that are kept for the next request.",
           R"({ connections = 128, idle = "30s" })"},
          it.keep_alive);
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
            "client's address. `ticket`: the resume ticket that a gateway of this pool has given, in the "
            "sub-protocol list, the field `Rejoin-Ticket`, a cookie, or the first frame on TCP, where "
            "clients then "
            "have to speak first. `key`: a header, query parameter or cookie of the application (a room), by "
            "consistent hash: nothing is remembered, and a key whose server is away goes to the next of its "
            "preference until that is back.",
            R"("cookie-insert")", Need::required},
           it.kind, kAffinityKinds);
  const std::string_view kind = word_of(it.kind);

  v.only_for({"cookie-insert"}, kind);
  CookieInsert& insert = it.insert;
  v.text({"name", "The cookie's name."}, insert.name, TextForm::cookie_name);
  v.duration(
      {"max_idle",
       "The cookie is as if absent when it was last used longer ago. `0s`: no bound. Counted from the "
       "last response, or from the end of a WebSocket: those that are open are remembered, but not over a "
       "restart, nor by another balancer."},
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
  v.text({"cross_site",
          "The name of a second cookie with the same binding, `SameSite=None; Secure; Partitioned`, for "
          "pages of "
          "other sites that embed this one. Browsers take it over https and wss only.",
          R"("REJOINCORS")", Need::optional, "there is none"},
         insert.cross_site, TextForm::no_or_cookie_name);

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

  v.only_for({"ticket"}, kind);
  v.text({"cookie",
          "The gateways' `session_cookie`, which bears it for plain WebSocket clients. Clients that know the "
          "resume "
          "protocol have it in a cookie `REJOIN-TICKET`, which always counts."},
         it.ticket.cookie, TextForm::cookie_name);
  v.duration(
      {"owner_gone",
       "A gateway that is away for less may come back with its sessions, so its clients are told to come "
       "again and are sent to no other. The `grace` of the sessions is right."},
      it.ticket.owner_gone, kFromZero);
  v.duration({"come_again", "How long they are told to wait."}, it.ticket.come_again, {10ms, 1h});

  v.only_for({"key"}, kind);
  visit(v, it.key);
  v.only_for({"cookie-insert", "cookie-rewrite", "cookie-prefix", "source-ip", "key"}, kind);
  v.flag({"strict",
          "A client whose server is down, drained, or full for too long is answered 503 (layer 4: reset) "
          "instead of "
          "being sent to another."},
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
             "and who finds no room is answered 503."},
            it.size, {0, 100'000});
  v.duration(
      {"timeout",
       "How long one waits. A client that belongs to a server is then sent to another one that has room, the "
       "others are answered 503."},
      it.timeout, kTimeout);
}

void visit(KeyVisitor& v, Passive& it) {
  v.integer(
      {"failures",
       "So many failures put a server out: connects that fail, answers 5xx (but 501 and 505), answers that "
       "break off or do not come."},
      it.failures, {1, 1000});
  v.duration({"within", "... when they come within this time."}, it.within, {10ms, 1h});
  v.duration(
      {"out",
       "For so long it is as if it were down. Never more than half of a pool's servers at once: when all "
       "fail it is not the servers."},
      it.out, {10ms, 24h});
}

void visit(KeyVisitor& v, Health& it) {
  v.choice({"kind",
            "`tcp`: a connection can be opened. `http`: a GET is answered with a status of "
            "`expect`."},
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
          "the field "
          "it has all of it. Empty: nobody looks.",
          {}},
         it.weight_field, TextForm::no_or_field_name);
  v.duration(
      {"drain_time",
       "A server that says it drains (503 with `Rejoin-State: draining`) takes no new clients, and its own "
       "for so long. `0s`: as long as it says so."},
      it.drain_time, kFromZero);
  v.only_for({"tcp", "http"}, kind);
  v.duration({"every", "From one probe of a server to the next."}, it.every, {10ms, 24h});
  v.duration({"timeout", "A probe without an answer for so long has failed."}, it.timeout, {1ms, 24h});
  v.integer({"rise", "Good probes in a row that bring a server up."}, it.rise, {1, 100});
  v.integer({"fall", "Failed probes in a row that take it down."}, it.fall, {1, 100});
  v.only_for({}, kind);
  v.table({"passive", "What clients' connections tell of a server, with or without probes.",
           R"({ failures = 5, within = "10s", out = "30s" })", Need::optional,
           "failures count only where a probe or a connect fails"},
          it.passive);
  v.choice(
      {"on_down",
       "The open connections to a server that is found down, or put out. `keep`: left alone, they end when "
       "somebody notices. `close`: ended, so that clients come back at once."},
      it.on_down, kOnDown);
}

void visit(KeyVisitor& v, Server& it) {
  v.text({"name",
          "Its name, unique in the pool. Clients are bound to the name: keep it when the address changes.",
          R"("g1")", Need::required},
         it.name, TextForm::name);
  v.address({"address", "IP:PORT.", R"("127.0.0.1:8000")", Need::required}, it.address, AddressUse::connect);
  v.integer({"weight", "Its share beside the others. 0: no new clients, bound ones may still come."},
            it.weight, {0, static_cast<int>(limits::kWeightMax)});
  v.flag(
      {"backup", "Takes new clients only while no other server could. Clients that it has come back to it."},
      it.backup);
  v.integer({"max_connections",
             "Connections and requests in progress at once, over all workers. `0`: no bound. See `queue`."},
            it.max_connections, {0, 10'000'000});
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
  v.table({"session", "What outlives a client's connection, and for how long.", R"({ grace = "60s" })"},
          it.session);
  v.table({"upgrade",
           "How sessions, with their game servers' connections, go to the next process of this gateway when "
           "it is "
           "upgraded (SIGUSR2, `rejoin ctl upgrade`).",
           R"({ over = "10s", wait = "10s", linger = "10m" })"},
          it.upgrade);
  v.table({"heartbeat", "How a silent link is found out.", R"({ ping = "15s", dead = "40s" })"},
          it.heartbeat);
  v.table({"rate", "What one client may send.", R"({ messages = 100, bytes = "64KiB" })"}, it.rate);
  v.table({"compression",
           "WebSocket messages may be compressed: permessage-deflate (RFC 7692), where the client offers it.",
           R"({ kind = "shared" })"},
          it.compression);
  v.table({"session_cookie",
           "A cookie by which plain WebSocket clients, who know nothing of the resume protocol, get their "
           "session back. Without this table their session ends with their connection.",
           R"({ name = "REJOIN-SESSION" })"},
          it.session_cookie);
  v.texts({"origins",
           "Pages that may open a WebSocket, besides those of the host that is dialled; `*`: any. Clients "
           "that send no Origin are no pages, and may.",
           R"(["https://play.example"])", Need::optional, "only the host's own"},
          it.origins, TextForm::origin, limits::kOriginsMax);
  v.texts(
      {"trusted_proxies",
       "Balancers and proxies in front, as addresses or networks: their X-Forwarded-For says who the client "
       "is.",
       R"(["10.0.0.0/8"])", Need::optional, "none"},
      it.trusted_proxies, TextForm::network, limits::kPeersMax);
  v.texts({"advertise",
           "URLs at which clients reach this gateway without a balancer. Told to each client of the resume "
           "protocol; used by those that were told to.",
           R"(["wss://g1.play.example"])", Need::optional, "none"},
          it.advertise, TextForm::link_url, limits::kAdvertisedMax);
  v.list({"peer",
          "Other gateways: a client that comes to us with a session of theirs is passed on to them. Without "
          "the peer it is told to come again.",
          R"({ name = "g2", websocket = "127.0.0.2:8000", tcp = "127.0.0.2:8001" })"},
         it.peers, limits::kPeersMax);
  v.text({"pages",
          "A folder whose files the websocket listeners also serve over HTTP: the page of a small game. Read "
          "whole at "
          "start: at most 256 files and 16 MiB.",
          R"("web")", Need::optional, "none"},
         it.pages, TextForm::file_path);
}

void visit(KeyVisitor& v, Session& it) {
  v.duration({"grace", "A session lives so long after its link was lost."}, it.grace, kTimeout);
  v.size({"window_bytes",
          "What may be under way in each direction, not yet acknowledged; the largest message, too."},
         it.window_bytes, {1024, 64 * 1024 * 1024});
  v.integer({"window_messages", "The same, in messages."}, it.window_messages, {1, 1'000'000});
  v.choice({"overflow",
            "When the game server says more than the window holds. `pause`: it is not read for the time "
            "`pause`, then as `expire`. `expire`: the session ends."},
           it.overflow, kOverflows);
  v.duration({"pause", "How long the game server waits for a client that takes nothing."}, it.pause,
             kFromZero);
  v.size({"memory_max", "Of all replay windows together; beyond it every window counts as full."},
         it.memory_max, {1024 * 1024, 1024ull * 1024 * 1024 * 1024});
  v.integer({"sessions_max", "Sessions at once; beyond it new clients are told to come again."},
            it.sessions_max, {1, 10'000'000});
  v.duration({"spread",
              "Clients that all lose their connection at once come back within this time, not all at once."},
             it.spread, kFromZero);
}

void visit(KeyVisitor& v, ClientRate& it) {
  v.integer({"messages", "Messages a second, on average over two. `0`: no bound."}, it.messages,
            {0, 1'000'000});
  v.size({"bytes", "Bytes of messages a second, on average over two. `0B`: no bound."}, it.bytes,
         {0, 1024ull * 1024 * 1024});
}

void visit(KeyVisitor& v, Compression& it) {
  v.choice({"kind",
            "`shared`: each message by itself (no context takeover), which costs no memory per link. "
            "`dedicated`: a message may refer to those before it, which makes small ones several times "
            "shorter, and costs memory per link. Do not compress what bears a secret beside what an attacker "
            "can choose: its length tells."},
           it.kind, kCompressionKinds);
  const std::string_view kind = word_of(it.kind);
  v.only_for({"shared", "dedicated"}, kind);
  v.integer({"window_bits",
             "How far back a message may refer, as a power of two of bytes. With `dedicated`, 12 and a "
             "`memory_level` of 5 cost 50 kB a link, 15 and 8 cost 308 kB, 9 and 1 cost 17 kB."},
            it.window_bits, {9, 15});
  v.integer({"memory_level", "zlib's memLevel: memory for speed."}, it.memory_level, {1, 9});
  v.size({"min_bytes", "Shorter messages are sent as they are."}, it.min_bytes, {0, 64 * 1024 * 1024});
  v.flag(
      {"on_resumable_links",
       "Also for clients of the resume protocol. Gateways that are peers need the same `compression` then."},
      it.on_resumable_links);
  v.only_for({"dedicated"}, kind);
  v.size({"memory_max",
          "Of all links together, spread over the workers; beyond it new links are served as with `shared`."},
         it.memory_max, {0, 1024ull * 1024 * 1024 * 1024});
  v.only_for({}, kind);
}

void visit(KeyVisitor& v, SessionCookie& it) {
  v.text({"name", "The cookie's name."}, it.name, TextForm::cookie_name);
  v.text({"domain", "The attribute Domain; empty: none, and the cookie is the host's own."}, it.domain,
         TextForm::cookie_domain);
  v.text({"path", "The attribute Path."}, it.path, TextForm::cookie_path);
  v.choice({"same_site", "The attribute SameSite."}, it.same_site, kSameSites);
  v.flag({"secure", "The attribute Secure: https and wss only. Turn it off for tests on plain http alone."},
         it.secure);
}

void visit(KeyVisitor& v, PeerGateway& it) {
  v.text({"name", "What it calls itself: the owner in its tickets.", R"("g2")", Need::required}, it.name,
         TextForm::name);
  v.address({"websocket", "Its websocket listener.", R"("127.0.0.2:8000")", Need::optional,
             "WebSocket links are not passed on"},
            it.websocket, AddressUse::connect);
  v.address(
      {"tcp", "Its tcp listener.", R"("127.0.0.2:8001")", Need::optional, "TCP links are not passed on"},
      it.tcp, AddressUse::connect);
}

void visit(KeyVisitor& v, GatewayListener& it) {
  v.text({"name", "What logs and metrics call it.", R"("ws")", Need::optional, "its kind"}, it.name,
         TextForm::name);
  v.address({"listen", "IP:PORT; port 0 lets the system choose.", R"("127.0.0.1:8000")", Need::required},
            it.listen, AddressUse::listen);
  v.choice({"protocol",
            "What its clients speak. `rejoin`: the resume protocol, which loses nothing. `plain`: the game's "
            "messages, as they are. `any`: a WebSocket client chooses by its sub-protocol, a TCP client by "
            "its first message; a game whose server speaks first on TCP needs `plain`."},
           it.protocol, kLinkProtocols);
  v.choice(
      {"kind",
       "`websocket`: answers `GET /healthz` and upgrades every other path. `tcp`: messages behind a 4-byte "
       "big-endian length."},
      it.kind, kGatewayListenerKinds);
}

void visit(KeyVisitor& v, Upstream& it) {
  v.choice(
      {"kind",
       "`echo`: a greeting that names the gateway, then every message comes back. `tcp`: a game server that "
       "speaks messages behind a length. `ws`: one that speaks WebSocket. Each session has a connection of "
       "its own, for as long as it lives."},
      it.kind, kUpstreamKinds);
  const std::string_view kind = word_of(it.kind);

  v.only_for({"tcp", "ws"}, kind);
  v.address({"address", "IP:PORT of the one game server. Either this or `pool`.", R"("127.0.0.1:7000")",
             Need::optional, "none"},
            it.address, AddressUse::connect);
  v.text({"pool",
          "Several game servers: the `[[pool]]` of this name, with its scheduler, health checks, "
          "`connect_timeout` and `retries`. Its affinities mean nothing here.",
          R"("arena")", Need::optional, "none"},
         it.pool, TextForm::name);
  v.duration({"connect_timeout",
              "For the connection to the game server, and once more for a WebSocket's handshake. A pool has "
              "its own."},
             it.connect_timeout, kTimeout);
  v.size({"message_max", "The largest message taken from the game server; a larger one ends the session."},
         it.message_max, kMessage);

  v.only_for({"tcp"}, kind);
  v.integer({"length_bytes", "Bytes of the length before each message: 2 or 4."}, it.length_bytes, {2, 4});
  v.choice({"endian", "The order of these bytes: `big`, the highest first, as networks have it."}, it.endian,
           kEndians);
  v.flag({"counts_itself", "Whether the length includes its own bytes."}, it.counts_itself);
  v.choice(
      {"proxy_protocol",
       "Whether a PROXY header before the first message tells who the player is. `v1`: a line of text with "
       "the addresses. `v2`: binary, and with the session's id in a field of type 0xE0 (and in UNIQUE_ID)."},
      it.proxy_protocol, kProxyProtocols);

  v.only_for({"ws"}, kind);
  v.text({"path", "What the handshake asks for. It tells the player by X-Forwarded-For and Rejoin-Session.",
          R"("/play")"},
         it.path, TextForm::url_path);
  v.text({"host", "The Host field.", R"("arena.example")", Need::optional, "the game server's IP:PORT"},
         it.host, TextForm::host);
  v.only_for({}, kind);
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
