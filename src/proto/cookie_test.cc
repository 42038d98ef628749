#include "proto/cookie.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"

namespace rejoin::proto {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs all_of(std::string_view header) {
  Pairs pairs;
  CookieReader reader(header);
  while (const auto pair = reader.next()) pairs.emplace_back(pair->name, pair->value);
  EXPECT_FALSE(reader.next());
  return pairs;
}

TEST(Cookie, PairsAsClientsSendThem) {
  const struct {
    const char* header;
    Pairs pairs;
  } table[] = {
      {"", {}},
      {"SID=31d4d96e407aad42; lang=en-US", {{"SID", "31d4d96e407aad42"}, {"lang", "en-US"}}},  // RFC 6265 3.1
      {"a=1;b=2", {{"a", "1"}, {"b", "2"}}},
      {" a = 1 ;\tb =2 ", {{"a", "1"}, {"b", "2"}}},
      {";; a=1;;; ;b=2; ;", {{"a", "1"}, {"b", "2"}}},
      {"a=", {{"a", ""}}},
      {"a", {{"", "a"}}},
      {"=a", {{"", "a"}}},
      {"=", {{"", ""}}},
      {"a=b=c==", {{"a", "b=c=="}}},
      {"a=\"x; y\"", {{"a", "\"x"}, {"", "y\""}}},  // quotation marks do not hold a ';'
      {"a=\"x\"; b=1", {{"a", "\"x\""}, {"b", "1"}}},
      {"a=x,REJOIN=forged; REJOIN=good", {{"a", "x,REJOIN=forged"}, {"REJOIN", "good"}}},
      {"a=1; A=2; a=3", {{"a", "1"}, {"A", "2"}, {"a", "3"}}},
      {"$Version=1; a=1", {{"$Version", "1"}, {"a", "1"}}},
      {"n\xc3\xa4me=v\xff", {{"n\xc3\xa4me", "v\xff"}}},
      {"a=1 2\t3", {{"a", "1 2\t3"}}},
  };
  for (const auto& row : table) EXPECT_EQ(all_of(row.header), row.pairs) << row.header;
}

TEST(Cookie, FindsTheFirstByExactName) {
  const std::string_view header = "REJOINX=0; rejoin=1; XREJOIN=2; REJOIN=3; REJOIN=4; x=REJOIN=5";
  const auto found = find_cookie(header, "REJOIN");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->value, "3");
  EXPECT_EQ(found->value.data(), header.data() + header.find("3"));
  EXPECT_FALSE(find_cookie(header, "REJOI"));
  EXPECT_FALSE(find_cookie(header, "x=REJOIN"));
  EXPECT_FALSE(find_cookie("", "REJOIN"));
  EXPECT_EQ(find_cookie("lone", "")->value, "lone");
}

TEST(Cookie, StripAndReplaceLeaveTheOthersAlone) {
  const struct {
    const char *header, *stripped, *replaced;  // of R; nullptr: absent, "": emptied
  } table[] = {
      {"R=x", "", "R=NEW"},
      {" R = x ; ", "", "R = NEW"},
      {";R=x;", "", "R=NEW"},
      {"R=x; a=1", "a=1", "R=NEW; a=1"},
      {"R=x;a=1;b", "a=1; b", "R=NEW; a=1; b"},
      {"a=1; R=x", "a=1", "a=1; R=NEW"},
      {"a=1; R=x; b=2", "a=1; b=2", "a=1; R=NEW; b=2"},
      {"a=1 ;  b = \"q,\" ;R=x; c=3", "a=1 ;  b = \"q,\"; c=3", "a=1 ;  b = \"q,\"; R=NEW; c=3"},
      {"R=x; a=1; R=y", "a=1", "R=NEW; a=1; R=NEW"},
      {"R=x; R=y; R=z", "", "R=NEW; R=NEW; R=NEW"},
      {"a=1; R", nullptr, nullptr},
      {"a=R=x; r=1; RR=2; =R", nullptr, nullptr},
      {"", nullptr, nullptr},
      {"R=", "", "R=NEW"},
      {"a=1; R=; b=2", "a=1; b=2", "a=1; R=NEW; b=2"},
      {"R=\"quoted\"; a=1", "a=1", "R=NEW; a=1"},
  };
  for (const auto& row : table) {
    std::string out = "KEPT";
    const CookieEdit stripped = strip_cookie(row.header, "R", out);
    const CookieEdit expected = row.stripped == nullptr ? CookieEdit::absent
                                : *row.stripped == '\0' ? CookieEdit::emptied
                                                        : CookieEdit::changed;
    EXPECT_EQ(stripped, expected) << row.header;
    EXPECT_EQ(out, std::string("KEPT") + (row.stripped == nullptr ? "" : row.stripped)) << row.header;
    out = "KEPT";
    const CookieEdit replaced = replace_cookie_value(row.header, "R", "NEW", out);
    EXPECT_EQ(replaced, row.replaced == nullptr ? CookieEdit::absent : CookieEdit::changed) << row.header;
    EXPECT_EQ(out, std::string("KEPT") + (row.replaced == nullptr ? "" : row.replaced)) << row.header;
  }
}

