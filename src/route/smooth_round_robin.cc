#include "route/smooth_round_robin.h"

namespace rejoin::route {

std::optional<ServerIndex> SmoothRoundRobin::pick(const Pool& pool, const Tried& tried) {
  return rotation_.turn(pool,
                        [&](ServerIndex index) { return pool.takes_new(index) && !tried.contains(index); });
}

}  // namespace rejoin::route
