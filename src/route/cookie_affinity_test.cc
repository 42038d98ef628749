// The three cookie affinities, by their decisions: which server, which cookie is set, what the server sees.
// The cases follow docs/decisions/0002-cookie-decisions-like-haproxy.md, where HAProxy was asked the same.
#include <gtest/gtest.h>

#include "route/route_test_support.h"
#include "route/sealed_cookie.h"

namespace rejoin::route {
namespace {

constexpr UnixSeconds kNow = 1'800'000'000;

/// A pool of a, b (both up) and c (down) behind one rule, and what it does with one request and its response.
/// In cookies and expectations @a stands for a sealed pin to a, first and last used now; @nosuch for one to a
/// server that is gone,
/// @other for one to b of another pool, and so on: see text_of().
class Bench {
 public:
  explicit Bench(AffinityRule rule) {
    name_ = std::visit(
        [](const auto& r) {
          if constexpr (requires { r.name; }) return r.name;
          return std::string();
        },
        rule);
    RouteRules rules;
    rules.name = "gateways";
    rules.servers = test::servers({1, 1, 1});
    rules.health = test::probed();
    rules.affinity = {rule};
    shared_ = std::move(*SharedRoute::make(rules, random_));
    test::take_down(*shared_->pool, 2);
    router_.emplace(*shared_, seal_, 0);
  }

  /// `server` as a cookie value of ours, dated `first` and `last` seconds before now.
  std::string pin(std::string_view server, std::int64_t first = 0, std::int64_t last = 0) {
    return sealed(seal_, "gateways", name_, server, first, last);
  }

  struct Outcome {
    std::string server;             // "a"; "new" when the scheduler chose
    Reason reason = Reason::none;   // of the rule
    std::vector<std::string> sees;  // Cookie fields before the server
    std::vector<std::string>
        set;  // Set-Cookie fields before the client, seals of ours opened: "SRV=@a; Path=/"
    std::vector<std::string> cache;  // Cache-Control fields before the client
  };
  Outcome run(std::vector<std::string> cookies, const std::vector<std::string>& response_fields = {},
              std::string status = "200 OK", bool read_pins = true) {
    for (std::string& cookie : cookies) cookie = with_pins(cookie);
    Outcome out;
    const test::Request request(cookies);
    Arrival arrival;
    arrival.client = test::address("10.0.0.1");
    arrival.head = &request.head;
    arrival.unix_now = kNow;
    Choice choice = router_->choose(arrival);
    out.server = choice.how == Chosen::pinned ? shared_->pool->server(*choice.server).name : "new";
    out.reason = choice.pins[0].reason;
    proto::HeadEdits request_edits(request.head);
    router_->edit_request(choice, request.head, request_edits);
    out.sees = test::values_after<proto::RequestHead>(request_edits, proto::KnownField::cookie);

    const test::Response response(response_fields, std::move(status));
    proto::HeadEdits edits(response.head);
    router_->edit_response(choice, response.head, kNow, edits);
    out.set = test::values_after<proto::ResponseHead>(edits, proto::KnownField::set_cookie);
    for (std::string& set : out.set)
      if (read_pins) set = with_names(set, shared_->pool->server(*choice.server).name);
    out.cache = test::values_after<proto::ResponseHead>(edits, proto::KnownField::cache_control);
    return out;
  }
  UnixSeconds first_use_of(std::string_view value) {
    return SealedCookie(*shared_->pool, seal_, name_).open(value).first_use;
  }
  const RouteCounts& counts() const { return router_->counts(); }

