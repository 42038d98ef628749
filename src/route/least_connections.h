// The server with the fewest connections for its weight (Pool::active over Pool::present_weight). Equals take
// turns by the smooth rotation, so that an idle pool is filled in proportion to the weights and not from the
// front.
//
// The counts are all workers' together. Two workers that pick in the same microsecond may pick the same
// server; the next pick of either sees both.
//
// Servers stand in groups of equal load, in order; every connection that begins or ends, whichever worker's,
// moves its server to another one before the next pick.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "route/scheduler.h"
#include "route/smooth_rotation.h"

namespace rejoin::route {

class LeastConnections final : public Scheduler {
 public:
  LeastConnections(const Pool& pool, unsigned worker);
  ~LeastConnections() override;

  std::optional<ServerIndex> pick(const Wanted& wanted) override;

 private:
  struct Load {
    std::uint64_t active = 0;  // 32 bits
    std::uint64_t weight = 0;  // 30 bits; 0: it takes nobody
    bool operator==(const Load&) const = default;
  };
  struct IsLess {
    bool operator()(const Load& a, const Load& b) const { return a.active * b.weight < b.active * a.weight; }
  };
  using Groups = std::map<Load, SmoothRotation::Group, IsLess>;
  struct Place {
    Load load;
    Groups::iterator group;  // with a weight
  };

  Groups& groups_of(ServerIndex index) { return groups_[pool().server(index).backup]; }
  void place(ServerIndex index, const Load& load);
  void place(ServerIndex index) { place(index, {pool().active(index), takers().weight(index)}); }

  SmoothRotation rotation_;
  std::array<Groups, 2> groups_;  // backups apart
  std::vector<Place> places_;
  Groups::node_type spare_;  // the last group that became empty, kept for its memory
};

}  // namespace rejoin::route
