// Files that are good: what they mean, what is left out, and that the forms of TOML make no difference.
#include "apps/config/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "apps/config/reference.h"

namespace rejoin::config {
namespace {

constexpr std::string_view kSmallest = R"(
[[listener]]
listen = "127.0.0.1:0"
[[pool]]
name = "gateways"
server = [ { name = "g1", address = "127.0.0.1:8000" } ]
)";

Config good(std::string_view text) {
  auto config = parse_config(text, "etc/play.toml");
  EXPECT_TRUE(config.ok()) << config.error().detail;
  return config ? *config : Config{};
}

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Config, the_smallest_file_has_every_default) {
  const Config config = good(kSmallest);
  EXPECT_TRUE(config.keys.seal.empty());
  EXPECT_EQ(config.log.level, LogLevel::info);
  EXPECT_EQ(config.balancer.workers, 1);
  EXPECT_FALSE(config.gateway);
  EXPECT_TRUE(config.warnings.empty());

  ASSERT_EQ(config.listeners.size(), 1u);
  const Listener& listener = config.listeners[0];
  EXPECT_EQ(listener.name, "listener-1");
  EXPECT_EQ(listener.listen.text(), "127.0.0.1:0");
  EXPECT_EQ(listener.mode, Mode::http);
  EXPECT_EQ(listener.pool, "gateways") << "the only pool";
  EXPECT_EQ(listener.head_timeout, 10s);
  EXPECT_EQ(listener.idle_timeout, 60s);
  EXPECT_EQ(listener.tunnel_timeout, 1h);

  const Pool* pool = config.find_pool("gateways");
  ASSERT_TRUE(pool);
  EXPECT_EQ(pool->scheduler, Scheduler::round_robin);
  EXPECT_TRUE(pool->affinity.empty());
  EXPECT_EQ(pool->health.kind, HealthKind::off);
  EXPECT_EQ(pool->health.every, 2s);
  EXPECT_EQ(pool->connect_timeout, 3s);
  EXPECT_EQ(pool->retries, 2);
  ASSERT_EQ(pool->servers.size(), 1u);
  EXPECT_EQ(pool->servers[0].weight, 1);
  EXPECT_EQ(config.find_pool("other"), nullptr);
}

