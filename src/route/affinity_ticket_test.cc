#include "route/affinity_ticket.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "proto/base64.h"
#include "route/route_test_support.h"
#include "route/ticket.h"

namespace rejoin::route {
namespace {

constexpr UnixSeconds kNow = 1'800'000'000;
constexpr TimePoint kStart{1h};

/// A pool of a, b and c, and tickets of its gateways and of others.
struct Fixture {
  explicit Fixture(std::vector<AffinityRule> affinity = {TicketRule{}}, HealthRules health = test::probed(),
                   unsigned retries = 2) {
    RouteRules rules;
    rules.name = "gateways";
    rules.servers = test::servers({1, 1, 1});
    rules.health = health;
    rules.affinity = std::move(affinity);
    rules.retries = retries;
    shared = std::move(*SharedRoute::make(rules, random));
    router.emplace(*shared, seal, 0);
    // Off probation, so that one failure is no more than one.
    for (ServerIndex i = 0; i < 3; ++i) pool().observe(i, ProbeResult::well, kStart);
  }
  Pool& pool() { return *shared->pool; }

  std::string ticket(std::string owner, UnixSeconds expiry = kNow + 60, Seal* by = nullptr) {
    std::string out;
    const Ticket what{SessionId::make(random, 0), TicketKind::proof, expiry, std::move(owner)};
    seal_ticket(by != nullptr ? *by : seal, what, out);
    return out;
  }
  static std::string resume(std::string_view ticket) {
    std::string out;
    proto::Resume frame;
    frame.ticket = ticket;
    frame.epoch = 2;
    proto::append_resume(out, frame, proto::SessionSecret{});
    return out;
  }
  static std::string item(std::string_view ticket) { return *proto::resume_item(resume(ticket)); }
  static std::string on_tcp(std::string_view frame) {
    std::string out(4, '\0');
    store_u32(out.data(), static_cast<std::uint32_t>(frame.size()));
    return out.append(frame);
  }

  Choice choose(const std::vector<std::string>& fields, TimePoint now = kStart) {
    const test::HeadOf<proto::RequestHead> request("GET / HTTP/1.1", with_host(fields));
    return router->choose({test::address("10.0.0.1"), &request.head, now, kNow});
  }
  Choice choose_tcp(std::string_view opening, TimePoint now = kStart) {
    return router->choose({test::address("10.0.0.1"), nullptr, now, kNow, opening});
  }
  static std::vector<std::string> with_host(std::vector<std::string> fields) {
    fields.insert(fields.begin(), "Host: x");
    return fields;
  }

  /// "b pinned", "- nobody", "again 1000 ms"
  std::string told(const Choice& choice) {
    const std::string name = choice.server ? pool().server(*choice.server).name : "-";
    switch (choice.how) {
      case Chosen::nobody: return name + " nobody";
      case Chosen::pinned: return name + " pinned";
      case Chosen::scheduled: return name + " scheduled";
      case Chosen::come_again:
        EXPECT_FALSE(choice.server);
        return "again " + std::to_string(choice.wait / 1ms) + " ms";
      case Chosen::waits: return name + " waits";
      case Chosen::refused: return name + " refused";
    }
    return "?";
  }
  /// The server that was found and the reason: "b found", "- forged".
  std::string found(const Choice& choice, std::size_t rule = 0) {
    const Pin& pin = choice.pins[rule];
    return (pin.found() ? pool().server(pin.server).name : "-") + " " + std::string(to_string(pin.reason));
  }

