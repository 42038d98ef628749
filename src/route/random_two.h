// Two servers by chance, in proportion to their weights, and of these the one with fewer connections for its
// weight ("the power of two choices", Mitzenmacher 2001). Close to least-connections, and many balancers that
// each see only their own connections do not all run to the same server.
#pragma once

#include <vector>

#include "route/scheduler.h"

namespace rejoin::route {

class RandomTwo final : public Scheduler {
 public:
  explicit RandomTwo(std::uint64_t seed) : state_(seed) {}

  std::optional<ServerIndex> pick(const Pool& pool, const Wanted& wanted) override;

 private:
  struct Candidate {
    ServerIndex index;
    std::uint64_t weight;
  };
  std::uint64_t below(std::uint64_t bound);

  std::uint64_t state_;
  std::vector<Candidate> candidates_;  // of one pick; kept for its memory
};

}  // namespace rejoin::route
