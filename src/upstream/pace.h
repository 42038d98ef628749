// How fast bytes (or frames) may pass: a token bucket that is told in times. A second's worth may pass at
// once.
//
// A calculator of 24 bytes. Owner: whoever moves the bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace rejoin::upstream {

class Pace {
 public:
  Pace() = default;
  /// `per_second` 0: no bound. `burst`: how much may pass at once after a pause, told as a time.
  explicit Pace(std::uint64_t per_second, Duration burst = Duration(1s)) : per_second_(per_second) {
    burst_ms_ = static_cast<std::uint32_t>(burst.count() / 1000);
  }

  bool bounded() const { return per_second_ != 0; }
  /// Whether more may pass now.
  bool open(TimePoint now) const { return per_second_ == 0 || paid_until_ <= now; }
  /// When more may pass, if not now.
  TimePoint opens() const { return paid_until_; }
  /// The most that should pass in one piece, so that a low rate does not come in lumps: a tenth of a
  /// second's.
  std::size_t piece(std::size_t most) const {
    if (per_second_ == 0) return most;
    return static_cast<std::size_t>(std::clamp<std::uint64_t>(per_second_ / 10, 1, most));
  }
  /// So much has passed; it may have been more than was open.
  void passed(std::size_t count, TimePoint now) {
    if (per_second_ == 0) return;
    const TimePoint from = std::max(paid_until_, now - std::chrono::milliseconds(burst_ms_));
    // In one piece at most a block of bytes: this does not overflow.
    paid_until_ = from + Duration(static_cast<std::int64_t>(count * 1'000'000ull / per_second_ + 1));
  }

 private:
  std::uint64_t per_second_ = 0;
  TimePoint paid_until_{};
  std::uint32_t burst_ms_ = 0;
};

}  // namespace rejoin::upstream
