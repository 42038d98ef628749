#include "route/burst_table.h"

#include <gtest/gtest.h>

namespace rejoin::route {
namespace {

constexpr TimePoint kStart{1h};

TEST(BurstTable, a_burst_lasts_from_its_first_client_on_and_is_not_renewed) {
  BurstTable bursts(3s);
  EXPECT_EQ(bursts.find(7, kStart), std::nullopt);
  bursts.put(7, 2, kStart);
  EXPECT_EQ(bursts.find(7, kStart), ServerNumber{2});
  bursts.put(7, 5, kStart + 2s);  // its server refused: the rest of the burst follows
  EXPECT_EQ(bursts.find(7, kStart + 2999ms), ServerNumber{5});
  EXPECT_EQ(bursts.find(7, kStart + 3s), std::nullopt);
  bursts.put(7, 1, kStart + 3s);
  EXPECT_EQ(bursts.find(7, kStart + 5s), ServerNumber{1});
  EXPECT_EQ(bursts.find(8, kStart + 5s), std::nullopt);
}

TEST(BurstTable, where_two_keys_meet_the_later_one_has_the_place_and_its_whole_time) {
  BurstTable bursts(3s);
  bursts.put(7, 2, kStart);
  bursts.put(7 + kBurstsMax, 3, kStart + 1s);
  EXPECT_EQ(bursts.find(7, kStart + 1s), std::nullopt);
  EXPECT_EQ(bursts.find(7 + kBurstsMax, kStart + 3999ms), ServerNumber{3});
}

}  // namespace
}  // namespace rejoin::route
