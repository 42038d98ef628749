#include "proto/cookie_jar.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"

namespace rejoin::proto {
namespace {

using Stored = CookieJar::Stored;
constexpr UnixSeconds kNow = 1'700'000'000;

Url url(const char* text) { return *Url::parse(text); }

TEST(CookieJar, ExamplesOfRfc6265Section31) {
  CookieJar jar;
  const Url site = url("wss://www.example.com/");
  EXPECT_EQ(jar.store(site, "SID=31d4d96e407aad42", kNow), Stored::kept);
  EXPECT_EQ(jar.header_for(site, kNow), "SID=31d4d96e407aad42");
  EXPECT_EQ(jar.store(site, "SID=31d4d96e407aad42; Path=/; Domain=example.com", kNow), Stored::kept);
  EXPECT_EQ(jar.header_for(url("ws://other.example.com/"), kNow), "SID=31d4d96e407aad42");
  jar.clear();
  EXPECT_EQ(jar.store(site, "SID=31d4d96e407aad42; Path=/; Secure; HttpOnly", kNow), Stored::kept);
  EXPECT_EQ(jar.store(site, "lang=en-US; Path=/; Domain=example.com", kNow), Stored::kept);
  EXPECT_EQ(jar.header_for(site, kNow), "SID=31d4d96e407aad42; lang=en-US");
  EXPECT_EQ(jar.header_for(url("ws://www.example.com/"), kNow), "lang=en-US");
  EXPECT_EQ(jar.store(site, "lang=en-US; Expires=Wed, 09 Jun 2031 10:18:14 GMT", kNow), Stored::kept);
  EXPECT_EQ(jar.store(site, "lang=; Expires=Sun, 06 Nov 1994 08:49:37 GMT", kNow), Stored::deleted);
  EXPECT_EQ(jar.header_for(site, kNow), "SID=31d4d96e407aad42; lang=en-US");  // the one of Domain= is another
}

TEST(CookieJar, WhatIsKept) {
  const struct {
    const char *from, *set_cookie;
    Stored stored;
  } table[] = {
      {"ws://h.example/", "a=1", Stored::kept},
      {"ws://h.example/", "=1", Stored::no_name},
      {"ws://h.example/", "lone", Stored::no_name},
      {"ws://h.example/", "", Stored::no_name},
      {"ws://h.example/", "a=1\x01", Stored::bad_characters},
      {"ws://h.example/", "a=x\ty", Stored::bad_characters},
      {"ws://h.example/", "a=1; Domain=h.example", Stored::kept},
      {"ws://h.example/", "a=1; Domain=.H.Example", Stored::kept},
      {"ws://h.example/", "a=1; Domain=", Stored::kept},
      {"ws://h.example/", "a=1; Domain=example", Stored::foreign_domain},
      {"ws://h.example/", "a=1; Domain=other.example", Stored::foreign_domain},
      {"ws://h.example/", "a=1; Domain=sub.h.example", Stored::foreign_domain},
      {"ws://xh.example/", "a=1; Domain=h.example", Stored::foreign_domain},
      {"ws://localhost/", "a=1; Domain=localhost", Stored::kept},
      {"ws://127.0.0.1/", "a=1", Stored::kept},
      {"ws://127.0.0.1/", "a=1; Domain=127.0.0.1", Stored::kept},
      {"ws://127.0.0.1/", "a=1; Domain=0.0.1", Stored::foreign_domain},
      {"ws://[::1]/", "a=1; Domain=::1", Stored::kept},
      {"ws://h.example/", "a=1; Max-Age=0", Stored::already_expired},
      {"ws://h.example/", "a=1; Max-Age=-5", Stored::already_expired},
      {"ws://h.example/", "a=1; Max-Age=x; Expires=Sun, 06 Nov 1994 08:49:37 GMT", Stored::already_expired},
      {"ws://h.example/", "a=1; Max-Age=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT", Stored::kept},
      {"ws://h.example/", "a=1; Expires=nonsense", Stored::kept},
      {"ws://h.example/", "a=1; Secure", Stored::insecure},
      {"wss://h.example/", "a=1; Secure", Stored::kept},
      {"wss://h.example/", "__Secure-a=1", Stored::insecure},
      {"wss://h.example/", "__Secure-a=1; Secure", Stored::kept},
      {"wss://h.example/", "__Host-a=1; Secure", Stored::kept},
      {"wss://h.example/x/y", "__Host-a=1; Secure", Stored::insecure},
      {"wss://h.example/", "__Host-a=1; Secure; Path=/; Domain=h.example", Stored::insecure},
      {"wss://h.example/x/y", "__Host-a=1; Secure; Path=/", Stored::kept},
  };
  for (const auto& row : table) {
    CookieJar jar;
    EXPECT_EQ(jar.store(url(row.from), row.set_cookie, kNow), row.stored)
        << row.from << " " << row.set_cookie;
    EXPECT_EQ(jar.cookies().size(), row.stored == Stored::kept ? 1u : 0u) << row.set_cookie;
  }
  CookieJar jar;
  const std::string most = "a=" + std::string(limits::kCookieValueBytesMax - 1, 'x');
  EXPECT_EQ(jar.store(url("ws://h/"), most, kNow), Stored::kept);
  EXPECT_EQ(jar.store(url("ws://h/"), most + "x", kNow), Stored::too_large);
}

TEST(CookieJar, WhereACookieIsSent) {
  const struct {
    const char *from, *set_cookie, *to;
    bool sent;
  } table[] = {
      {"ws://h.example:8000/", "a=1", "ws://h.example:9000/", true},  // ports do not count
      {"ws://h.example/", "a=1", "wss://H.EXAMPLE/", true},
      {"ws://h.example/", "a=1", "ws://sub.h.example/", false},
      {"ws://h.example/", "a=1; Domain=h.example", "ws://sub.h.example/", true},
      {"ws://sub.h.example/", "a=1; Domain=h.example", "ws://h.example/", true},
      {"ws://h.example/", "a=1; Domain=h.example", "ws://xh.example/", false},
      {"ws://127.0.0.1/", "a=1", "ws://127.0.0.1:8000/", true},
      {"ws://127.0.0.1/", "a=1", "ws://127.0.0.2/", false},
      {"ws://[::1]/", "a=1", "ws://[0:0::1]/", true},
      {"ws://h/a/b", "a=1", "ws://h/a", true},
      {"ws://h/a/b", "a=1", "ws://h/a/c?q", true},
      {"ws://h/a/b", "a=1", "ws://h/", false},
      {"ws://h/a/b", "a=1", "ws://h/ab", false},
      {"ws://h/a/b", "a=1; Path=/", "ws://h/", true},
      {"ws://h/a/b", "a=1; Path=x", "ws://h/a/z", true},
      {"ws://h/", "a=1; Path=/a/", "ws://h/a/b", true},
      {"ws://h/", "a=1; Path=/a/", "ws://h/a", false},
      {"ws://h/?q=/x/y", "a=1", "ws://h/", true},
      {"wss://h/", "a=1; Secure", "https://h/", true},
      {"wss://h/", "a=1; Secure", "ws://h/", false},
      {"ws://h/", "a=1; HttpOnly; SameSite=Strict", "ws://h/", true},
  };
  for (const auto& row : table) {
    CookieJar jar;
    ASSERT_EQ(jar.store(url(row.from), row.set_cookie, kNow), Stored::kept) << row.set_cookie;
    EXPECT_EQ(jar.header_for(url(row.to), kNow), row.sent ? "a=1" : "")
        << row.from << " " << row.set_cookie << " " << row.to;
  }
}

TEST(CookieJar, OrderReplacementAndEnd) {
  CookieJar jar;
  const Url site = url("ws://h/a/b/c");
  EXPECT_EQ(jar.store(site, "one=1; Path=/", kNow), Stored::kept);
  EXPECT_EQ(jar.store(site, "two=1; Path=/a/b", kNow), Stored::kept);
  EXPECT_EQ(jar.store(site, "three=1; Path=/; Max-Age=10", kNow), Stored::kept);
  EXPECT_EQ(jar.store(site, "one=2; Path=/", kNow), Stored::replaced);  // keeps its place
  EXPECT_EQ(jar.header_for(site, kNow), "two=1; one=2; three=1");
  EXPECT_EQ(jar.header_for(site, kNow + 9), "two=1; one=2; three=1");
  EXPECT_EQ(jar.header_for(site, kNow + 10), "two=1; one=2");
  EXPECT_EQ(jar.cookies().size(), 2u);
  EXPECT_EQ(jar.store(site, "one=; Path=/; Max-Age=0", kNow), Stored::deleted);
  EXPECT_EQ(jar.header_for(site, kNow), "two=1");
  EXPECT_EQ(jar.store(site, "x=1; Max-Age=99999999999999999999", kNow), Stored::kept);
  EXPECT_EQ(jar.cookies().back().expires, 253402300799);
}

TEST(CookieJar, AnAddressWithoutTlsDoesNotHideASecureCookie) {
  CookieJar jar;
  ASSERT_EQ(jar.store(url("wss://h.example/"), "a=1; Secure", kNow), Stored::kept);
  EXPECT_EQ(jar.store(url("ws://h.example/"), "a=2", kNow), Stored::insecure);
  EXPECT_EQ(jar.store(url("ws://sub.h.example/"), "a=2; Domain=h.example", kNow), Stored::insecure);
  EXPECT_EQ(jar.store(url("ws://h.example/"), "b=2", kNow), Stored::kept);
  EXPECT_EQ(jar.store(url("wss://h.example/"), "a=2", kNow), Stored::replaced);
}

TEST(CookieJar, HoldsAtMostItsLimits) {
  CookieJar jar;
  for (std::size_t i = 0; i < limits::kJarCookiesPerDomainMax + 5; ++i) {
    jar.store(url("ws://many.example/"), "n" + std::to_string(i) + "=1", kNow);
  }
  EXPECT_EQ(jar.cookies().size(), limits::kJarCookiesPerDomainMax);
  EXPECT_EQ(jar.cookies().front().name, "n5");
  for (std::size_t i = 0; i < limits::kJarCookiesMax; ++i) {
    jar.store(url(("ws://h" + std::to_string(i) + ".example/").c_str()), "a=1", kNow);
  }
  EXPECT_EQ(jar.cookies().size(), limits::kJarCookiesMax);
  EXPECT_EQ(jar.cookies().front().domain, "h0.example");
}

TEST(CookieJar, FileAsCurlWritesIt) {
  CookieJar jar;
  const Status loaded = jar.load(
      "# Netscape HTTP Cookie File\n# https://curl.se/docs/http-cookies.html\n\n"
      "127.0.0.1\tFALSE\t/\tFALSE\t0\tREJOIN\tabc\r\n"
      "#HttpOnly_.example.com\tTRUE\t/\tTRUE\t1800000000\tSID\tx=y\n"
      "old.example\tFALSE\t/\tFALSE\t1\tgone\tx\n"
      "e.example\tFALSE\t/p\tFALSE\t0\tempty\t\n"
      "f.example\tFALSE\t/p\tFALSE\t0\tempty",
      kNow);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  ASSERT_EQ(jar.cookies().size(), 4u);
  EXPECT_EQ(jar.header_for(url("ws://127.0.0.1:8000/"), kNow), "REJOIN=abc");
  EXPECT_EQ(jar.header_for(url("wss://a.example.com/"), kNow), "SID=x=y");
  EXPECT_EQ(jar.header_for(url("ws://a.example.com/"), kNow), "");
  EXPECT_TRUE(jar.cookies()[1].http_only);
  EXPECT_EQ(jar.header_for(url("ws://f.example/p"), kNow), "empty=");
  EXPECT_EQ(jar.save(kNow),
            "# Netscape HTTP Cookie File\n"
            "127.0.0.1\tFALSE\t/\tFALSE\t0\tREJOIN\tabc\n"
            "#HttpOnly_.example.com\tTRUE\t/\tTRUE\t1800000000\tSID\tx=y\n"
            "e.example\tFALSE\t/p\tFALSE\t0\tempty\t\n"
            "f.example\tFALSE\t/p\tFALSE\t0\tempty\t\n");
}

TEST(CookieJar, SavedAndLoadedIsTheSame) {
  CookieJar jar;
  jar.store(url("wss://h.example/a/b"), "a=1; Secure; HttpOnly; Domain=h.example; Max-Age=100", kNow);
  jar.store(url("ws://[::1]:8000/"), "b=\"x y\"", kNow);
  jar.store(url("ws://127.0.0.1/"), "c=; Path=/x", kNow);
  const std::string file = jar.save(kNow);
  CookieJar again;
  ASSERT_TRUE(again.load(file, kNow));
  EXPECT_EQ(again.save(kNow), file);
  EXPECT_EQ(again.header_for(url("wss://s.h.example/a/z"), kNow), "a=1");
  EXPECT_EQ(again.header_for(url("ws://[::1]:9/"), kNow), "b=\"x y\"");
}

TEST(CookieJar, WrongLinesAreToldByNumberAndChangeNothing) {
  const struct {
    const char *line, *says;
  } table[] = {
      {"just words", "seven columns"},
      {"h\tFALSE\t/\tFALSE\t0", "seven columns"},
      {"h\tFALSE\t/\tFALSE\t0\ta\tb\tc", "seven columns"},
      {"\tFALSE\t/\tFALSE\t0\ta\tb", "first column"},
      {"..h\tTRUE\t/\tFALSE\t0\ta\tb", "first column"},
      {"h\tno\t/\tFALSE\t0\ta\tb", "second column"},
      {"h\tFALSE\tx\tFALSE\t0\ta\tb", "third column"},
      {"h\tFALSE\t/\t0\t0\ta\tb", "fourth column"},
      {"h\tFALSE\t/\tFALSE\tnever\ta\tb", "fifth column"},
      {"h\tFALSE\t/\tFALSE\t-1\ta\tb", "fifth column"},
      {"h\tFALSE\t/\tFALSE\t0\t\tb", "sixth column"},
      {"h\tFALSE\t/\tFALSE\t0\ta\tb; c=d", "';'"},
      {"h\tFALSE\t/\tFALSE\t0\ta=x\tb", "'='"},
      {"h\tFALSE\t/\tFALSE\t0\ta\tb\x01", "control"},
  };
  for (const auto& row : table) {
    CookieJar jar;
    jar.store(url("ws://h/"), "kept=1", kNow);
    const Status status =
        jar.load(std::string("# comment\nh\tFALSE\t/\tFALSE\t0\tfine\tx\n") + row.line + "\n", kNow);
    ASSERT_FALSE(status) << row.line;
    EXPECT_NE(status.error().detail.find("line 3"), std::string::npos) << status.error().detail;
    EXPECT_NE(status.error().detail.find(row.says), std::string::npos) << status.error().detail;
    EXPECT_EQ(jar.header_for(url("ws://h/"), kNow), "kept=1");
  }
}

TEST(CookieJar, DefaultPaths) {
  const struct {
    const char *path, *directory;
  } table[] = {{"/", "/"},        {"/a", "/"}, {"/a/", "/a"}, {"/a/b", "/a"},
               {"/a/b/", "/a/b"}, {"", "/"},   {"x/y", "/"}};
  for (const auto& row : table) EXPECT_EQ(default_cookie_path(row.path), row.directory) << row.path;
}

}  // namespace
}  // namespace rejoin::proto
