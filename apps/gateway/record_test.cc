// Every way in which a link or a session can end, and in which a connection becomes no link, is provoked, and
// has to stand in the access log by the words of docs/access-log.md. Game servers that end, and TLS:
// tests/socket/access_log_test.py.
#include <gtest/gtest.h>

#include <functional>

#include "apps/gateway/admin_question.h"
#include "apps/gateway/metrics.h"
#include "apps/gateway/resume_client.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

std::string word(const watch::Json& record, const char* name) { return record[name].text().value_or("-"); }
std::int64_t number(const watch::Json& record, const char* name) {
  return record[name].integer().value_or(-1);
}
/// "link finished client session 1000".
std::string told(const watch::Json& record) {
  return word(record, "kind") + " " + word(record, "end") + " " + word(record, "end_by") + " " +
         word(record, "end_in") + " " + std::to_string(number(record, "code"));
}
/// The records of one kind.
std::vector<watch::Json> of_kind(const std::vector<watch::Json>& records, std::string_view kind) {
  std::vector<watch::Json> out;
  for (const watch::Json& record : records) {
    if (word(record, "kind") == kind) out.push_back(record);
  }
  return out;
}

/// A client that has logged in, and heard the echo's greeting.
struct Player {
  explicit Player(Scene& scene, Road road = Road::websocket) : link(scene, road) {
    link.say(hello());
    EXPECT_TRUE(link.hears("WELCOME"));
    link.say(ack_of(0));
    EXPECT_TRUE(link.hears("DATA 1 '{\"server\":\"g'"));
    kept = link.kept();
    kept.received = 1;
  }
  ResumeLink link;
  Kept kept;
};

std::string close_of(std::uint16_t code) {
  std::string frame;
  proto::append_close(frame, {code, "bye"}, 0);
  return frame;
}

TEST(LinkRecords, tell_of_two_links_of_one_session) {
  Scene scene;
  Player player(scene, Road::tcp);
  player.link.say(data(1, "hello", 1));
  EXPECT_TRUE(player.link.hears("DATA 2 'hello'"));
  player.kept.received = 2;
  scene.sim.run_for(3s);
  player.link.raw().break_off();
  const watch::Json first = scene.records(1).front();
  EXPECT_EQ(told(first), "link broken client session -1");
  EXPECT_EQ(word(first, "listener"), "tcp");
  EXPECT_EQ(word(first, "transport"), "tcp");
  EXPECT_EQ(word(first, "protocol"), "rejoin");
  EXPECT_EQ(word(first, "opened"), "new");
  EXPECT_TRUE(word(first, "client").starts_with("10.1.0.2:"));
  EXPECT_EQ(word(first, "peer"), "-");
  EXPECT_EQ(word(first, "session").size(), 32u);
  EXPECT_EQ(number(first, "epoch"), 1);
  EXPECT_EQ(number(first, "messages_in"), 1);
  EXPECT_EQ(number(first, "messages_out"), 2) << "the greeting, and the echo";
  const std::int64_t greeting = number(first, "bytes_out") - 5;
  EXPECT_GT(greeting, 10);
  EXPECT_LT(greeting, 100);
  EXPECT_GE(*first["total_ms"].real(), 3000);

  scene.sim.run_for(1s);
  ResumeLink second(scene, Road::websocket, player.kept.resume());
  EXPECT_TRUE(second.hears("RESUMED 1/3/2"));
  second.say(data(2, "again and ", 2) + "");
  second.say(data(3, "again", 2));
  EXPECT_TRUE(second.hears("DATA 4 'again'"));
  second.say(close_of(1000));
  const std::vector<watch::Json> records = scene.records(3);
  const watch::Json session = of_kind(records, "session").front(), link = records.back();
  EXPECT_EQ(told(link), "link dismissed client session 1000");
  EXPECT_EQ(word(link, "listener"), "ws");
  EXPECT_EQ(word(link, "opened"), "resumed");
  EXPECT_EQ(word(link, "session"), word(first, "session"));
  EXPECT_EQ(number(link, "epoch"), 2);
  EXPECT_EQ(number(link, "messages_in"), 2);
  EXPECT_EQ(number(link, "messages_out"), 2);
  EXPECT_EQ(number(link, "bytes_out"), 15);
  EXPECT_EQ(word(link, "reason"), "normal");

  EXPECT_EQ(told(session), "session closed client - 1000");
  EXPECT_EQ(word(session, "session"), word(first, "session"));
  EXPECT_EQ(number(session, "links"), 2);
  EXPECT_EQ(number(session, "resumes"), 1);
  EXPECT_EQ(number(session, "epoch"), 2);
  EXPECT_EQ(number(session, "messages_in"), 3);
  EXPECT_EQ(number(session, "messages_out"), 4);
  EXPECT_GE(*session["total_ms"].real(), 4000);
}

