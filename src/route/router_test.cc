#include "route/router.h"

#include <gtest/gtest.h>

#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

constexpr UnixSeconds kNow = 1'800'000'000;
constexpr TimePoint kStart{1h};

/// A pool of `weights` behind `affinity`, with one worker's Router.
struct Fixture {
  explicit Fixture(const std::vector<std::uint32_t>& weights, std::vector<AffinityRule> affinity = {},
                   unsigned retries = 2) {
    RouteRules rules;
    rules.name = "gateways";
    rules.servers = test::servers(weights);
    rules.health = test::probed();
    rules.affinity = std::move(affinity);
    rules.retries = retries;
    shared = std::move(*SharedRoute::make(rules, random));
    router.emplace(*shared, seal, 0);
  }
  Choice choose(std::string_view client = "10.0.0.1", const proto::RequestHead* head = nullptr,
                Duration now = 0s) {
    Arrival arrival;
    arrival.client = test::address(client);
    arrival.head = head;
    arrival.now = TimePoint(now);
    arrival.unix_now = kNow;
    return router->choose(arrival);
  }
  std::string name(const Choice& choice) const {
    return choice.server ? shared->pool->server(*choice.server).name : "-";
  }
  /// The names of all servers that one client is sent to when each refuses.
  std::string way(Choice choice) {
    std::string out = name(choice);
    while (choice.server) {
      router->failed(choice, kStart);
      out += name(choice);
    }
    return out;
  }
  /// The Cookie fields that a client has after the response of choice.server.
  std::vector<std::string> cookies_after(Choice& choice, const std::vector<std::string>& from_server = {}) {
    const test::Response response(from_server);
    proto::HeadEdits edits(response.head);
    router->edit_response(choice, response.head, kNow, edits);
    auto cookies = test::values_after<proto::ResponseHead>(edits, proto::KnownField::set_cookie);
    for (std::string& cookie : cookies) cookie.resize(std::min(cookie.find(';'), cookie.size()));
    return cookies;
  }

  SystemRandom random;
  Seal seal{KeyRing(test::key(1)), random};
  std::unique_ptr<SharedRoute> shared;
  std::optional<Router> router;
};

CookieInsertRule insert(std::string name) {
  CookieInsertRule rule;
  rule.name = std::move(name);
  return rule;
}

TEST(Router, failover_is_the_next_one_until_retries_or_servers_are_used_up) {
  EXPECT_EQ(Fixture({1, 1, 1, 1}).way(Fixture({1}).choose()), "abc-");  // two retries
  EXPECT_EQ(Fixture({1, 1, 1, 1}, {}, 0).way(Fixture({1}).choose()), "a-");
  EXPECT_EQ(Fixture({1, 1}, {}, 7).way(Fixture({1}).choose()), "ab-");
  EXPECT_EQ(Fixture(std::vector<std::uint32_t>(9, 1), {}, 7).way(Fixture({1}).choose()).size(), 9u);
}

TEST(Router, another_server_is_asked_within_retries_and_says_nothing_of_health) {
  for (const unsigned retries : {0u, 1u, 2u, 5u}) {
    Fixture f({1, 1, 1}, {}, retries);
    Choice choice = f.choose();
    std::string way = f.name(choice);
    for (int i = 0; i < 20; ++i) {
      const std::string before = f.name(choice);
      if (f.router->another(choice, kStart)) {
        way += f.name(choice);
      } else {
        EXPECT_EQ(f.name(choice), before) << "the choice is as it was";
        EXPECT_EQ(choice.how, Chosen::scheduled);
      }
    }
    EXPECT_EQ(way.size(), std::min(retries + 1, 3u)) << way;
    EXPECT_EQ(f.router->counts().failed, 0u);
    for (ServerIndex i = 0; i < 3; ++i) EXPECT_TRUE(f.shared->pool->up(i));
  }
}

TEST(Router, counts_what_it_decides) {
  Fixture f({1, 1});
  Choice choice = f.choose();
  EXPECT_EQ(choice.how, Chosen::scheduled);
  f.router->failed(choice, kStart);
  f.router->failed(choice, kStart);
  EXPECT_EQ(choice.how, Chosen::nobody);
  EXPECT_FALSE(choice.server);
  const RouteCounts& counts = f.router->counts();
  EXPECT_EQ(counts.scheduled, 1u);
  EXPECT_EQ(counts.failed, 2u);
  EXPECT_EQ(counts.nobody, 1u);
  EXPECT_EQ(counts.pinned, 0u);
}

TEST(Router, a_failed_connect_counts_for_the_servers_health) {
  Fixture f({1, 1});
  f.shared->pool->observe(0, ProbeResult::well, kStart);  // off probation, so that it takes `fall` of them
  for (int i = 1; i <= 3; ++i) {
    Choice choice;
    choice.server = ServerIndex{0};
    EXPECT_EQ(f.router->failed(choice, kStart), i == 3 ? HealthChange::went_down : HealthChange::none);
    EXPECT_EQ(f.name(choice), "b");
  }
  EXPECT_FALSE(f.shared->pool->up(0));
  EXPECT_EQ(f.name(f.choose()), "b");
}

