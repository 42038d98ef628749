#include "route/burst_table.h"

namespace rejoin::route {

BurstTable::BurstTable(Duration within) : within_(within), bursts_(kBurstsMax) {}

std::optional<ServerNumber> BurstTable::find(std::uint64_t key, TimePoint now) {
  const std::size_t at = key % kBurstsMax;
  const std::lock_guard hold(locks_[at % kLocks]);
  const Burst& burst = bursts_[at];
  if (burst.key != key || burst.ends <= now) return std::nullopt;
  return burst.server;
}

void BurstTable::put(std::uint64_t key, ServerNumber server, TimePoint now) {
  const std::size_t at = key % kBurstsMax;
  const std::lock_guard hold(locks_[at % kLocks]);
  Burst& burst = bursts_[at];
  if (burst.key != key || burst.ends <= now) burst.ends = now + within_;
  burst.key = key;
  burst.server = server;
}

}  // namespace rejoin::route
