// Times in buckets that grow with them, after HdrHistogram: 64 buckets for every power of two, so that a
// value is known to 1.6 % from 1 ns to 18 minutes, in 18 kB and without an allocation per value. Owner: a
// scenario of the load generator. Thread: its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bench {

class Histogram {
 public:
  static constexpr unsigned sub_bits = 6;
  static constexpr std::uint64_t value_ns_max = (1ull << 40) - 1;
  static constexpr std::size_t buckets = (40 - sub_bits) * (1u << sub_bits) + (1u << sub_bits);

  /// Values above `value_ns_max` count as that.
  void record(std::uint64_t ns) {
    ++counts_[index_of(std::min(ns, value_ns_max))];
    ++count_;
    max_ns_ = std::max(max_ns_, ns);
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max_ns() const { return max_ns_; }
  std::uint64_t at(std::size_t index) const { return counts_[index]; }

  /// The value that `part` (0 to 1) of all do not exceed, as the upper end of its bucket, never above max_ns;
  /// 0 when there are none.
  std::uint64_t percentile_ns(double part) const {
    auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_) + 0.5);
    wanted = std::clamp<std::uint64_t>(wanted, 1, std::max<std::uint64_t>(count_, 1));
    std::uint64_t seen = 0;
    for (std::size_t index = 0; index < buckets; ++index) {
      seen += counts_[index];
      if (seen >= wanted) return std::min(upper_ns(index), max_ns_);
    }
    return max_ns_;
  }

  /// Below 128 each value has its own bucket; above, the highest 7 bits of a value choose it.
  static constexpr std::size_t index_of(std::uint64_t ns) {
    const unsigned width = static_cast<unsigned>(std::bit_width(ns));
    const unsigned shift = width > sub_bits + 1 ? width - sub_bits - 1 : 0;
    return (static_cast<std::size_t>(shift) << sub_bits) + static_cast<std::size_t>(ns >> shift);
  }
  /// The highest value of a bucket.
  static constexpr std::uint64_t upper_ns(std::size_t index) {
    if (index < (2u << sub_bits)) return index;
    const std::size_t shift = (index >> sub_bits) - 1;
    const std::uint64_t high = index - (shift << sub_bits);
    return ((high + 1) << shift) - 1;
  }

 private:
  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

}  // namespace bench