TEST(Router, without_health_checks_a_server_that_refuses_is_asked_again_by_the_next_client) {
  RouteRules rules;
  rules.name = "gateways";
  rules.servers = test::servers({1});
  SystemRandom random;
  Seal seal(KeyRing(test::key(1)), random);
  const auto shared = std::move(*SharedRoute::make(rules, random));
  Router router(*shared, seal, 0);
  for (int i = 0; i < 10; ++i) {
    Choice choice = router.choose({});
    ASSERT_TRUE(choice.server);
    EXPECT_EQ(router.failed(choice, kStart), HealthChange::none);
    EXPECT_FALSE(choice.server);
  }
}

TEST(Router, nobody_is_chosen_where_all_are_down) {
  Fixture f({1, 1});
  test::take_down(*f.shared->pool, 0);
  test::take_down(*f.shared->pool, 1);
  Choice choice = f.choose();
  EXPECT_EQ(choice.how, Chosen::nobody);
  EXPECT_FALSE(choice.server);
  EXPECT_EQ(f.cookies_after(choice), std::vector<std::string>{}) << "nothing to remember";
  EXPECT_FALSE(f.router->lease(choice, test::address("10.0.0.1"), TimePoint{}));
}

TEST(Router, a_cookie_brings_the_client_back_through_weight_0_and_draining_but_not_down) {
  Fixture f({1, 1}, {insert("SRV")});
  Choice first = f.choose();
  ASSERT_EQ(f.name(first), "a");
  const test::Request back(f.cookies_after(first));
  EXPECT_EQ(f.name(f.choose("10.0.0.2", &back.head)), "a");
  f.shared->pool->set_draining(0, true);
  EXPECT_EQ(f.name(f.choose("10.0.0.2", &back.head)), "a");
  EXPECT_EQ(f.name(f.choose("10.0.0.2")), "b");
  test::take_down(*f.shared->pool, 0);
  Choice moved = f.choose("10.0.0.2", &back.head);
  EXPECT_EQ(f.name(moved), "b");
  EXPECT_EQ(moved.how, Chosen::scheduled);
  EXPECT_EQ(f.router->counts().pinned_down, 1u);
  const auto anew = f.cookies_after(moved);
  ASSERT_EQ(anew.size(), 1u);
  const test::Request again(anew);
  EXPECT_EQ(f.name(f.choose("10.0.0.2", &again.head)), "b");

  Fixture idle({0, 1}, {insert("SRV")});
  Choice to_idle;
  to_idle.server = ServerIndex{0};
  const test::Request pinned(idle.cookies_after(to_idle));
  EXPECT_EQ(idle.name(idle.choose("10.0.0.2", &pinned.head)), "a");
  EXPECT_EQ(idle.name(idle.choose()), "b");
}

TEST(Router, a_pinned_server_that_refuses_is_left_and_the_new_one_planted) {
  Fixture f({1, 1}, {insert("SRV")});
  Choice first = f.choose();
  const test::Request back(f.cookies_after(first));
  Choice choice = f.choose("10.0.0.1", &back.head);
  EXPECT_EQ(choice.how, Chosen::pinned);
  f.router->failed(choice, kStart);
  EXPECT_EQ(f.name(choice), "b");
  EXPECT_EQ(choice.how, Chosen::scheduled);
  EXPECT_EQ(f.cookies_after(choice).size(), 1u);
}

TEST(Router, rules_are_asked_in_order_and_each_remembers) {
  Fixture f({1, 1, 1}, {insert("ONE"), insert("TWO"), SourceIpRule{}});
  Choice to_a, to_b;
  to_a.server = ServerIndex{0};
  to_b.server = ServerIndex{1};
  const auto cookies_a = f.cookies_after(to_a), cookies_b = f.cookies_after(to_b);
  ASSERT_EQ(cookies_a.size(), 2u);
  Choice to_c;
  to_c.server = ServerIndex{2};
  Lease lease = f.router->lease(to_c, test::address("10.0.0.9"), TimePoint{});

  const test::Request both({cookies_a[0] + "; " + cookies_b[1]}), second({"x=1; " + cookies_b[1]}), none({});
  Choice choice = f.choose("10.0.0.9", &both.head);
  EXPECT_EQ(f.name(choice), "a");
  EXPECT_EQ(f.cookies_after(choice).size(), 1u) << "TWO says b, so it is planted anew; ONE is right";
  choice = f.choose("10.0.0.9", &second.head);
  EXPECT_EQ(f.name(choice), "b");
  EXPECT_EQ(f.cookies_after(choice).size(), 1u) << "ONE is missing";
  EXPECT_EQ(f.name(f.choose("10.0.0.9", &none.head)), "c");
  EXPECT_EQ(f.name(f.choose("10.0.0.8", &none.head)), "a") << "nobody knows this one: the scheduler";

  EXPECT_EQ(f.way(f.choose("10.0.0.9", &both.head)), "abc-")
      << "what other rules found comes before the scheduler";

  proto::HeadEdits edits(both.head);
  choice = f.choose("10.0.0.9", &both.head);
  f.router->edit_request(choice, both.head, edits);
  EXPECT_EQ(test::values_after<proto::RequestHead>(edits, proto::KnownField::cookie),
            std::vector<std::string>{});
  proto::HeadEdits second_edits(second.head);
  f.router->edit_request(choice, second.head, second_edits);
  EXPECT_EQ(test::values_after<proto::RequestHead>(second_edits, proto::KnownField::cookie),
            std::vector<std::string>{"x=1"});
  lease.close(TimePoint{});
}