 private:
  static std::string sealed(Seal& seal, std::string pool_name, const std::string& cookie_name,
                            std::string_view server, std::int64_t first, std::int64_t last) {
    std::vector<Server> list = test::servers({1});
    list[0].name = server;
    const auto pool = Pool::make(std::move(pool_name), list);
    std::string out;
    SealedCookie(**pool, seal, cookie_name).seal(0, kNow - first, kNow - last, out);
    return out;
  }
  std::string text_of(std::string_view word) {
    if (word == "otherpool") return sealed(seal_, "gateways2", name_, "b", 0, 0);
    if (word == "othername") return sealed(seal_, "gateways", name_ + "2", "b", 0, 0);
    if (word == "oldkey") return sealed(old_seal_, "gateways", name_, "b", 600, 600);
    if (word == "otherkey") return sealed(other_seal_, "gateways", name_, "b", 0, 0);
    if (word == "flipped") {
      std::string text = pin("b");
      text[40] = text[40] == 'A' ? 'B' : 'A';
      return text;
    }
    if (word == "cut") return pin("b").substr(0, 52);
    return pin(word);
  }
  std::string with_pins(std::string_view text) {
    std::string out;
    while (true) {
      const auto at = text.find('@');
      out.append(text.substr(0, at));
      if (at == text.npos) return out;
      text.remove_prefix(at + 1);
      const auto end = std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), text.size());
      out.append(text_of(text.substr(0, end)));
      text.remove_prefix(end);
    }
  }
  /// Replaces the longest run of base64url that opens by @ and the server's name; `chosen` becomes @*.
  std::string with_names(const std::string& text, const std::string& chosen) {
    SealedCookie cookie(*shared_->pool, seal_, name_);
    const auto begin = std::min(text.find_first_not_of(' ', text.find('=') + 1), text.size());
    const auto end = std::min(text.find_first_of("~;\" ", begin), text.size());
    const Pin pin = cookie.open(std::string_view(text).substr(begin, end - begin));
    if (!pin.found()) return text;
    const std::string& server = shared_->pool->server(pin.server).name;
    return text.substr(0, begin) + "@" + (server == chosen ? "*" : server) + text.substr(end);
  }

  SystemRandom random_;
  Seal seal_{*KeyRing::make({test::key(1), test::key(3)}), random_};
  Seal old_seal_{KeyRing(test::key(3)), random_};
  Seal other_seal_{KeyRing(test::key(2)), random_};
  std::unique_ptr<SharedRoute> shared_;
  std::optional<Router> router_;
  std::string name_;
};

using Fields = std::vector<std::string>;

CookieInsertRule insert(std::string name = "SRV") {
  CookieInsertRule rule;
  rule.name = std::move(name);
  rule.http_only = false;
  rule.same_site = SameSite::unset;
  return rule;
}

struct Case {
  Fields cookies;
  std::string server;
  Reason reason;
  Fields sees;
  bool is_planted;  // cookie-insert only
};

