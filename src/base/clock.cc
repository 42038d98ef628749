#include "base/clock.h"

#include <ctime>

namespace rejoin {

TimePoint SystemClock::now() const {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  return TimePoint(Duration(std::int64_t{at.tv_sec} * 1'000'000 + at.tv_nsec / 1000));
}

UnixSeconds SystemClock::unix_now() const {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  return at.tv_sec;
}

}  // namespace rejoin
