#include "histogram.h"

#include <gtest/gtest.h>

namespace bench {
namespace {

TEST(Histogram, EachValueIsInABucketWhoseUpperEndIsAtMostASixtyFourthAbove) {
  std::uint64_t before = 0;
  for (std::uint64_t value = 0; value < Histogram::value_ns_max; value += 1 + value / 300) {
    const auto index = Histogram::index_of(value);
    ASSERT_LT(index, Histogram::buckets) << value;
    ASSERT_GE(index, before) << value;
    before = index;
    const auto upper = Histogram::upper_ns(index);
    ASSERT_GE(upper, value);
    ASSERT_LE(upper - value, value / 64) << value;
    ASSERT_EQ(Histogram::index_of(upper), index) << value;
    ASSERT_EQ(Histogram::index_of(upper + 1), index + 1) << value;
  }
  EXPECT_EQ(Histogram::index_of(Histogram::value_ns_max), Histogram::buckets - 1);
}

TEST(Histogram, PercentilesAreWhatSoManyDoNotExceed) {
  Histogram histogram;
  EXPECT_EQ(histogram.percentile_ns(0.5), 0u);
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.record(value);
  EXPECT_EQ(histogram.percentile_ns(0.0), 1u);
  EXPECT_EQ(histogram.percentile_ns(0.5), 50u);
  EXPECT_EQ(histogram.percentile_ns(0.99), 99u);
  EXPECT_EQ(histogram.percentile_ns(1.0), 100u);
  histogram.record(1'000'003);
  EXPECT_EQ(histogram.percentile_ns(1.0), 1'000'003u);  // no more than was there, whatever its bucket's end
  EXPECT_EQ(histogram.count(), 101u);
}

TEST(Histogram, WhatIsTooLongCountsInTheLastBucketAndIsStillTheMaximum) {
  Histogram histogram;
  histogram.record(~0ull);
  EXPECT_EQ(histogram.at(Histogram::buckets - 1), 1u);
  EXPECT_EQ(histogram.max_ns(), ~0ull);
}

}  // namespace
}  // namespace bench