TEST(CookieInsert, who_comes_back_and_what_the_server_sees) {
  const Case cases[] = {
      {{}, "new", Reason::none, {}, true},
      {{"x=1"}, "new", Reason::none, {"x=1"}, true},
      {{"SRV=@a"}, "a", Reason::found, {}, false},
      {{"SRV=@b"}, "b", Reason::found, {}, false},
      {{"SRV=@c"}, "new", Reason::found, {}, true},  // it is down
      {{"SRV=@gone"}, "new", Reason::unknown_server, {}, true},
      {{"SRV=@otherpool"}, "new", Reason::forged, {}, true},
      {{"SRV=@othername"}, "new", Reason::forged, {}, true},
      {{"SRV=@otherkey"}, "new", Reason::unknown_key, {}, true},
      {{"SRV=@flipped"}, "new", Reason::forged, {}, true},
      {{"SRV=@cut"}, "new", Reason::forged, {}, true},
      {{"SRV=b"}, "new", Reason::malformed, {}, true},
      {{"SRV="}, "new", Reason::malformed, {}, true},
      {{"SRV"}, "new", Reason::none, {"SRV"}, true},  // a cookie without a name, not ours
      {{"SRV=\"@b\""}, "new", Reason::malformed, {}, true},
      {{"srv=@b"}, "new", Reason::none, {"srv=@b"}, true},
      {{"x=1; SRV=@b; y=2"}, "b", Reason::found, {"x=1; y=2"}, false},
      {{"x=1; SRV=@b"}, "b", Reason::found, {"x=1"}, false},
      {{"SRV=@b; x=1"}, "b", Reason::found, {"x=1"}, false},
      {{"SRV=@b;x=1"}, "b", Reason::found, {"x=1"}, false},
      {{"SRV = @b ; x=1"}, "b", Reason::found, {"x=1"}, false},
      {{"SRV=zz; x=1"}, "new", Reason::malformed, {"x=1"}, true},
      {{"x=1", "SRV=@b", "y=2"}, "b", Reason::found, {"x=1", "y=2"}, false},
      {{"SRV=@a; SRV=@b"}, "a", Reason::found, {}, false},             // the first
      {{"SRV=@gone; SRV=@b"}, "b", Reason::found, {}, false},          // that names a server
      {{"SRV=@c; SRV=@b"}, "b", Reason::found, {}, false},             // which is up
      {{"SRV=@flipped", "SRV=@b"}, "b", Reason::found, {}, false},     //
      {{"SRV=@b; SRV=@flipped"}, "b", Reason::found, {}, false},       //
      {{"SRV=@flipped; SRV=@gone"}, "new", Reason::forged, {}, true},  // the first one's reason
      {{"SRV=@gone; SRV=@c"}, "new", Reason::found, {}, true},         //
      {{"XSRV=@b; SRVX=@b"}, "new", Reason::none, {"XSRV=@b; SRVX=@b"}, true},
  };
  for (const Case& c : cases) {
    Bench bench(insert());
    SCOPED_TRACE(::testing::PrintToString(c.cookies));
    const auto out = bench.run(c.cookies);
    EXPECT_EQ(out.server, c.server);
    EXPECT_EQ(to_string(out.reason), to_string(c.reason));
    EXPECT_EQ(out.sees.size(), c.sees.size());
    if (std::none_of(c.sees.begin(), c.sees.end(), [](auto& s) { return s.find('@') != s.npos; })) {
      EXPECT_EQ(out.sees, c.sees);
    }
    EXPECT_EQ(out.set, c.is_planted ? Fields{"SRV=@*; Path=/"} : Fields{});
  }
}

TEST(CookieInsert, without_hide_the_server_sees_the_cookie) {
  CookieInsertRule rule = insert();
  rule.hide = false;
  Bench bench(rule);
  EXPECT_EQ(bench.run({"x=1; SRV=nosuch; y=2"}).sees, (Fields{"x=1; SRV=nosuch; y=2"}));
}

TEST(CookieInsert, only_so_many_cookies_of_the_name_are_opened) {
  Bench bench(insert());
  std::string many;
  for (int i = 0; i < limits::kPinCookiesMax - 1; ++i) many += "SRV=@flipped; ";
  EXPECT_EQ(bench.run({many + "SRV=@b"}).server, "b");
  EXPECT_EQ(bench.run({"SRV=x; " + many + "SRV=@b"}).server, "new");
}

TEST(CookieInsert, the_servers_own_cookie_of_that_name_is_dropped) {
  const struct {
    Fields from_server, kept;
  } cases[] = {
      {{"Set-Cookie: SRV=own; Path=/app"}, {}},
      {{"Set-Cookie: SRV=own", "Set-Cookie: SRV=two", "Set-Cookie: other=1"}, {"other=1"}},
      {{"Set-Cookie: SRV="}, {}},
      {{"Set-Cookie:  SRV = own ; Path=/"}, {}},
      {{"Set-Cookie: SRV=\"q~v\"; HttpOnly"}, {}},
      {{"Set-Cookie: SRV"}, {"SRV"}},                    // no name: RFC 6265 5.2 ignores it, and so do we
      {{"Set-Cookie: x=1, SRV=own"}, {"x=1, SRV=own"}},  // one cookie, since a comma separates none
      {{"Set-Cookie: srv=own"}, {"srv=own"}},
  };
  for (const auto& c : cases) {
    Bench bench(insert());
    SCOPED_TRACE(c.from_server[0]);
    EXPECT_EQ(bench.run({"SRV=@b"}, c.from_server).set, c.kept);
    Fields with_ours = c.kept;
    with_ours.push_back("SRV=@*; Path=/");
    EXPECT_EQ(bench.run({}, c.from_server).set, with_ours);
    EXPECT_EQ(bench.run({}, c.from_server, "101 Switching Protocols").set, with_ours);
  }
}

