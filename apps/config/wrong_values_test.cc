// Durations, sizes, numbers and addresses that cannot be used, and keys that are missing: the exact text of
// every complaint.
#include "apps/config/bad_files.h"

namespace rejoin::config {
namespace {

TEST(BadFile, wrong_units) {
  say_exactly({
      {in_listener(R"(head_timeout = "10")"),
       R"(f:3:16: listener.head_timeout: "10" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_listener(R"(head_timeout = "10sec")"),
       R"(f:3:16: listener.head_timeout: "10sec" is not a duration; did you mean "10s"?)"},
      {in_listener(R"(head_timeout = "10 s")"),
       R"(f:3:16: listener.head_timeout: "10 s" is not a duration; did you mean "10s"?)"},
      {in_listener(R"(head_timeout = "1.5h")"),
       R"(f:3:16: listener.head_timeout: "1.5h" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_listener(R"(head_timeout = "-1s")"),
       R"(f:3:16: listener.head_timeout: "-1s" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_listener(R"(head_timeout = "")"),
       R"(f:3:16: listener.head_timeout: "" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_listener(R"(head_timeout = "0s")"),
       R"(f:3:16: listener.head_timeout: "0s" is out of range; write "1ms" to "365d")"},
      {in_listener(R"(head_timeout = "2000d")"),
       R"(f:3:16: listener.head_timeout: "2000d" is out of range; write "1ms" to "365d")"},
      {in_listener(R"(head_timeout = "99999999999999999999s")"),
       R"(f:3:16: listener.head_timeout: "99999999999999999999s" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_listener(R"(head_timeout = "9999999999d")"),
       R"(f:3:16: listener.head_timeout: "9999999999d" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_listener(R"(idle_timeout = "5 Minutes")"),
       R"(f:3:16: listener.idle_timeout: "5 Minutes" is not a duration; did you mean "5m"?)"},
      {in_listener(R"(tunnel_timeout = "1w")"),
       R"(f:3:18: listener.tunnel_timeout: "1w" is not a duration; write an integer and one of ms, s, m, h, d, such as "10s")"},
      {in_gateway(R"(message_max = "1MB")"),
       R"(f:4:15: gateway.message_max: "1MB" is not a size; did you mean "1MiB"?)"},
      {in_gateway(R"(message_max = "1GiB")"),
       R"(f:4:15: gateway.message_max: "1GiB" is not a size; write an integer and one of B, KiB, MiB, such as "64KiB")"},
      {in_gateway(R"(message_max = "0B")"),
       R"(f:4:15: gateway.message_max: "0B" is out of range; write "1B" to "64MiB")"},
      {in_gateway(R"(message_max = "64k")"),
       R"(f:4:15: gateway.message_max: "64k" is not a size; did you mean "64KiB"?)"},
      {in_gateway(R"(message_max = "1024MiB")"),
       R"(f:4:15: gateway.message_max: "1024MiB" is out of range; write "1B" to "64MiB")"},
      {in_pool(R"(retries = -1)"), R"(f:6:11: pool.retries: -1 is out of range; write 0 to 7)"},
      {in_pool(R"(retries = 99)"), R"(f:6:11: pool.retries: 99 is out of range; write 0 to 7)"},
      {in_pool(R"(retries = 99999999999)"),
       R"(f:6:11: pool.retries: 99999999999 is out of range; write 0 to 7)"},
      {in_health(R"({ kind = "http", expect = 99 })"),
       R"(f:6:36: pool.health.expect: 99 to 99 is no range of statuses; they are 200 to 599)"},
      {in_health(R"({ kind = "http", expect = "299-200" })"),
       R"(f:6:36: pool.health.expect: 299 to 200 is no range of statuses; they are 200 to 599)"},
      {in_health(R"({ kind = "http", expect = [ 200, "30x" ] })"),
       R"(f:6:43: pool.health.expect: wants a status such as 200, a range such as "200-299", or a list of them)"},
      {in_health(R"({ kind = "http", expect = [] })"),
       R"(f:6:36: pool.health.expect: has 0 entries; write 1 to 16)"},
      {in_health(R"({ kind = "tcp", rise = 0 })"),
       R"(f:6:33: pool.health.rise: 0 is out of range; write 1 to 100)"},
      {in_health(R"({ kind = "tcp", every = "1ms" })"),
       R"(f:6:34: pool.health.every: "1ms" is out of range; write "10ms" to "1d")"},
      {in_affinity(R"({ kind = "source-ip", prefix = 33 })"),
       R"(f:6:45: pool.affinity[0].prefix: 33 is out of range; write 1 to 32)"},
      {in_affinity(R"({ kind = "source-ip", prefix_v6 = 0 })"),
       R"(f:6:48: pool.affinity[0].prefix_v6: 0 is out of range; write 1 to 128)"},
      {in_servers(R"({ name = "a", address = "127.0.0.1:8000", weight = -1 })"),
       R"(f:5:63: pool.server[0].weight: -1 is out of range; write 0 to 65535)"},
      {in_servers(R"({ name = "a", address = "127.0.0.1:8000", weight = 70000 })"),
       R"(f:5:63: pool.server[0].weight: 70000 is out of range; write 0 to 65535)"},
      {whole(R"([balancer]
workers = 0
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
)"),
       R"(f:2:11: balancer.workers: 0 is out of range; write 1 to 256)"},
  });
}

TEST(BadFile, wrong_addresses) {
  say_exactly({
      {listen_at(R"("localhost:8080")"),
       R"(f:2:10: listener.listen: "localhost:8080" is not an address; did you mean "127.0.0.1:8080"?)"},
      {listen_at(R"(":8080")"),
       R"(f:2:10: listener.listen: ":8080" is not an address; did you mean "0.0.0.0:8080"?)"},
      {listen_at(R"("*:8080")"),
       R"(f:2:10: listener.listen: "*:8080" is not an address; did you mean "0.0.0.0:8080"?)"},
      {listen_at(R"("8080")"),
       R"(f:2:10: listener.listen: "8080" is not an address; did you mean "0.0.0.0:8080"?)"},
      {listen_at(R"(8080)"),
       R"(f:2:10: listener.listen: wants an address such as "0.0.0.0:8080", not an integer)"},
      {listen_at(R"("127.0.0.1")"),
       R"(f:2:10: listener.listen: "127.0.0.1" is not an address; the port is missing: write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000)"},
      {listen_at(R"("::1")"),
       R"(f:2:10: listener.listen: "::1" is not an address; the port is missing: write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000)"},
      {listen_at(R"("::1:8080")"),
       R"(f:2:10: listener.listen: "::1:8080" is not an address; did you mean "[::1]:8080"?)"},
      {listen_at(R"("[::1]")"),
       R"(f:2:10: listener.listen: "[::1]" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
      {listen_at(R"("127.0.0.1:99999")"),
       R"(f:2:10: listener.listen: "127.0.0.1:99999" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
      {listen_at(R"("256.0.0.1:80")"),
       R"(f:2:10: listener.listen: "256.0.0.1:80" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
      {listen_at(R"("play.example:80")"),
       R"(f:2:10: listener.listen: "play.example:80" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
      {listen_at(R"("http://127.0.0.1:80/")"),
       R"(f:2:10: listener.listen: "http://127.0.0.1:80/" is not an address; did you mean "127.0.0.1:80"?)"},
      {listen_at(R"("ws://localhost:80")"),
       R"(f:2:10: listener.listen: "ws://localhost:80" is not an address; did you mean "127.0.0.1:80"?)"},
      {listen_at(R"("")"),
       R"(f:2:10: listener.listen: "" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
      {listen_at(R"("127.0.0.1:80\n")"),
       R"(f:2:10: listener.listen: "127.0.0.1:80\u000a" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
      {in_servers(R"({ name = "a", address = ":8000" })"),
       R"(f:5:36: pool.server[0].address: ":8000" is not an address; did you mean "127.0.0.1:8000"?)"},
      {in_servers(R"({ name = "a", address = "127.0.0.1:0" })"),
       R"(f:5:36: pool.server[0].address: "127.0.0.1:0" has no port to connect to; write 1 to 65535 behind the ':')"},
      {in_servers(R"({ name = "a", address = "g1.internal:8000" })"),
       R"(f:5:36: pool.server[0].address: "g1.internal:8000" is not an address; write IP:PORT, such as 127.0.0.1:8000 or [::1]:8000 (names are not looked up))"},
  });
}

TEST(BadFile, missing_keys) {
  say_exactly({
      {whole(R"()"), R"(f:1:1: nothing to run: write a [[listener]] for the balancer, or a [gateway])"},
      {whole(R"(# nothing
)"),
       R"(f:1:1: nothing to run: write a [[listener]] for the balancer, or a [gateway])"},
      {whole(R"([log]
level = "info"
)"),
       R"(f:1:1: nothing to run: write a [[listener]] for the balancer, or a [gateway])"},
      {whole(R"([[listener]])"),
       R"(f:1:1: listener.listen: is missing; write listen = "0.0.0.0:8080"
f:1:1: listener.pool: is missing, and the file has no [[pool]])"},
      {whole(R"([[listener]]
name = "x"

[[listener]]
  mode = "tcp"
[[pool]]
name = "p"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:1:1: listener[0].listen: is missing; write listen = "0.0.0.0:8080"
f:4:1: listener[1].listen: is missing; write listen = "0.0.0.0:8080")"},
      {whole(R"([[pool]]
name = "p"
)"),
       R"(f:1:1: pool.server: is missing; write server = [ { name = "g1", address = "127.0.0.1:8000" } ]
f:2:8: warning: pool.name: no listener uses this pool)"},
      {whole(R"([[pool]]
name = "p"
server = []
)"),
       R"(f:2:8: warning: pool.name: no listener uses this pool
f:3:10: pool.server: is empty; write server = [ { name = "g1", address = "127.0.0.1:8000" } ])"},
      {whole(R"([[pool]]
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)"),
       R"(f:1:1: pool.name: is missing; write name = "gateways")"},
      {whole(R"([[pool]]
name = "p"
[[pool.server]]
name = "a"
[[pool.server]]
address = "127.0.0.1:8000"
)"),
       R"(f:2:8: warning: pool.name: no listener uses this pool
f:3:1: pool.server[0].address: is missing; write address = "127.0.0.1:8000", or resolve = "NAME" for the addresses of a name in DNS
f:5:1: pool.server[1].name: is missing; write name = "g1")"},
      {whole(R"([gateway])"),
       R"(f:1:1: gateway.name: is missing; write name = "g1"
f:1:1: gateway.listener: is missing; write listener = [ { listen = "127.0.0.1:8000", kind = "websocket" } ])"},
      {whole(R"(gateway = {})"),
       R"(f:1:11: gateway.name: is missing; write name = "g1"
f:1:11: gateway.listener: is missing; write listener = [ { listen = "127.0.0.1:8000", kind = "websocket" } ])"},
      {in_affinity(R"({ })"), R"(f:6:14: pool.affinity[0].kind: is missing; write kind = "cookie-insert")"},
      {in_affinity(R"({ name = "REJOIN" })"),
       R"(f:6:14: pool.affinity[0].kind: is missing; write kind = "cookie-insert")"},
      {in_affinity(R"({ kind = "cookie-rewrite" })"),
       R"(f:6:14: pool.affinity[0].name: is missing; write name = "SRV")"},
      {in_affinity(R"({ kind = "cookie-prefix" })"),
       R"(f:6:14: pool.affinity[0].name: is missing; write name = "SESSION")"},
      {in_servers(R"({ address = "127.0.0.1:8000" })"),
       R"(f:5:12: pool.server[0].name: is missing; write name = "g1")"},
  });
}

}  // namespace
}  // namespace rejoin::config
