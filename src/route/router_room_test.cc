// What the Router does when a server is full, draining, out or only a backup, and what it counts of clients
// that come back.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "route/hash.h"
#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

constexpr UnixSeconds kNow = 1'800'000'000;
constexpr TimePoint kStart{1h};

CookieInsertRule insert(std::string name, bool strict = false) {
  CookieInsertRule rule;
  rule.name = std::move(name);
  rule.strict = strict;
  return rule;
}

struct Fixture {
  explicit Fixture(RouteRules changed) {
    changed.name = "gateways";
    if (changed.health.kind == HealthKind::off) changed.health.kind = HealthKind::tcp;
    auto made = SharedRoute::make(std::move(changed), random);
    EXPECT_TRUE(made.ok()) << (made ? "" : made.error().detail);
    shared = std::move(*made);
    router.emplace(*shared, seal, 0);
  }
  Pool& pool() { return *shared->pool; }
  Choice choose(const proto::RequestHead* head = nullptr, TimePoint now = kStart,
                std::string_view client = "10.0.0.1") {
    Arrival arrival;
    arrival.client = test::address(client);
    arrival.head = head;
    arrival.now = now;
    arrival.unix_now = kNow;
    return router->choose(arrival);
  }
  /// "a pinned", "- nobody", "a waits" for its own server, "- waits" for any.
  std::string told(const Choice& choice) {
    const auto at = choice.server ? choice.server : choice.waits_for;
    std::string out = at ? pool().server(*at).name : "-";
    switch (choice.how) {
      case Chosen::nobody: return out + " nobody";
      case Chosen::pinned: return out + " pinned";
      case Chosen::scheduled: return out + " scheduled";
      case Chosen::come_again: return out + " again";
      case Chosen::waits: return out + " waits";
      case Chosen::refused: return out + " refused";
    }
    return "?";
  }
  /// The Cookie lines that a client has which was at `server`.
  std::vector<std::string> cookies_of(ServerIndex server) {
    Choice choice;
    choice.server = server;
    const test::Response response({});
    proto::HeadEdits edits(response.head);
    router->edit_response(choice, response.head, kNow, edits);
    auto cookies = test::values_after<proto::ResponseHead>(edits, proto::KnownField::set_cookie);
    for (std::string& cookie : cookies) cookie.resize(std::min(cookie.find(';'), cookie.size()));
    return cookies;
  }
  /// All counts of Return that are not 0: "reached 2, down 1".
  std::string returns() {
    std::string out;
    for (std::size_t i = 0; i < kReturns; ++i) {
      const std::uint64_t count = router->counts().returns[i];
      if (count == 0) continue;
      if (!out.empty()) out += ", ";
      out += std::string(to_string(static_cast<Return>(i))) + " " + std::to_string(count);
    }
    return out;
  }

  SystemRandom random;
  Seal seal{KeyRing(test::key(1)), random};
  std::unique_ptr<SharedRoute> shared;
  std::optional<Router> router;
};

RouteRules rules(const std::vector<std::uint32_t>& weights, std::vector<AffinityRule> affinity = {}) {
  RouteRules out;
  out.servers = test::servers(weights);
  out.affinity = std::move(affinity);
  return out;
}

RouteRules limited(std::vector<std::uint32_t> limits, std::vector<AffinityRule> affinity, std::size_t queue) {
  RouteRules out = rules(std::vector<std::uint32_t>(limits.size(), 1), std::move(affinity));
  for (std::size_t i = 0; i < limits.size(); ++i) out.servers[i].max_connections = limits[i];
  out.queue.size = queue;
  return out;
}

TEST(RouterRoom, who_has_no_pin_goes_where_there_is_room_and_waits_when_there_is_none) {
  Fixture f(limited({1, 1}, {}, 10));
  ServerUse a(f.pool(), 0);
  EXPECT_EQ(f.told(f.choose()), "b scheduled");
  ServerUse b(f.pool(), 1);
  Choice waiting = f.choose();
  EXPECT_EQ(f.told(waiting), "- waits");
  a.end();
  f.router->look_again(waiting, kStart);
  EXPECT_EQ(f.told(waiting), "a scheduled");
  ServerUse again(f.pool(), 0);
  f.router->was_full(waiting, kStart);
  EXPECT_EQ(f.told(waiting), "- waits");
  f.router->waited_in_vain(waiting, kStart);
  EXPECT_EQ(f.told(waiting), "- nobody");
  EXPECT_EQ(f.router->counts().waited_in_vain, 1u);
  EXPECT_EQ(f.router->counts().nobody, 1u);
}

