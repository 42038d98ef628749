#include "proto/client_hello.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace rejoin::proto {
namespace {

std::string u16(std::size_t number) { return {static_cast<char>(number >> 8), static_cast<char>(number)}; }
std::string u24(std::size_t number) { return static_cast<char>(number >> 16) + u16(number & 0xffff); }
std::string vector16(const std::string& bytes) { return u16(bytes.size()) + bytes; }
std::string extension(std::size_t type, const std::string& body) { return u16(type) + vector16(body); }
std::string host_name(const std::string& name) { return std::string(1, '\0') + vector16(name); }
std::string server_name(const std::string& names) { return extension(0, vector16(names)); }

const std::string kAlpn = extension(16, vector16(std::string("\x02h2", 3)));

std::string body(const std::string& extensions, bool with_extensions = true) {
  std::string out("\x03\x03", 2);
  out += std::string(32, 'r') + std::string(1, '\x20') + std::string(32, 's');
  out += vector16(std::string("\x13\x01\x13\x02", 4)) + std::string("\x01\x00", 2);
  return with_extensions ? out + vector16(extensions) : out;
}
std::string message(const std::string& of) { return '\x01' + u24(of.size()) + of; }
std::string record(const std::string& part) { return std::string("\x16\x03\x01", 3) + vector16(part); }
/// In records of so many bytes.
std::string records(const std::string& whole, std::size_t each) {
  std::string out;
  for (std::size_t at = 0; at < whole.size(); at += each) out += record(whole.substr(at, each));
  return out;
}
std::string hello(const std::string& extensions) { return record(message(body(extensions))); }

/// On memory that ends with its input.
HelloVerdict read(const std::string& bytes, ClientHello& out) {
  const auto exact = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  return read_client_hello({exact.get(), bytes.size()}, out);
}

TEST(ClientHello, finds_the_name_however_it_is_cut_and_spread_over_records) {
  const struct {
    std::string message, name;
  } cases[] = {
      {message(body(server_name(host_name("play.example")) + kAlpn)), "play.example"},
      {message(body(kAlpn + server_name(host_name("Play.EXAMPLE")))), "play.example"},
      {message(body(server_name(host_name("xn--bcher-kva.example")))), "xn--bcher-kva.example"},
      {message(body(kAlpn)), ""},
      {message(body("")), ""},
      {message(body("", false)), ""},
      {message(body(extension(21, std::string(1500, '\0')) + server_name(host_name("padded.example")))),
       "padded.example"},
      {message(body(server_name(std::string("\x07\x00\x01x", 4) + host_name("a.b")))),
       "a.b"},  // another kind of name
  };
  for (const auto& it : cases) {
    for (const std::size_t each : {it.message.size(), std::size_t{5}, std::size_t{7}, std::size_t{100}}) {
      if (it.message.size() / each + 1 > kClientHelloRecordsMax) continue;
      const std::string all = records(it.message, each);
      ClientHello hello;
      for (std::size_t cut = 0; cut < all.size(); ++cut) {
        const HelloVerdict part = read(all.substr(0, cut), hello);
        ASSERT_EQ(part.state, HelloState::need_more) << it.name << " cut at " << cut << ": " << part.reason;
      }
      const HelloVerdict whole = read(all, hello);
      ASSERT_EQ(whole.state, HelloState::complete) << it.name << " by " << each << ": " << whole.reason;
      EXPECT_EQ(hello.name, it.name);
    }
  }
}

TEST(ClientHello, refuses_all_else_as_soon_as_it_shows) {
  const std::string good = body(server_name(host_name("a.b")));
  const std::string cases[] = {
      "GET / HTTP/1.1\r\n",
      std::string("\x16\x02\x01\x00\x05", 5) + "hello",
      std::string("\x15\x03\x01\x00\x02\x02\x28", 7),
      std::string("\x16\x03\x01\x00\x00", 5),
      std::string("\x16\x03\x01\x40\x01", 5),
      record(std::string("\x02\x00\x00\x04", 4) + "abcd"),  // a ServerHello
      record(message(good) + "x"),
      record(message(good).substr(0, 20)) + std::string("\x17\x03\x03\x00\x01x", 6),
      record(message("\x02" + good.substr(1))),
      record(message(good.substr(0, good.size() - 1))),
      record(message(good + "x")),
      record(message(good.substr(0, 40))),
      record(std::string("\x01\xff\xff\xff", 4)),
      hello(server_name("")),
      hello(server_name(host_name(""))),
      hello(server_name(host_name("a.b") + host_name("c.d"))),
      hello(server_name(host_name("a.b")) + server_name(host_name("a.b"))),
      hello(server_name(host_name("a b"))),
      hello(server_name(host_name("a.b."))),
      hello(server_name(host_name(".a"))),
      hello(server_name(host_name(std::string("a\0b", 3)))),
      hello(server_name(host_name(std::string(254, 'a')))),
      hello(extension(0, "")),
      hello(extension(0, vector16(host_name("a.b")) + "x")),
      hello(extension(0, u16(50) + host_name("a.b"))),
      hello(u16(0) + u16(500)),
      records(message(good), 1),
  };
  for (const std::string& bytes : cases) {
    ClientHello hello;
    EXPECT_EQ(read(bytes, hello).state, HelloState::refused) << bytes;
    EXPECT_FALSE(read(bytes, hello).reason.empty());
    bool seen = false;
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      const HelloState state = read(bytes.substr(0, cut), hello).state;
      ASSERT_NE(state, HelloState::complete) << bytes << " cut at " << cut;
      ASSERT_TRUE(!seen || state == HelloState::refused) << bytes << " at " << cut;
      seen |= state == HelloState::refused;
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
