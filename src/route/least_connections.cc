#include "route/least_connections.h"

namespace rejoin::route {

std::optional<ServerIndex> LeastConnections::pick(const Pool& pool, const Wanted& wanted) {
  // The counts change under our eyes, so each is read once, and the equals are remembered instead of being
  // looked for in a second pass.
  least_.clear();
  std::uint64_t least_active = 0, least_weight = 1;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const auto index = static_cast<ServerIndex>(i);
    if (!wanted.may(pool, index)) continue;
    const std::uint64_t active = pool.active(index), weight = pool.present_weight(index, wanted.now);
    // active / weight against least_active / least_weight, without dividing: 32 bits times 30 bits.
    const std::uint64_t ours = active * least_weight, least = least_active * weight;
    if (!least_.empty() && ours > least) continue;
    if (least_.empty() || ours < least) {
      least_.clear();
      least_active = active;
      least_weight = weight;
    }
    least_.push_back(index);
  }
  if (least_.size() == 1) return least_.front();
  auto next = least_.begin();  // in the servers' order, as the rotation asks
  return rotation_.turn(pool, wanted.now, [&](ServerIndex index) {
    if (next == least_.end() || *next != index) return false;
    ++next;
    return true;
  });
}

}  // namespace rejoin::route
