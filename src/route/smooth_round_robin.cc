#include "route/smooth_round_robin.h"

namespace rejoin::route {

SmoothRotation rotation_ahead(const Pool& pool, unsigned turns_ahead) {
  SmoothRotation rotation(pool.size());
  turns_ahead %= kTurnsAheadMax;
  if (turns_ahead == 0) return rotation;
  SmoothRotation::Group all;
  const auto takes_part = [&pool](std::size_t i) { return pool.weight(static_cast<ServerIndex>(i)) > 0; };
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const auto index = static_cast<ServerIndex>(i);
    if (takes_part(i)) rotation.join(all, index, pool.present_weight(index, TimePoint{}));
  }
  for (unsigned i = 0; i < turns_ahead && !all.empty(); ++i) rotation.turn(all, *rotation.next(all));
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (takes_part(i)) rotation.leave(all, static_cast<ServerIndex>(i));
  }
  return rotation;
}

SmoothRoundRobin::SmoothRoundRobin(const Pool& pool, unsigned worker)
    : Scheduler(pool), rotation_(rotation_ahead(pool, worker)), weights_(pool.size(), 0) {}

/// In its group with `weight`; 0: in none.
void SmoothRoundRobin::place(ServerIndex index, std::uint64_t weight) {
  if (weight == weights_[index]) return;
  if (weights_[index] != 0) rotation_.leave(group_of(index), index);
  if (weight != 0) rotation_.join(group_of(index), index, weight);
  weights_[index] = weight;
}

std::optional<ServerIndex> SmoothRoundRobin::pick(const Wanted& wanted) {
  takers().refresh(wanted.now, [this](ServerIndex index) { place(index, takers().weight(index)); });
  // Who was tried sits this turn out.
  for (const ServerIndex index : wanted.tried) place(index, 0);
  const std::optional<ServerIndex> picked = turn(wanted);
  for (const ServerIndex index : wanted.tried) place(index, takers().weight(index));
  return picked;
}

std::optional<ServerIndex> SmoothRoundRobin::turn(const Wanted& wanted) {
  SmoothRotation::Group& group = groups_[wanted.backups];
  while (const auto next = rotation_.next(group)) {
    if (wanted.may(pool(), *next)) {
      rotation_.turn(group, *next);
      return next;
    }
    // Another worker has changed it at this moment.
    takers().look(*next, wanted.now);
    place(*next, takers().weight(*next));
  }
  return std::nullopt;
}

}  // namespace rejoin::route