TEST(CookieInsert, plants_on_every_final_status_and_on_101) {
  for (const std::string status : {"101 Switching Protocols", "200 OK", "204 No Content", "304 Not Modified",
                                   "302 Found", "404 Not Found", "503 Unavailable"}) {
    EXPECT_EQ(Bench(insert()).run({}, {}, status).set, (Fields{"SRV=@*; Path=/"})) << status;
  }
  for (const std::string status : {"100 Continue", "103 Early Hints"}) {
    EXPECT_EQ(Bench(insert()).run({}, {}, status).set, Fields{}) << status;
  }
}

TEST(CookieInsert, a_response_with_our_cookie_is_kept_out_of_shared_caches) {
  const struct {
    std::string status;
    Fields cookies, from_server, cache;
  } cases[] = {
      {"200 OK", {}, {}, {"private"}},
      {"200 OK", {}, {"Cache-Control: public, max-age=60"}, {"public, max-age=60", "private"}},
      {"200 OK", {}, {"Cache-Control: no-cache"}, {"no-cache", "private"}},
      {"200 OK", {}, {"Cache-Control: Private"}, {"Private"}},
      {"200 OK", {}, {"Cache-Control: max-age=3, private"}, {"max-age=3, private"}},
      {"200 OK", {}, {"Cache-Control: no-store"}, {"no-store"}},
      {"200 OK", {}, {"Cache-Control: max-age=3", "Cache-Control: no-store"}, {"max-age=3", "no-store"}},
      {"200 OK", {}, {"Cache-Control: no-cache=\"set-cookie\""}, {"no-cache=\"set-cookie\""}},
      {"200 OK", {}, {"Cache-Control: x-private"}, {"x-private", "private"}},
      {"200 OK", {"SRV=@b"}, {}, {}},
      {"200 OK", {"SRV=@b"}, {"Cache-Control: public"}, {"public"}},
      {"101 Switching Protocols", {}, {}, {}},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Bench(insert()).run(c.cookies, c.from_server, c.status).cache, c.cache)
        << c.status << ::testing::PrintToString(c.from_server);
  }
}

TEST(CookieInsert, attributes_are_written_as_configured) {
  CookieInsertRule rule;
  EXPECT_EQ(Bench(rule).run({}).set, (Fields{"REJOIN=@*; Path=/; HttpOnly; SameSite=Lax"}));
  rule.domain = "example.com";
  rule.path = "/play";
  rule.same_site = SameSite::none;
  rule.secure = true;
  rule.http_only = false;
  rule.partitioned = true;
  rule.max_life = 24h;  // never a Max-Age
  const std::string set = Bench(rule).run({}).set[0];
  for (const std::string part :
       {"REJOIN=@*", "Domain=example.com", "Path=/play", "SameSite=None", "Secure", "Partitioned"}) {
    EXPECT_NE(set.find(part), set.npos) << set;
  }
  EXPECT_EQ(set.find("Max-Age"), set.npos) << set;
  EXPECT_EQ(set.find("HttpOnly"), set.npos) << set;
}

