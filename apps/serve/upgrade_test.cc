#include "apps/serve/upgrade.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace rejoin::serve {
namespace {

Inheritance example() {
  Inheritance out;
  out.identity = "gateway g1";
  out.names = {"play", "admin"};
  out.addresses = {*Address::parse("127.0.0.1:8000"), Address()};
  out.workers.resize(2);
  out.workers[0].channel = 7;
  out.workers[0].listeners = {{*Address::parse("127.0.0.1:8000"), 5}, {*Address::parse("[::1]:8001"), 6}};
  out.workers[1].channel = 9;
  return out;
}

TEST(Upgrade, what_is_inherited_is_read_as_it_was_written) {
  const Inheritance said = example();
  const Result<Inheritance> heard = Inheritance::parse(said.text());
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->identity, "gateway g1");
  EXPECT_EQ(heard->names, said.names);
  EXPECT_EQ(heard->addresses, said.addresses);
  ASSERT_EQ(heard->workers.size(), 2u);
  EXPECT_EQ(heard->workers[0].channel, 7);
  ASSERT_EQ(heard->workers[0].listeners.size(), 2u);
  EXPECT_EQ(heard->workers[0].listeners[1].descriptor, 6);
  EXPECT_EQ(heard->workers[0].listeners[1].at.text(), "[::1]:8001");
  EXPECT_TRUE(heard->workers[1].listeners.empty());
  EXPECT_EQ(heard->text(), said.text());
}

TEST(Upgrade, what_cannot_be_read_is_refused_with_the_line) {
  const struct {
    const char* text;
    const char* says;
  } kCases[] = {
      {"", "names no worker"},
      {"identity x\n", "names no worker"},
      {"worker x\n", "\"worker x\" is no worker"},
      {"listener 5 127.0.0.1:80\n", "is not known"},
      {"worker 3\nlistener 5\n", "is no listener"},
      {"worker 3\nlistener 5 nowhere\n", "nowhere"},
      {"worker 3\nname play\n", "is no listener's name"},
      {"worker 3\nhello\n", "\"hello\" is not known"},
  };
  for (const auto& one : kCases) {
    const Result<Inheritance> heard = Inheritance::parse(one.text);
    ASSERT_FALSE(heard) << one.text;
    EXPECT_NE(heard.error().detail.find(one.says), std::string::npos) << heard.error().detail;
  }
}

TEST(Upgrade, the_environment_is_taken_once) {
  EXPECT_FALSE(take_inheritance());
  setenv(kInheritVariable, "worker 999\n", 1);
  const auto taken = take_inheritance();
  ASSERT_TRUE(taken);
  EXPECT_FALSE(*taken) << "no descriptor 999 is open";
  EXPECT_EQ(std::getenv(kInheritVariable), nullptr);
}

TEST(Upgrade, the_present_command_line_is_this_program) {
  const Result<CommandLine> command = present_command_line();
  ASSERT_TRUE(command);
  EXPECT_NE(command->path.find("serve_test"), std::string::npos);
  EXPECT_FALSE(command->arguments.empty());
}

}  // namespace
}  // namespace rejoin::serve
