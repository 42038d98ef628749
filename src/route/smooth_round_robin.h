// Weighted round robin that interleaves: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
//
// Each server has a balance. At each pick every server that takes part earns its weight; the richest one (the
// first of equals) is picked and pays what all earned together. Exact: in any `sum of weights` picks in a
// row, from the start and while the same servers take part with the same weights, each server is picked
// `weight` times.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "route/scheduler.h"

namespace rejoin::route {

/// The rotation by itself, as a part of schedulers. The weights are the pool's, so one rotation serves one
/// pool.
class SmoothRotation {
 public:
  /// As if `turns_ahead` turns (or their remainder by the sum of the weights) had been taken among all
  /// servers.
  SmoothRotation(const Pool& pool, unsigned turns_ahead) : balance_(pool.size(), 0) {
    for (unsigned i = 0; i < turns_ahead % kTurnsAheadMax; ++i) {
      turn(pool, TimePoint{}, [&](ServerIndex index) { return pool.weight(index) > 0; });
    }
  }

  /// One turn among the servers for which `takes_part(index)` holds; none when it holds for none. Asked once
  /// per server.
  template <typename TakesPart>
  std::optional<ServerIndex> turn(const Pool& pool, TimePoint now, TakesPart takes_part) {
    std::int64_t earned = 0;
    std::optional<ServerIndex> richest;
    for (std::size_t i = 0; i < balance_.size(); ++i) {
      const auto index = static_cast<ServerIndex>(i);
      if (!takes_part(index)) continue;
      const auto weight = static_cast<std::int64_t>(pool.present_weight(index, now));
      balance_[i] += weight;
      earned += weight;
      if (!richest || balance_[i] > balance_[*richest]) richest = index;
    }
    if (richest) balance_[*richest] -= earned;
    return richest;
  }

 private:
  static constexpr unsigned kTurnsAheadMax = 1024;  // workers; a start-up cost only
  std::vector<std::int64_t> balance_;               // sums to zero
};

class SmoothRoundRobin final : public Scheduler {
 public:
  SmoothRoundRobin(const Pool& pool, unsigned worker) : rotation_(pool, worker) {}

  std::optional<ServerIndex> pick(const Pool& pool, const Wanted& wanted) override;

 private:
  SmoothRotation rotation_;
};

}  // namespace rejoin::route