TEST(CookieInsert, dates_bound_a_pin_and_renew_it_when_worth_it) {
  constexpr std::int64_t kDay = 24 * 3600;
  const struct {
    Duration max_idle, max_life;
    std::int64_t first_ago, last_ago;
    Reason reason;
    bool is_planted;
  } cases[] = {
      {0s, 0s, 10 * kDay, 10 * kDay, Reason::found, false},
      {0s, 0s, -10 * kDay, -10 * kDay, Reason::found, false},  // no bound: dates are not looked at
      {30min, 0s, 0, 0, Reason::found, false},
      {30min, 0s, 59, 59, Reason::found, false},
      {30min, 0s, 60, 60, Reason::found, true},
      {30min, 0s, 10 * kDay, 59, Reason::found, false},
      {30min, 0s, 1800, 1800, Reason::found, true},
      {30min, 0s, 1801, 1801, Reason::expired, true},
      {60s, 0s, 29, 29, Reason::found, false},  // half of a short max_idle
      {60s, 0s, 30, 30, Reason::found, true},
      {1s, 0s, 0, 0, Reason::found, false},
      {1s, 0s, 1, 1, Reason::found, true},
      {1500ms, 0s, 2, 2, Reason::found, true},
      {1500ms, 0s, 3, 3, Reason::expired, true},
      {0s, 24h, kDay, 0, Reason::found, false},
      {0s, 24h, kDay + 1, 0, Reason::expired, true},
      {0s, 24h, kDay, kDay, Reason::found, false},  // without max_idle the date of last use is of no interest
      {30min, 24h, kDay + 1, 10, Reason::expired, true},
      {30min, 24h, 10, 1801, Reason::expired, true},
      {30min, 0s, -3600, -3600, Reason::found, false},  // a clock an hour off
      {30min, 0s, -kDay, -kDay, Reason::found, false},
      {30min, 0s, -kDay - 1, -kDay - 1, Reason::ahead, true},
      {0s, 24h, -kDay - 1, 0, Reason::ahead, true},
      {30min, 0s, -kDay - 1, 0, Reason::found, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.max_idle.count() << " " << c.max_life.count() << " " << c.first_ago
                                      << " " << c.last_ago);
    CookieInsertRule rule = insert();
    rule.max_idle = c.max_idle;
    rule.max_life = c.max_life;
    Bench bench(rule);
    const auto out = bench.run({"SRV=" + bench.pin("b", c.first_ago, c.last_ago)});
    EXPECT_EQ(to_string(out.reason), to_string(c.reason));
    EXPECT_EQ(out.server, c.reason == Reason::found ? "b" : "new");
    EXPECT_EQ(out.set.size(), c.is_planted ? 1u : 0u);
  }
}

// So that a key can be taken away at all where neither date is bounded.
TEST(CookieInsert, a_pin_of_an_older_key_holds_and_is_sealed_anew) {
  Bench bench(insert());
  const auto out = bench.run({"SRV=@oldkey"});
  EXPECT_EQ(out.server, "b");
  EXPECT_EQ(out.set, Fields({"SRV=@*; Path=/"}));
  EXPECT_EQ(out.cache, Fields({"private"}));
  EXPECT_EQ(bench.run({"SRV=@b"}).set, Fields{});

  CookieInsertRule rule = insert();
  rule.max_life = 601s;  // its day of birth stays
  Bench bounded(rule);
  const std::string anew = bounded.run({"SRV=@oldkey"}, {}, "200 OK", false).set[0];
  const std::string value = anew.substr(4, anew.find(';') - 4);
  EXPECT_EQ(bounded.first_use_of(value), kNow - 600);
}

TEST(CookieRewrite, the_servers_cookie_carries_the_pin) {
  const Case finds[] = {
      {{}, "new", Reason::none, {}, false},
      {{"SRV=@b"}, "b", Reason::found, {}, false},
      {{"SRV=@c"}, "new", Reason::found, {}, false},
      {{"SRV=@flipped"}, "new", Reason::forged, {}, false},
      {{"SRV=own"}, "new", Reason::malformed, {}, false},
      {{"SRV=\"@b\""}, "new", Reason::malformed, {}, false},
      {{"SRV=own; SRV=@b"}, "b", Reason::found, {}, false},
  };
  for (const Case& c : finds) {
    Bench bench(CookieRewriteRule{"SRV"});
    SCOPED_TRACE(::testing::PrintToString(c.cookies));
    const auto out = bench.run(c.cookies);
    EXPECT_EQ(out.server, c.server);
    EXPECT_EQ(to_string(out.reason), to_string(c.reason));
    EXPECT_EQ(out.set, Fields{}) << "nothing is planted where the server sets nothing";
    EXPECT_EQ(out.cache, Fields{});
  }
  EXPECT_EQ(Bench(CookieRewriteRule{"SRV"}).run({"x=1; SRV=own"}).sees, (Fields{"x=1; SRV=own"}))
      << "requests pass";

  const struct {
    Fields from_server, set;
  } sets[] = {
      {{"Set-Cookie: SRV=own; Path=/app"}, {"SRV=@*; Path=/app"}},
      {{"Set-Cookie: SRV=own; Path=/app", "Set-Cookie: SRV=two", "Set-Cookie: other=1"},
       {"SRV=@*; Path=/app", "SRV=@*", "other=1"}},
      {{"Set-Cookie: SRV="}, {"SRV=@*"}},
      {{"Set-Cookie: SRV=\"q~v\"; HttpOnly"}, {"SRV=@*; HttpOnly"}},
      {{"Set-Cookie: SRV"}, {"SRV"}},
      {{"Set-Cookie: SRV; Path=/"}, {"SRV; Path=/"}},
      {{"Set-Cookie: SRV = own ; Path=/"}, {"SRV = @* ; Path=/"}},
      {{"Set-Cookie: x=1, SRV=own"}, {"x=1, SRV=own"}},
  };
  for (const auto& c : sets) {
    for (const Fields& cookies : {Fields{}, Fields{"SRV=@b"}, Fields{"SRV=@flipped"}, Fields{"SRV=@c"}}) {
      for (const std::string status : {"101 Switching Protocols", "200 OK", "503 Unavailable"}) {
        EXPECT_EQ(Bench(CookieRewriteRule{"SRV"}).run(cookies, c.from_server, status).set, c.set)
            << c.from_server[0];
      }
    }
  }
}