  SystemRandom random;
  Seal seal{KeyRing(test::key(1)), random};
  Seal stranger{KeyRing(test::key(2)), random};
  std::unique_ptr<SharedRoute> shared;
  std::optional<Router> router;
};

std::string protocols(const std::string& list) { return "Sec-WebSocket-Protocol: " + list; }

TEST(AffinityTicket, is_found_in_the_sub_protocols_the_field_and_the_cookie_in_that_order) {
  Fixture f;
  const std::string a = f.ticket("a"), b = f.ticket("b"), c = f.ticket("c");
  const struct {
    std::string name;
    std::vector<std::string> fields;
    std::string expected;
  } cases[] = {
      {"nothing", {}, "- none"},
      {"a request of somebody else", {protocols("chat, superchat"), "Cookie: x=y; REJOIN=abc"}, "- none"},
      {"no RESUME yet", {protocols("rejoin.v1")}, "- none"},
      {"an item", {protocols("rejoin.v1, " + f.item(b))}, "b found"},
      {"an item on a line of its own", {protocols("rejoin.v1"), protocols(f.item(b))}, "b found"},
      {"an item first", {protocols(f.item(b) + ",rejoin.v1")}, "b found"},
      {"a field", {"Rejoin-Ticket: " + b}, "b found"},
      {"a field, in small letters", {"rejoin-ticket:   " + b + " "}, "b found"},
      {"a cookie", {"Cookie: x=y; REJOIN-TICKET=" + b + "; z=1"}, "b found"},
      {"cookies' names have a case", {"Cookie: rejoin-ticket=" + b}, "- none"},
      {"item before field", {"Rejoin-Ticket: " + a, protocols(f.item(b))}, "b found"},
      {"item before cookie", {"Cookie: REJOIN-TICKET=" + a, protocols(f.item(b))}, "b found"},
      {"field before cookie", {"Cookie: REJOIN-TICKET=" + a, "Rejoin-Ticket: " + b}, "b found"},
      {"a plain client's cookie", {"Cookie: REJOIN-SESSION=" + b}, "b found"},
      {"a resuming client's cookie before it",
       {"Cookie: REJOIN-SESSION=" + a + "; REJOIN-TICKET=" + b},
       "b found"},
      {"all three", {"Rejoin-Ticket: " + b, "Cookie: REJOIN-TICKET=" + a, protocols(f.item(c))}, "c found"},
      {"the first cookie", {"Cookie: REJOIN-TICKET=" + b + "; REJOIN-TICKET=" + a}, "b found"},
  };
  for (const auto& it : cases) EXPECT_EQ(f.found(f.choose(it.fields)), it.expected) << it.name;
}

TEST(AffinityTicket, is_found_in_the_first_frame_on_tcp) {
  Fixture f;
  const std::string frame = f.resume(f.ticket("b"));
  std::string hello;
  proto::append_hello(hello, {});
  const struct {
    std::string name, opening, expected;
  } cases[] = {
      {"nothing", "", "- none"},
      {"a RESUME", f.on_tcp(frame), "b found"},
      {"a RESUME and DATA", f.on_tcp(frame) + f.on_tcp("DATA"), "b found"},
      {"HELLO, a RESUME behind it", f.on_tcp(hello) + f.on_tcp(frame), "- none"},
      {"another protocol", "GET / HTTP/1.1\r\nRejoin-Ticket: " + f.ticket("b"), "- none"},
      {"a RESUME that breaks off", f.on_tcp(frame.substr(0, 20)), "- malformed"},
      {"a forged ticket", f.on_tcp(f.resume("ticket")), "- malformed"},
  };
  for (const auto& it : cases) EXPECT_EQ(f.found(f.choose_tcp(it.opening)), it.expected) << it.name;
  for (std::size_t cut = 0; cut < f.on_tcp(frame).size(); ++cut)
    EXPECT_EQ(f.found(f.choose_tcp(f.on_tcp(frame).substr(0, cut))), "- none") << cut;
}

TEST(AffinityTicket, what_is_no_ticket_of_ours_is_as_if_absent_with_its_reason) {
  Fixture f;
  std::string changed = f.ticket("b");
  changed[40] = changed[40] == 'A' ? 'B' : 'A';
  std::string cookie;
  f.seal.seal(Purpose::cookie, "", std::string(25, '\1') + "b", cookie);
  const std::int64_t skew = limits::kTicketSkewSeconds;
  const struct {
    std::string name, ticket, expected;
  } cases[] = {
      {"empty", "", "- malformed"},
      {"words", "let-me-in", "- malformed"},
      {"changed", changed, "- forged"},
      {"a cookie", cookie, "- forged"},
      {"another installation's", f.ticket("b", kNow + 60, &f.stranger), "- unknown_key"},
      {"just in time", f.ticket("b", kNow - skew), "b found"},
      {"expired", f.ticket("b", kNow - skew - 1), "- expired"},
      {"of a gateway elsewhere", f.ticket("z"), "- unknown_server"},
  };
  for (const auto& it : cases) {
    for (const std::string& field : {protocols("rejoin.v1, " + f.item(it.ticket)),
                                     "Rejoin-Ticket: " + it.ticket, "Cookie: REJOIN-TICKET=" + it.ticket}) {
      const Choice choice = f.choose({field});
      EXPECT_EQ(f.found(choice), it.expected) << it.name << "\n" << field;
      EXPECT_EQ(choice.how, choice.pins[0].found() ? Chosen::pinned : Chosen::scheduled) << it.name;
    }
  }
  EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::malformed)], 6u);
  EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::forged)], 6u);
  EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::unknown_key)], 3u);
  EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::expired)], 3u);
  EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::unknown_server)], 3u);
  EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::found)], 3u);
}

