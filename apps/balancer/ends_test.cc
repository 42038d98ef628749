// Every way in which a request, a connection or a tunnel can end is provoked, and has to stand in the access
// log and in the metrics by the words of docs/access-log.md.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "apps/balancer/metrics.h"
#include "apps/balancer/test_scene.h"
#include "proto/resume_frame.h"
#include "route/seal.h"
#include "route/ticket.h"

namespace rejoin::balancer::test {
namespace {

const std::string kGet = "GET /play HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kPost = "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
const std::string kUpgrade =
    "GET /play HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const std::string kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// On TCP, the first bytes of something that is no RESUME.
const std::string kNoResume = "hello, this is no frame";
/// And of what may become one.
const std::string kBegun(2, '\0');

/// "reset server response 502": end, by whom, in which phase, status.
std::string told(const watch::Json& record) {
  const auto word = [&](const char* name) { return record[name].text().value_or("-"); };
  const auto status = record["status"].integer();
  return word("end") + " " + word("end_by") + " " + word("end_in") + " " +
         (status ? std::to_string(*status) : "-");
}

std::string ticket_of(Scene& scene, const std::string& owner) {
  route::Seal seal(route::KeyRing(scene.key), scene.sim.random());
  route::Ticket ticket{route::SessionId::make(scene.sim.random(), 0), route::TicketKind::cookie,
                       scene.balancer.world().clock.unix_now() + 60, owner};
  std::string out;
  seal_ticket(seal, ticket, out);
  return out;
}

/// A tunnel through the layer-7 listener, both ends.
struct Tunnelled {
  explicit Tunnelled(Scene& scene) : client(scene.client()), server(asked(scene)) {
    server.say(kSwitching);
    EXPECT_TRUE(scene.until([&] { return client.hears("\r\n\r\n"); }));
  }
  RawEnd& asked(Scene& scene) {
    client.say(kUpgrade);
    return scene.served("\r\n\r\n");
  }
  RawEnd& client;
  RawEnd& server;
};

struct Case {
  std::string end;  // what is told of the record that is looked at, which is the last one
  std::function<void(Scene&)> provoke;
  std::size_t records = 1;
};

/// Says `request`, and has the server answer `answer`; then `more`.
std::function<void(Scene&)> answered(const std::string& request, const std::string& answer,
                                     const std::function<void(RawEnd& client, RawEnd& server)>& more = {}) {
  return [=](Scene& scene) {
    RawEnd& client = scene.client();
    client.say(request);
    RawEnd& server = scene.served("\r\n\r\n");
    server.say(answer);
    if (!answer.empty()) scene.sim.run_for(100ms);
    if (more) more(client, server);
  };
}
std::function<void(Scene&)> said(const std::string& request,
                                 const std::function<void(RawEnd& client)>& more = {}) {
  return [=](Scene& scene) {
    RawEnd& client = scene.client();
    client.say(request);
    scene.sim.run_for(100ms);
    if (more) more(client);
  };
}

const std::string kHalf = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
const std::string kLong = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x');

std::vector<Case> request_cases() {
  return {
      {"done - download 200", answered(kGet, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")},
      {"closed client head -", said("GET / HT", [](RawEnd& client) { client.say_fin(); })},
      {"reset client head -", said("GET / HT", [](RawEnd& client) { client.reset(); })},
      {"timeout client head 408", said("GET / HT")},
      {"bad_input client head 400", said("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")},
      {"limit client head 431",
       said("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n")},
      {"limit client head 414", said("GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n")},
      {"unsupported client head 501", said("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n")},
      {"unsupported client head 505", said("GET / HTTP/2.0\r\nHost: x\r\n\r\n")},
      {"refused server connect 503",
       [](Scene& scene) {
         scene.stop_server();
         said(kGet)(scene);
       }},
      {"timeout server connect 503",
       [](Scene& scene) {
         scene.sim.black_hole(scene.balancer, scene.server);
         said(kGet)(scene);
       }},
      {"exhausted ours connect 503",
       [](Scene& scene) {
         RawEnd& client = scene.client();
         client.say(kGet.substr(0, 10));
         scene.sim.run_for(100ms);
         scene.balancer.set_descriptors_max(1);
         client.say(kGet.substr(10));
         scene.sim.run_for(4s);
         scene.balancer.set_descriptors_max(1000);
       }},
      {"come_again ours queue 503",
       [](Scene& scene) {
         scene.stop_server();
         said("GET / HTTP/1.1\r\nHost: x\r\nRejoin-Ticket: " + ticket_of(scene, "a") + "\r\n\r\n")(scene);
       }},
      {"closed server response 502", answered(kGet, "", [](RawEnd&, RawEnd& server) { server.say_fin(); })},
      {"reset server response 502", answered(kGet, "", [](RawEnd&, RawEnd& server) { server.reset(); })},
      {"timeout server response 504", answered(kGet, "")},
      {"bad_input server response 502", answered(kGet, "SSH-2.0-OpenSSH\r\n\r\n")},
      {"stopped ours response -",
       [](Scene& scene) {
         answered(kGet, "")(scene);
         scene.worker->stop();
       }},
      {"closed server download 200",
       answered(kGet, kHalf, [](RawEnd&, RawEnd& server) { server.say_fin(); })},
      {"reset server download 200", answered(kGet, kHalf, [](RawEnd&, RawEnd& server) { server.reset(); })},
      {"timeout server download 200", answered(kGet, kHalf)},
      {"reset client download 200", answered(kGet, kHalf,
                                             [](RawEnd& client, RawEnd& server) {
                                               client.reset();
                                               server.say("more");
                                             })},
      {"timeout client download 200",
       [](Scene& scene) {
         RawEnd& client = scene.client();
         client.say(kGet);
         client.stop_reading();
         scene.served("\r\n\r\n").say(kLong);
       }},
      {"closed client upload -", answered(kPost, "", [](RawEnd& client, RawEnd&) { client.say_fin(); })},
      {"timeout client upload 408", answered(kPost, "")},
      {"bad_input client upload 400",
       answered("POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "",
                [](RawEnd& client, RawEnd&) { client.say("no chunk\r\n"); })},
  };
}

std::vector<Case> tunnel_cases() {
  return {
      {"done client tunnel -", [](Scene& scene) { Tunnelled(scene).client.say_fin(); }, 2},
      {"done server tunnel -",
       [](Scene& scene) {
         Tunnelled tunnel(scene);
         tunnel.server.say_fin();
         EXPECT_TRUE(scene.until([&] { return tunnel.client.over(); }));
         tunnel.client.say_fin();
       },
       2},
      {"reset client tunnel -", [](Scene& scene) { Tunnelled(scene).client.reset(); }, 2},
      {"reset server tunnel -", [](Scene& scene) { Tunnelled(scene).server.reset(); }, 2},
      {"timeout ours tunnel -", [](Scene& scene) { Tunnelled tunnel(scene); }, 2},
      {"stopped ours tunnel -",
       [](Scene& scene) {
         Tunnelled tunnel(scene);
         scene.worker->stop();
       },
       2},
      {"server_down ours tunnel -",
       [](Scene& scene) {
         Tunnelled tunnel(scene);
         EXPECT_EQ(scene.worker->close_tunnels(scene.pool(0).ref(0)), 1u);
       },
       2},
      {"operator ours tunnel -",
       [](Scene& scene) {
         Tunnelled tunnel(scene);
         Tunnel* found = nullptr;
         scene.worker->for_each_tunnel([&](Tunnel& one) { found = &one; });
         ASSERT_NE(found, nullptr);
         scene.worker->end_by_operator(*found);
       },
       2},
  };
}

std::vector<Case> layer_4_cases() {
  const auto say = [](const std::string& bytes, const std::function<void(Scene&, RawEnd&)>& more) {
    return [=](Scene& scene) {
      RawEnd& client = scene.client(81);
      client.say(bytes);
      scene.sim.run_for(100ms);
      more(scene, client);
    };
  };
  return {
      {"closed client head -", say("", [](Scene&, RawEnd& client) { client.say_fin(); })},
      {"reset client head -", say(kBegun, [](Scene&, RawEnd& client) { client.reset(); })},
      {"timeout client head -", say(kBegun, [](Scene&, RawEnd&) {})},
      {"refused server connect -",
       [=](Scene& scene) {
         scene.stop_server();
         say(kNoResume, [](Scene&, RawEnd&) {})(scene);
       }},
      {"come_again ours queue -",
       [=](Scene& scene) {
         scene.stop_server();
         std::string frame, opening(4, '\0');
         const std::string ticket = ticket_of(scene, "a");
         proto::Resume resume;
         resume.ticket = ticket;
         resume.epoch = 2;
         proto::append_resume(frame, resume, proto::SessionSecret{});
         store_u32(opening.data(), static_cast<std::uint32_t>(frame.size()));
         say(opening + frame, [](Scene&, RawEnd&) {})(scene);
       }},
      {"done client tunnel -", say(kNoResume,
                                   [](Scene& scene, RawEnd& client) {
                                     RawEnd& server = scene.served(kNoResume);
                                     client.say_fin();
                                     EXPECT_TRUE(scene.until([&] { return server.over(); }));
                                     server.say_fin();
                                   })},
      {"reset server tunnel -",
       say(kNoResume, [](Scene& scene, RawEnd&) { scene.served(kNoResume).reset(); })},
      {"timeout ours tunnel -", say(kNoResume, [](Scene&, RawEnd&) {})},
  };
}

/// The record's end, and the count of the same.
void check(const Case& one, std::string_view kind, std::string_view listener) {
  SCOPED_TRACE(one.end);
  Scene scene;
  one.provoke(scene);
  const std::vector<watch::Json> records = scene.records(one.records);
  ASSERT_EQ(records.size(), one.records);
  const watch::Json& record = records.back();
  EXPECT_EQ(told(record), one.end);
  EXPECT_EQ(record["kind"].text(), kind);
  EXPECT_EQ(record["listener"].text(), listener);
  EXPECT_TRUE(record["client"].text()->starts_with("10.1.0.2:")) << *record["client"].text();
  const std::string by = record["end_by"].text().value_or("none");
  const std::string counted = "rejoin_balancer_ends_total{listener=\"" + std::string(listener) +
                              "\",what=\"" + (kind == "request" ? "request" : "tunnel") + "\",by=\"" + by +
                              "\",how=\"" + *record["end"].text() + "\"} 1\n";
  const std::string metrics = metrics_text(numbers_of(*scene.worker));
  EXPECT_NE(metrics.find(counted), std::string::npos) << counted << metrics;
}

TEST(Ends, of_requests) {
  for (const Case& one : request_cases()) check(one, "request", "web");
}

TEST(Ends, of_tunnels) {
  for (const Case& one : tunnel_cases()) check(one, "tunnel", "web");
}

TEST(Ends, of_connections_at_layer_4) {
  for (const Case& one : layer_4_cases()) check(one, "connection", "raw");
}

TEST(Ends, every_way_is_among_the_cases) {
  std::set<std::string> seen;
  for (const auto& cases : {request_cases(), tunnel_cases(), layer_4_cases()}) {
    for (const Case& one : cases) seen.insert(one.end.substr(0, one.end.find(' ')));
  }
  for (std::size_t i = 0; i < kEndHows; ++i)
    EXPECT_TRUE(seen.contains(std::string(to_string(static_cast<EndHow>(i)))))
        << to_string(static_cast<EndHow>(i));
}

TEST(Ends, a_connection_on_which_nothing_is_said_leaves_no_record) {
  Scene scene;
  scene.client();
  RawEnd& second = scene.client();
  scene.sim.run_for(100ms);
  second.say_fin();
  scene.sim.run_for(5s);
  EXPECT_TRUE(scene.records().empty()) << scene.log.lines;
}

TEST(Records, tell_what_happened_and_when) {
  Scene scene;
  RawEnd& client = scene.client();
  client.say("POST /a/b?token=secret HTTP/1.1\r\nHost: play.example\r\nCookie: PIN=no; x=");
  scene.sim.run_for(300ms);
  client.say(
      "secret\r\nUser-Agent: curl/8 \"x\"\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 3\r\n\r\nabc");
  RawEnd& server = scene.served("abc");
  scene.sim.run_for(700ms);
  server.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(scene.until([&] { return client.heard().ends_with("hello"); }));
  const watch::Json record = scene.records(1).front();
  EXPECT_EQ(record["method"].text(), "POST");
  EXPECT_EQ(record["host"].text(), "play.example");
  EXPECT_EQ(record["path"].text(), "/a/b");
  EXPECT_EQ(record["user_agent"].text(), "curl/8 \"x\"");
  EXPECT_EQ(record["forwarded_for"].text(), "1.2.3.4");
  EXPECT_FALSE(record.has("query"));
  EXPECT_EQ(scene.log.lines.find("secret"), std::string::npos) << scene.log.lines;
  EXPECT_EQ(record["pool"].text(), "play");
  EXPECT_EQ(record["server"].text(), "a");
  EXPECT_EQ(record["decision"].text(), "scheduled");
  EXPECT_EQ(record["affinity"].text(), "cookie-insert");
  EXPECT_EQ(record["reason"].text(), "malformed");
  EXPECT_EQ(record["retries"].integer(), 0);
  EXPECT_EQ(record["reused"].boolean(), false);
  EXPECT_GE(*record["head_ms"].real(), 290);
  EXPECT_LT(*record["head_ms"].real(), 400);
  EXPECT_LT(*record["connect_ms"].real(), 100);
  EXPECT_GE(*record["first_byte_ms"].real(), 700);
  EXPECT_GE(*record["total_ms"].real(), 1000);
  EXPECT_GT(*record["bytes_in"].integer(), 100);
  EXPECT_EQ(*record["bytes_out"].integer(), static_cast<std::int64_t>(client.heard().size()));
  EXPECT_EQ(record["id"].text()->size(), 16u);

  // The next one comes back by its cookie, on the connection that was kept.
  const std::size_t begin = client.heard().find("PIN=");
  ASSERT_NE(begin, std::string::npos);
  const std::string cookie = client.heard().substr(begin, client.heard().find(';', begin) - begin);
  client.say("GET / HTTP/1.1\r\nHost: x\r\nCookie: " + cookie + "\r\n\r\n");
  scene.served("GET / HTTP/1.1").say("HTTP/1.1 204 No Content\r\n\r\n");
  const watch::Json next = scene.records(2).back();
  EXPECT_EQ(next["decision"].text(), "pinned");
  EXPECT_EQ(next["reason"].text(), "found");
  EXPECT_EQ(next["reused"].boolean(), true);
  EXPECT_NE(next["id"].text(), record["id"].text());
  EXPECT_EQ(scene.log.lines.find(cookie), std::string::npos) << "no cookie is logged";
}

TEST(Records, a_tunnel_has_the_id_of_its_request_and_its_bytes) {
  Scene scene;
  Tunnelled tunnel(scene);
  tunnel.client.say("12345");
  tunnel.server.say("123");
  scene.sim.run_for(3s);
  const std::string metrics = metrics_text(numbers_of(*scene.worker));
  EXPECT_NE(metrics.find("rejoin_balancer_tunnels{listener=\"web\"} 1\n"), std::string::npos) << metrics;
  const std::string sent = std::to_string(kUpgrade.size() + 5);
  EXPECT_NE(
      metrics.find("rejoin_balancer_server_sent_bytes_total{pool=\"play\",server=\"a\"} " + sent + "\n"),
      std::string::npos)
      << "an open tunnel's bytes are counted: " << metrics;
  tunnel.client.say_fin();
  const std::vector<watch::Json> records = scene.records(2);
  EXPECT_EQ(told(records[0]), "done - download 101");
  EXPECT_EQ(records[0]["id"].text(), records[1]["id"].text());
  EXPECT_EQ(records[1]["bytes_in"].integer(), 5);
  EXPECT_EQ(records[1]["bytes_out"].integer(), 3);
  EXPECT_GE(*records[1]["total_ms"].real(), 3000);
  EXPECT_EQ(records[1]["decision"].text(), "scheduled");
  EXPECT_EQ(records[1]["server"].text(), "a");
}

TEST(Records, a_listener_answers_its_own_health) {
  Scene scene;
  EXPECT_TRUE(scene.ask("GET", "/lb-health?x", 80).starts_with("HTTP/1.1 200 "));
  RawEnd& stranger = scene.client();
  stranger.say("GET /lb-healthy HTTP/1.1\r\nHost: x\r\n\r\n");
  scene.served("GET /lb-healthy").say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  scene.pool(0).set_draining(0, true);
  const std::string answer = scene.ask("HEAD", "/lb-health", 80);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\n")) << answer;
  const std::vector<watch::Json> records = scene.records(3);
  const bool ours_first = records[0]["path"].text() == "/lb-health";
  const watch::Json& ours = records[ours_first ? 0 : 1];
  EXPECT_TRUE(ours["pool"].is_null());
  EXPECT_LT(*ours["total_ms"].real(), 100) << "without the time that its connection lingers";
}

}  // namespace
}  // namespace rejoin::balancer::test