struct Case {
  std::string link;     // what is told of the first link that ended
  std::string session;  // of the session; empty: there is none
  std::function<void(Scene&)> provoke;
};

std::vector<Case> cases() {
  const std::string bad(10, '\x77');
  return {
      {"link finished client session 1000", "session link_ended client - 4410",
       [](Scene& scene) {
         std::size_t from = 0;
         scene.websocket(from).say(masked(proto::WsOpcode::close, std::string("\x03\xe8", 2)));
       }},
      {"link abandoned client session -1", "session link_ended client - 4410",
       [](Scene& scene) {
         std::size_t from = 0;
         scene.websocket(from).say_fin();
       }},
      {"link broken client session -1", "session link_ended client - 4410",
       [](Scene& scene) {
         std::size_t from = 0;
         scene.websocket(from).break_off();
       }},
      {"link refused client session 1007", "session link_ended client - 4410",
       [](Scene& scene) {
         std::size_t from = 0;
         scene.websocket(from).say(masked(proto::WsOpcode::text, "\xff\xfe"));
       }},
      {"link refused client session 4400", "",
       [bad](Scene& scene) {
         Player player(scene);
         player.link.say(bad);
         player.link.hears("close 4400");
       }},
      {"link silent client session 4408", "session expired client - 4401",
       [](Scene& scene) {
         Player player(scene);
         scene.sim.run_for(300s);
       }},
      {"link dismissed ours session 4409", "",
       [](Scene& scene) {
         Player player(scene);
         ResumeLink second(scene, Road::websocket, player.kept.resume());
         second.hears("RESUMED 0/2/1");
       }},
      {"link dismissed ours session 4401", "session unanswered client - 4401",
       [](Scene& scene) {
         ResumeLink link(scene, Road::websocket);
         link.say(hello());
         link.hears("close 4401");
       }},
      {"link dismissed ours session 1012", "session stopped ours - 1012",
       [](Scene& scene) {
         Player player(scene);
         scene.worker->drain();
       }},
      {"link dismissed ours session 4410", "session operator ours - 4410",
       [](Scene& scene) {
         Player player(scene);
         Question question;
         question.kind = Question::Kind::end;
         scene.worker->sessions().for_each([&](LiveSession& one) { question.id = one.state().id(); });
         question.reason = "banned";
         answer_question(*scene.worker, question);
       }},
      {"link refused client opening 4408", "",
       [](Scene& scene) {
         scene.client(Scene::kTcpPort);
         scene.sim.run_for(limits::kOpeningFrameS + 1s);
       }},
      {"link refused client opening 4401", "",
       [](Scene& scene) {
         Player player(scene);
         Kept forged = player.kept;
         forged.ticket = std::string(forged.ticket.size(), 'A');
         ResumeLink link(scene, Road::tcp, forged.resume());
         for (int i = 1; i < limits::kOpeningsPerLink; ++i) link.say(forged.resume());
         scene.sim.run_for(1s);
         link.raw().say_fin();
         scene.sim.run_for(1s);
       }},
  };
}

TEST(LinkRecords, each_way_to_end_has_its_words) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.link + "; " + one.session);
    Scene scene;
    one.provoke(scene);
    EXPECT_TRUE(scene.until([&] { return !of_kind(scene.records(), "link").empty(); }));
    const std::vector<watch::Json> links = of_kind(scene.records(), "link");
    const std::vector<watch::Json> sessions = of_kind(scene.records(), "session");
    ASSERT_FALSE(links.empty()) << scene.log.lines;
    EXPECT_EQ(told(links.front()), one.link) << scene.log.lines;
    if (one.session.empty()) {
      EXPECT_TRUE(sessions.empty()) << scene.log.lines;
    } else {
      ASSERT_EQ(sessions.size(), 1u) << scene.log.lines;
      EXPECT_EQ(told(sessions.front()), one.session) << scene.log.lines;
    }
  }
}

TEST(LinkRecords, a_stopped_worker_tells_of_all) {
  Scene scene;
  Player player(scene);
  scene.worker->stop();
  EXPECT_TRUE(scene.until([&] { return scene.worker->links() == 0; }));
  const std::vector<watch::Json> records = scene.records(2);
  EXPECT_EQ(told(records[0]), "session stopped ours - 1012");
  EXPECT_EQ(word(records[1], "kind"), "link");
}

// --- connections that become no link ---

struct Turned {
  std::string told;  // "reason end_by end_in status"
  std::function<void(config::Edge&)> edge;
  std::string says;
  bool goes = false;  // it says FIN
};