TEST(Config, every_key_can_be_set) {
  const Config config = good(R"(
[keys]
seal = [ "file:new.key", "env:OLD_KEY" ]
[log]
level = "debug"
[balancer]
workers = 4
[[listener]]
name = "play"
listen = "[::1]:8080"
mode = "http"
pool = "b"
head_timeout = "1500ms"
idle_timeout = "2m"
tunnel_timeout = "1d"
[[pool]]
name = "a"
server = [ { name = "x", address = "127.0.0.1:1" } ]
[[pool]]
name = "b"
scheduler = "least-connections"
affinity = [ { kind = "cookie-insert", name = "N", max_idle = "0s", max_life = "2h", domain = "d.example", path = "/p", same_site = "none", secure = true, http_only = false, partitioned = true, hide = false }, { kind = "cookie-rewrite", name = "R" }, { kind = "cookie-prefix", name = "P" }, { kind = "source-ip", grace = "0s", prefix = 24, prefix_v6 = 64 } ]
health = { kind = "http", path = "/up", host = "h.example:80", expect = 204, every = "500ms", timeout = "100ms", rise = 4, fall = 5 }
connect_timeout = "250ms"
retries = 0
server = [ { name = "g1", address = "127.0.0.1:8000", weight = 7 }, { name = "g2", address = "[::1]:8000", weight = 0 } ]
[gateway]
name = "g1"
workers = 2
listener = [ { name = "w", listen = "127.0.0.1:8000", kind = "websocket" }, { listen = "127.0.0.1:8001", kind = "tcp" }, { listen = "127.0.0.1:8002", kind = "tcp" } ]
upstream = { kind = "echo" }
message_max = "64KiB"
handshake_timeout = "3s"
compression = { kind = "dedicated", window_bits = 10, memory_level = 3, min_bytes = "1KiB", memory_max = "1MiB", on_resumable_links = true }
)");
  ASSERT_EQ(config.keys.seal.size(), 2u);
  EXPECT_EQ(config.keys.seal[0].kind, KeySource::Kind::file);
  EXPECT_EQ(config.keys.seal[0].from, "new.key");
  EXPECT_EQ(config.keys.seal[1].kind, KeySource::Kind::env);
  EXPECT_EQ(config.keys.seal[1].from, "OLD_KEY");
  EXPECT_EQ(config.keys.seal[1].place, (Place{3, 26}));
  EXPECT_EQ(config.log.level, LogLevel::debug);
  EXPECT_EQ(config.balancer.workers, 4);

  const Listener& listener = config.listeners.at(0);
  EXPECT_EQ(listener.name, "play");
  EXPECT_EQ(listener.listen.text(), "[::1]:8080");
  EXPECT_EQ(listener.pool, "b");
  EXPECT_EQ(listener.head_timeout, 1500ms);
  EXPECT_EQ(listener.idle_timeout, 2min);
  EXPECT_EQ(listener.tunnel_timeout, 24h);

  const Pool& pool = config.pools.at(1);
  EXPECT_EQ(pool.scheduler, Scheduler::least_connections);
  EXPECT_EQ(pool.connect_timeout, 250ms);
  EXPECT_EQ(pool.retries, 0);
  ASSERT_EQ(pool.affinity.size(), 4u);
  const CookieInsert& cookie = pool.affinity[0].insert;
  EXPECT_EQ(pool.affinity[0].kind, AffinityKind::cookie_insert);
  EXPECT_EQ(pool.affinity[0].cookie_name(), "N");
  EXPECT_EQ(cookie.max_idle, 0s);
  EXPECT_EQ(cookie.max_life, 2h);
  EXPECT_EQ(cookie.domain, "d.example");
  EXPECT_EQ(cookie.path, "/p");
  EXPECT_EQ(cookie.same_site, SameSite::none);
  EXPECT_TRUE(cookie.secure);
  EXPECT_FALSE(cookie.http_only);
  EXPECT_TRUE(cookie.partitioned);
  EXPECT_FALSE(cookie.hide);
  EXPECT_EQ(pool.affinity[1].kind, AffinityKind::cookie_rewrite);
  EXPECT_EQ(pool.affinity[1].cookie_name(), "R");
  EXPECT_EQ(pool.affinity[2].kind, AffinityKind::cookie_prefix);
  EXPECT_EQ(pool.affinity[2].cookie_name(), "P");
  EXPECT_EQ(pool.affinity[3].kind, AffinityKind::source_ip);
  EXPECT_EQ(pool.affinity[3].cookie_name(), "");
  EXPECT_EQ(pool.affinity[3].source_ip.grace, 0s);
  EXPECT_EQ(pool.affinity[3].source_ip.prefix, 24);
  EXPECT_EQ(pool.affinity[3].source_ip.prefix_v6, 64);

  EXPECT_EQ(pool.health.kind, HealthKind::http);
  EXPECT_EQ(pool.health.path, "/up");
  EXPECT_EQ(pool.health.host, "h.example:80");
  ASSERT_EQ(pool.health.expect.size(), 1u);
  EXPECT_EQ(pool.health.expect[0].first, 204);
  EXPECT_EQ(pool.health.expect[0].last, 204);
  EXPECT_EQ(pool.health.every, 500ms);
  EXPECT_EQ(pool.health.timeout, 100ms);
  EXPECT_EQ(pool.health.rise, 4);
  EXPECT_EQ(pool.health.fall, 5);
  EXPECT_EQ(pool.servers.at(0).weight, 7);
  EXPECT_EQ(pool.servers.at(1).weight, 0);
  EXPECT_EQ(pool.servers.at(1).address.text(), "[::1]:8000");

  ASSERT_TRUE(config.gateway);
  EXPECT_EQ(config.gateway->name, "g1");
  EXPECT_EQ(config.gateway->workers, 2);
  ASSERT_EQ(config.gateway->listeners.size(), 3u);
  EXPECT_EQ(config.gateway->listeners[0].name, "w");
  EXPECT_EQ(config.gateway->listeners[1].name, "tcp");
  EXPECT_EQ(config.gateway->listeners[2].name, "tcp-2");
  EXPECT_EQ(config.gateway->listeners[2].kind, GatewayListenerKind::tcp);
  EXPECT_EQ(config.gateway->message_max, 64u * 1024);
  EXPECT_EQ(config.gateway->handshake_timeout, 3s);
  const Compression& compression = config.gateway->compression;
  EXPECT_EQ(compression.kind, CompressionKind::dedicated);
  EXPECT_EQ(compression.window_bits, 10);
  EXPECT_EQ(compression.memory_level, 3);
  EXPECT_EQ(compression.min_bytes, 1024u);
  EXPECT_EQ(compression.memory_max, 1024u * 1024);
  EXPECT_TRUE(compression.on_resumable_links);
}