TEST(RouterRoom, without_a_queue_nobody_waits) {
  Fixture f(limited({1, 1}, {insert("SRV")}, 0));
  const test::Request back(f.cookies_of(0));
  ServerUse a(f.pool(), 0);
  EXPECT_EQ(f.told(f.choose(&back.head)), "b scheduled");
  ServerUse b(f.pool(), 1);
  EXPECT_EQ(f.told(f.choose(&back.head)), "- nobody");
  EXPECT_EQ(f.told(f.choose()), "- nobody");
  EXPECT_EQ(f.returns(), "full 1") << "the first has not come to its end";
}

TEST(RouterRoom, who_belongs_to_a_full_server_waits_for_it_and_then_goes_elsewhere) {
  Fixture f(limited({1, 1}, {insert("SRV")}, 10));
  const test::Request back(f.cookies_of(0));
  ServerUse a(f.pool(), 0);
  Choice choice = f.choose(&back.head);
  EXPECT_EQ(f.told(choice), "a waits") << "although b has room";
  Choice patient = f.choose(&back.head);
  f.router->waited_in_vain(choice, kStart);
  EXPECT_EQ(f.told(choice), "b scheduled");
  f.router->reached(choice, kStart);
  EXPECT_EQ(f.returns(), "full 1");
  a.end();
  f.router->look_again(patient, kStart);
  EXPECT_EQ(f.told(patient), "a pinned");
  f.router->reached(patient, kStart);
  f.router->reached(patient, kStart);
  EXPECT_EQ(f.returns(), "reached 1, full 1") << "each once";
}

TEST(RouterRoom, a_server_that_goes_while_one_waits_for_it) {
  Fixture f(limited({1, 1}, {insert("SRV")}, 10));
  const test::Request back(f.cookies_of(0));
  ServerUse a(f.pool(), 0);
  Choice choice = f.choose(&back.head);
  test::take_down(f.pool(), 0);
  f.router->look_again(choice, kStart);
  EXPECT_EQ(f.told(choice), "b scheduled");
}

TEST(RouterRoom, others_who_waited_longer_come_first) {
  Fixture f(limited({2, 2}, {insert("SRV")}, 10));
  const test::Request back(f.cookies_of(0));
  Choice pinned = f.choose(&back.head), anybody = f.choose();
  f.router->wait_behind(pinned);
  f.router->wait_behind(anybody);
  EXPECT_EQ(f.told(pinned), "a waits");
  EXPECT_EQ(f.told(anybody), "- waits");
}

TEST(RouterStrict, who_belongs_to_a_server_goes_to_no_other) {
  const struct {
    const char* what;
    std::function<void(Fixture&)> happens;
    const char* told;
    const char* returns;
  } cases[] = {
      {"up", [](Fixture&) {}, "a pinned", "reached 1"},
      {"weight 0", [](Fixture& f) { f.pool().set_weight(0, 0); }, "a pinned", "reached 1"},
      {"draining", [](Fixture& f) { f.pool().set_draining(0, true); }, "a pinned", "reached 1"},
      {"drained", [](Fixture& f) { f.pool().set_draining(0, true, kStart); }, "- refused", "drained 1"},
      {"down", [](Fixture& f) { test::take_down(f.pool(), 0); }, "- refused", "down 1"},
      {"out",
       [](Fixture& f) {
         for (int i = 0; i < 2; ++i) f.pool().mark_failure(0, kStart);
       },
       "- refused", "out 1"},
  };
  for (const auto& c : cases) {
    for (const bool strict : {true, false}) {
      RouteRules rule = rules({1, 1}, {insert("SRV", strict)});
      rule.health.passive = {.failures = 2, .within = 10s, .out = 30s};
      Fixture f(std::move(rule));
      const test::Request back(f.cookies_of(0));
      c.happens(f);
      Choice choice = f.choose(&back.head);
      const bool moves = !strict && std::string_view(c.told) == "- refused";
      EXPECT_EQ(f.told(choice), moves ? "b scheduled" : c.told) << c.what;
      if (choice.server) f.router->reached(choice, kStart);
      EXPECT_EQ(f.returns(), c.returns) << c.what;
      EXPECT_EQ(f.router->counts().strict, !choice.server);
    }
  }
}

