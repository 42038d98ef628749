// Keys that are not there, and values of another form than their key wants: the exact text of every
// complaint.
#include "apps/config/bad_files.h"

namespace rejoin::config {
namespace {

TEST(BadFile, unknown_keys) {
  say_exactly({
      {whole(R"(balancr = 3
[[listener]]
listen = "127.0.0.1:0"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:1:1: balancr: unknown key; did you mean "balancer"?)"},
      {whole(R"([[listeners]]
listen = "127.0.0.1:0"
)"),
       R"(f:1:3: listeners: unknown key; did you mean "listener"?)"},
      {whole(R"([log]
levl = "info"
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:1: log.levl: unknown key; did you mean "level"?)"},
      {whole(R"([[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
[pool.health]
kind = "tcp"
retries = 3
)"),
       R"(f:2:8: warning: pool.name: no listener uses this pool
f:6:1: pool.health.retries: unknown key here; it belongs to [[pool]], and here there are kind, every, timeout, rise, fall, passive, on_down)"},
      {in_listener(R"(timeout = "3s")"),
       R"(f:3:1: listener.timeout: unknown key here; it belongs to [pool.health] and [pool.queue] and [dns], and here there are name, listen, mode, pool, head_timeout, idle_timeout, keep_alive_timeout, tunnel_timeout, health_path, max_body, redirect, redirect_port, forwarded, rule, error_pages, tls, client_timeout, server_timeout, half_closed_timeout, write_timeout, head_bytes, head_fields, proxy_protocol, allow, deny, limits, trusted, rate, websocket, sni, mptcp)"},
      {in_listener(R"(bind = "127.0.0.1:80")"),
       R"(f:3:1: listener.bind: unknown key; did you mean "listen"?)"},
      {in_listener(R"(lisetn = 3)"), R"(f:3:1: listener.lisetn: unknown key; did you mean "listen"?)"},
      {in_listener(R"("head timeout" = "3s")"),
       R"(f:3:1: listener."head timeout": unknown key; did you mean "head_timeout"?)"},
      {in_listener(R"(headtimeout = "3s")"),
       R"(f:3:1: listener.headtimeout: unknown key; did you mean "head_timeout"?)"},
      {in_listener(R"(head-timeout = "3s")"),
       R"(f:3:1: listener.head-timeout: unknown key; did you mean "head_timeout"?)"},
      {in_listener(R"(workers = 2)"),
       R"(f:3:1: listener.workers: unknown key here; it belongs to [balancer] and [gateway], and here there are name, listen, mode, pool, head_timeout, idle_timeout, keep_alive_timeout, tunnel_timeout, health_path, max_body, redirect, redirect_port, forwarded, rule, error_pages, tls, client_timeout, server_timeout, half_closed_timeout, write_timeout, head_bytes, head_fields, proxy_protocol, allow, deny, limits, trusted, rate, websocket, sni, mptcp)"},
      {in_pool(R"(servers = [])"), R"(f:6:1: pool.servers: unknown key; did you mean "server"?)"},
      {in_pool(R"(Scheduler = "round-robin")"),
       R"(f:6:1: pool.Scheduler: unknown key; did you mean "scheduler"?)"},
      {in_pool(R"(sched = "round-robin")"), R"(f:6:1: pool.sched: unknown key; did you mean "scheduler"?)"},
      {in_gateway(R"(id = "x")"), R"(f:4:1: gateway.id: unknown key; did you mean "name"?)"},
      {in_gateway(R"(messages_max = "1MiB")"),
       R"(f:4:1: gateway.messages_max: unknown key; did you mean "message_max"?)"},
      {in_gateway(R"(upstream = { kind = "echo", adress = "127.0.0.1:7000" })"),
       R"(f:4:29: gateway.upstream.adress: unknown key; there is only kind)"},
      {in_gateway(R"(upstream = { kind = "tcp", adress = "127.0.0.1:7000" })"),
       R"(f:4:12: gateway.upstream.address: is missing; write address = "127.0.0.1:7000", or pool = "NAME" for several game servers
f:4:28: gateway.upstream.adress: unknown key; did you mean "address"?)"},
      {in_gateway(
           R"(upstream = { kind = "tcp", address = "127.0.0.1:7000", byte_order = "big", send_proxy = true })"),
       R"(f:4:56: gateway.upstream.byte_order: unknown key; did you mean "endian"?
f:4:76: gateway.upstream.send_proxy: unknown key; did you mean "proxy_protocol"?)"},
      {in_gateway(R"(upstream = { kind = "ws", address = "127.0.0.1:7000", length_bytes = 2 })"),
       R"(f:4:55: gateway.upstream.length_bytes: belongs to kind "tcp", and the kind here is "ws")"},
      {in_gateway(R"(upstream = { address = "127.0.0.1:7000" })"),
       R"(f:4:14: gateway.upstream.address: belongs to kind "tcp", and the kind here is "echo")"},
      {in_affinity(R"({ kind = "cookie-insert", samesite = "lax" })"),
       R"(f:6:40: pool.affinity[0].samesite: unknown key; did you mean "same_site"?)"},
      {in_affinity(R"({ kind = "source-ip", max_idle = "30m" })"),
       R"(f:6:36: pool.affinity[0].max_idle: belongs to kind "cookie-insert", and the kind here is "source-ip")"},
      {in_affinity(R"({ kind = "cookie-rewrite", name = "S", hide = true })"),
       R"(f:6:53: pool.affinity[0].hide: belongs to kind "cookie-insert", and the kind here is "cookie-rewrite")"},
      {in_affinity(R"({ kind = "source-ip", prefix = 24, prefixv6 = 64 })"),
       R"(f:6:49: pool.affinity[0].prefixv6: unknown key; did you mean "prefix_v6"?)"},
      {in_health(R"({ path = "/healthz" })"),
       R"(f:6:12: pool.health.path: belongs to kind "http", and the kind here is "off")"},
      {in_health(R"({ kind = "tcp", path = "/", every = "1s" })"),
       R"(f:6:26: pool.health.path: belongs to kind "http", and the kind here is "tcp")"},
      {in_health(R"({ kind = "http", interval = "1s" })"),
       R"(f:6:27: pool.health.interval: unknown key; did you mean "every"?)"},
  });
}

TEST(BadFile, wrong_words) {
  say_exactly({
      {in_affinity(R"({ kind = "cookie-inserts" })"),
       R"(f:6:23: pool.affinity[0].kind: "cookie-inserts" is not a kind; did you mean "cookie-insert"?)"},
      {in_affinity(R"({ kind = "cookie_insert" })"),
       R"(f:6:23: pool.affinity[0].kind: "cookie_insert" is not a kind; did you mean "cookie-insert"?)"},
      {in_affinity(R"({ kind = "sticky", max_idle = 3, wrong = 1 })"),
       R"(f:6:23: pool.affinity[0].kind: "sticky" is not a kind; write one of "cookie-insert", "cookie-rewrite", "cookie-prefix", "source-ip", "ticket", "key"
f:6:47: pool.affinity[0].wrong: unknown key; there are kind, name, max_idle, max_life, domain, path, same_site, secure, http_only, partitioned, hide, cross_site, grace, prefix, prefix_v6, cookie, owner_gone, come_again, header, query, strict)"},
      {in_affinity(R"({ kind = "cookie-insert", same_site = "relaxed" })"),
       R"(f:6:52: pool.affinity[0].same_site: "relaxed" is not a same_site; write one of "unset", "lax", "strict", "none")"},
      {in_affinity(R"({ kind = 3 })"),
       R"(f:6:23: pool.affinity[0].kind: wants a text such as "cookie-insert", not an integer)"},
      {in_listener(R"(mode = "https")"),
       R"(f:3:8: listener.mode: "https" is not a mode; did you mean "http"?)"},
      {in_listener(R"(mode = "udp")"),
       R"(f:3:8: listener.mode: "udp" is not a mode; write one of "http", "tcp")"},
      {in_pool(R"(scheduler = "roundrobin")"),
       R"(f:6:13: pool.scheduler: "roundrobin" is not a scheduler; did you mean "round-robin"?)"},
      {in_pool(R"(scheduler = "random")"),
       R"(f:6:13: pool.scheduler: "random" is not a scheduler; did you mean "random-two"?)"},
      {in_pool(R"(scheduler = "least-conn")"),
       R"(f:6:13: pool.scheduler: "least-conn" is not a scheduler; did you mean "least-connections"?)"},
      {whole(R"([log]
level = "warning"
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:9: log.level: "warning" is not a level; did you mean "warn"?)"},
      {in_gateway(R"(upstream = { kind = "websocket" })"),
       R"(f:4:21: gateway.upstream.kind: "websocket" is not a kind; write one of "echo", "tcp", "ws")"},
      {in_gateway(R"(upstream = { kind = "tpc", address = "127.0.0.1:7000" })"),
       R"(f:4:21: gateway.upstream.kind: "tpc" is not a kind; did you mean "tcp"?)"},
  });
}

TEST(BadFile, wrong_forms) {
  say_exactly({
      {in_listener(R"(mode = 1)"), R"(f:3:8: listener.mode: wants a text such as "tcp", not an integer)"},
      {in_listener(R"(name = 3)"), R"(f:3:8: listener.name: wants a text such as "play", not an integer)"},
      {in_listener(R"(name = "a b")"),
       R"(f:3:8: listener.name: "a b" cannot stand here; write 1 to 64 letters, digits, '.', '_' or '-')"},
      {in_listener(R"(name = "")"),
       R"(f:3:8: listener.name: "" cannot stand here; write 1 to 64 letters, digits, '.', '_' or '-')"},
      {in_listener(R"(name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")"),
       R"(f:3:8: listener.name: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..." cannot stand here; write 1 to 64 letters, digits, '.', '_' or '-')"},
      {in_listener(R"(pool = true)"),
       R"(f:3:8: listener.pool: wants a text such as "gateways", not a boolean)"},
      {in_listener(R"(head_timeout = 10)"),
       R"(f:3:16: listener.head_timeout: 10 has no unit; write a duration such as "10s" or "10ms")"},
      {in_listener(R"(head_timeout = true)"),
       R"(f:3:16: listener.head_timeout: wants a duration such as "10s", not a boolean)"},
      {in_listener(R"(head_timeout = [ "10s" ])"),
       R"(f:3:16: listener.head_timeout: wants a duration such as "10s", not a list)"},
      {in_pool(R"(retries = "2")"),
       R"(f:6:11: pool.retries: wants an integer such as 3, not a text; did you mean 2, without quotes?)"},
      {in_pool(R"(retries = "two")"), R"(f:6:11: pool.retries: wants an integer such as 3, not a text)"},
      {in_pool(R"(retries = 2.5)"), R"(f:6:11: pool.retries: wants an integer such as 3, not a float)"},
      {in_pool(R"(health = "http")"),
       R"(f:6:10: pool.health: wants a table such as { kind = "http", path = "/healthz" }, not a text)"},
      {in_pool(R"(affinity = { kind = "source-ip" })"),
       R"(f:6:12: pool.affinity: wants a list such as [ { kind = "cookie-insert" } ], not a table)"},
      {in_pool(R"(affinity = "cookie-insert")"),
       R"(f:6:12: pool.affinity: wants a list such as [ { kind = "cookie-insert" } ], not a text)"},
      {in_pool(R"(affinity = [ "cookie-insert" ])"),
       R"(f:6:14: pool.affinity[0]: wants a table such as { kind = "cookie-insert" }, not a text)"},
      {in_pool(R"(connect_timeout = 1979-05-27)"),
       R"(f:6:19: pool.connect_timeout: wants a duration such as "10s", not a date)"},
      {in_affinity(R"({ kind = "cookie-insert", secure = "true" })"),
       R"(f:6:49: pool.affinity[0].secure: wants true or false, not a text; did you mean true, without quotes?)"},
      {in_affinity(R"({ kind = "cookie-insert", secure = 1 })"),
       R"(f:6:49: pool.affinity[0].secure: wants true or false, not an integer)"},
      {in_affinity(R"({ kind = "cookie-insert", name = "a b" })"),
       R"(f:6:47: pool.affinity[0].name: "a b" cannot stand here; a cookie's name is 1 to 64 characters without spaces and separators)"},
      {in_affinity(R"({ kind = "cookie-insert", path = "play" })"),
       R"(f:6:47: pool.affinity[0].path: "play" cannot stand here; write a path that begins with '/', without spaces and ';')"},
      {in_affinity(R"({ kind = "cookie-insert", path = "/;x" })"),
       R"(f:6:47: pool.affinity[0].path: "/;x" cannot stand here; write a path that begins with '/', without spaces and ';')"},
      {in_affinity(R"({ kind = "cookie-insert", domain = "a;b" })"),
       R"(f:6:49: pool.affinity[0].domain: "a;b" cannot stand here; write a host name such as "play.example", or leave it empty)"},
      {in_health(R"({ kind = "http", path = "healthz" })"),
       R"(f:6:34: pool.health.path: "healthz" cannot stand here; write a path that begins with '/', such as "/healthz")"},
      {in_health(R"({ kind = "http", host = "a b" })"),
       R"(f:6:34: pool.health.host: "a b" cannot stand here; write a host name such as "play.example", or leave it empty)"},
      {in_gateway(R"(message_max = 1048576)"),
       R"(f:4:15: gateway.message_max: 1048576 has no unit; write a size such as "64KiB" or "65536B")"},
      {in_gateway(R"(message_max = { })"),
       R"(f:4:15: gateway.message_max: wants a size such as "64KiB", not a table)"},
      {whole(R"(pool = 3)"),
       R"(f:1:8: pool: wants a list such as [ { name = "gateways", server = [ { name = "g1", address = "127.0.0.1:8000" } ] } ], not an integer)"},
      {whole(R"(log = "info"
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:1:7: log: wants a table such as { level = "info" }, not a text)"},
      {whole(R"([pool]
name = "p"
)"),
       R"(f:1:1: pool: is a list of tables; write [[pool]])"},
      {whole(R"([[gateway]]
name = "g"
)"),
       R"(f:1:1: gateway: is one table, not a list; write [gateway])"},
      {whole(R"([listener]
listen = "127.0.0.1:0"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:1:1: listener: is a list of tables; write [[listener]])"},
      {whole(R"([[pool]]
name = "p"
server = [ "127.0.0.1:8000" ]
)"),
       R"(f:2:8: warning: pool.name: no listener uses this pool
f:3:12: pool.server[0]: wants a table such as { name = "g1", address = "127.0.0.1:8000" }, not a text)"},
  });
}

}  // namespace
}  // namespace rejoin::config