TEST(AffinityTicket, an_item_that_is_no_resume_is_malformed) {
  Fixture f;
  const std::string frame = f.resume(f.ticket("b"));
  for (std::size_t cut = 0; cut < frame.size(); ++cut) {
    const std::string shorter =
        "rejoin.v1.resume." + proto::base64_encode(frame.substr(0, cut), proto::Base64::url);
    // A RESUME cut in its proof is none; and what is cut before it lacks the fields.
    EXPECT_EQ(f.found(f.choose({protocols(shorter)})).substr(0, 2), "- ") << cut;
  }
  EXPECT_EQ(f.found(f.choose({protocols("rejoin.v1.resume.")})), "- malformed");
  EXPECT_EQ(f.found(f.choose({protocols("rejoin.v1.resume.*")})), "- malformed");
  EXPECT_EQ(f.found(f.choose({protocols("rejoin.v1.resumes")})), "- none");
}

TEST(AffinityTicket, a_bad_one_does_not_hide_a_good_one_behind_it) {
  Fixture f;
  const std::string good = f.ticket("c"), foreign = f.ticket("z"), stale = f.ticket("a", 0);
  EXPECT_EQ(f.found(f.choose({protocols(f.item(foreign)), "Rejoin-Ticket: " + good})), "c found");
  EXPECT_EQ(f.found(f.choose({"Rejoin-Ticket: " + stale, "Cookie: REJOIN-TICKET=" + good})), "c found");
  EXPECT_EQ(f.found(f.choose({protocols("rejoin.v1.resume.AA"), "Cookie: REJOIN-TICKET=" + good})),
            "c found");
  EXPECT_EQ(f.found(f.choose({"Rejoin-Ticket: " + stale, "Cookie: REJOIN-TICKET=" + foreign})), "- expired")
      << "none is good: the reason is the first one's";

  std::string many = "Cookie: REJOIN-TICKET=" + stale;
  for (int i = 1; i < limits::kPinCookiesMax; ++i) many += "; REJOIN-TICKET=" + stale;
  EXPECT_EQ(f.found(f.choose({many})), "- expired");
  EXPECT_EQ(f.found(f.choose({many + "; REJOIN-TICKET=" + good})), "- expired")
      << "not more than 8 are opened";
}

TEST(AffinityTicket, the_name_of_the_plain_clients_cookie_is_configured) {
  for (const std::string name : {"S", "REJOIN-TICKET"}) {
    TicketRule rule;
    rule.cookie = name;
    Fixture f({rule});
    EXPECT_EQ(f.found(f.choose({"Cookie: " + name + "=" + f.ticket("b")})), "b found");
    EXPECT_EQ(f.found(f.choose({"Cookie: REJOIN-TICKET=" + f.ticket("b")})), "b found");
    EXPECT_EQ(f.found(f.choose({"Cookie: REJOIN-SESSION=" + f.ticket("b")})), "- none");
    EXPECT_EQ(f.router->counts().reasons[static_cast<std::size_t>(Reason::found)], 2u);
  }
}

TEST(AffinityTicket, a_draining_owner_and_one_without_weight_get_their_clients_back) {
  Fixture f;
  f.pool().set_draining(1, true);
  EXPECT_EQ(f.told(f.choose({"Rejoin-Ticket: " + f.ticket("b")})), "b pinned");

  RouteRules rules;
  rules.servers = test::servers({1, 0});
  rules.affinity = {TicketRule{}};
  const auto shared = std::move(*SharedRoute::make(rules, f.random));
  Router router(*shared, f.seal, 0);
  const test::HeadOf<proto::RequestHead> request("GET / HTTP/1.1",
                                                 {"Host: x", "Rejoin-Ticket: " + f.ticket("b")});
  const Choice choice = router.choose({test::address("10.0.0.1"), &request.head, kStart, kNow});
  EXPECT_EQ(choice.how, Chosen::pinned);
  EXPECT_EQ(choice.server, ServerIndex{1});
}

