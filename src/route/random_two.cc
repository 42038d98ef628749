#include "route/random_two.h"

#include "route/hash.h"

namespace rejoin::route {

// Chance for fairness, not for secrets: a counter through a mixer (SplitMix).
std::uint64_t RandomTwo::below(std::uint64_t bound) {
  state_ += 0x9e3779b97f4a7c15ULL;
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(mix_bits(state_)) * bound >> 64);
}

std::optional<ServerIndex> RandomTwo::pick(const Pool& pool, const Wanted& wanted) {
  candidates_.clear();
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const auto index = static_cast<ServerIndex>(i);
    if (!wanted.may(pool, index)) continue;
    const std::uint64_t weight = pool.present_weight(index, wanted.now);
    if (weight == 0) continue;  // changed at this moment
    candidates_.push_back({index, weight});
    sum += weight;
  }
  if (candidates_.empty()) return std::nullopt;
  const auto drawn = [&](std::uint64_t bound, const Candidate* without) -> const Candidate& {
    std::uint64_t at = below(bound);
    const Candidate* last = nullptr;
    for (const Candidate& one : candidates_) {
      if (&one == without) continue;
      last = &one;
      if (at < one.weight) break;
      at -= one.weight;
    }
    return *last;
  };
  const Candidate& first = drawn(sum, nullptr);
  if (candidates_.size() == 1) return first.index;
  const Candidate& second = drawn(sum - first.weight, &first);
  const std::uint64_t of_first = pool.active(first.index) * second.weight;
  const std::uint64_t of_second = pool.active(second.index) * first.weight;
  return of_second < of_first ? second.index : first.index;
}

}  // namespace rejoin::route