TEST(RouterStrict, a_refused_connect_and_a_queue_in_vain_are_no_reason_to_go_elsewhere) {
  Fixture f(limited({1, 1}, {insert("SRV", true)}, 10));
  const test::Request back(f.cookies_of(0));
  Choice refused = f.choose(&back.head);
  f.router->failed(refused, kStart);
  EXPECT_EQ(f.told(refused), "- refused");
  EXPECT_EQ(f.returns(), "refused 1");
  f.pool().observe(0, ProbeResult::well, kStart);
  f.pool().observe(0, ProbeResult::well, kStart);
  ServerUse a(f.pool(), 0);
  Choice waits = f.choose(&back.head);
  EXPECT_EQ(f.told(waits), "a waits");
  f.router->waited_in_vain(waits, kStart);
  EXPECT_EQ(f.told(waits), "- refused");
  EXPECT_EQ(f.returns(), "full 1, refused 1");
}

TEST(RouterReturns, clients_that_come_back_are_counted_once_each_by_what_became_of_them) {
  Fixture f(rules({1, 1, 1}, {insert("SRV")}));
  const auto comes = [&](const std::vector<std::string>& cookies) {
    const test::Request request(cookies);
    Choice choice = f.choose(&request.head);
    while (choice.server && !f.pool().up(*choice.server)) f.router->failed(choice, kStart);
    f.router->reached(choice, kStart);
  };
  comes({});
  comes({"x=1"});
  EXPECT_EQ(f.returns(), "") << "who brings nothing does not come back";
  comes(f.cookies_of(0));
  comes(f.cookies_of(1));
  comes({"SRV=nonsense"});
  std::string forged = f.cookies_of(0)[0];
  forged[50] = forged[50] == 'A' ? 'B' : 'A';
  comes({forged});
  test::take_down(f.pool(), 1);
  comes(f.cookies_of(1));
  EXPECT_EQ(f.returns(), "reached 2, down 1, forged 1, malformed 1");

  const test::Request back(f.cookies_of(0));
  Choice refused = f.choose(&back.head);
  f.router->failed(refused, kStart);
  EXPECT_EQ(f.told(refused), "c scheduled");
  f.router->reached(refused, kStart);
  EXPECT_EQ(f.returns(), "reached 2, down 1, refused 1, forged 1, malformed 1");
}

TEST(RouterBackup, steps_in_only_while_nobody_else_could) {
  RouteRules rule = rules({1, 1, 1}, {insert("SRV")});
  rule.servers[1].backup = true;
  rule.servers[0].max_connections = 1;
  rule.queue.size = 10;
  Fixture f(std::move(rule));
  test::take_down(f.pool(), 2);
  EXPECT_EQ(f.told(f.choose()), "a scheduled");
  {
    const ServerUse use(f.pool(), 0);
    EXPECT_EQ(f.told(f.choose()), "- waits") << "full is not gone";
  }
  f.pool().set_draining(0, true);
  EXPECT_EQ(f.told(f.choose()), "b scheduled");
  const test::Request back(f.cookies_of(1));
  f.pool().set_draining(0, false);
  EXPECT_EQ(f.told(f.choose()), "a scheduled");
  EXPECT_EQ(f.told(f.choose(&back.head)), "b pinned") << "a client stays where it is";
  Choice choice = f.choose();
  f.router->failed(choice, kStart);
  EXPECT_EQ(f.told(choice), "b scheduled") << "all others were tried";
}

TEST(RouterKey, all_who_bring_the_key_meet_and_move_together_and_return) {
  const KeyRule room{{KeyPlace::In::header, "X-Room"}, false};
  Fixture f(rules({1, 1, 1, 1}, {room}));
  const auto of = [&](int number) {
    const test::HeadOf<proto::RequestHead> request("GET / HTTP/1.1",
                                                   {"Host: x", "X-Room: " + std::to_string(number)});
    Choice choice = f.choose(&request.head);
    EXPECT_EQ(choice.how, Chosen::pinned);
    return *choice.server;
  };
  std::vector<ServerIndex> before;
  for (int i = 0; i < 200; ++i) before.push_back(of(i));
  test::take_down(f.pool(), 0);
  int moved = 0;
  for (int i = 0; i < 200; ++i) {
    const ServerIndex now = of(i);
    EXPECT_NE(now, 0);
    moved += now != before[static_cast<std::size_t>(i)];
    if (before[static_cast<std::size_t>(i)] != 0) {
      EXPECT_EQ(now, before[static_cast<std::size_t>(i)]);
    }
    EXPECT_EQ(now, of(i)) << "together";
  }
  EXPECT_NEAR(moved, 50, 20);
  for (int i = 0; i < 2; ++i) f.pool().observe(0, ProbeResult::well, kStart);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(of(i), before[static_cast<std::size_t>(i)]);
  EXPECT_EQ(f.returns(), "") << "whether they were here before nobody knows";
  const test::Request without({});
  EXPECT_EQ(f.choose(&without.head).how, Chosen::scheduled);
}