TEST(Router, two_rules_edit_one_cookie_field) {
  Fixture f({1, 1}, {insert("SRV"), CookiePrefixRule{"SESSION"}});
  Choice choice;
  choice.server = ServerIndex{1};
  const auto cookies = f.cookies_after(choice, {"Set-Cookie: SESSION=abc; Path=/"});
  ASSERT_EQ(cookies.size(), 2u);
  const test::Request back({"x=1; " + cookies[1] + "; " + cookies[0] + "; y=2"});
  Choice again = f.choose("10.0.0.1", &back.head);
  EXPECT_EQ(f.name(again), "b");
  proto::HeadEdits edits(back.head);
  f.router->edit_request(again, back.head, edits);
  EXPECT_EQ(test::values_after<proto::RequestHead>(edits, proto::KnownField::cookie),
            std::vector<std::string>{"x=1; SESSION=abc; y=2"});
}

TEST(Router, a_request_without_our_cookie_and_a_response_to_a_kept_pin_are_not_touched) {
  Fixture f({1, 1}, {insert("SRV")});
  const test::Request plain({"x=1"});
  Choice first = f.choose("10.0.0.1", &plain.head);
  proto::HeadEdits edits(plain.head);
  f.router->edit_request(first, plain.head, edits);
  EXPECT_TRUE(edits.empty());

  const test::Request back(f.cookies_after(first));
  Choice kept = f.choose("10.0.0.1", &back.head);
  const test::Response response({"Content-Type: text/plain"});
  proto::HeadEdits response_edits(response.head);
  f.router->edit_response(kept, response.head, kNow + 3600, response_edits);
  EXPECT_TRUE(response_edits.empty());
  EXPECT_EQ(f.router->counts().planted, 1u);
}

TEST(Router, a_lease_pins_the_address_at_layer_4_across_workers) {
  SourceIpRule rule;
  rule.leases.grace = 10s;
  Fixture f({1, 1, 1}, {rule});
  Router other_worker(*f.shared, f.seal, 1);
  Choice first = f.choose("10.0.0.1");
  ASSERT_EQ(f.name(first), "a");
  Lease lease = f.router->lease(first, test::address("10.0.0.1"), TimePoint{});
  Arrival again;
  again.client = test::address("10.0.0.1");
  again.now = kStart;
  Choice second = other_worker.choose(again);
  EXPECT_EQ(second.how, Chosen::pinned);
  EXPECT_EQ(f.name(second), "a");
  EXPECT_EQ(f.name(f.choose("10.0.0.2", nullptr, 1h)), "b") << "another address is another client";

  // The server refuses: the client's pin moves with it.
  other_worker.failed(second, kStart);
  EXPECT_NE(f.name(second), "a");
  Lease moved = other_worker.lease(second, test::address("10.0.0.1"), kStart);
  EXPECT_EQ(f.name(f.choose("10.0.0.1", nullptr, 1h)), f.name(second));

  lease.close(TimePoint(2h));
  moved.close(TimePoint(2h));
  EXPECT_EQ(f.choose("10.0.0.1", nullptr, 2h + 9s).how, Chosen::pinned);
  EXPECT_EQ(f.choose("10.0.0.1", nullptr, 2h + 10s).how, Chosen::scheduled);
}

TEST(SharedRoute, refuses_what_its_parts_refuse) {
  const auto is_good = [](auto change) {
    RouteRules rules;
    rules.servers = test::servers({1});
    change(rules);
    SystemRandom random;
    return SharedRoute::make(rules, random).ok();
  };
  EXPECT_TRUE(is_good([](RouteRules&) {}));
  EXPECT_FALSE(is_good([](RouteRules& r) { r.servers.clear(); }));
  EXPECT_FALSE(is_good([](RouteRules& r) { r.affinity = {CookieRewriteRule{""}}; }));
  EXPECT_FALSE(is_good([](RouteRules& r) { r.health.rise = 0; }));
  EXPECT_FALSE(is_good([](RouteRules& r) { r.retries = limits::kTriedServersMax; }));
  EXPECT_TRUE(is_good([](RouteRules& r) { r.retries = limits::kTriedServersMax - 1; }));
}

}  // namespace
}  // namespace rejoin::route
