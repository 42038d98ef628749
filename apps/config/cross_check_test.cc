// What no single key can say, key sources, and syntax errors: the exact text of every complaint.
#include "apps/config/bad_files.h"

namespace rejoin::config {
namespace {

TEST(BadFile, cross_references) {
  say_exactly({
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
pool = "gatewys"
[[pool]]
name = "gateways"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:3:8: listener.pool: there is no pool "gatewys"; did you mean "gateways"?)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
pool = "else"
[[pool]]
name = "gateways"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[[pool]]
name = "lobby"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:3:8: listener.pool: there is no pool "else"; there is "gateways", "lobby")"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
pool = "gateways"
)"),
       R"(f:3:8: listener.pool: there is no pool "gateways": the file has no [[pool]])"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
)"),
       R"(f:1:1: listener.pool: is missing, and the file has no [[pool]])"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "gateways"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[[pool]]
name = "lobby"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:1:1: listener.pool: is missing; there are several pools: write pool = "gateways")"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
name = "x"
[[listener]]
listen = "127.0.0.1:8081"
name = "x"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:6:8: listener[1].name: "x" is already the name of the listener at f:3:8)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
[[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:4:10: listener[1].listen: "127.0.0.1:8080" is already listened on at f:2:10)"},
      {whole(R"([[listener]]
listen = "[::ffff:127.0.0.1]:8080"
[[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:4:10: listener[1].listen: "127.0.0.1:8080" is already listened on at f:2:10)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:8080" } ]
)"),
       R"(f:8:25: gateway.listener[0].listen: "127.0.0.1:8080" is already listened on at f:2:10)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
pool = "p"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:8:8: pool[1].name: "p" is already the name of the pool at f:5:8)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" }, { name = "a", address = "127.0.0.1:8001" } ]
)"),
       R"(f:5:65: pool.server[1].name: "a" is already the name of a server of this pool at f:5:21)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8080" } ]
)"),
       R"(f:5:36: pool.server[0].address: is the address of listener "listener-1" itself: the balancer would connect to itself for ever)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
name = "raw"
mode = "tcp"
[[pool]]
name = "p"
affinity = [ { kind = "source-ip" }, { kind = "cookie-insert" } ]
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:7:47: pool.affinity[1].kind: cannot work for listener "raw" (f:4:8), whose mode is "tcp": a cookie is in HTTP, which layer 4 does not read; use kind "source-ip" or "ticket", or a pool of its own)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
name = "raw"
mode = "tcp"
[[pool]]
name = "p"
affinity = [ { kind = "cookie-prefix", name = "S" } ]
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:7:23: pool.affinity[0].kind: cannot work for listener "raw" (f:4:8), whose mode is "tcp": a cookie is in HTTP, which layer 4 does not read; use kind "source-ip" or "ticket", or a pool of its own)"},
      {whole(R"([gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0", name = "ws" }, { listen = "127.0.0.1:0", name = "ws" } ]
)"),
       R"(f:3:88: gateway.listener[1].name: "ws" is already the name of the listener at f:3:47)"},
  });
}