TEST(Config, every_key_of_an_upstream_can_be_set) {
  const auto upstream = [](std::string_view text) {
    const Config config =
        good("[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\nupstream = " +
             std::string(text));
    EXPECT_TRUE(config.warnings.empty());
    return config.gateway.value_or(Gateway{}).upstream;
  };
  const Upstream tcp = upstream(
      R"({ kind = "tcp", address = "127.0.0.1:7000", connect_timeout = "1s", message_max = "2KiB", length_bytes = 2, endian = "little", counts_itself = true, proxy_protocol = "v2" })");
  EXPECT_EQ(tcp.kind, UpstreamKind::tcp);
  EXPECT_EQ(tcp.address.text(), "127.0.0.1:7000");
  EXPECT_EQ(tcp.connect_timeout, 1s);
  EXPECT_EQ(tcp.message_max, 2048u);
  EXPECT_EQ(tcp.length_bytes, 2);
  EXPECT_EQ(tcp.endian, Endian::little);
  EXPECT_TRUE(tcp.counts_itself);
  EXPECT_EQ(tcp.proxy_protocol, ProxyProtocol::v2);
  const Upstream ws =
      upstream(R"({ kind = "ws", address = "[::1]:7000", path = "/arena?room=7", host = "arena.example" })");
  EXPECT_EQ(ws.kind, UpstreamKind::ws);
  EXPECT_EQ(ws.path, "/arena?room=7");
  EXPECT_EQ(ws.host, "arena.example");
  const Upstream plain = upstream(R"({ kind = "tcp", address = "127.0.0.1:7000" })");
  EXPECT_EQ(plain.length_bytes, 4);
  EXPECT_EQ(plain.endian, Endian::big);
  EXPECT_FALSE(plain.counts_itself);
  EXPECT_EQ(plain.proxy_protocol, ProxyProtocol::off);
  EXPECT_EQ(plain.message_max, 1024u * 1024);
}

TEST(Config, a_pool_of_game_servers_needs_no_listener_and_has_its_own_timeout) {
  const Config config = good(R"(
[[pool]]
name = "arena"
connect_timeout = "250ms"
server = [ { name = "a", address = "127.0.0.1:7000" } ]
[gateway]
name = "g"
listener = [ { listen = "127.0.0.1:0" } ]
upstream = { kind = "ws", pool = "arena" }
)");
  EXPECT_TRUE(config.warnings.empty());
  ASSERT_TRUE(config.gateway);
  EXPECT_EQ(config.gateway->upstream.pool, "arena");
  EXPECT_EQ(config.gateway->upstream.connect_timeout, 250ms);
}

TEST(Config, limits_that_are_not_written_are_no_more_than_the_length_can_say) {
  for (const bool itself : {false, true}) {
    const Config config =
        good(std::string("[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n") +
             R"(upstream = { kind = "tcp", address = "127.0.0.1:7000", length_bytes = 2, counts_itself = )" +
             (itself ? "true }" : "false }"));
    ASSERT_TRUE(config.gateway);
    EXPECT_TRUE(config.warnings.empty());
    EXPECT_EQ(config.gateway->message_max, itself ? 65'533u : 65'535u);
    EXPECT_EQ(config.gateway->upstream.message_max, itself ? 65'533u : 65'535u);
  }
}

TEST(Config, the_admin_port_is_there_when_its_table_is) {
  const std::string gateway = "[gateway]\nname = \"g\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]\n";
  EXPECT_FALSE(good(gateway).admin);
  const Config config = good(gateway + "[admin]\nlisten = \"127.0.0.1:9090\"\n");
  ASSERT_TRUE(config.admin);
  EXPECT_EQ(config.admin->listen.text(), "127.0.0.1:9090");
  EXPECT_TRUE(config.warnings.empty());
}