TEST(Cookie, EditDecidesForEachOfThatName) {
  std::string out;
  const auto edit = [](std::string_view value) -> std::optional<std::string_view> {
    if (value == "drop") return std::nullopt;
    return value.substr(value.find('~') + 1);
  };
  EXPECT_EQ(edit_cookies("S=g1~abc; x=1; S=drop; S=plain; y=2", "S", edit, out), CookieEdit::changed);
  EXPECT_EQ(out, "S=abc; x=1; S=plain; y=2");
}

TEST(Cookie, PartsForEditsWithoutACopy) {
  const struct {
    const char *header, *before, *after;
  } table[] = {
      {"R=x", "", ""},
      {" R=x ;; ", "", ""},
      {"R=x; a=1", "", "a=1"},
      {"a=1; R=x", "a=1", ""},
      {"a=1; R=x; b=2", "a=1", "; b=2"},
      {"a=1 ;R=x ;b=2", "a=1", ";b=2"},
      {"; ; R=x; b=2", "", "b=2"},
      {"a=1; R=x; ", "a=1", ""},
      {"a=1; R=; b=2", "a=1", "; b=2"},
      {"a=1;R=", "a=1", ""},
      {"R=", "", ""},
  };
  for (const auto& row : table) {
    const auto pair = find_cookie(row.header, "R");
    ASSERT_TRUE(pair) << row.header;
    const FieldParts parts = without_cookie(row.header, *pair);
    EXPECT_EQ(parts.before, row.before) << row.header;
    EXPECT_EQ(parts.after, row.after) << row.header;
    EXPECT_EQ(parts.empty(), *row.before == '\0' && *row.after == '\0');
  }
  const std::string_view header = "a=1; R = x ; b=2";
  const FieldParts parts = around_value(header, *find_cookie(header, "R"));
  EXPECT_EQ(parts.before, "a=1; R = ");
  EXPECT_EQ(parts.after, " ; b=2");
}

TEST(SetCookie, TakenApartAsBrowsersDo) {
  SetCookie c = SetCookie::parse("SID=31d4d96e407aad42; Path=/; Secure; HttpOnly");
  EXPECT_EQ(c.name, "SID");
  EXPECT_EQ(c.value, "31d4d96e407aad42");
  EXPECT_EQ(c.path, "/");
  EXPECT_TRUE(c.secure && c.http_only && !c.partitioned && !c.domain && !c.expires && !c.max_age);

  c = SetCookie::parse(
      " a = b=c ;domain= .Example.com ;MAX-AGE = 60;expires=Wed, 09 Jun 2021 10:18:14 "
      "GMT;SameSite=lax;partitioned;unknown=1;;");
  EXPECT_EQ(c.name, "a");
  EXPECT_EQ(c.value, "b=c");
  EXPECT_EQ(c.domain, ".Example.com");
  EXPECT_EQ(c.max_age, "60");
  EXPECT_EQ(c.expires, "Wed, 09 Jun 2021 10:18:14 GMT");
  EXPECT_EQ(c.same_site, SameSite::lax);
  EXPECT_TRUE(c.partitioned && !c.secure);

  c = SetCookie::parse("a=1; Path=/x; Path=/y; SameSite=Strict; SameSite=whatever");
  EXPECT_EQ(c.path, "/y");
  EXPECT_EQ(c.same_site, SameSite::unset);
  EXPECT_EQ(SetCookie::parse("a=1; SameSite=NONE").same_site, SameSite::none);
  EXPECT_EQ(SetCookie::parse("a=1; Path=").path, "");
  EXPECT_EQ(SetCookie::parse("alone; Secure").name, "");
  EXPECT_EQ(SetCookie::parse("alone; Secure").value, "alone");
  EXPECT_EQ(SetCookie::parse("").name, "");
  EXPECT_EQ(SetCookie::parse("; Secure").value, "");
  EXPECT_TRUE(SetCookie::parse("a=1; secure=no").secure);  // the name alone counts
}