TEST(BadFile, cookies_that_browsers_refuse) {
  say_exactly({
      {in_affinity(R"({ kind = "cookie-insert", same_site = "none" })"),
       R"(f:6:52: pool.affinity[0].same_site: browsers refuse SameSite=None without Secure; write secure = true (https only), or same_site = "lax")"},
      {in_affinity(R"({ kind = "cookie-insert", partitioned = true })"),
       R"(f:6:54: pool.affinity[0].partitioned: browsers refuse Partitioned without Secure; write secure = true (https only))"},
      {in_affinity(R"({ kind = "cookie-insert", same_site = "none", partitioned = true })"),
       R"(f:6:52: pool.affinity[0].same_site: browsers refuse SameSite=None without Secure; write secure = true (https only), or same_site = "lax"
f:6:74: pool.affinity[0].partitioned: browsers refuse Partitioned without Secure; write secure = true (https only))"},
      {in_affinity(R"({ kind = "cookie-insert", secure = true, partitioned = true })"),
       R"(f:6:69: warning: pool.affinity[0].partitioned: Partitioned is for pages of other sites, which send no such cookie without SameSite=None; write same_site = "none")"},
      {in_session_cookie(R"(same_site = "none", secure = false)"),
       R"(f:4:32: gateway.session_cookie.same_site: browsers refuse SameSite=None without Secure; write secure = true (https only), or same_site = "lax")"},
      {in_session_cookie(R"(same_site = "none", secure = false, partitioned = true)"),
       R"(f:4:32: gateway.session_cookie.same_site: browsers refuse SameSite=None without Secure; write secure = true (https only), or same_site = "lax"
f:4:70: gateway.session_cookie.partitioned: browsers refuse Partitioned without Secure; write secure = true (https only))"},
      {in_session_cookie("partitioned = true"),
       R"(f:4:34: gateway.session_cookie.partitioned: Partitioned is for pages of other sites, which send no such cookie without SameSite=None; write same_site = "none")"},
      {in_session_cookie(R"(name = "__Host-S", path = "/play")"),
       R"(f:4:27: gateway.session_cookie.name: browsers refuse __Host- with another path than "/" or with a domain)"},
      {in_affinity(R"({ kind = "cookie-insert", name = "__Secure-R" })"),
       R"(f:6:47: pool.affinity[0].name: browsers refuse a name that begins so without Secure; write secure = true (https only))"},
      {in_affinity(R"({ kind = "cookie-insert", name = "__Host-R", secure = true, path = "/play" })"),
       R"(f:6:47: pool.affinity[0].name: browsers refuse __Host- with another path than "/" or with a domain)"},
      {in_affinity(
           R"({ kind = "cookie-insert", name = "__Host-R", secure = true, domain = "play.example" })"),
       R"(f:6:47: pool.affinity[0].name: browsers refuse __Host- with another path than "/" or with a domain)"},
      {in_affinity(R"({ kind = "cookie-insert", name = "A" }, { kind = "cookie-rewrite", name = "A" })"),
       R"(f:6:88: pool.affinity[1].name: "A" is already the name of a cookie of this pool at f:6:47)"},
      {in_affinity(R"({ kind = "cookie-insert" }, { kind = "cookie-insert" })"),
       R"(f:6:42: pool.affinity[1].name: "REJOIN" is already the name of a cookie of this pool at f:6:14)"},
      {in_affinity(R"({ kind = "source-ip" }, { kind = "source-ip", prefix = 24 })"),
       R"(f:6:47: pool.affinity[1].kind: one source-ip is enough; the other is at f:6:23)"},
      {with_keys(in_affinity(R"({ kind = "ticket" }, { kind = "ticket", cookie = "T" })")),
       R"(f:6:44: pool.affinity[1].kind: one ticket is enough; the other is at f:6:23)"},
      {with_keys(in_affinity(R"({ kind = "cookie-insert", name = "T" }, { kind = "ticket", cookie = "T" })")),
       R"(f:6:82: pool.affinity[1].cookie: "T" is already the name of a cookie of this pool at f:6:47)"},
      {in_affinity(
           R"({ kind = "source-ip" }, { kind = "cookie-insert" }, { kind = "cookie-insert", name = "B" }, { kind = "cookie-insert", name = "C" }, { kind = "cookie-insert", name = "D" })"),
       R"(f:6:12: pool.affinity: has more than 4 entries)"},
  });
}

TEST(GoodFile, a_session_cookie_for_pages_of_other_sites) {
  const auto config = parse_config(in_session_cookie(R"(same_site = "none", partitioned = true)"), "f");
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_TRUE(config->gateway->session_cookie->partitioned);
  EXPECT_TRUE(config->warnings.empty());
}