TEST(RouterKey, goes_on_to_the_next_of_its_preference_when_its_server_refuses) {
  Fixture f(rules({1, 1, 1}, {KeyRule{{KeyPlace::In::query, "room"}, false}}));
  const test::HeadOf<proto::RequestHead> request("GET /?room=7 HTTP/1.1", {"Host: x"});
  Choice choice = f.choose(&request.head);
  const ServerIndex first = *choice.server;
  f.router->failed(choice, kStart);
  ASSERT_TRUE(choice.server);
  EXPECT_NE(*choice.server, first);
  EXPECT_EQ(choice.how, Chosen::pinned);
  test::take_down(f.pool(), first);
  EXPECT_EQ(f.choose(&request.head).server, choice.server) << "the same that others find once it is down";
}

TEST(RouterBurst, clients_without_a_pin_from_one_page_stay_together_for_a_while) {
  RouteRules rule = rules({1, 1, 1}, {insert("SRV")});
  rule.burst = 3s;
  Fixture f(std::move(rule));
  const auto browser = [](std::string agent) {
    return test::HeadOf<proto::RequestHead>("GET / HTTP/1.1", {"Host: x", "User-Agent: " + agent});
  };
  const auto one = browser("Firefox"), other = browser("Chromium");
  EXPECT_EQ(f.told(f.choose(&one.head)), "a scheduled");
  EXPECT_EQ(f.told(f.choose(&other.head)), "b scheduled");
  EXPECT_EQ(f.told(f.choose(&one.head, kStart + 1s)), "a scheduled");
  EXPECT_EQ(f.told(f.choose(&one.head, kStart + 1s, "10.0.0.2")), "c scheduled");
  EXPECT_EQ(f.told(f.choose(&other.head, kStart + 2999ms)), "b scheduled");
  EXPECT_EQ(f.router->counts().burst, 2u);
  Choice refused = f.choose(&one.head, kStart + 2s);
  f.router->failed(refused, kStart + 2s);
  const std::string moved = f.told(refused);
  EXPECT_NE(moved, "a scheduled");
  EXPECT_EQ(f.told(f.choose(&one.head, kStart + 2500ms)), moved) << "the rest follows";
  test::take_down(f.pool(), *refused.server);
  EXPECT_NE(f.told(f.choose(&one.head, kStart + 2600ms)), moved);
  EXPECT_EQ(f.choose(&one.head, kStart + 10s).how, Chosen::scheduled);
}

TEST(RouterPassive, bad_answers_and_failed_connects_put_a_server_out_for_a_while) {
  RouteRules rule = rules({1, 1});
  rule.health.passive = {.failures = 3, .within = 10s, .out = 30s};
  rule.health.fall = 100;
  Fixture f(std::move(rule));
  f.pool().observe(0, ProbeResult::well, kStart);
  EXPECT_FALSE(f.router->answered_badly(0, kStart));
  Choice choice;
  choice.server = ServerIndex{0};
  EXPECT_EQ(f.router->failed(choice, kStart + 1s), HealthChange::none);
  EXPECT_TRUE(f.router->answered_badly(0, kStart + 2s));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(f.told(f.choose(nullptr, kStart + 31s)), "b scheduled");
  EXPECT_EQ(f.told(f.choose(nullptr, kStart + 32s)), "a scheduled");
  for (const int status : {500, 502, 503, 504, 599}) EXPECT_TRUE(Router::is_bad_answer(status)) << status;
  for (const int status : {101, 200, 404, 499, 501, 505})
    EXPECT_FALSE(Router::is_bad_answer(status)) << status;
}

