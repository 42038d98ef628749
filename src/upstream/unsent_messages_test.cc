#include "upstream/unsent_messages.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace rejoin::upstream {
namespace {

using Kind = UnsentMessages::Kind;

TEST(UnsentMessages, counts_a_message_with_its_last_byte_and_nothing_else_at_all) {
  UnsentMessages unsent;
  unsent.add(28, Kind::other);
  unsent.add(5, Kind::message);
  unsent.add(6, Kind::other);
  unsent.add(2, Kind::message);
  const struct {
    std::size_t unsent, gone, left;
  } steps[] = {{41, 0, 2}, {13, 0, 2}, {9, 0, 2}, {8, 1, 1}, {8, 0, 1}, {2, 0, 1}, {1, 0, 1}, {0, 1, 0}};
  for (const auto& step : steps) {
    EXPECT_EQ(unsent.settle(step.unsent), step.gone) << step.unsent;
    EXPECT_EQ(unsent.messages(), step.left) << step.unsent;
  }
  EXPECT_EQ(unsent.settle(0), 0u);
}

TEST(UnsentMessages, many_may_go_at_once_and_it_begins_again) {
  UnsentMessages unsent;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) unsent.add(10, Kind::message);
    EXPECT_EQ(unsent.settle(1), 99u);
    EXPECT_EQ(unsent.settle(0), 1u);
  }
}

TEST(UnsentMessages, agrees_with_a_plain_list_over_any_order_of_calls) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SeededRandom random(seed);
    UnsentMessages unsent;
    std::vector<std::uint64_t> ends;  // of messages, in all bytes ever
    std::uint64_t added = 0, taken = 0;
    std::size_t told = 0;
    for (int step = 0; step < 300; ++step) {
      if (random.below(3) != 0) {
        const std::uint64_t bytes = 1 + random.below(20);
        const bool message = random.below(4) != 0;
        unsent.add(bytes, message ? Kind::message : Kind::other);
        added += bytes;
        if (message) ends.push_back(added);
      } else {
        taken += random.below(added - taken + 1);
      }
      told += unsent.settle(added - taken);
      std::size_t gone = 0;
      while (gone < ends.size() && ends[gone] <= taken) ++gone;
      ASSERT_EQ(told, gone) << "seed " << seed << " step " << step;
      ASSERT_EQ(unsent.messages(), ends.size() - gone);
    }
  }
}

}  // namespace
}  // namespace rejoin::upstream