TEST(SetCookie, AttributesForShowing) {
  std::vector<std::string> shown;
  CookieAttributes attributes(SetCookie::parse("a=1;Path=/ ; HttpOnly;; Max-Age = 5").attributes);
  while (const auto attribute = attributes.next()) shown.emplace_back(attribute->whole);
  EXPECT_EQ(shown, (std::vector<std::string>{"Path=/", "HttpOnly", "Max-Age = 5"}));
}

TEST(SetCookie, ValueReplacedInPlace) {
  const struct {
    const char *field, *replaced;
  } table[] = {
      {"SRV=old; Path=/", "SRV=NEW; Path=/"},
      {"SRV=", "SRV=NEW"},
      {" SRV = old ;Path=/;X", " SRV = NEW ;Path=/;X"},
      {"SRV=\"old\"", "SRV=NEW"},
      {"SRV=; Path=/", "SRV=NEW; Path=/"},
  };
  for (const auto& row : table) {
    const SetCookie parsed = SetCookie::parse(row.field);
    const FieldParts parts = around_value(row.field, parsed);
    EXPECT_EQ(std::string(parts.before) + "NEW" + std::string(parts.after), row.replaced);
  }
}

TEST(SetCookie, Written) {
  CookieSpec spec;
  spec.name = "REJOIN";
  spec.value = "abc_-";
  std::string out;
  ASSERT_TRUE(write_set_cookie(spec, out));
  EXPECT_EQ(out, "REJOIN=abc_-; Path=/");
  spec.domain = "game.example";
  spec.path = "/play";
  spec.max_age_s = 60;
  spec.expires = 784111777;
  spec.same_site = SameSite::none;
  spec.secure = spec.http_only = spec.partitioned = true;
  out = "x: ";
  ASSERT_TRUE(write_set_cookie(spec, out));
  EXPECT_EQ(
      out,
      "x: REJOIN=abc_-; Path=/play; Domain=game.example; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT; "
      "Secure; HttpOnly; SameSite=None; Partitioned");
  const SetCookie again = SetCookie::parse(std::string_view(out).substr(3));
  EXPECT_TRUE(again.secure && again.http_only && again.partitioned);
  EXPECT_EQ(again.same_site, SameSite::none);
  EXPECT_EQ(parse_cookie_date(*again.expires), 784111777);
}

