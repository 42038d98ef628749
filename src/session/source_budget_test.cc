#include "session/source_budget.h"

#include <gtest/gtest.h>

namespace rejoin::session {
namespace {

Address at(int last, std::uint16_t port = 1000) {
  return *Address::parse_ip("10.0.0." + std::to_string(last), port);
}

TEST(SourceBudget, IsSpentByOneAddressAloneAndComesBack) {
  SeededRandom random(1);
  SourceBudget budget(3, 100ms, 100, random);
  TimePoint now{1h};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(budget.has_left(at(1), now)) << i;
    budget.spend(at(1, static_cast<std::uint16_t>(1000 + i)), now);
  }
  EXPECT_FALSE(budget.has_left(at(1, 9), now)) << "whatever port it comes from";
  EXPECT_TRUE(budget.has_left(at(2), now));
  EXPECT_FALSE(budget.has_left(at(1), now + 99ms));
  EXPECT_TRUE(budget.has_left(at(1), now + 100ms));
  budget.spend(at(1), now + 100ms);
  EXPECT_FALSE(budget.has_left(at(1), now + 100ms));
  EXPECT_TRUE(budget.has_left(at(1), now + 1s));
}

TEST(SourceBudget, AFloodDoesNotRunUpDebts) {
  SeededRandom random(1);
  SourceBudget budget(3, 100ms, 100, random);
  const TimePoint now{1h};
  for (int i = 0; i < 1000; ++i) budget.spend(at(1), now);
  EXPECT_TRUE(budget.has_left(at(1), now + 100ms));
}

TEST(SourceBudget, RemembersNoMoreThanItMay) {
  SeededRandom random(1);
  SourceBudget budget(1, 100ms, 3, random);
  TimePoint now{1h};
  for (int i = 0; i < 10; ++i) budget.spend(at(i), now);
  EXPECT_EQ(budget.remembered(), 3u);
  EXPECT_FALSE(budget.has_left(at(0), now));
  EXPECT_TRUE(budget.has_left(at(5), now));
  now += 100ms;
  budget.spend(at(5), now);
  EXPECT_EQ(budget.remembered(), 1u) << "who is good again is forgotten";
  EXPECT_FALSE(budget.has_left(at(5), now));
}

}  // namespace
}  // namespace rejoin::session
