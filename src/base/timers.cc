#include "base/timers.h"

#include <algorithm>
#include <bit>

namespace rejoin {
namespace {

constexpr std::int64_t kTickUs = 1000;

std::uint64_t ticks_passed(TimePoint at) {
  return static_cast<std::uint64_t>(at.time_since_epoch().count() / kTickUs);
}
std::uint64_t tick_not_before(TimePoint at) {
  return static_cast<std::uint64_t>((at.time_since_epoch().count() + kTickUs - 1) / kTickUs);
}

}  // namespace

TimerWheel::TimerWheel(TimePoint now) : tick_(ticks_passed(now)) {}

void TimerWheel::arm(Timer& timer, TimePoint when) {
  timer.cancel();
  if (when == kNever) return;
  timer.tick_ = std::max(tick_not_before(when), tick_ + 1);
  insert(timer);
}

// A timer lives on the level of the highest 6-bit group in which its tick differs from the present one, so
// all slots in use on a level lie ahead of the present slot and none wraps round.
void TimerWheel::insert(Timer& timer) {
  const std::uint64_t difference = (timer.tick_ ^ tick_) | 1;
  const int level = (63 - std::countl_zero(difference)) / kSlotBits;
  const auto slot = static_cast<int>((timer.tick_ >> (level * kSlotBits)) & (kSlots - 1));
  Level& home = levels_[static_cast<std::size_t>(level)];
  home.slots[static_cast<std::size_t>(slot)].push_back(timer);
  home.maybe_used |= std::uint64_t{1} << slot;
}

TimerWheel::Found TimerWheel::find_next() const {
  for (int level = 0; level < kLevels; ++level) {
    Level& at = levels_[static_cast<std::size_t>(level)];
    while (at.maybe_used != 0) {
      const int slot = std::countr_zero(at.maybe_used);
      if (at.slots[static_cast<std::size_t>(slot)].empty()) {
        at.maybe_used &= at.maybe_used - 1;
        continue;
      }
      const int shift = level * kSlotBits;
      const std::uint64_t above = tick_ >> (shift + kSlotBits) << (shift + kSlotBits);
      return {level, slot, above | (static_cast<std::uint64_t>(slot) << shift)};
    }
  }
  return {};
}

TimePoint TimerWheel::next() const {
  const Found found = find_next();
  if (found.level < 0) return kNever;
  return TimePoint(Duration(static_cast<std::int64_t>(found.tick) * kTickUs));
}

void TimerWheel::advance(TimePoint now) {
  const std::uint64_t until = ticks_passed(now);
  if (until <= tick_) return;
  for (;;) {
    const Found found = find_next();
    if (found.level < 0 || found.tick > until) break;
    tick_ = std::max(tick_, found.tick);
    Level& level = levels_[static_cast<std::size_t>(found.level)];
    List<Timer> due;
    due.take_all(level.slots[static_cast<std::size_t>(found.slot)]);
    level.maybe_used &= ~(std::uint64_t{1} << found.slot);
    while (!due.empty()) {
      Timer& timer = due.front();
      timer.cancel();
      if (timer.tick_ > tick_) {
        insert(timer);
      } else {
        timer.fire_(timer.owner_);
      }
    }
  }
  tick_ = until;
}

std::size_t TimerWheel::armed() const {
  std::size_t count = 0;
  for (const Level& level : levels_) {
    for (const List<Timer>& slot : level.slots) count += slot.count();
  }
  return count;
}

}  // namespace rejoin
