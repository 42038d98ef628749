#include "route/smooth_round_robin.h"

namespace rejoin::route {

std::optional<ServerIndex> SmoothRoundRobin::pick(const Pool& pool, const Wanted& wanted) {
  return rotation_.turn(pool, wanted.now, [&](ServerIndex index) { return wanted.may(pool, index); });
}

}  // namespace rejoin::route
