// Weighted round robin: the smooth rotation (smooth_rotation.h) among all who take new clients.
#pragma once

#include <array>

#include "route/scheduler.h"
#include "route/smooth_rotation.h"

namespace rejoin::route {

/// As if `turns_ahead` turns (or their remainder by kTurnsAheadMax) had been taken among all servers, whether
/// they are up or not.
SmoothRotation rotation_ahead(const Pool& pool, unsigned turns_ahead);
inline constexpr unsigned kTurnsAheadMax = 1024;  // workers; a start-up cost only

class SmoothRoundRobin final : public Scheduler {
 public:
  SmoothRoundRobin(const Pool& pool, unsigned worker);

  std::optional<ServerIndex> pick(const Wanted& wanted) override;

 private:
  SmoothRotation::Group& group_of(ServerIndex index) { return groups_[pool().server(index).backup]; }
  void place(ServerIndex index, std::uint64_t weight);
  std::optional<ServerIndex> turn(const Wanted& wanted);

  SmoothRotation rotation_;
  std::array<SmoothRotation::Group, 2> groups_;  // backups apart
  std::vector<std::uint64_t> weights_;           // with which who is in its group; 0: it is not
};

}  // namespace rejoin::route
