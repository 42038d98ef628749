#include "route/scheduler.h"

#include "route/hash.h"
#include "route/key_hash.h"
#include "route/least_connections.h"
#include "route/random_two.h"
#include "route/smooth_round_robin.h"

namespace rejoin::route {

bool Scheduler::lacks_room(const Wanted& wanted) const {
  // Of those that were tried there are few: whoever comes behind them was not.
  for (const ServerIndex index : takers_.full()) {
    if (pool_.server(index).backup == wanted.backups && !wanted.tried.contains(index)) return true;
  }
  return false;
}

std::unique_ptr<Scheduler> make_scheduler(SchedulerKind kind, const Pool& pool, unsigned worker,
                                          std::uint64_t seed, MaglevShare* maglev) {
  switch (kind) {
    case SchedulerKind::round_robin: return std::make_unique<SmoothRoundRobin>(pool, worker);
    case SchedulerKind::least_connections: return std::make_unique<LeastConnections>(pool, worker);
    case SchedulerKind::random_two: return std::make_unique<RandomTwo>(pool, mix_bits(seed + worker));
    case SchedulerKind::source_hash: return std::make_unique<SourceHash>(*maglev);
    case SchedulerKind::key_hash: return std::make_unique<KeyHash>(*maglev);
  }
  return nullptr;
}

}  // namespace rejoin::route
