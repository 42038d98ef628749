#include "upstream/echo.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/limits.h"

namespace rejoin::upstream {
namespace {

const Address kClient = *Address::parse("10.1.0.2:41000");

std::string greet(std::string server, std::optional<Echo::SeenCookie> cookie = {}) {
  return Echo(std::move(server)).greeting(kClient, cookie);
}

TEST(Echo, greets_with_the_servers_name_and_the_clients_address) {
  EXPECT_EQ(greet("g1"), R"({"server":"g1","client":"10.1.0.2:41000"})");
}

TEST(Echo, tells_the_cookie_that_reached_it) {
  struct {
    std::optional<std::string_view> value;
    const char* member;
  } const cases[] = {
      {std::nullopt, R"("cookie":null})"},         {"", R"("cookie":""})"},
      {"g1-abc", R"("cookie":"g1-abc"})"},         {"a\"b\\c\x01", R"("cookie":"a\u0022b\u005cc\u0001"})"},
      {"\xff\x80", R"("cookie":"\u00ff\u0080"})"},
  };
  for (const auto& c : cases) {
    const std::string text = greet("g1", Echo::SeenCookie{c.value});
    EXPECT_TRUE(text.ends_with(c.member)) << text;
  }
}

TEST(Echo, cuts_a_long_cookie) {
  const std::string cookie(3 * limits::kGreetingCookieBytesMax, 'x');
  EXPECT_LT(greet("g1", Echo::SeenCookie{cookie}).size(), limits::kGreetingCookieBytesMax + 100);
}

struct Kept final : MessageSink {
  void send(const Message& message) override {
    texts.emplace_back(message.bytes);
    kinds.push_back(message.kind);
  }
  std::vector<std::string> texts;
  std::vector<MessageKind> kinds;
};

TEST(Echo, says_every_message_back_with_its_kind) {
  Kept kept;
  const Echo echo("g1");
  echo.take({"hello", MessageKind::text}, kept);
  echo.take({"", MessageKind::binary}, kept);
  EXPECT_EQ(kept.texts, (std::vector<std::string>{"hello", ""}));
  EXPECT_EQ(kept.kinds, (std::vector{MessageKind::text, MessageKind::binary}));
}

}  // namespace
}  // namespace rejoin::upstream
