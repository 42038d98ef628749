// The server with the fewest connections for its weight (Pool::active over Pool::present_weight). Equals take
// turns by the smooth rotation, so that an idle pool is filled in proportion to the weights and not from the
// front.
//
// The counts are all workers' together. Two workers that pick in the same microsecond may pick the same
// server; the next pick of either sees both.
#pragma once

#include "route/smooth_round_robin.h"

namespace rejoin::route {

class LeastConnections final : public Scheduler {
 public:
  LeastConnections(const Pool& pool, unsigned worker) : rotation_(pool, worker) {}

  std::optional<ServerIndex> pick(const Pool& pool, const Wanted& wanted) override;

 private:
  SmoothRotation rotation_;
  std::vector<ServerIndex> least_;  // of one pick; kept for its memory
};

}  // namespace rejoin::route
