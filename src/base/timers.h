// Deadlines of a loop: a hierarchical timing wheel (Varghese and Lauck, 1987) of nine levels with 64 slots
// each, one millisecond a tick: 2^54 ticks are more than a TimePoint can say, so nothing ever wraps. Arming,
// cancelling and firing are O(1); an idle connection's timer costs 40 bytes and no work.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/intrusive_list.h"

namespace rejoin {

/// Calls `fire(owner)` once when its deadline has passed. A member of what it wakes; cancels itself when it
/// dies. Used on the thread of its wheel only.
class Timer : public ListNode {
 public:
  using Fire = void (*)(void* owner);
  Timer(Fire fire, void* owner) : fire_(fire), owner_(owner) {}

  bool armed() const { return in_list(); }
  void cancel() { leave(); }

 private:
  friend class TimerWheel;
  std::uint64_t tick_ = 0;
  Fire fire_;
  void* owner_;
};

class TimerWheel {
 public:
  explicit TimerWheel(TimePoint now);

  /// Arms, or moves, `timer`. It fires at the first advance() to a moment not before `when` (never earlier,
  /// at most one millisecond later than asked plus the loop's own delay). kNever cancels.
  void arm(Timer& timer, TimePoint when);

  /// Fires all that is due, in order of deadlines. A timer's function may arm and cancel any timer.
  void advance(TimePoint now);

  /// When advance() has something to do next; kNever if nothing is armed. May be earlier than the next
  /// deadline (a far one is looked at again on its way down), never later.
  TimePoint next() const;

  /// How many are armed, by walking: for tests and for the end of a simulation.
  std::size_t armed() const;

 private:
  static constexpr int kLevels = 9, kSlotBits = 6, kSlots = 1 << kSlotBits;
  struct Level {
    mutable std::uint64_t maybe_used =
        0;  // bit per slot; a cancelled timer leaves its bit behind until looked at
    std::array<List<Timer>, kSlots> slots;
  };
  struct Found {
    int level = -1, slot = 0;
    std::uint64_t tick = 0;
  };
  void insert(Timer& timer);
  Found find_next() const;

  std::uint64_t tick_;
  mutable std::array<Level, kLevels> levels_;
};

}  // namespace rejoin