TEST(Config, a_ticket_may_stand_before_a_cookie_and_behind_tcp) {
  const Config config = good(R"(
[keys]
seal = ["env:K"]
[[listener]]
listen = "127.0.0.1:0"
pool = "web"
[[listener]]
listen = "127.0.0.1:0"
mode = "tcp"
pool = "raw"
[[pool]]
name = "web"
affinity = [ { kind = "ticket" }, { kind = "cookie-insert" } ]
server = [ { name = "g1", address = "127.0.0.1:8000" } ]
[[pool]]
name = "raw"
affinity = [ { kind = "ticket", cookie = "T", owner_gone = "2m", come_again = "250ms" }, { kind = "source-ip" } ]
server = [ { name = "g1", address = "127.0.0.1:8001" } ]
)");
  EXPECT_TRUE(config.warnings.empty());
  const Affinity& plain = config.pools.at(0).affinity.at(0);
  EXPECT_EQ(plain.kind, AffinityKind::ticket);
  EXPECT_EQ(plain.cookie_name(), "REJOIN-SESSION");
  EXPECT_EQ(plain.ticket.owner_gone, 60s);
  EXPECT_EQ(plain.ticket.come_again, 1s);
  const Affinity& changed = config.pools.at(1).affinity.at(0);
  EXPECT_EQ(changed.cookie_name(), "T");
  EXPECT_EQ(changed.ticket.owner_gone, 2min);
  EXPECT_EQ(changed.ticket.come_again, 250ms);
}

TEST(Config, a_gateway_alone_has_every_default) {
  const Config config = good("[gateway]\nname = \"g1\"\nlistener = [ { listen = \"127.0.0.1:0\" } ]");
  ASSERT_TRUE(config.gateway);
  EXPECT_EQ(config.gateway->workers, 1);
  EXPECT_EQ(config.gateway->listeners.at(0).name, "websocket");
  EXPECT_EQ(config.gateway->listeners.at(0).kind, GatewayListenerKind::websocket);
  EXPECT_EQ(config.gateway->upstream.kind, UpstreamKind::echo);
  EXPECT_EQ(config.gateway->message_max, 1024u * 1024);
  EXPECT_EQ(config.gateway->handshake_timeout, 10s);
  const Compression& compression = config.gateway->compression;
  EXPECT_EQ(compression.kind, CompressionKind::off);
  EXPECT_EQ(compression.window_bits, 12);
  EXPECT_EQ(compression.memory_level, 5);
  EXPECT_EQ(compression.min_bytes, 64u);
  EXPECT_FALSE(compression.on_resumable_links);
}

TEST(Config, inline_tables_and_headed_tables_are_the_same) {
  const Config headed = good(R"(
[[listener]]
listen = "127.0.0.1:0"
[[pool]]
name = "gateways"
[pool.health]
kind = "http"
path = "/healthz"
[[pool.affinity]]
kind = "source-ip"
grace = "1m"
[[pool.server]]
name = "g1"
address = "127.0.0.1:8000"
[[pool.server]]
name = "g2"
address = "127.0.0.2:8000"
weight = 3
)");
  const Config inlined = good(R"(
listener = [ { listen = "127.0.0.1:0" } ]
pool = [ { name = "gateways", health = { kind = "http", path = "/healthz" }, affinity = [ { kind = "source-ip", grace = "1m" } ], server = [ { name = "g1", address = "127.0.0.1:8000" }, { name = "g2", address = "127.0.0.2:8000", weight = 3 } ] } ]
)");
  for (const Config* config : {&headed, &inlined}) {
    ASSERT_EQ(config->pools.size(), 1u);
    const Pool& pool = config->pools[0];
    EXPECT_EQ(pool.health.kind, HealthKind::http);
    EXPECT_EQ(pool.health.path, "/healthz");
    ASSERT_EQ(pool.affinity.size(), 1u);
    EXPECT_EQ(pool.affinity[0].source_ip.grace, 1min);
    ASSERT_EQ(pool.servers.size(), 2u);
    EXPECT_EQ(pool.servers[1].name, "g2");
    EXPECT_EQ(pool.servers[1].weight, 3);
  }
}

