#include "apps/connect/account.h"

#include <gtest/gtest.h>

namespace rejoin::connect {
namespace {

Account full_account() {
  Account account;
  account.number = 1;
  account.url = "ws://127.0.0.1:8080/";
  account.local = *Address::parse("127.0.0.5:41000");
  account.peer = *Address::parse("127.0.0.1:8080");
  account.status = 101;
  account.cookies_sent = {{"REJOIN", "abc"}};
  account.cookies_received = {{"REJOIN", "def", {"Path=/", "HttpOnly"}}};
  account.messages = {R"({"server":"g1"})", "hello"};
  account.server = "g1";
  account.close_code = 1000;
  return account;
}

// Scripts read this: a change of it is a change of the contract.
TEST(Account, is_one_json_object) {
  EXPECT_EQ(
      to_json(full_account()),
      R"({"connection":1,"url":"ws://127.0.0.1:8080/","local":"127.0.0.5:41000","peer":"127.0.0.1:8080",)"
      R"("status":101,"cookies_sent":[{"name":"REJOIN","value":"abc"}],)"
      R"("cookies_received":[{"name":"REJOIN","value":"def","attributes":["Path=/","HttpOnly"]}],)"
      R"("messages":["{\"server\":\"g1\"}","hello"],"server":"g1","close_code":1000,"error":null})");
}

TEST(Account, has_nulls_for_what_did_not_happen) {
  Account account;
  account.number = 3;
  account.url = "tcp://127.0.0.1:1";
  account.error = "refused";
  EXPECT_EQ(
      to_json(account),
      R"({"connection":3,"url":"tcp://127.0.0.1:1","local":null,"peer":null,"status":null,"cookies_sent":[],)"
      R"("cookies_received":[],"messages":[],"server":null,"close_code":null,"error":"refused"})");
}

TEST(Account, stays_json_whatever_a_server_sent) {
  Account account = full_account();
  account.messages = {std::string("\xff\x00\x01\"", 4), "line\nline"};
  const std::string line = to_json(account);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto back = from_json(line);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->messages[0], std::string("\xef\xbf\xbd\x00\x01\"", 6));
}

TEST(Account, comes_back_from_its_json) {
  for (const Account& account : {full_account(), Account()}) {
    const auto back = from_json(to_json(account));
    ASSERT_TRUE(back);
    EXPECT_EQ(to_json(*back), to_json(account));
  }
  for (const char* wrong : {"", "{}", "null", "[1]", R"({"connection":"1"})", "{"})
    EXPECT_FALSE(from_json(wrong)) << wrong;
}

TEST(Greeting, has_members_that_are_texts) {
  const struct {
    const char* message;
    const char* member;
    std::optional<std::string> value;
  } cases[] = {
      {R"({"server":"g1","client":"1.2.3.4:5"})", "server", "g1"},
      {R"({"server":"g1","cookie":null})", "cookie", std::nullopt},
      {R"({"server":7})", "server", std::nullopt},
      {R"("server")", "server", std::nullopt},
      {R"(["server"])", "server", std::nullopt},
      {"hello", "server", std::nullopt},
      {"", "server", std::nullopt},
      {"\xff", "server", std::nullopt},
  };
  for (const auto& c : cases) EXPECT_EQ(greeting_member(c.message, c.member), c.value) << c.message;
}

TEST(Shortened, keeps_the_ends_of_long_values) {
  EXPECT_EQ(shortened("short"), "short");
  EXPECT_EQ(shortened("abcdefghijklmnopqrstuvwx"), "abcdefghijklmnopqrstuvwx");
  EXPECT_EQ(shortened("abcdefghijklmnopqrstuvwxy"), "abcdefgh...rstuvwxy");
}

}  // namespace
}  // namespace rejoin::connect