TEST(CookiePrefix, the_server_sees_its_own_value_only) {
  const Case finds[] = {
      {{}, "new", Reason::none, {}, false},
      {{"SRV=@b~val"}, "b", Reason::found, {"SRV=val"}, false},
      {{"SRV=@b~"}, "b", Reason::found, {"SRV="}, false},
      {{"SRV=@b~v~w"}, "b", Reason::found, {"SRV=v~w"}, false},
      {{"SRV=@b~\"v\""}, "b", Reason::found, {"SRV=\"v\""}, false},
      {{"SRV=@c~val"}, "new", Reason::found, {"SRV=val"}, false},
      {{"SRV=@gone~val"}, "new", Reason::unknown_server, {"SRV=val"}, false},
      {{"SRV=@flipped~val"}, "new", Reason::forged, {"SRV=val"}, false},
      {{"SRV=@otherkey~val"}, "new", Reason::unknown_key, {"SRV=val"}, false},
      {{"SRV=nosuch~val"}, "new", Reason::malformed, {"SRV=val"}, false},
      {{"SRV=~v"}, "new", Reason::malformed, {"SRV=v"}, false},
      {{"SRV=val"},
       "new",
       Reason::none,
       {"SRV=val"},
       false},  // the server's own, planted before we were there
      {{"SRV=\"b~v\""}, "new", Reason::malformed, {"SRV=\"b~v\""}, false},
      {{"x=1; SRV=@b~v; y=2"}, "b", Reason::found, {"x=1; SRV=v; y=2"}, false},
      {{"SRV=nosuch~v; SRV=@b~w"}, "b", Reason::found, {"SRV=v; SRV=w"}, false},
      {{"SRV=@c~v; SRV=@b~w"}, "b", Reason::found, {"SRV=v; SRV=w"}, false},
      {{"SRV=@a~v; SRV=@b~w"}, "a", Reason::found, {"SRV=v; SRV=w"}, false},
      {{"SRV=@b~v", "SRV=@a~w"}, "b", Reason::found, {"SRV=v", "SRV=w"}, false},
  };
  for (const Case& c : finds) {
    Bench bench(CookiePrefixRule{"SRV"});
    SCOPED_TRACE(::testing::PrintToString(c.cookies));
    const auto out = bench.run(c.cookies);
    EXPECT_EQ(out.server, c.server);
    EXPECT_EQ(to_string(out.reason), to_string(c.reason));
    EXPECT_EQ(out.sees, c.sees);
    EXPECT_EQ(out.set, Fields{});
  }
  EXPECT_EQ(Bench(CookiePrefixRule{"SRV"}).run({"SRV=@b"}).server, "b") << "written by cookie-rewrite once";

  const struct {
    Fields from_server, set;
  } sets[] = {
      {{"Set-Cookie: SRV=own; Path=/app"}, {"SRV=@*~own; Path=/app"}},
      {{"Set-Cookie: SRV=own; Path=/app", "Set-Cookie: SRV=two", "Set-Cookie: other=1"},
       {"SRV=@*~own; Path=/app", "SRV=@*~two", "other=1"}},
      {{"Set-Cookie: SRV="}, {"SRV=@*~"}},
      {{"Set-Cookie: SRV=\"q~v\"; HttpOnly"}, {"SRV=@*~\"q~v\"; HttpOnly"}},
      {{"Set-Cookie: SRV"}, {"SRV"}},
      {{"Set-Cookie: SRV = own ; Path=/"}, {"SRV = @*~own ; Path=/"}},
      {{"Set-Cookie: x=1, SRV=own"}, {"x=1, SRV=own"}},
  };
  for (const auto& c : sets) {
    for (const Fields& cookies :
         {Fields{}, Fields{"SRV=@b~v"}, Fields{"SRV=@flipped~v"}, Fields{"SRV=@c~v"}}) {
      for (const std::string status : {"101 Switching Protocols", "200 OK", "503 Unavailable"}) {
        EXPECT_EQ(Bench(CookiePrefixRule{"SRV"}).run(cookies, c.from_server, status).set, c.set)
            << c.from_server[0];
      }
    }
  }
}