TEST(BadFile, tickets) {
  say_exactly({
      {in_affinity(R"({ kind = "ticket" }, { kind = "cookie-insert" })"),
       R"(f:6:23: warning: pool.affinity[0].kind: finds nobody without a table [keys]: tickets are sealed by the gateways, so the balancer needs the key that they have; write [keys] with the same seal in every file)"},
      {with_keys(in_affinity(R"({ kind = "ticket", come_again = "2s", owner_gone = "1s" })")),
       R"(f:6:46: warning: pool.affinity[0].come_again: come_again is longer than owner_gone: a client that comes again finds its gateway given up)"},
      {with_keys(in_affinity(R"({ kind = "ticket", owner_gone = "500ms" })")),
       R"(f:6:46: warning: pool.affinity[0].owner_gone: come_again is longer than owner_gone: a client that comes again finds its gateway given up)"},
      {with_keys(in_affinity(R"({ kind = "ticket", owner_gone = "0s", come_again = "1ms" })")),
       R"(f:6:65: pool.affinity[0].come_again: "1ms" is out of range; write "10ms" to "1h")"},
      {with_keys(in_affinity(R"({ kind = "ticket", cookie = "a b" })")),
       R"(f:6:42: pool.affinity[0].cookie: "a b" cannot stand here; a cookie's name is 1 to 64 characters without spaces and separators)"},
      {with_keys(in_affinity(R"({ kind = "cookie-rewrite", name = "REJOIN-TICKET" }, { kind = "ticket" })")),
       R"(f:6:76: pool.affinity[1].kind: "REJOIN-TICKET" is already the name of a cookie of this pool at f:6:48)"},
      {with_keys(in_affinity(R"({ kind = "ticket", owner_gone = "30s", cookie = "T" })")) + R"([gateway]
name = "a"
listener = [ { listen = "127.0.0.1:8000" } ]
session_cookie = { name = "S" }
)",
       R"(f:6:46: warning: pool.affinity[0].owner_gone: owner_gone, "30s", is shorter than the gateway's grace, "1m": clients are sent to another gateway while their sessions still live
f:6:62: warning: pool.affinity[0].cookie: plain WebSocket clients bring the gateway's session_cookie, "S", and this one looks for "T")"},
      {with_keys(in_affinity(R"({ kind = "ticket" })")) + R"([gateway]
name = "a"
listener = [ { listen = "127.0.0.1:8000" } ]
session = { grace = "2m" }
)",
       R"(f:6:23: warning: pool.affinity[0].kind: owner_gone, "1m", is shorter than the gateway's grace, "2m": clients are sent to another gateway while their sessions still live)"},
      {with_keys(in_affinity(R"({ kind = "ticket", name = "T" })")),
       R"(f:6:33: pool.affinity[0].name: belongs to kind "cookie-insert", and the kind here is "ticket")"},
  });
}

TEST(BadFile, warnings) {
  say_exactly({
      {whole(R"([[pool]]
name = "unused"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:1:1: nothing to run: write a [[listener]] for the balancer, or a [gateway]
f:2:8: warning: pool.name: no listener uses this pool)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
pool = "p"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[[pool]]
name = "q"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:8:8: warning: pool[1].name: no listener uses this pool)"},
      {in_affinity(R"({ kind = "cookie-insert", max_life = "10m", max_idle = "11m" })"),
       R"(f:6:69: warning: pool.affinity[0].max_idle: max_idle is longer than max_life, so it never decides)"},
      {in_affinity(R"({ kind = "cookie-insert", max_idle = "48h", max_life = "24h" })"),
       R"(f:6:51: warning: pool.affinity[0].max_idle: max_idle is longer than max_life, so it never decides)"},
      {in_health(R"({ kind = "tcp", every = "1s", timeout = "2s" })"),
       R"(f:6:50: warning: pool.health.timeout: is longer than `every`: a probe may begin while the one before still waits)"},
      {in_servers(R"({ name = "a", address = "127.0.0.1:8000", weight = 0 })"),
       R"(f:5:10: warning: pool.server: every weight is 0: no new client will be served)"},
      {in_servers(
           R"({ name = "a", address = "127.0.0.1:8000" }, { name = "b", address = "127.0.0.1:8000" })"),
       R"(f:5:80: warning: pool.server[1].address: is also the address at f:5:36: one server, two names)"},
      {whole(R"([[listener]]
listen = "127.0.0.1:8080"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[gateway]
name = "g1"
listener = [ { listen = "127.0.0.1:8000" } ]
)"),
       R"(f:5:21: warning: pool.server[0].name: the gateway at this address calls itself "g1" (f:7:8))"},
  });
}

