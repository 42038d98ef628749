// What of the edge's keys cannot be used together: the exact text of every complaint.
#include "apps/config/bad_files.h"

namespace rejoin::config {
namespace {

std::string in_tcp_listener(std::string_view line) {
  return joined({"[[listener]]\nlisten = \"127.0.0.1:0\"\nmode = \"tcp\"\n", line, "\n", kPoolHead});
}

TEST(EdgeFile, proxy_headers_need_somebody_who_is_believed) {
  say_exactly({
      {in_listener(R"(proxy_protocol = "require")"),
       R"(f:3:18: listener.proxy_protocol: needs to know whose headers are believed: write trusted = ["10.0.0.0/8"])"},
      {in_listener(R"(trusted = ["10.0.0.0/8"])"),
       R"(f:3:11: warning: listener.trusted: means nothing while proxy_protocol is "off")"},
      {joined({"[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\", proxy_protocol = "
               "\"accept\" } ]\n"}),
       R"(f:3:57: gateway.listener[0].proxy_protocol: needs to know whose headers are believed: write trusted_proxies = ["10.0.0.0/8"])"},
      {in_listener(R"(allow = ["10.0.0.0/8", "all"])"),
       R"(f:3:24: listener.allow[1]: "all" cannot stand here; write an address such as "10.0.0.1", or a network such as "10.0.0.0/8")"},
  });
}

TEST(EdgeFile, each_layer_has_its_own_keys) {
  say_exactly({
      {in_tcp_listener(R"(websocket = { ping = "20s" })"),
       R"(f:4:13: listener.websocket: needs mode = "http": layer 4 does not know what it passes on)"},
      {in_listener(R"(sni = [ { name = "a.example", pool = "p" } ])"),
       R"(f:3:7: listener.sni: needs mode = "tcp": layer 7 reads requests, and not what is inside of TLS)"},
      {in_tcp_listener(R"(sni = [ { name = "a.example", pool = "p" }, { name = "A.example", pool = "p" } ])"),
       R"(f:4:54: listener.sni[1].name: stands twice in the list)"},
      {in_tcp_listener(R"(sni = [ { name = "*.*.example", pool = "p" } ])"),
       R"(f:4:18: listener.sni[0].name: "*.*.example" cannot stand here; write a host name such as "play.example", or "*.example" for all names below one)"},
      {in_tcp_listener(R"(sni = [ { name = "a.example", pool = "q" } ])"),
       R"(f:4:38: listener.sni[0].pool: there is no pool "q"; did you mean "p"?
f:6:8: warning: pool.name: no listener uses this pool)"},
  });
}

TEST(EdgeFile, what_would_never_decide_is_said) {
  say_exactly({
      {in_listener(R"(websocket = { frame_max = "2KiB", message_max = "1KiB" })"),
       R"(f:3:27: warning: listener.websocket.frame_max: is more than message_max, so it never decides)"},
      {in_listener("tunnel_timeout = \"10s\"\nwebsocket = { ping = \"20s\" }"),
       R"(f:4:22: warning: listener.websocket.ping: is longer than tunnel_timeout, so it never comes to a ping)"},
      {joined({"[balancer]\ndrain = { per_second = 5, code = 1006 }\n", kListenerHead, kPoolHead}),
       R"(f:2:34: balancer.drain.code: is no code that a close frame may bear; write 1012, or 1001)"},
      {joined({"[process]\ngroup = \"root\"\n", kListenerHead, kPoolHead}),
       R"(f:2:9: process.group: needs a user as well: write user = "rejoin")"},
      {joined({"[process]\nuser = \"no-such-user\"\n", kListenerHead, kPoolHead}),
       R"(f:2:8: warning: process.user: there is no such user on this machine)"},
  });
}

TEST(EdgeFile, all_of_it_together) {
  const std::string text = R"(
[process]
user = "root"
[balancer]
drain = { per_second = 50, code = 1001 }
[[listener]]
listen = "127.0.0.1:0"
proxy_protocol = "require"
trusted = ["10.0.0.0/8", "::1"]
allow = ["192.0.2.0/24"]
deny = ["192.0.2.7"]
limits = { connections = 1000, connections_per_client = 5, handshakes_per_client = 10, prefix = 24, prefix_v6 = 56 }
rate = { from_client = "64KiB", to_client = "1MiB" }
client_timeout = "5m"
server_timeout = "6m"
half_closed_timeout = "30s"
write_timeout = "20s"
head_bytes = 8192
head_fields = 50
websocket = { ping = "20s", pong_timeout = "10s", message_max = "64KiB", frame_max = "32KiB", messages = 50 }
pool = "p"
[[listener]]
listen = "127.0.0.1:0"
mode = "tcp"
mptcp = true
sni = [ { name = "*.example", pool = "p" } ]
[[pool]]
name = "p"
proxy_protocol = "v2"
server = [ { name = "a", address = "127.0.0.1:8000" } ]
)";
  const Reading reading = read_config(text, "f");
  EXPECT_EQ(to_text(reading.diagnostics), "");
  const Listener& first = reading.config.listeners.at(0);
  EXPECT_EQ(first.edge.proxy_protocol, ProxyIn::require);
  EXPECT_EQ(first.edge.limits.prefix_v6, 56);
  EXPECT_EQ(first.rate.to_client, 1024u * 1024);
  EXPECT_EQ(first.websocket.messages, 50);
  EXPECT_EQ(first.half_closed_timeout, Duration(30s));
  EXPECT_EQ(reading.config.listeners.at(1).pool, "") << "a name that is not in the list is refused";
  EXPECT_TRUE(reading.config.listeners.at(1).mptcp);
  EXPECT_EQ(reading.config.pools.at(0).proxy_protocol, ProxyProtocol::v2);
  EXPECT_EQ(reading.config.balancer.drain.code, 1001);
}

}  // namespace
}  // namespace rejoin::config
