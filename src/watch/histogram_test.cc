#include "watch/histogram.h"

#include <gtest/gtest.h>

namespace rejoin::watch {
namespace {

TEST(Histogram, a_time_lies_in_the_first_bucket_that_is_not_shorter) {
  const struct {
    Duration time;
    std::size_t bucket;
  } cases[] = {
      {-1s, 0}, {0us, 0}, {500us, 0}, {501us, 1}, {1ms, 1}, {60s, 14}, {60s + 1us, 15}, {24h, 15},
  };
  for (const auto& one : cases) {
    ShortTimes times;
    times.add(one.time);
    for (std::size_t i = 0; i < times.counts.size(); ++i)
      EXPECT_EQ(times.counts[i], i == one.bucket ? 1u : 0u) << one.time.count() << " us, bucket " << i;
    EXPECT_EQ(times.sum_us, one.time > 0s ? static_cast<std::uint64_t>(one.time.count()) : 0u);
  }
}

TEST(Histogram, bounds_grow) {
  const auto grow = [](HistogramBounds bounds) {
    for (std::size_t i = 1; i < bounds.size(); ++i) EXPECT_LT(bounds[i - 1], bounds[i]);
  };
  grow(kShortTimes);
  grow(kLives);
}

}  // namespace
}  // namespace rejoin::watch
