#include "route/scheduler.h"

#include "route/least_connections.h"
#include "route/smooth_round_robin.h"

namespace rejoin::route {

std::unique_ptr<Scheduler> make_scheduler(SchedulerKind kind, const Pool& pool, unsigned worker) {
  switch (kind) {
    case SchedulerKind::round_robin: return std::make_unique<SmoothRoundRobin>(pool, worker);
    case SchedulerKind::least_connections: return std::make_unique<LeastConnections>(pool, worker);
  }
  return nullptr;
}

}  // namespace rejoin::route
