#include "route/least_connections.h"

#include <utility>

#include "route/smooth_round_robin.h"

namespace rejoin::route {

LeastConnections::LeastConnections(const Pool& pool, unsigned worker)
    : Scheduler(pool), rotation_(rotation_ahead(pool, worker)), places_(pool.size()) {
  pool.add_use_reader(1);
}

LeastConnections::~LeastConnections() { pool().add_use_reader(-1); }

void LeastConnections::place(ServerIndex index, const Load& load) {
  Place& is = places_[index];
  if (is.load == load) return;
  Groups& groups = groups_of(index);
  if (is.load.weight != 0) {
    rotation_.leave(is.group->second, index);
    if (is.group->second.empty()) spare_ = groups.extract(is.group);
  }
  is.load = load;
  if (load.weight == 0) return;
  is.group = groups.find(load);
  if (is.group == groups.end() && spare_) {
    spare_.key() = load;
    spare_.mapped() = {};
    is.group = groups.insert(std::move(spare_)).position;
  } else if (is.group == groups.end()) {
    is.group = groups.try_emplace(load).first;
  }
  rotation_.join(is.group->second, index, load.weight);
}

std::optional<ServerIndex> LeastConnections::pick(const Wanted& wanted) {
  takers().refresh(wanted.now, [this](ServerIndex index) { place(index); });
  for (const ServerIndex index : wanted.tried) place(index, Load{});
  Groups& groups = groups_[wanted.backups];
  std::optional<ServerIndex> picked;
  while (!picked && !groups.empty()) {
    SmoothRotation::Group& least = groups.begin()->second;
    const auto next = rotation_.next(least);
    if (wanted.may(pool(), *next)) {
      rotation_.turn(least, *next);
      picked = next;
    } else {  // another worker has changed it at this moment
      takers().look(*next, wanted.now);
      place(*next);
    }
  }
  for (const ServerIndex index : wanted.tried) place(index);
  return picked;
}

}  // namespace rejoin::route
