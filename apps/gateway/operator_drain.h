// What an operator asked for: no new sessions, and maybe an end for those that are left.
//
// Not SIGTERM's drain (Worker::drain), which ends the program. Here listeners stay open, since the clients of
// sessions that live come back through them: a drain never loses a session that could live on. With a store
// that is this process's memory alone nobody else can take a session, so nothing is told to its client; it
// ends by itself, or, if the operator set a time, with CLOSE 1012 after it.
//
// Owner: a worker; its thread.
#pragma once

#include <cstddef>
#include <optional>

#include "base/clock.h"
#include "base/timers.h"

namespace rejoin::gateway {

class Worker;

/// Sessions that are to end do so in steps of this time.
inline constexpr std::chrono::milliseconds kDrainStepMs{100};

struct DrainOrder {
  std::optional<Duration> end_after;  // end what is left then; nothing: never
  Duration over{};                    // evenly within this time: whoever was ended logs in elsewhere
};

class OperatorDrain {
 public:
  explicit OperatorDrain(Worker& worker);

  /// From now on, or, if it is on already, with this order instead of the other.
  void begin(const DrainOrder& order);
  void take_back();
  bool on() const { return on_; }
  /// Until the first of what is left is ended; zero when that has begun. Nothing: no time was set.
  std::optional<Duration> ends_in() const;

 private:
  void on_time();

  Worker& worker_;
  Timer timer_;
  DrainOrder order_;
  TimePoint end_at_ = kNever;
  std::size_t at_first_ = 0;  // sessions, when the first was ended
  bool on_ = false;
};

}  // namespace rejoin::gateway
