// Time comes in through a Clock, never from the system directly, so that a simulation can turn it by hand.
#pragma once

#include <chrono>
#include <cstdint>

namespace rejoin {

using Duration = std::chrono::microseconds;
using namespace std::chrono_literals;  // 5s, 100ms wherever rejoin is open

/// A moment on a clock that never goes back (CLOCK_MONOTONIC, or the simulation's). Only differences mean
/// anything.
struct Monotonic {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};
using TimePoint = Monotonic::time_point;

/// Seconds since 1970, for dates that leave the process (inside cookies and tickets). May jump.
using UnixSeconds = std::int64_t;

/// "no deadline"
inline constexpr TimePoint kNever = TimePoint::max();

class Clock {
 public:
  virtual ~Clock() = default;
  /// The moment at which the loop's present turn began: cheap, and the same for all that happens in one turn.
  virtual TimePoint now() const = 0;
  virtual UnixSeconds unix_now() const = 0;
};

/// Reads the system's clocks at each call. For programs without a loop, and for measuring.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  UnixSeconds unix_now() const override;
};

}  // namespace rejoin