TEST(BadFile, schedulers_keys_and_room) {
  say_exactly({
      {in_pool(R"(scheduler = "key-hash")"),
       R"(f:6:13: pool.scheduler: "key-hash" needs the place of the key; write hash_key = { query = "room" })"},
      {in_pool(R"(hash_key = { query = "room" })"),
       R"(f:6:12: warning: pool.hash_key: means nothing without scheduler = "key-hash")"},
      {in_pool("scheduler = \"key-hash\"\nhash_key = { header = \"A\", cookie = \"B\" }"),
       R"(f:7:37: pool.hash_key.cookie: is one place too many; write one of header = "X-Room", query = "room" and cookie = "ROOM")"},
      {in_affinity(R"({ kind = "key" })"),
       R"(f:6:14: pool.affinity[0]: does not say where the key is; write one of header = "X-Room", query = "room" and cookie = "ROOM")"},
      {in_affinity(R"({ kind = "key", query = "a", header = "B" })"),
       R"(f:6:38: pool.affinity[0].query: is one place too many; write one of header = "X-Room", query = "room" and cookie = "ROOM")"},
      {with_keys(in_affinity(R"({ kind = "ticket", strict = true })")),
       R"(f:6:33: pool.affinity[0].strict: belongs to kind "cookie-insert", and the kind here is "ticket")"},
      {in_affinity(R"({ kind = "cookie-insert", cross_site = "REJOIN" })"),
       R"(f:6:53: pool.affinity[0].cross_site: "REJOIN" is already the name of a cookie of this pool at f:6:14)"},
      {in_pool(R"(slow_start = "30s")"),
       R"(f:6:14: warning: pool.slow_start: means nothing without health checks: no server ever comes up; write health = { kind = "tcp" })"},
      {in_pool("slow_start = \"30s\"\nscheduler = \"source-hash\""),
       R"(f:6:14: warning: pool.slow_start: means nothing for a scheduler that hashes: clients would change servers)"},
      {in_pool(R"(queue = { size = 10 })"),
       R"(f:6:9: warning: pool.queue: nobody will ever wait: no server has max_connections)"},
      {in_servers(R"({ name = "a", address = "127.0.0.1:8000", backup = true })"),
       R"(f:5:10: warning: pool.server: every server is a backup, so it makes no difference)"},
      {joined({kListenerHead, "mode = \"tcp\"\n", kPoolHead,
               "affinity = [ { kind = \"key\", query = \"room\" } ]\nscheduler = \"key-hash\"\n"
               "hash_key = { query = \"room\" }\n"}),
       R"(f:7:23: pool.affinity[0].kind: cannot work for listener "listener-1" (f:3:8), whose mode is "tcp": the key is in HTTP, which layer 4 does not read; use kind "source-ip", or a pool of its own
f:8:13: pool.scheduler: cannot work for listener "listener-1" (f:3:8), whose mode is "tcp": the key is in HTTP, which layer 4 does not read; use "source-hash")"},
  });
}

