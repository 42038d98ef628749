// Every way in which a connection is turned away before its first request leaves its line in the access log,
// with the reason; and what a line says of a client besides its address. TLS, which these scenes do not
// speak: tests/socket/access_log_test.py.
#include <gtest/gtest.h>

#include "apps/balancer/metrics.h"
#include "apps/balancer/test_scene.h"

namespace rejoin::balancer::test {
namespace {

/// One listener on port 80 with these keys, before the server "a".
std::string with_listener(const std::string& keys) {
  return "[[listener]]\nname = \"door\"\nlisten = \"10.0.0.1:80\"\nhead_timeout = \"2s\"\n" + keys +
         "[[pool]]\nname = \"play\"\nserver = [ { name = \"a\", address = \"10.0.2.1:8000\" } ]\n";
}

const std::string kProxied = "pool = \"play\"\nproxy_protocol = \"require\"\ntrusted = [ \"10.1.0.2\" ]\n";
const std::string kByName = "mode = \"tcp\"\nsni = [ { name = \"play.example\", pool = \"play\" } ]\n";
const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

std::string proxy_header(const std::string& client) {
  return "PROXY TCP4 " + client + " 198.51.100.1 41000 443\r\n";
}

/// A ClientHello of TLS 1.2 that asks for `name`; empty: for none.
std::string client_hello(const std::string& name) {
  const auto u16 = [](std::size_t value) {
    return std::string{static_cast<char>(value >> 8), static_cast<char>(value & 255)};
  };
  std::string extensions;
  if (!name.empty()) {
    const std::string entry = std::string(1, '\0') + u16(name.size()) + name;
    const std::string list = u16(entry.size()) + entry;
    extensions = u16(0) + u16(list.size()) + list;
  }
  std::string body = "\x03\x03" + std::string(32, 'r') + std::string(1, '\0') + u16(2) + "\x13\x01" +
                     std::string("\x01\x00", 2) + u16(extensions.size()) + extensions;
  const std::string handshake = std::string("\x01\x00", 2) + u16(body.size()) + body;
  return "\x16\x03\x01" + u16(handshake.size()) + handshake;
}

struct Case {
  std::string keys, said;
  std::string told;    // "end by in reason" of the last line
  std::string reason;  // that the metrics count; empty: none
  enum class Then { waits, says_fin } then = Then::waits;
  int connections = 1;  // that do the same
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"pool = \"play\"\ndeny = [ \"10.1.0.0/24\" ]\n", kGet, "refused ours gate denied", "denied"},
      {"pool = \"play\"\nmode = \"tcp\"\nallow = [ \"10.9.0.0/24\" ]\n", kGet, "refused ours gate denied",
       "denied"},
      {"pool = \"play\"\nlimits = { connections = 1 }\n", "", "refused ours gate full", "full",
       Case::Then::waits, 2},
      {"pool = \"play\"\nlimits = { connections_per_client = 1 }\n", "", "refused ours gate client_full",
       "client_full", Case::Then::waits, 2},
      {"pool = \"play\"\nlimits = { handshakes_per_client = 1 }\n", "", "refused ours gate client_too_fast",
       "client_too_fast", Case::Then::waits, 3},
      {"pool = \"play\"\nproxy_protocol = \"require\"\ntrusted = [ \"10.9.0.1\" ]\n", kGet,
       "refused ours gate proxy_untrusted", "proxy_untrusted"},
      {kProxied, kGet, "bad_input client proxy bad_proxy", "bad_proxy"},
      {kProxied, "PROXY TCP4 x\r\n", "bad_input client proxy bad_proxy", "bad_proxy"},
      {kProxied, "PROXY TCP4 1.", "timeout client proxy late", "late"},
      {kProxied, "", "timeout client proxy late", "late"},
      {kProxied, "PROXY TCP4 1.", "closed client proxy gone", "", Case::Then::says_fin},
      {kProxied + "deny = [ \"203.0.113.0/24\" ]\n", proxy_header("203.0.113.7") + kGet,
       "refused ours gate denied", "denied"},
      {kByName, "SSH-2.0-OpenSSH\r\n", "bad_input client hello bad_hello", "bad_hello"},
      {kByName, client_hello("elsewhere.example"), "refused ours hello no_name", "no_name"},
      {kByName, client_hello(""), "refused ours hello no_name", "no_name"},
      {kByName, client_hello("play.example").substr(0, 20), "timeout client hello late", "late"},
      {kByName, client_hello("play.example").substr(0, 20), "closed client hello gone", "",
       Case::Then::says_fin},
  };
  return all;
}

std::string told(const watch::Json& record) {
  const auto word = [&](const char* name) { return record[name].text().value_or("-"); };
  return word("end") + " " + word("end_by") + " " + word("end_in") + " " + word("reason");
}