TEST(AffinityTicket, a_client_whose_owner_is_down_comes_again_until_the_owner_is_gone) {
  TicketRule rule;
  rule.owner_gone = 10s;
  rule.come_again = 250ms;
  Fixture f({rule});
  const std::vector<std::string> fields{"Rejoin-Ticket: " + f.ticket("b")};
  test::take_down(f.pool(), 1, kStart);
  EXPECT_EQ(f.told(f.choose(fields)), "again 250 ms");
  EXPECT_EQ(f.told(f.choose(fields, kStart + 9999ms)), "again 250 ms");
  EXPECT_EQ(f.told(f.choose_tcp(f.on_tcp(f.resume(f.ticket("b"))), kStart + 5s)), "again 250 ms");
  EXPECT_EQ(f.router->counts().come_again, 3u);
  EXPECT_EQ(f.router->counts().pinned_down, 3u);
  EXPECT_EQ(f.router->counts().nobody, 0u);
  const Choice elsewhere = f.choose(fields, kStart + 10s);
  EXPECT_EQ(elsewhere.how, Chosen::scheduled);
  EXPECT_NE(f.told(elsewhere), "b scheduled");

  // It comes back: those who still have its ticket go there, and the next time is counted anew.
  f.pool().observe(1, ProbeResult::well, kStart + 11s);
  EXPECT_EQ(f.choose(fields, kStart + 11s).how, Chosen::scheduled) << "rise is 2";
  f.pool().observe(1, ProbeResult::well, kStart + 12s);
  EXPECT_EQ(f.told(f.choose(fields, kStart + 12s)), "b pinned");
  test::take_down(f.pool(), 1, kStart + 13s);
  EXPECT_EQ(f.told(f.choose(fields, kStart + 22s)), "again 250 ms");
}

TEST(AffinityTicket, a_client_whose_owner_refuses_comes_again_and_is_sent_to_no_other) {
  for (const unsigned retries : {0u, 2u}) {
    Fixture f({TicketRule{}}, test::probed(), retries);
    Choice choice = f.choose({"Rejoin-Ticket: " + f.ticket("b")});
    ASSERT_EQ(f.told(choice), "b pinned");
    f.router->failed(choice, kStart);
    EXPECT_EQ(f.told(choice), "again 1000 ms") << retries;
    EXPECT_EQ(f.router->counts().come_again, 1u);
    EXPECT_EQ(f.router->counts().nobody, 0u);
    EXPECT_TRUE(f.pool().up(1)) << "one failure alone takes nobody down";
  }
}

TEST(AffinityTicket, a_client_whose_owner_breaks_unanswered_comes_again_and_others_do_not) {
  TicketRule rule;
  rule.come_again = 250ms;
  Fixture f({rule, CookieInsertRule{}}, test::probed());
  EXPECT_EQ(f.router->comes_again(f.choose({"Rejoin-Ticket: " + f.ticket("b")})), Duration(250ms));
  EXPECT_EQ(f.router->comes_again(f.choose({})), std::nullopt) << "belongs to nobody";
  rule.owner_gone = 0s;
  Fixture impatient({rule}, test::probed());
  EXPECT_EQ(impatient.router->comes_again(impatient.choose({"Rejoin-Ticket: " + impatient.ticket("b")})),
            std::nullopt);
}

TEST(AffinityTicket, without_health_checks_the_owner_is_asked_each_time_and_gone_after_a_while) {
  TicketRule rule;
  rule.owner_gone = 10s;
  Fixture f({rule}, HealthRules{});
  const std::vector<std::string> fields{"Rejoin-Ticket: " + f.ticket("b")};
  const auto refused = [&](Duration after) {
    Choice choice = f.choose(fields, kStart + after);
    EXPECT_EQ(f.told(choice), "b pinned");
    f.router->failed(choice, kStart + after);
    return choice;
  };
  EXPECT_EQ(refused(0s).how, Chosen::come_again);
  EXPECT_EQ(refused(9s).how, Chosen::come_again);
  EXPECT_EQ(refused(10s).how, Chosen::scheduled);

  // Somebody reaches it: it was away, and is not.
  Choice there = f.choose(fields, kStart + 11s);
  f.router->reached(there, kStart + 11s);
  EXPECT_EQ(refused(15s).how, Chosen::come_again);
}

TEST(AffinityTicket, an_owner_that_is_gone_at_once_is_left_like_that_of_a_cookie) {
  TicketRule rule;
  rule.owner_gone = 0s;
  Fixture f({rule});
  Choice choice = f.choose({"Rejoin-Ticket: " + f.ticket("b")});
  f.router->failed(choice, kStart);
  EXPECT_EQ(choice.how, Chosen::scheduled);
  test::take_down(f.pool(), 1, kStart);
  EXPECT_EQ(f.choose({"Rejoin-Ticket: " + f.ticket("b")}).how, Chosen::scheduled);
}