TEST(BadFile, game_servers) {
  const auto with = [](std::string_view upstream, std::string_view before = {}) {
    return joined(
        {"[[pool]]\nname = \"arena\"\nserver = [ { name = \"a\", address = \"127.0.0.1:7001\" } ]\n",
         "[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:8000\" } ]\n", before,
         "upstream = ", upstream, "\n"});
  };
  say_exactly({
      {with(R"({ kind = "tcp", pool = "arean" })"),
       R"(f:7:35: gateway.upstream.pool: there is no pool "arean"; did you mean "arena"?)"},
      {with(R"({ kind = "ws", pool = "else" })"),
       R"(f:7:34: gateway.upstream.pool: there is no pool "else"; there is "arena")"},
      {with(R"({ kind = "ws" })"),
       R"(f:2:8: warning: pool.name: no listener and no upstream uses this pool
f:7:12: gateway.upstream.address: is missing; write address = "127.0.0.1:7000", or pool = "NAME" for several game servers)"},
      {with(R"({ kind = "tcp", address = "127.0.0.1:7000", pool = "arena" })"),
       R"(f:7:63: gateway.upstream.pool: stands beside `address` (f:7:38); write one of them: the one game server, or the pool of several)"},
      {with(R"({ kind = "tcp", pool = "arena", connect_timeout = "1s" })"),
       R"(f:7:62: gateway.upstream.connect_timeout: belongs to a single game server; this one is for the pool to say (f:2:8))"},
      {with(R"({ kind = "tcp", address = "127.0.0.1:8000" })"),
       R"(f:2:8: warning: pool.name: no listener and no upstream uses this pool
f:7:38: gateway.upstream.address: is the address of the gateway's listener "websocket" itself: every session would open another one, for ever)"},
      {whole(R"([[pool]]
name = "arena"
affinity = [ { kind = "source-ip" } ]
server = [ { name = "g", address = "127.0.0.1:8000" } ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:8000" } ]
upstream = { kind = "ws", pool = "arena" }
)"),
       R"(f:3:12: warning: pool.affinity: means nothing for game servers: a session keeps its one connection for as long as it lives
f:4:36: pool.server[0].address: is the address of the gateway's listener "websocket" itself: every session would open another one, for ever)"},
      {with(R"({ kind = "tcp", pool = "arena", length_bytes = 3 })"),
       R"(f:7:59: gateway.upstream.length_bytes: 3 is not a width; write 2 or 4)"},
      {with(R"({ kind = "tcp", pool = "arena", length_bytes = 8 })"),
       R"(f:7:59: gateway.upstream.length_bytes: 8 is out of range; write 2 to 4)"},
      {with(R"({ kind = "tcp", pool = "arena", length_bytes = 2 })", "message_max = \"64KiB\"\n"),
       R"(f:7:15: gateway.message_max: is more than a length of 2 bytes can say (f:8:59); write at most "65535B", or length_bytes = 4)"},
      {with(
           R"({ kind = "tcp", pool = "arena", length_bytes = 2, counts_itself = true, message_max = "1MiB" })"),
       R"(f:7:98: warning: gateway.upstream.message_max: is more than a length of 2 bytes can say (f:7:59))"},
      {with(R"({ kind = "tcp", pool = "arena", endian = "middle" })"),
       R"(f:7:53: gateway.upstream.endian: "middle" is not an endian; write one of "big", "little")"},
      {with(R"({ kind = "tcp", pool = "arena", proxy_protocol = "v3" })"),
       R"(f:7:61: gateway.upstream.proxy_protocol: "v3" is not a proxy_protocol; did you mean "v1"?)"},
  });
}

TEST(BadFile, compression) {
  const auto listening = [](std::string_view listener, std::string_view compression) {
    return joined({"[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\"", listener,
                   " } ]\ncompression = ", compression, "\n"});
  };
  say_exactly({
      {listening("", R"({ kind = "takeover" })"),
       R"(f:4:24: gateway.compression.kind: "takeover" is not a kind; write one of "off", "shared", "dedicated")"},
      {listening("", R"({ kind = "dedicate" })"),
       R"(f:4:24: gateway.compression.kind: "dedicate" is not a kind; did you mean "dedicated"?)"},
      {listening("", R"({ window_bits = 12 })"),
       R"(f:4:17: gateway.compression.window_bits: belongs to kind "shared", and the kind here is "off")"},
      {listening("", R"({ kind = "shared", memory_max = "1MiB" })"),
       R"(f:4:34: gateway.compression.memory_max: belongs to kind "dedicated", and the kind here is "shared")"},
      {listening("", R"({ kind = "shared", window_bits = 8 })"),
       R"(f:4:48: gateway.compression.window_bits: 8 is out of range; write 9 to 15)"},
      {listening("", R"({ kind = "shared", memory_level = 10 })"),
       R"(f:4:49: gateway.compression.memory_level: 10 is out of range; write 1 to 9)"},
      {listening("", R"({ kind = "shared", min_bytes = 64 })"),
       R"(f:4:46: gateway.compression.min_bytes: 64 has no unit; write a size such as "64KiB" or "65536B")"},
      {listening("", R"({ kind = "shared", threshold = "64B" })"),
       R"(f:4:34: gateway.compression.threshold: unknown key; did you mean "min_bytes"?)"},
      {listening(R"(, kind = "tcp")", R"({ kind = "shared" })"),
       R"(f:4:24: warning: gateway.compression.kind: nothing will be compressed: no listener is of kind "websocket")"},
      {listening(R"(, protocol = "rejoin")", R"({ kind = "shared" })"),
       R"(f:4:24: warning: gateway.compression.kind: nothing will be compressed: every websocket listener speaks the resume protocol only; write on_resumable_links = true)"},
  });
  for (const std::string& good : {
           listening(R"(, protocol = "rejoin")", R"({ kind = "shared", on_resumable_links = true })"),
           listening(R"(, kind = "tcp")", R"({ kind = "off" })"),
           listening(R"(, protocol = "plain")", R"({ kind = "dedicated" })"),
       }) {
    EXPECT_EQ(to_text(read_config(good, "f").diagnostics), "") << good;
  }
}

TEST(BadFile, keys) {
  say_exactly({
      {whole(R"([keys]
seal = "file:seal.key"
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:8: keys.seal: wants a list of texts such as ["file:seal.key"], not a text)"},
      {whole(R"([keys]
seal = []
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:8: keys.seal: is empty; write ["file:seal.key"], or leave it out)"},
      {whole(R"([keys]
seal = [ "seal.key" ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:10: keys.seal[0]: says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)"},
      {whole(R"([keys]
seal = [ "file:" ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:10: keys.seal[0]: says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)"},
      {whole(R"([keys]
seal = [ 3 ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:10: keys.seal[0]: says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)"},
      {whole(R"([keys]
seal = [ "env:" ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:10: keys.seal[0]: says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)"},
      {whole(R"([keys]
seal = [ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:10: keys.seal[0]: says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)"},
      {whole(R"([keys]
seal = [ "file:a", "file:a" ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:20: keys.seal[1]: "file:a" is already in the list)"},
  });
}

TEST(BadFile, syntax) {
  say_exactly({
      {whole(R"([[listener
)"),
       R"(f:1:11: Error while parsing table header: expected ']', saw '\n')"},
      {whole(R"(a = )"), R"(f:1:5: Error while parsing key-value pair: encountered end-of-file)"},
      {whole(R"(a = 1
a = 2
)"),
       R"(f:2:5: Error while parsing key-value pair: cannot redefine existing integer 'a')"},
      {whole(R"(pool = [ { name = "p",
 server = [] } ]
)"),
       R"(f:1:23: Error while parsing inline table: expected key or closing '}', saw '\n' (a { table } must stand on one line, without a comma at its end))"},
      {whole(R"(listen = "x
)"),
       R"(f:1:12: Error while parsing string: unescaped control characters other than TAB (U+0009) are explicitly prohibited)"},
      {whole(R"([gateway]
name = "g"
[gateway]
)"),
       R"(f:3:1: Error while parsing table header: cannot redefine existing table 'gateway')"},
      {whole("name = \"\x01"
             "\""),
       R"(f:1:9: Error while parsing string: unescaped control characters other than TAB (U+0009) are explicitly prohibited)"},
      {whole("a = \"\xff"
             "\""),
       R"(f:1:5: Encountered invalid utf-8 sequence)"},
  });
}

TEST(BadFile, admin_ports) {
  say_exactly({
      {joined({kGatewayHead, "[admin]\n"}),
       R"(f:4:1: admin.listen: is missing; write listen = "127.0.0.1:9090")"},
      {joined({kGatewayHead, "[admin]\nlisten = \"9090\"\n"}),
       R"(f:5:10: admin.listen: "9090" is not an address; did you mean "127.0.0.1:9090"?)"},
      {joined({kGatewayHead, "[admin]\nlisten = \"0.0.0.0:9090\"\n"}),
       R"(f:5:10: admin.listen: is not this machine's own, and there is no token: whoever reaches it could end every connection; write "127.0.0.1:9090", or token = "file:admin.token")"},
      {joined({kGatewayHead, "[admin]\nlisten = \"0.0.0.0:9090\"\ntoken = \"secret\"\n"}),
       R"(f:6:9: admin.token: says where a key is: write "file:PATH" or "env:NAME"; the key itself never stands here)"},
      {joined({kGatewayHead,
               "[balancer.admin]\nlisten = \"127.0.0.1:9090\"\n[access_log]\nformat = \"json\"\n"}),
       R"(f:4:1: warning: balancer.admin: means nothing here: it is the balancer's, and the file has no [[listener]])"},
      {joined({kListenerHead, kPoolHead, "[access_log]\npath = \"a.log\"\n"}),
       R"(f:7:8: warning: access_log.path: nothing is written there: write format = "json" or format = "line")"},
      {"[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:9090\" } ]\n[admin]\nlisten = "
       "\"127.0.0.1:9090\"\n",
       R"(f:3:25: gateway.listener[0].listen: "127.0.0.1:9090" is already listened on at f:5:10)"},
  });
}

TEST(BadFile, a_peer_at_this_gateways_own_address) {
  say_exactly(
      {{whole(R"([gateway]
name = "g1"
listener = [ { listen = "127.0.0.1:8000" } ]
upstream = { kind = "echo" }
peer = [ { name = "g1", websocket = "127.0.0.1:8000" }, { name = "g2", websocket = "127.0.0.1:8000" } ]
)"),
        R"(f:5:84: gateway.peer[1].websocket: is the address of this gateway's own listener "websocket", and )"
        R"(this gateway is "g1": write where "g2" listens)"}});
}

}  // namespace
}  // namespace rejoin::config