TEST(Refused, each_way_leaves_its_line_and_is_counted_once) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.keys + one.said);
    Scene scene(1, with_listener(one.keys));
    for (int i = 0; i < one.connections; ++i) {
      RawEnd& client = scene.client();
      if (!one.said.empty()) client.say(one.said);
      scene.sim.run_for(100ms);
      if (one.then == Case::Then::says_fin) client.say_fin();
    }
    const watch::Json record = scene.records(1).front();
    EXPECT_EQ(told(record), one.told);
    EXPECT_EQ(record["kind"].text(), "refused");
    EXPECT_EQ(record["listener"].text(), "door");
    EXPECT_TRUE(record["status"].is_null());
    EXPECT_NE(record["detail"].text().value_or(""), "");
    EXPECT_EQ(record["id"].text()->size(), 16u);
    const bool named = one.said.starts_with("PROXY TCP4 203.0.113.7");
    EXPECT_TRUE(record["client"].text()->starts_with(named ? "203.0.113.7:41000" : "10.1.0.2:"))
        << scene.log.lines;
    EXPECT_EQ(record["peer"].text().value_or("-").starts_with("10.1.0.2:"), named) << scene.log.lines;
    EXPECT_EQ(record["sni"].text().value_or("-"),
              one.said.find("elsewhere") == std::string::npos ? "-" : "elsewhere.example");
    const std::string metrics = metrics_text(numbers_of(*scene.worker));
    EXPECT_EQ(metrics.find("rejoin_balancer_ends_total{"), std::string::npos)
        << "counted elsewhere, and not twice";
    if (one.reason.empty()) continue;
    const std::string counted = "rejoin_balancer_edge_refusals_total{reason=\"" + one.reason + "\"} 1\n";
    EXPECT_NE(metrics.find(counted), std::string::npos) << counted << metrics;
  }
}

TEST(Refused, a_connection_that_says_nothing_and_goes_leaves_no_line) {
  for (const std::string& keys : {kProxied, kByName}) {
    Scene scene(1, with_listener(keys));
    RawEnd& client = scene.client();
    scene.sim.run_for(100ms);
    client.say_fin();
    scene.sim.run_for(5s);
    EXPECT_TRUE(scene.records().empty()) << scene.log.lines;
  }
}

TEST(Refused, a_flood_leaves_so_many_lines_a_second_and_then_a_count) {
  Scene scene(1, with_listener("pool = \"play\"\ndeny = [ \"10.1.0.0/24\" ]\n"));
  constexpr unsigned kFlood = 250;
  for (unsigned i = 0; i < kFlood; ++i) scene.client();
  scene.sim.run_for(3s);
  const std::vector<watch::Json> records = scene.records(watch::kRefusedLinesPerSecondMax + 1);
  const watch::Json& last = records.back();
  EXPECT_EQ(last["kind"].text(), "refused");
  EXPECT_EQ(last["left_out"].integer(), kFlood - watch::kRefusedLinesPerSecondMax);
  EXPECT_TRUE(last["client"].is_null());
  EXPECT_TRUE(records.front()["left_out"].is_null());
  scene.client();
  EXPECT_EQ(told(scene.records(records.size() + 1).back()), "refused ours gate denied")
      << "the next second tells again";
}

TEST(Records, tell_of_the_peer_where_a_proxy_is_in_front) {
  Scene scene(1, with_listener(kProxied));
  RawEnd& client = scene.client();
  client.say(proxy_header("203.0.113.7") + kGet);
  scene.served("GET /").say("HTTP/1.1 204 No Content\r\n\r\n");
  const watch::Json record = scene.records(1).front();
  EXPECT_EQ(record["client"].text(), "203.0.113.7:41000");
  EXPECT_TRUE(record["peer"].text().value_or("-").starts_with("10.1.0.2:")) << scene.log.lines;
}

TEST(Records, a_tunnel_at_layer_4_has_peer_and_name) {
  Scene scene(1, with_listener(kByName + "proxy_protocol = \"require\"\ntrusted = [ \"10.1.0.2\" ]\n"));
  const std::string hello = client_hello("play.example");
  RawEnd& client = scene.client();
  client.say(proxy_header("203.0.113.7") + hello);
  RawEnd& server = scene.served(hello);
  server.reset();
  const watch::Json record = scene.records(1).front();
  EXPECT_EQ(record["kind"].text(), "connection");
  EXPECT_EQ(record["client"].text(), "203.0.113.7:41000");
  EXPECT_TRUE(record["peer"].text().value_or("-").starts_with("10.1.0.2:")) << scene.log.lines;
  EXPECT_EQ(record["sni"].text(), "play.example");
}

TEST(Records, have_the_request_id_that_the_server_saw) {
  const struct {
    const char* keys;
    const char* brought;
    const char* logged;  // nullptr: one of ours
  } table[] = {
      {"", "X-Request-Id: theirs\r\n", "theirs"},
      {"", "", "-"},
      {"forwarded = { request_id = true }\n", "", nullptr},
      {"forwarded = { request_id = true }\n", "X-Request-Id: theirs\r\n", nullptr},
  };
  for (const auto& one : table) {
    SCOPED_TRACE(std::string(one.keys) + one.brought);
    Scene scene(1, with_listener(std::string("pool = \"play\"\n") + one.keys));
    RawEnd& client = scene.client();
    client.say(std::string("GET / HTTP/1.1\r\nHost: x\r\n") + one.brought + "\r\n");
    RawEnd& server = scene.served("\r\n\r\n");
    const std::string seen = server.heard();
    server.say("HTTP/1.1 204 No Content\r\n\r\n");
    const std::string logged = scene.records(1).front()["request_id"].text().value_or("-");
    if (one.logged != nullptr) {
      EXPECT_EQ(logged, one.logged);
    } else {
      EXPECT_EQ(logged.size(), 32u);
      EXPECT_NE(seen.find("X-Request-Id: " + logged + "\r\n"), std::string::npos) << seen;
    }
  }
}

}  // namespace
}  // namespace rejoin::balancer::test