TEST(CheckAffinity, refuses_rules_that_cannot_work) {
  const auto is_good = [](std::vector<AffinityRule> rules) { return check_affinity(rules).ok(); };
  const auto inserted = [&](auto change) {
    CookieInsertRule rule;
    change(rule);
    return is_good({rule});
  };
  EXPECT_TRUE(is_good({}));
  EXPECT_TRUE(is_good({CookieInsertRule{}, CookieRewriteRule{"A"}, CookiePrefixRule{"B"}, SourceIpRule{}}));
  EXPECT_TRUE(inserted([](auto& r) { r.same_site = SameSite::none, r.secure = true; }));
  EXPECT_FALSE(inserted([](auto& r) { r.name = ""; }));
  EXPECT_FALSE(inserted([](auto& r) { r.name = "A B"; }));
  EXPECT_FALSE(inserted([](auto& r) { r.name = "A=B"; }));
  EXPECT_FALSE(inserted([](auto& r) { r.domain = "x; Secure"; }));
  EXPECT_FALSE(inserted([](auto& r) { r.path = "/x\r\nSet-Cookie: y=1"; }));
  EXPECT_FALSE(inserted([](auto& r) { r.same_site = SameSite::none; }));
  EXPECT_FALSE(inserted([](auto& r) { r.partitioned = true; }));
  EXPECT_FALSE(inserted([](auto& r) { r.max_idle = -1s; }));
  EXPECT_FALSE(inserted([](auto& r) { r.max_life = -1s; }));
  EXPECT_FALSE(is_good({CookieRewriteRule{""}}));
  EXPECT_FALSE(is_good({CookiePrefixRule{"a;b"}}));
  EXPECT_FALSE(is_good({CookieRewriteRule{"A"}, CookiePrefixRule{"A"}}));
  EXPECT_FALSE(is_good({SourceIpRule{}, SourceIpRule{}}));
  EXPECT_FALSE(is_good({CookieRewriteRule{"A"}, CookieRewriteRule{"B"}, CookieRewriteRule{"C"},
                        CookieRewriteRule{"D"}, CookieRewriteRule{"E"}}));
  const auto leased = [&](auto change) {
    SourceIpRule rule;
    change(rule.leases);
    return is_good({rule});
  };
  EXPECT_FALSE(leased([](auto& l) { l.prefix = 0; }));
  EXPECT_FALSE(leased([](auto& l) { l.prefix = 33; }));
  EXPECT_FALSE(leased([](auto& l) { l.prefix_v6 = 129; }));
  EXPECT_FALSE(leased([](auto& l) { l.grace = -1s; }));
  EXPECT_TRUE(leased([](auto& l) { l.grace = 0s; }));
}

}  // namespace
}  // namespace rejoin::route
