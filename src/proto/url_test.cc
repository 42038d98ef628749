#include "proto/url.h"

#include <gtest/gtest.h>

namespace rejoin::proto {
namespace {

TEST(Url, GoodAddresses) {
  const struct {
    const char* text;
    Scheme scheme;
    HostKind kind;
    const char* host;
    int port;
    const char *target, *authority, *path, *again;
  } table[] = {
      {"ws://game.example", Scheme::ws, HostKind::name, "game.example", 80, "/", "game.example", "/",
       "ws://game.example/"},
      {"WSS://Game.Example/Play?room=A%20b", Scheme::wss, HostKind::name, "game.example", 443,
       "/Play?room=A%20b", "game.example", "/Play", "wss://game.example/Play?room=A%20b"},
      {"ws://127.0.0.1:8000/", Scheme::ws, HostKind::ipv4, "127.0.0.1", 8000, "/", "127.0.0.1:8000", "/",
       "ws://127.0.0.1:8000/"},
      {"ws://[::1]:8000?a=/b", Scheme::ws, HostKind::ipv6, "::1", 8000, "/?a=/b", "[::1]:8000", "/",
       "ws://[::1]:8000/?a=/b"},
      {"http://[2001:DB8:0:0::1]", Scheme::http, HostKind::ipv6, "2001:db8::1", 80, "/", "[2001:db8::1]", "/",
       "http://[2001:db8::1]/"},
      {"tcp://localhost:7000", Scheme::tcp, HostKind::name, "localhost", 7000, "", "localhost:7000", "/",
       "tcp://localhost:7000"},
      {"tls://h:1/", Scheme::tls, HostKind::name, "h", 1, "", "h:1", "/", "tls://h:1"},
      {"https://a_b.example.:65535/x", Scheme::https, HostKind::name, "a_b.example.", 65535, "/x",
       "a_b.example.:65535", "/x", "https://a_b.example.:65535/x"},
      {"wss://h:443/x", Scheme::wss, HostKind::name, "h", 443, "/x", "h", "/x", "wss://h/x"},
      {"ws://h:00080", Scheme::ws, HostKind::name, "h", 80, "/", "h", "/", "ws://h/"},
      {"ws://[::ffff:1.2.3.4]:5/", Scheme::ws, HostKind::ipv4, "1.2.3.4", 5, "/", "1.2.3.4:5", "/",
       "ws://1.2.3.4:5/"},
  };
  for (const auto& row : table) {
    const Result<Url> url = Url::parse(row.text);
    ASSERT_TRUE(url) << row.text << ": " << url.error().detail;
    EXPECT_EQ(url->scheme, row.scheme) << row.text;
    EXPECT_EQ(url->host_kind, row.kind) << row.text;
    EXPECT_EQ(url->host, row.host);
    EXPECT_EQ(url->port, row.port);
    EXPECT_EQ(url->target, row.target);
    EXPECT_EQ(url->authority(), row.authority);
    EXPECT_EQ(url->path(), row.path);
    EXPECT_EQ(url->text(), row.again);
    const Result<Url> again = Url::parse(url->text());
    ASSERT_TRUE(again) << url->text();
    EXPECT_EQ(*again, *url);
  }
}

TEST(Url, SecureSchemes) {
  for (const char* text : {"wss://h", "https://h", "tls://h:1"})
    EXPECT_TRUE(Url::parse(text)->secure()) << text;
  for (const char* text : {"ws://h", "http://h", "tcp://h:1"})
    EXPECT_FALSE(Url::parse(text)->secure()) << text;
}

TEST(Url, WrongAddressesSayWhatWouldBeRight) {
  const struct {
    const char *text, *says;
  } table[] = {
      {"", "no scheme"},
      {"localhost:8000", "no scheme"},
      {"ws:/h", "no scheme"},
      {"://h", "not known"},
      {"wsx://h", "use ws, wss"},
      {"ftp://h", "use ws, wss"},
      {"ws://", "host is missing"},
      {"ws://:80", "host is missing"},
      {"ws:///x", "host is missing"},
      {"ws://user:pw@h/", "user name"},
      {"ws://h/#top", "%23"},
      {"ws://h:0/", "1 to 65535"},
      {"ws://h:/", "1 to 65535"},
      {"ws://h:65536", "1 to 65535"},
      {"ws://h:999999999999", "1 to 65535"},
      {"ws://h:8o", "1 to 65535"},
      {"ws://h:+80", "1 to 65535"},
      {"ws://1.2.3.256", "no IPv4"},
      {"ws://1.2.3", "no IPv4"},
      {"ws://12345", "no IPv4"},
      {"ws://::1:80", "brackets"},
      {"ws://[::1", "']' is missing"},
      {"ws://[::1]80", "only ':'"},
      {"ws://[::g]", "no IPv6"},
      {"ws://[1.2.3.4]", "no IPv6"},
      {"ws://[]", "no IPv6"},
      {"ws://a b/", "no host name"},
      {"ws://a..b/", "no host name"},
      {"ws://.a/", "no host name"},
      {"ws://h\xc3\xa4/", "no host name"},
      {"ws://h/a b", "a space must be written as %20"},
      {"ws://h/a\"b", "'\"' must be written as %22"},
      {"ws://h/\xc3\xa4", "%C3"},
      {"ws://h/a\nb", "%0A"},
      {"ws://h/%", "two hexadecimal"},
      {"ws://h/%4", "two hexadecimal"},
      {"ws://h/%zz", "two hexadecimal"},
      {"tcp://h", "needs a port"},
      {"tcp://h:1/x", "no path"},
      {"tls://h:1?x", "no path"},
  };
  for (const auto& row : table) {
    const Result<Url> url = Url::parse(row.text);
    ASSERT_FALSE(url) << row.text;
    EXPECT_EQ(url.error().kind, ErrorKind::bad_input);
    EXPECT_NE(url.error().detail.find(row.says), std::string::npos)
        << row.text << " -> " << url.error().detail;
  }
  EXPECT_FALSE(Url::parse("ws://h/" + std::string(5000, 'x')));
  EXPECT_TRUE(Url::parse("ws://h/" + std::string(2000, 'x')));
  EXPECT_FALSE(Url::parse("ws://" + std::string(254, 'x')));
}

}  // namespace
}  // namespace rejoin::proto
