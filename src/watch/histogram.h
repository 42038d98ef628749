// Times counted in fixed buckets, as Prometheus wants them: a handful of plain integers.
//
// Owner: whoever counts; one thread. Two histograms of one kind are added by adding their integers
// (add_numbers() in metrics_table.h), so that a scrape can ask every worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"

namespace rejoin::watch {

/// The longest times of each bucket, growing. What is longer than the last is counted behind it.
using HistogramBounds = std::span<const Duration>;

/// From a connect on one machine to a request that timed out.
inline constexpr std::array<Duration, 15> kShortTimes{500us, 1ms,   2500us, 5ms,    10ms, 25ms, 50ms, 100ms,
                                                      250ms, 500ms, 1s,     2500ms, 5s,   10s,  60s};
/// From a page that was left at once to a player who stays for days.
inline constexpr std::array<Duration, 13> kLives{1s, 5s, 15s, 1min, 5min, 15min, 30min,
                                                 1h, 2h, 4h,  8h,   24h,  168h};

/// `kBounds`: one of the arrays above. Nothing but integers, so that a struct of them is, too.
template <const auto& kBounds>
struct Histogram {
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // of each bucket alone
  std::uint64_t sum_us = 0;

  void add(Duration time) {
    if (time < Duration(0)) time = Duration(0);
    std::size_t i = 0;
    while (i < kBounds.size() && time > kBounds[i]) ++i;
    ++counts[i];
    sum_us += static_cast<std::uint64_t>(time.count());
  }
};
using ShortTimes = Histogram<kShortTimes>;
using Lives = Histogram<kLives>;

/// Any histogram, for who writes it.
struct HistogramView {
  template <const auto& kBounds>
  HistogramView(const Histogram<kBounds>& of) : bounds(kBounds), counts(of.counts), sum_us(of.sum_us) {}

  HistogramBounds bounds;
  std::span<const std::uint64_t> counts;  // one more than bounds
  std::uint64_t sum_us;
};

}  // namespace rejoin::watch
