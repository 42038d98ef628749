// The keys of the gateway: its links, its sessions, and what stands behind them.
#include "apps/config/key_table.h"
#include "apps/config/key_words.h"
#include "base/limits.h"

namespace rejoin::config {

void visit(KeyVisitor& v, Gateway& it) {
  v.text({"name", "Its name, as the pool calls it.", R"("g1")", Need::required}, it.name, TextForm::name);
  v.integer({"workers", "Threads, each with its own loop.", "4"}, it.workers, kWorkers);
  v.list({"listener", "Where it listens; at least one.",
          R"({ listen = "127.0.0.1:8000", kind = "websocket" })", Need::required},
         it.listeners, limits::kListenersMax);
  v.table({"upstream", "What stands behind a client's session.", R"({ kind = "echo" })"}, it.upstream);
  v.size({"message_max", "The largest message taken from a client.", R"("64KiB")"}, it.message_max, kMessage);
  v.duration({"handshake_timeout", "For a client's handshake, from the accept on.", R"("5s")"},
             it.handshake_timeout, kTimeout);
  v.duration({"drain_timeout", "After SIGTERM: clients that are there have this long before they are cut.",
              R"("30s")"},
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
           "upgraded (SIGUSR2, `rejoin ctl upgrade`). Needs `[keys] seal`.",
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
  v.duration({"grace", "A session lives so long after its link was lost.", R"("2m")"}, it.grace, kTimeout);
  v.size({"window_bytes",
          "What may be under way in each direction, not yet acknowledged; the largest message, too.",
          R"("1MiB")"},
         it.window_bytes, {1024, 64 * 1024 * 1024});
  v.integer({"window_messages", "The same, in messages.", "4096"}, it.window_messages, {1, 1'000'000});
  v.choice({"overflow",
            "When the game server says more than the window holds. `pause`: it is not read for the time "
            "`pause`, then as `expire`. `expire`: the session ends.",
            R"("expire")"},
           it.overflow, kOverflows);
  v.duration({"pause", "How long the game server waits for a client that takes nothing.", R"("10s")"},
             it.pause, kFromZero);
  v.size({"memory_max", "Of all replay windows together; beyond it every window counts as full.",
          R"("4096MiB")"},
         it.memory_max, {1024 * 1024, 1024ull * 1024 * 1024 * 1024});
  v.integer({"sessions_max", "Sessions at once; beyond it new clients are told to come again.", "500000"},
            it.sessions_max, {1, 10'000'000});
  v.duration({"spread",
              "Clients that all lose their connection at once come back within this time, not all at once.",
              R"("10s")"},
             it.spread, kFromZero);
}

void visit(KeyVisitor& v, ClientRate& it) {
  v.integer({"messages", "Messages a second, on average over two. `0`: no bound.", "60"}, it.messages,
            {0, 1'000'000});
  v.size({"bytes", "Bytes of messages a second, on average over two. `0B`: no bound.", R"("64KiB")"},
         it.bytes, {0, 1024ull * 1024 * 1024});
}

void visit(KeyVisitor& v, Compression& it) {
  v.choice({"kind",
            "`shared`: each message by itself (no context takeover), which costs no memory per link. "
            "`dedicated`: a message may refer to those before it, which makes small ones several times "
            "shorter, and costs memory per link. Do not compress what bears a secret beside what an attacker "
            "can choose: its length tells.",
            R"("shared")"},
           it.kind, kCompressionKinds);
  const std::string_view kind = word_of(it.kind);
  v.only_for({"shared", "dedicated"}, kind);
  v.integer({"window_bits",
             "How far back a message may refer, as a power of two of bytes. With `dedicated`, 12 and a "
             "`memory_level` of 5 cost 50 kB a link, 15 and 8 cost 308 kB, 9 and 1 cost 17 kB.",
             "10"},
            it.window_bits, {9, 15});
  v.integer({"memory_level", "zlib's memLevel: memory for speed.", "3"}, it.memory_level, {1, 9});
  v.size({"min_bytes", "Shorter messages are sent as they are.", R"("128B")"}, it.min_bytes,
         {0, 64 * 1024 * 1024});
  v.flag(
      {"on_resumable_links",
       "Also for clients of the resume protocol. Gateways that are peers need the same `compression` then.",
       "true"},
      it.on_resumable_links);
  v.only_for({"dedicated"}, kind);
  v.size({"memory_max",
          "Of all links together, spread over the workers; beyond it new links are served as with `shared`.",
          R"("512MiB")"},
         it.memory_max, {0, 1024ull * 1024 * 1024 * 1024});
  v.only_for({}, kind);
}

void visit(KeyVisitor& v, SessionCookie& it) {
  v.text({"name", "The cookie's name.", R"("GAME-SESSION")"}, it.name, TextForm::cookie_name);
  v.text(
      {"domain", "The attribute Domain; empty: none, and the cookie is the host's own.", R"("play.example")"},
      it.domain, TextForm::cookie_domain);
  v.text({"path", "The attribute Path.", R"("/play")"}, it.path, TextForm::cookie_path);
  v.choice({"same_site", "The attribute SameSite.", R"("none")"}, it.same_site, kSameSites);
  v.flag({"secure", "The attribute Secure: https and wss only. Turn it off for tests on plain http alone.",
          "false"},
         it.secure);
  v.flag({"partitioned",
          "The attribute Partitioned (CHIPS): for pages of other sites, in browsers that block third-party "
          "cookies. Needs `secure` and `same_site = \"none\"`.",
          "true"},
         it.partitioned);
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
  v.choice(
      {"proxy_protocol",
       "Whether a client that is passed on is told by a PROXY header: for listeners of the peer that take "
       "one. On TCP it is the only way in which the peer learns of the client's address.",
       R"("v2")"},
      it.proxy_protocol, kProxyProtocols);
  v.table({"tls", "Its listeners speak TLS. Without: they do not.",
           R"({ ca = "gateways-ca.pem", name = "gateways.internal" })"},
          it.tls);
}

void visit(KeyVisitor& v, GatewayListener& it) {
  v.text({"name", "What logs and metrics call it.", R"("ws")", Need::optional, "its kind"}, it.name,
         TextForm::name);
  v.address({"listen", "IP:PORT; port 0 lets the system choose.", R"("127.0.0.1:8000")", Need::required},
            it.listen, AddressUse::listen);
  v.choice({"protocol",
            "What its clients speak. `rejoin`: the resume protocol, which loses nothing. `plain`: the game's "
            "messages, as they are. `any`: a WebSocket client chooses by its sub-protocol, a TCP client by "
            "its first message; a game whose server speaks first on TCP needs `plain`.",
            R"("rejoin")"},
           it.protocol, kLinkProtocols);
  v.choice(
      {"kind",
       "`websocket`: answers `GET /healthz` and upgrades every other path. `tcp`: messages behind a 4-byte "
       "big-endian length.",
       R"("tcp")"},
      it.kind, kGatewayListenerKinds);
  v.table(
      {"tls", "Its clients speak TLS: wss:// or tls://. Without: ws:// or tcp://, and a warning at start.",
       R"({ certificate = "play.pem", key = "play.key" })"},
      it.tls);
  visit_edge(
      v, it.edge,
      "PROXY headers (versions 1 and 2) of proxies in front, before the connection's own first byte. "
      "`require`: only those in `trusted_proxies` may connect, and each has to send one. `accept`: those "
      "may send one, where clients speak first; the others are clients.");
  v.flag({"mptcp", "Multipath TCP, where the kernel has it: see the balancer's listener.", "true"}, it.mptcp);
}

void visit(KeyVisitor& v, Upstream& it) {
  v.choice(
      {"kind",
       "`echo`: a greeting that names the gateway, then every message comes back. `tcp`: a game server that "
       "speaks messages behind a length. `ws`: one that speaks WebSocket. Each session has a connection of "
       "its own, for as long as it lives.",
       R"("tcp")"},
      it.kind, kUpstreamKinds);
  const std::string_view kind = word_of(it.kind);

  v.only_for({"tcp", "ws"}, kind);
  v.address({"address", "IP:PORT of the one game server. Either this or `pool`.", R"("127.0.0.1:7000")",
             Need::optional, "none"},
            it.address, AddressUse::connect);
  v.text({"pool",
          "Several game servers: the `[[pool]]` of this name, with its scheduler, health checks, "
          "`connect_timeout` and `retries`. Its affinities mean nothing here.",
          R"("gateways")", Need::optional, "none"},
         it.pool, TextForm::name);
  v.duration({"connect_timeout",
              "For the connection to the game server, and once more for a WebSocket's handshake. A pool has "
              "its own.",
              R"("1s")"},
             it.connect_timeout, kTimeout);
  v.size({"message_max", "The largest message taken from the game server; a larger one ends the session.",
          R"("64KiB")"},
         it.message_max, kMessage);
  v.table({"tls", "The game server speaks TLS. Without: it does not. A pool has its own.",
           R"({ ca = "servers-ca.pem", name = "arena.internal" })"},
          it.tls);

  v.only_for({"tcp"}, kind);
  v.integer({"length_bytes", "Bytes of the length before each message: 2 or 4.", "2"}, it.length_bytes,
            {2, 4});
  v.choice(
      {"endian", "The order of these bytes: `big`, the highest first, as networks have it.", R"("little")"},
      it.endian, kEndians);
  v.flag({"counts_itself", "Whether the length includes its own bytes.", "true"}, it.counts_itself);
  v.choice(
      {"proxy_protocol",
       "Whether a PROXY header before the first message tells who the player is. `v1`: a line of text with "
       "the addresses. `v2`: binary, and with the session's id in a field of type 0xE0 (and in UNIQUE_ID).",
       R"("v2")"},
      it.proxy_protocol, kProxyProtocols);

  v.only_for({"ws"}, kind);
  v.text({"path", "What the handshake asks for. It tells the player by X-Forwarded-For and Rejoin-Session.",
          R"("/play")"},
         it.path, TextForm::url_path);
  v.text({"host", "The Host field.", R"("arena.example")", Need::optional, "the game server's IP:PORT"},
         it.host, TextForm::host);
  v.only_for({}, kind);
}

}  // namespace rejoin::config
