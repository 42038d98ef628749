#include "session/redial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace rejoin::session {
namespace {

const TimePoint kStart = TimePoint(1000s);

/// Always the most, or a fraction of it.
class Chance final : public Random {
 public:
  explicit Chance(double share) : share_(share) {}
  void fill(MutableBytes out) override {
    const auto value = share_ >= 1 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(share_ * 0x1p64);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = reinterpret_cast<const char*>(&value)[i % sizeof value];
  }

 private:
  double share_;
};

proto::Url url(std::string_view text) { return *proto::Url::parse(text); }
Terms terms(Duration spread, std::vector<std::string> addresses = {}) {
  Terms out;
  out.spread = spread;
  out.addresses = std::move(addresses);
  return out;
}
std::int64_t due_ms(const Redial& redial, TimePoint from = kStart) { return (redial.due() - from) / 1ms; }

TEST(Redial, the_first_dial_is_at_once_and_none_is_due_during_one) {
  Redial redial(url("ws://a/"), Advertised::no, kStart);
  EXPECT_EQ(redial.due(), kStart);
  redial.dial_began();
  EXPECT_EQ(redial.due(), kNever);
  redial.dial_opened();
  EXPECT_EQ(redial.due(), kNever);
}

TEST(Redial, the_bound_doubles_up_to_twenty_seconds) {
  const struct {
    Duration spread;
    std::vector<std::int64_t> most_ms;  // after the link was lost, then after each failed dial
  } cases[] = {
      {1s, {1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000}},
      {100ms, {100, 500, 1000, 2000, 4000, 8000, 16000, 20000}},  // from failures on at least 250 ms
      {0s, {0, 500, 1000, 2000, 4000, 8000, 16000, 20000}},
      {3s, {3000, 6000, 12000, 20000, 20000, 20000, 20000, 20000}},
      {3600s, {20000, 20000, 20000, 20000, 20000, 20000, 20000, 20000}},
  };
  for (const auto& c : cases) {
    Chance most(1), half(0.5), none(0);
    Redial redial(url("ws://a/"), Advertised::no, kStart);
    redial.told(terms(c.spread));
    redial.dial_began();
    redial.dial_opened();
    TimePoint now = kStart + 60s;
    for (std::size_t i = 0; i < c.most_ms.size(); ++i) {
      // A copy tells what chance would have made of it.
      const auto act = [&](Redial& on, Random& random) {
        if (i == 0) return on.link_lost(now, random);
        on.dial_began();
        on.dial_failed(DialFailure::unreachable, now, random);
      };
      Redial with_half = redial, with_none = redial;
      act(with_half, half);
      act(with_none, none);
      act(redial, most);
      EXPECT_EQ(due_ms(redial, now), c.most_ms[i]) << i;
      EXPECT_EQ(due_ms(with_half, now), c.most_ms[i] / 2) << i;
      EXPECT_EQ(due_ms(with_none, now), 0) << i;
      now += 20s;
    }
    redial.path_changed(now);
    EXPECT_EQ(redial.due(), now);
    redial.dial_began();
    redial.dial_failed(DialFailure::unreachable, now, most);
    EXPECT_EQ(due_ms(redial, now), c.most_ms[1]) << "it begins anew";
  }
}

TEST(Redial, a_wait_of_the_gateway_comes_before_chance) {
  Chance half(0.5);
  Redial redial(url("ws://a/"), Advertised::yes, kStart);
  redial.told(terms(2s));
  redial.sent_away(10s, "", kStart, half);
  EXPECT_EQ(due_ms(redial), 11000);
  redial.sent_away(0s, "", kStart, half);  // no wait, and no second frame on that link: a failure
  EXPECT_EQ(due_ms(redial), 2000);
  redial.sent_away(300ms, "ws://b/", kStart, half);  // a redirect is for this client: no chance on top
  EXPECT_EQ(due_ms(redial), 300);
  redial.move(10s, "", kStart, half);
  EXPECT_EQ(due_ms(redial), 1000);
  redial.move(1s, "", kStart, half);  // well within the wait
  EXPECT_EQ(due_ms(redial), 250);
}

TEST(Redial, addresses_that_may_be_used) {
  const struct {
    std::string_view home;
    Advertised advertised;
    std::string_view told;
    bool used;
  } cases[] = {
      {"ws://a/", Advertised::yes, "ws://b/", true},
      {"ws://a/", Advertised::no, "ws://b/", false},
      {"ws://a/", Advertised::yes, "wss://b/", true},
      {"ws://a/", Advertised::yes, "tcp://b:1", true},
      {"ws://a/", Advertised::yes, "tls://b:1", true},
      {"wss://a/", Advertised::yes, "wss://b/", true},
      {"wss://a/", Advertised::yes, "tls://b:1", true},
      {"wss://a/", Advertised::yes, "ws://b/", false},  // from TLS none leads to plain
      {"wss://a/", Advertised::yes, "tcp://b:1", false},
      {"tls://a:1", Advertised::yes, "ws://b/", false},
      {"ws://a/", Advertised::yes, "http://b/", false},
      {"ws://a/", Advertised::yes, "https://b/", false},
      {"ws://a/", Advertised::yes, "b", false},
      {"ws://a/", Advertised::yes, "", false},
  };
  Chance none(0);
  for (const auto& c : cases) {
    Redial by_redirect(url(c.home), c.advertised, kStart);
    by_redirect.sent_away(0s, c.told, kStart, none);
    EXPECT_EQ(by_redirect.target().text(), c.used ? url(c.told).text() : url(c.home).text()) << c.told;
    Redial by_welcome(url(c.home), c.advertised, kStart);
    by_welcome.told(terms(1s, {std::string(c.told)}));
    EXPECT_EQ(by_welcome.target().text(), c.used ? url(c.told).text() : url(c.home).text()) << c.told;
  }
}

TEST(Redial, a_redirect_to_tls_does_not_lead_back_to_plain) {
  Chance none(0);
  Redial redial(url("ws://a/"), Advertised::yes, kStart);
  redial.sent_away(0s, "wss://b/", kStart, none);
  redial.dial_began();
  redial.sent_away(0s, "ws://c/", kStart, none);
  EXPECT_EQ(redial.target().text(), "ws://a/");
}

TEST(Redial, failed_addresses_take_turns_and_home_is_one_of_them) {
  Chance none(0);
  Redial redial(url("ws://home/"), Advertised::yes, kStart);
  redial.told(terms(1s, {"ws://b/", "ws://c/"}));
  std::string order;
  for (int i = 0; i < 5; ++i) {
    order += redial.target().host + " ";
    redial.dial_began();
    redial.dial_failed(DialFailure::unreachable, kStart, none);
  }
  EXPECT_EQ(order, "b c home b c ");
  redial.dial_began();
  redial.dial_opened();
  EXPECT_EQ(redial.target().host, "b");
}

TEST(Redial, at_most_three_redirects_in_a_row) {
  Chance none(0);
  Redial redial(url("ws://home/"), Advertised::yes, kStart);
  for (const std::string_view at : {"ws://b/", "ws://c/", "ws://d/", "ws://e/"}) {
    redial.sent_away(0s, at, kStart, none);
    EXPECT_EQ(redial.target().host, at == "ws://e/" ? "home" : std::string(at.substr(5, 1)));
    redial.dial_began();
  }
  redial.dial_opened();
  redial.sent_away(0s, "ws://f/", kStart, none);
  EXPECT_EQ(redial.target().host, "f");
  redial.dial_began();
  redial.dial_failed(DialFailure::unreachable, kStart, none);  // a redirect that leads nowhere
  EXPECT_EQ(redial.target().host, "home");
}

TEST(Redial, an_item_that_never_meets_a_101_is_left_out) {
  // 'i' dialled with the item if it may, 'f' it failed before the 101, 'u' unreachable, 'o' it opened. The
  // answer: whether the item may be used, before each dial.
  const struct {
    std::string_view dials, may;
  } cases[] = {
      {"ooo", "yyyy"},        //
      {"fo", "yny"},          // after a failure one dial without; where that opens, one more with it
      {"fofo", "ynynn"},      // and where that fails again, never more
      {"fofooo", "ynynnnn"},  //
      {"foo", "ynyy"},        //
      {"foofo", "ynyyny"},    // a success with it clears its name
      {"ff", "yny"},          // it fails without as well: the item is not to blame
      {"ffff", "ynyny"},      //
      {"uuu", "yyyy"},        // nothing was said to anybody
  };
  for (const auto& c : cases) {
    Chance none(0);
    Redial redial(url("ws://a/"), Advertised::no, kStart);
    std::string may;
    for (const char dial : c.dials) {
      may.push_back(redial.may_use_item() ? 'y' : 'n');
      redial.dial_began();
      if (dial != 'u' && redial.may_use_item()) redial.item_used();
      if (dial == 'o') redial.dial_opened();
      if (dial == 'f') redial.dial_failed(DialFailure::before_open, kStart, none);
      if (dial == 'u') redial.dial_failed(DialFailure::unreachable, kStart, none);
    }
    may.push_back(redial.may_use_item() ? 'y' : 'n');
    EXPECT_EQ(may, c.may) << c.dials;
  }
}

}  // namespace
}  // namespace rejoin::session