TEST(RouterIdle, a_cookie_does_not_grow_too_old_while_its_websocket_is_open) {
  CookieInsertRule rule = insert("SRV");
  rule.max_idle = 600s;
  Fixture f(rules({1, 1}, {rule}));
  const auto comes = [&](const std::vector<std::string>& cookies, Duration after) {
    const test::Request request(cookies);
    Arrival arrival;
    arrival.client = test::address("10.0.0.1");
    arrival.head = &request.head;
    arrival.now = kStart + after;
    arrival.unix_now = kNow + after / 1s;
    return f.router->choose(arrival);
  };
  Choice first;
  first.server = ServerIndex{0};
  const test::Response response({}, "101 Switching Protocols");
  proto::HeadEdits edits(response.head);
  f.router->edit_response(first, response.head, kNow, edits);
  auto cookies = test::values_after<proto::ResponseHead>(edits, proto::KnownField::set_cookie);
  ASSERT_EQ(cookies.size(), 1u);
  cookies[0].resize(cookies[0].find(';'));

  EXPECT_EQ(comes(cookies, 600s).how, Chosen::pinned);
  EXPECT_EQ(comes(cookies, 601s).how, Chosen::scheduled) << "no WebSocket: the date decides";
  Lease held = f.router->hold(first, kStart);
  EXPECT_EQ(comes(cookies, 7200s).how, Chosen::pinned) << "open all the time";
  held.close(kStart + 7200s);
  Choice back = comes(cookies, 7799s);
  EXPECT_EQ(back.how, Chosen::pinned) << "idle only since it closed";
  proto::HeadEdits renewed(response.head);
  f.router->edit_response(back, response.head, kNow + 7799, renewed);
  EXPECT_FALSE(renewed.empty()) << "and it gets a new date";
  EXPECT_EQ(comes(cookies, 7801s).pins[0].reason, Reason::expired);
}

/// The Set-Cookie lines of a response with these fields, and what remains of the server's own word.
struct Ended {
  std::vector<std::string> set;
  bool unpinned = false;
  std::string text;
};
Ended ends(Fixture& f, ServerIndex server, const std::vector<std::string>& fields) {
  Choice choice;
  choice.server = server;
  const test::Response response(fields);
  proto::HeadEdits edits(response.head);
  f.router->edit_response(choice, response.head, kNow, edits);
  Ended out;
  out.unpinned = choice.unpinned;
  out.text.resize(edits.size());
  EXPECT_TRUE(edits.write(MutableBytes(out.text.data(), out.text.size())).ok());
  out.set = test::values_after<proto::ResponseHead>(edits, proto::KnownField::set_cookie);
  return out;
}

TEST(RouterUnpin, a_server_ends_the_pin_by_a_field_that_no_client_sees) {
  const std::string gone =
      "; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; SameSite=Lax";
  CookieInsertRule two = insert("SRV");
  two.cross_site = "SRVX";
  for (const AffinityRule& rule : {AffinityRule(insert("SRV")), AffinityRule(two)}) {
    Fixture f(rules({1, 1}, {rule}));
    const Ended ended = ends(f, 0, {"rejoin-unpin: 1", "X-Other: 1"});
    EXPECT_TRUE(ended.unpinned);
    ASSERT_EQ(ended.set.size(), std::holds_alternative<CookieInsertRule>(rule) &&
                                        !std::get<CookieInsertRule>(rule).cross_site.empty()
                                    ? 2u
                                    : 1u);
    EXPECT_TRUE(ended.set[0].starts_with("SRV=; ")) << ended.set[0];
    EXPECT_NE(ended.set[0].find("Max-Age=0"), std::string::npos) << ended.set[0];
    EXPECT_EQ(ended.text.find("npin"), std::string::npos) << ended.text;
    EXPECT_NE(ended.text.find("X-Other"), std::string::npos);
    EXPECT_EQ(f.router->counts().unpinned, 1u);

    const Ended no = ends(f, 0, {"Rejoin-Unpin: 0"});
    EXPECT_FALSE(no.unpinned);
    EXPECT_EQ(no.text.find("npin"), std::string::npos) << "it is not for clients";
    EXPECT_FALSE(no.set[0].starts_with("SRV=;")) << "planted as ever";
  }
}