TEST(Config, all_errors_are_in_the_error_and_no_warnings) {
  const auto config = parse_config(
      "[[listener]]\nlisten = 1\n[[pool]]\nname = \"a\"\nserver = []\n[[pool]]\nname = \"b\"\nretries = 99\n",
      "f");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().kind, ErrorKind::config);
  EXPECT_EQ(
      config.error().detail,
      "f:1:1: listener.pool: is missing; there are several pools: write pool = \"a\"\n"
      "f:2:10: listener.listen: wants an address such as \"0.0.0.0:8080\", not an integer\n"
      "f:5:10: pool[0].server: is empty; write server = [ { name = \"g1\", address = \"127.0.0.1:8000\" } ]\n"
      "f:6:1: pool[1].server: is missing; write server = [ { name = \"g1\", address = \"127.0.0.1:8000\" } "
      "]\n"
      "f:8:11: pool[1].retries: 99 is out of range; write 0 to 7");
}

TEST(Config, warnings_travel_with_a_good_file) {
  const auto both = parse_config(
      "[[listener]]\nlisten = \"127.0.0.1:0\"\npool = \"a\"\n"
      "[[pool]]\nname = \"a\"\nserver = [ { name = \"x\", address = \"127.0.0.1:1\" } ]\n"
      "[[pool]]\nname = \"b\"\nserver = [ { name = \"x\", address = \"127.0.0.1:1\" } ]\n",
      "f");
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->warnings.size(), 1u);
  EXPECT_EQ(both->warnings[0].severity, Severity::warning);
  EXPECT_EQ(both->warnings[0].text(), "f:8:8: warning: pool[1].name: no listener uses this pool");
}

TEST(Config, relative_paths_start_at_the_files_folder) {
  Config config;
  config.file = "etc/play.toml";
  EXPECT_EQ(config.resolve("seal.key"), "etc/seal.key");
  EXPECT_EQ(config.resolve("../seal.key"), "seal.key");
  EXPECT_EQ(config.resolve("/run/seal.key"), "/run/seal.key");
  config.file = "play.toml";
  EXPECT_EQ(config.resolve("seal.key"), "seal.key");
}

TEST(Config, files_that_cannot_be_read) {
  EXPECT_EQ(to_text(read_config_file("/nowhere/play.toml").diagnostics),
            "/nowhere/play.toml: cannot be opened: No such file or directory\n");
  EXPECT_EQ(to_text(read_config_file("/").diagnostics), "/: cannot be read: Is a directory\n");
  EXPECT_EQ(load_config("/nowhere/play.toml").error().kind, ErrorKind::config);
  const std::string large(limits::kConfigBytesMax + 1, '\n');
  EXPECT_EQ(to_text(read_config(large, "f").diagnostics), "f: is larger than 1MiB: not a configuration\n");
}

TEST(Config, nesting_without_end_is_an_error) {
  for (const std::string_view deeper : {"[", "{a=", "a."}) {
    std::string text = deeper == "a." ? "" : "a = ";
    for (int i = 0; i < 5000; ++i) text += deeper;
    EXPECT_FALSE(read_config(text, "f").ok()) << deeper;
  }
}

TEST(Config, the_examples_are_good) {
  const std::string folder = std::string(REJOIN_SOURCE_DIR) + "/examples/";
  for (const std::string_view name :
       {"balancer.toml", "gateway.toml", "game-servers.toml", "game.toml", "all.toml"}) {
    const Reading reading = read_config_file(folder + std::string(name));
    EXPECT_EQ(to_text(reading.diagnostics), "");
    EXPECT_TRUE(reading.ok()) << name;
  }
}

TEST(Config, the_reference_is_up_to_date) {
  const std::string path = std::string(REJOIN_SOURCE_DIR) + "/docs/configuration.md";
  const std::string_view begin = "<!-- keys: begin -->\n", end = "<!-- keys: end -->\n";
  const std::string text = slurp(path);
  const auto from = text.find(begin), to = text.find(end);
  ASSERT_TRUE(from != text.npos && to != text.npos && from < to) << "the marks are missing in " << path;
  const std::string before = text.substr(0, from + begin.size());
  const std::string made = '\n' + reference_markdown() + '\n';
  if (std::getenv("REJOIN_UPDATE_DOCS")) {
    std::ofstream(path) << before << made << text.substr(to);
    return;
  }
  EXPECT_EQ(text.substr(before.size(), to - before.size()), made)
      << "run config_test with REJOIN_UPDATE_DOCS=1, and commit docs/configuration.md";
}

}  // namespace
}  // namespace rejoin::config