TEST(SetCookie, WrongSpecsAreNamed) {
  const auto spec = [](auto change) {
    CookieSpec s;
    s.name = "N", s.value = "v";
    change(s);
    return s;
  };
  const std::string long_value(limits::kCookieValueBytesMax + 1, 'v');
  const struct {
    CookieSpec spec;
    const char* says;
  } table[] = {
      {spec([](CookieSpec& s) { s.name = ""; }), "name"},
      {spec([](CookieSpec& s) { s.name = "a b"; }), "name"},
      {spec([](CookieSpec& s) { s.name = "a=b"; }), "name"},
      {spec([](CookieSpec& s) { s.name = "a\r\n"; }), "name"},
      {spec([](CookieSpec& s) { s.value = "a b"; }), "value"},
      {spec([](CookieSpec& s) { s.value = "a;b"; }), "value"},
      {spec([](CookieSpec& s) { s.value = "a,b"; }), "value"},
      {spec([](CookieSpec& s) { s.value = "a\"b"; }), "value"},
      {spec([](CookieSpec& s) { s.value = "\""; }), "value"},
      {spec([](CookieSpec& s) { s.value = "a\\b"; }), "value"},
      {spec([](CookieSpec& s) { s.value = "a\r\nSet-Cookie: b=c"; }), "value"},
      {spec([](CookieSpec& s) { s.value = "\xc3\xa4"; }), "value"},
      {spec([&](CookieSpec& s) { s.value = long_value; }), "longer"},
      {spec([](CookieSpec& s) { s.domain = "a;b"; }), "domain"},
      {spec([](CookieSpec& s) { s.domain = "a b"; }), "domain"},
      {spec([](CookieSpec& s) { s.domain = "a\n"; }), "domain"},
      {spec([](CookieSpec& s) { s.path = "x"; }), "path"},
      {spec([](CookieSpec& s) { s.path = "/;x"; }), "path"},
      {spec([](CookieSpec& s) { s.path = "/\r\n"; }), "path"},
      {spec([](CookieSpec& s) { s.same_site = SameSite::none; }), "Secure"},
      {spec([](CookieSpec& s) { s.partitioned = true; }), "Secure"},
      {spec([](CookieSpec& s) { s.name = "__Secure-x"; }), "Secure"},
      {spec([](CookieSpec& s) { s.name = "__Host-x"; }), "Secure"},
      {spec([](CookieSpec& s) { s.name = "__host-x", s.secure = true, s.path = "/a"; }), "path"},
      {spec([](CookieSpec& s) { s.name = "__Host-x", s.secure = true, s.domain = "a.b"; }), "domain"},
  };
  for (const auto& row : table) {
    std::string out;
    const Status status = write_set_cookie(row.spec, out);
    ASSERT_FALSE(status) << row.spec.name << "=" << row.spec.value;
    EXPECT_NE(status.error().detail.find(row.says), std::string::npos) << status.error().detail;
    EXPECT_EQ(out, "");
  }
  EXPECT_TRUE(spec([](CookieSpec& s) { s.name = "__Host-x", s.secure = true; }).check());
  EXPECT_TRUE(spec([](CookieSpec& s) { s.value = "\"quoted\""; }).check());
  EXPECT_TRUE(spec([](CookieSpec& s) { s.value = ""; }).check());
}

TEST(CookieDate, ReadAsRfc6265Orders) {
  const struct {
    const char* text;
    std::optional<UnixSeconds> when;
  } table[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
      {"Sun Nov  6 08:49:37 1994", 784111777},
      {"Wed, 09 Jun 2021 10:18:14 GMT", 1623233894},
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Thu, 01-Jan-1970 00:00:01 GMT", 1},
      {"1994 nov 6 8:49:37", 784111777},
      {"06 NOVEMBER 1994 08:49:37.5x", 784111777},
      {"6 Nov 94 08:49:37", 784111777},
      {"1 Jan 69 00:00:00", 3124224000},
      {"1 Jan 70 00:00:00", 0},
      {"1 Jan 00 00:00:00", 946684800},
      {"29 Feb 2024 00:00:00", 1709164800},
      {"31 Dec 9999 23:59:59", 253402300799},
      {"", std::nullopt},
      {"0", std::nullopt},
      {"session", std::nullopt},
      {"29 Feb 2023 00:00:00", std::nullopt},
      {"31 Apr 2023 00:00:00", std::nullopt},
      {"0 Jan 2023 00:00:00", std::nullopt},
      {"1 Jan 1600 00:00:00", std::nullopt},
      {"1 Jan 2023 24:00:00", std::nullopt},
      {"1 Jan 2023 00:60:00", std::nullopt},
      {"1 Jan 2023 00:00:60", std::nullopt},
      {"1 Jan 2023 00:00", std::nullopt},
      {"1 Jan 2023", std::nullopt},
      {"Jan 2023 00:00:00", std::nullopt},
      {"1 2023 00:00:00", std::nullopt},
      {"1 Jan 00:00:00", std::nullopt},
      {"1 Jan 20230 00:00:00", std::nullopt},
      {"1 Jan 2023 000:00:00", std::nullopt},
  };
  for (const auto& row : table) EXPECT_EQ(parse_cookie_date(row.text), row.when) << row.text;
}

TEST(CookieDate, WrittenAndReadAgain) {
  EXPECT_EQ(cookie_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(cookie_date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(cookie_date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(cookie_date(INT64_MIN), "Mon, 01 Jan 1601 00:00:00 GMT");
  for (UnixSeconds when = -11644473600; when < 253402300799; when += 98765432) {
    ASSERT_EQ(parse_cookie_date(cookie_date(when)), when) << cookie_date(when);
  }
}

}  // namespace
}  // namespace rejoin::proto