TEST(RouterUnpin, a_server_ends_the_pin_by_deleting_its_own_cookie) {
  const struct {
    const char* set;
    bool ends;
  } cases[] = {
      {"SESSION=; Max-Age=0; Path=/", true},
      {"SESSION=x; Max-Age=-1", true},
      {"SESSION=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true},
      {"SESSION=; Expires=Thu, 01 Jan 2037 00:00:00 GMT; Max-Age=0", true},
      {"SESSION=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", false},
      {"SESSION=x; Max-Age=60", false},
      {"SESSION=x", false},
      {"SESSION=; Max-Age=soon", false},
      {"OTHER=; Max-Age=0", false},
  };
  for (const AffinityRule& rule :
       {AffinityRule(CookieRewriteRule{"SESSION"}), AffinityRule(CookiePrefixRule{"SESSION"})}) {
    for (const auto& c : cases) {
      Fixture f(rules({1, 1}, {rule, SourceIpRule{}}));
      Choice choice = f.choose();
      Lease lease = f.router->lease(choice, test::address("10.0.0.1"), kStart);
      const Ended ended = ends(f, 0, {std::string("Set-Cookie: ") + c.set});
      EXPECT_EQ(ended.unpinned, c.ends) << c.set;
      ASSERT_EQ(ended.set.size(), 1u);
      if (ended.unpinned) lease.unpin();
      EXPECT_EQ(f.choose().how, c.ends ? Chosen::scheduled : Chosen::pinned) << c.set;
      lease.close(kStart);
    }
  }
}

TEST(RouterCrossSite, two_cookies_with_one_pin) {
  CookieInsertRule rule = insert("SRV");
  rule.cross_site = "SRVX";
  Fixture f(rules({1, 1}, {rule}));
  const Ended planted = ends(f, 1, {});
  ASSERT_EQ(planted.set.size(), 2u);
  EXPECT_NE(planted.set[0].find("SameSite=Lax"), std::string::npos);
  EXPECT_TRUE(planted.set[1].starts_with("SRVX="));
  for (const char* part : {"SameSite=None", "Secure", "Partitioned"})
    EXPECT_NE(planted.set[1].find(part), std::string::npos) << planted.set[1];
  const auto cookies = f.cookies_of(1), of_a = f.cookies_of(0);
  const struct {
    std::vector<std::string> brings;
    const char* told;
    bool planted;
  } cases[] = {
      {{cookies[0]}, "b pinned", false},
      {{cookies[1]}, "b pinned", false},
      {{cookies[0] + "; x=1; " + cookies[1]}, "b pinned", false},
      {{"SRV=junk; " + cookies[1]}, "b pinned", false},
      {{cookies[1] + "; " + of_a[0]}, "a pinned", false},       // the site's own counts first
      {{"SRVX=" + cookies[0].substr(4)}, "a scheduled", true},  // sealed for the other name
  };
  for (const auto& c : cases) {
    const test::Request request(c.brings);
    Choice choice = f.choose(&request.head);
    EXPECT_EQ(f.told(choice), c.told);
    proto::HeadEdits sent(request.head);
    f.router->edit_request(choice, request.head, sent);
    for (const std::string& seen : test::values_after<proto::RequestHead>(sent, proto::KnownField::cookie))
      EXPECT_EQ(seen.find("SRV"), std::string::npos) << "the server sees neither";
    const test::Response response({});
    proto::HeadEdits edits(response.head);
    f.router->edit_response(choice, response.head, kNow, edits);
    EXPECT_EQ(!edits.empty(), c.planted);
  }
}

TEST(RouterHash, an_address_or_a_key_keeps_its_server_in_every_worker) {
  RouteRules rule = rules({1, 1, 1, 1, 1});
  rule.scheduler = SchedulerKind::key_hash;
  rule.hash_key = {KeyPlace::In::query, "room"};
  Fixture f(std::move(rule));
  const test::HeadOf<proto::RequestHead> room("GET /?room=1 HTTP/1.1", {"Host: x"}),
      none("GET / HTTP/1.1", {"Host: x"});
  const auto at = f.choose(&room.head).server;
  for (const char* client : {"10.0.0.1", "10.0.0.2", "10.9.0.3"})
    EXPECT_EQ(f.choose(&room.head, kStart, client).server, at);
  std::set<ServerIndex> by_address;
  for (int i = 0; i < 50; ++i) {
    const std::string client = "10.0.1." + std::to_string(i);
    const Choice choice = f.choose(&none.head, kStart, client);
    EXPECT_EQ(choice.server, f.choose(&none.head, kStart, client).server);
    by_address.insert(*choice.server);
  }
  EXPECT_EQ(by_address.size(), 5u);
}

}  // namespace
}  // namespace rejoin::route