TEST(LinkRecords, tell_of_connections_that_were_turned_away) {
  const auto deny = [](config::Edge& edge) { edge.deny = {"10.1.0.0/24"}; };
  const auto proxied = [](config::Edge& edge) { edge.proxy_protocol = config::ProxyIn::require; };
  const Turned table[] = {
      {"denied ours gate -1", deny, "GET"},
      {"bad_proxy client proxy -1", proxied, "GET / HTTP/1.1\r\n"},
      {"late client proxy -1", proxied, "PROXY TCP4"},
      {"gone client proxy -1", proxied, "PROXY TCP4", true},
      {"answered client head 400", {}, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
      {"answered client head 403", {}, kUpgrade + "Origin: http://elsewhere.example\r\n\r\n"},
      {"answered client head 408", {}, "GET / HT"},
      {"gone client head -1", {}, "GET / HT", true},
  };
  for (const Turned& one : table) {
    SCOPED_TRACE(one.told + " " + one.says);
    config::Gateway rules;
    rules.listeners.emplace_back();
    rules.trusted_proxies = {"10.1.0.2"};
    if (one.edge) one.edge(rules.listeners.front().edge);
    Scene scene(1, {}, rules);
    RawClient& client = scene.client();
    client.say(one.says);
    scene.sim.run_for(100ms);
    if (one.goes) client.say_fin();
    const watch::Json record = scene.records(1).front();
    EXPECT_EQ(word(record, "reason") + " " + word(record, "end_by") + " " + word(record, "end_in") + " " +
                  std::to_string(number(record, "status")),
              one.told);
    EXPECT_EQ(word(record, "kind"), "refused");
    EXPECT_EQ(word(record, "end"), "refused");
    EXPECT_EQ(word(record, "listener"), "ws");
    EXPECT_NE(word(record, "detail"), "-");
  }
}

TEST(LinkRecords, a_health_check_and_one_that_says_nothing_leave_no_line) {
  Scene scene;
  RawClient& asks = scene.client();
  asks.say("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  RawClient& silent = scene.client();
  scene.sim.run_for(1s);
  silent.say_fin();
  scene.sim.run_for(60s);
  EXPECT_TRUE(scene.records().empty()) << scene.log.lines;
}

TEST(LinkRecords, have_the_peer_where_a_proxy_told_who_it_speaks_for) {
  config::Gateway rules;
  rules.trusted_proxies = {"10.1.0.2"};
  {
    Scene scene(1, {}, rules);
    std::size_t from = 0;
    scene.websocket(from, "X-Forwarded-For: 203.0.113.7\r\n").break_off();
    const watch::Json record = of_kind(scene.records(2), "link").front();
    EXPECT_EQ(word(record, "client").substr(0, 11), "203.0.113.7");
    EXPECT_TRUE(word(record, "peer").starts_with("10.1.0.2:")) << scene.log.lines;
  }
  rules.listeners.emplace_back().edge.proxy_protocol = config::ProxyIn::require;
  Scene scene(1, {}, rules);
  RawClient& client = scene.client(Scene::kTcpPort);
  client.say("PROXY TCP4 203.0.113.8 198.51.100.1 41000 443\r\n");
  client.say(std::string("\0\0\0\x05hello", 9));
  EXPECT_TRUE(scene.until([&] { return client.heard().ends_with("hello"); }));
  client.break_off();
  const watch::Json record = of_kind(scene.records(2), "link").front();
  EXPECT_EQ(word(record, "client"), "203.0.113.8:41000");
  EXPECT_TRUE(word(record, "peer").starts_with("10.1.0.2:")) << scene.log.lines;
  EXPECT_EQ(word(record, "protocol"), "plain");
  EXPECT_EQ(number(record, "messages_in"), 1);
}

TEST(LinkRecords, their_lines_are_counted) {
  Scene scene;
  std::size_t from = 0;
  scene.websocket(from).break_off();
  scene.records(2);
  const std::string metrics = metrics_text(totals_of(*scene.worker));
  EXPECT_NE(metrics.find("rejoin_gateway_access_records_total 2\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("rejoin_gateway_access_records_lost_total 0\n"), std::string::npos) << metrics;
}

TEST(SessionCookie, is_partitioned_where_that_is_asked_for) {
  for (const bool partitioned : {false, true}) {
    config::Gateway rules;
    rules.session_cookie.emplace();
    rules.session_cookie->same_site = config::SameSite::none;
    rules.session_cookie->partitioned = partitioned;
    Scene scene(1, {}, rules);
    std::size_t from = 0;
    const std::string heard = scene.websocket(from).heard();
    EXPECT_EQ(heard.find("; SameSite=None; Partitioned") != std::string::npos ||
                  heard.find("; Partitioned") != std::string::npos,
              partitioned)
        << heard;
  }
}

}  // namespace
}  // namespace rejoin::gateway
