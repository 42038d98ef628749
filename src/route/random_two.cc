#include "route/random_two.h"

#include <bit>

#include "route/hash.h"

namespace rejoin::route {

// --- WeightSums ---

void WeightSums::set(ServerIndex index, std::uint64_t weight) {
  const std::uint64_t more = weight - weights_[index];  // wraps, and so does the sum back
  if (more == 0) return;
  weights_[index] = weight;
  all_ += more;
  for (std::size_t i = index + std::size_t{1}; i < sums_.size(); i += i & -i) sums_[i] += more;
}

std::uint64_t WeightSums::before(ServerIndex index) const {
  std::uint64_t sum = 0;
  for (std::size_t i = index; i != 0; i &= i - 1) sum += sums_[i];
  return sum;
}

ServerIndex WeightSums::drawn(std::uint64_t at) const {
  std::size_t passed = 0;
  for (std::size_t step = std::bit_floor(sums_.size() - 1); step != 0; step /= 2) {
    if (passed + step >= sums_.size() || sums_[passed + step] > at) continue;
    passed += step;
    at -= sums_[passed];
  }
  return static_cast<ServerIndex>(passed);
}

// --- RandomTwo ---

RandomTwo::RandomTwo(const Pool& pool, std::uint64_t seed)
    : Scheduler(pool), state_(seed), sums_{WeightSums(pool.size()), WeightSums(pool.size())} {}

// Chance for fairness, not for secrets: a counter through a mixer (SplitMix).
std::uint64_t RandomTwo::below(std::uint64_t bound) {
  state_ += 0x9e3779b97f4a7c15ULL;
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(mix_bits(state_)) * bound >> 64);
}

std::optional<ServerIndex> RandomTwo::pick(const Wanted& wanted) {
  takers().refresh(wanted.now,
                   [this](ServerIndex index) { sums_of(index).set(index, takers().weight(index)); });
  for (const ServerIndex index : wanted.tried) sums_of(index).set(index, 0);
  const WeightSums& sums = sums_[wanted.backups];
  std::optional<ServerIndex> picked = drawn_of(sums);
  while (picked && !wanted.may(pool(), *picked)) {  // another worker has changed it at this moment
    takers().look(*picked, wanted.now);
    sums_of(*picked).set(*picked, takers().weight(*picked));
    picked = drawn_of(sums);
  }
  for (const ServerIndex index : wanted.tried) sums_of(index).set(index, takers().weight(index));
  return picked;
}

std::optional<ServerIndex> RandomTwo::drawn_of(const WeightSums& sums) {
  if (sums.all() == 0) return std::nullopt;
  const ServerIndex first = sums.drawn(below(sums.all()));
  const std::uint64_t rest = sums.all() - sums.weight(first);
  if (rest == 0) return first;
  std::uint64_t at = below(rest);  // among the others
  if (at >= sums.before(first)) at += sums.weight(first);
  const ServerIndex second = sums.drawn(at);
  const std::uint64_t of_first = pool().active(first) * sums.weight(second);
  const std::uint64_t of_second = pool().active(second) * sums.weight(first);
  return of_second < of_first ? second : first;
}

}  // namespace rejoin::route