TEST(AffinityTicket, beside_a_cookie_the_order_of_the_list_decides) {
  CookieInsertRule insert;
  const auto cookie_of = [&](Fixture& f, ServerIndex server) {
    Choice choice;
    choice.server = server;
    const test::Response response({});
    proto::HeadEdits edits(response.head);
    f.router->edit_response(choice, response.head, kNow, edits);
    std::string cookie = test::values_after<proto::ResponseHead>(edits, proto::KnownField::set_cookie).at(0);
    return "Cookie: " + cookie.substr(0, cookie.find(';'));
  };
  Fixture ticket_first({TicketRule{}, insert}), cookie_first({insert, TicketRule{}});
  for (Fixture* f : {&ticket_first, &cookie_first}) {
    const bool is_ticket_first = f == &ticket_first;
    const std::string ticket = "Rejoin-Ticket: " + f->ticket("b"), cookie = cookie_of(*f, 2);
    EXPECT_EQ(f->told(f->choose({ticket, cookie})), is_ticket_first ? "b pinned" : "c pinned");
    EXPECT_EQ(f->told(f->choose({cookie})), "c pinned");
    EXPECT_EQ(f->told(f->choose({ticket})), "b pinned");
    // A ticket that does not count leaves the cookie in its right.
    EXPECT_EQ(f->told(f->choose({"Rejoin-Ticket: " + f->ticket("z"), cookie})), "c pinned");
    test::take_down(f->pool(), 1, kStart);
    EXPECT_EQ(f->told(f->choose({ticket, cookie})), is_ticket_first ? "again 1000 ms" : "c pinned");
    EXPECT_EQ(f->told(f->choose({ticket, cookie}, kStart + 60s)), "c pinned");
  }
}

TEST(AffinityTicket, plants_nothing_and_hides_nothing) {
  Fixture f;
  const test::HeadOf<proto::RequestHead> request(
      "GET / HTTP/1.1",
      {"Host: x", "Rejoin-Ticket: " + f.ticket("a"), "Cookie: REJOIN-TICKET=" + f.ticket("b")});
  Choice choice = f.router->choose({test::address("10.0.0.1"), &request.head, kStart, kNow});
  proto::HeadEdits edits(request.head);
  f.router->edit_request(choice, request.head, edits);
  EXPECT_TRUE(edits.empty());
  const test::Response response({"Set-Cookie: REJOIN-TICKET=new"});
  proto::HeadEdits response_edits(response.head);
  f.router->edit_response(choice, response.head, kNow, response_edits);
  EXPECT_TRUE(response_edits.empty());
  EXPECT_EQ(f.router->counts().planted, 0u);
}

TEST(AffinityTicket, only_its_pool_waits_for_what_a_client_says_first) {
  EXPECT_TRUE(Fixture({SourceIpRule{}, TicketRule{}}).router->wants_opening());
  EXPECT_FALSE(Fixture({SourceIpRule{}, CookieInsertRule{}}).router->wants_opening());
}

TEST(AffinityTicket, rules_that_make_no_sense_are_refused) {
  const auto is_good = [](auto change) {
    TicketRule rule;
    change(rule);
    return check_affinity({rule, CookieInsertRule{}}).ok();
  };
  EXPECT_TRUE(is_good([](TicketRule&) {}));
  EXPECT_TRUE(is_good([](TicketRule& r) { r.owner_gone = 0s; }));
  EXPECT_FALSE(is_good([](TicketRule& r) { r.owner_gone = -1s; }));
  EXPECT_FALSE(is_good([](TicketRule& r) { r.come_again = 0s; }));
  EXPECT_FALSE(is_good([](TicketRule& r) { r.cookie = "a b"; }));
  EXPECT_TRUE(is_good([](TicketRule& r) { r.cookie = "REJOIN-TICKET"; }));
  EXPECT_FALSE(is_good([](TicketRule& r) { r.cookie = "REJOIN"; }));  // the other rule's
  EXPECT_FALSE(check_affinity({TicketRule{}, CookieRewriteRule{"REJOIN-TICKET"}}).ok());
  EXPECT_FALSE(check_affinity({TicketRule{}, TicketRule{.cookie = "OTHER"}}).ok());
}

}  // namespace
}  // namespace rejoin::route
