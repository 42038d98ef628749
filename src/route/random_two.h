// Two servers by chance, in proportion to their weights, and of these the one with fewer connections for its
// weight ("the power of two choices", Mitzenmacher 2001). Close to least-connections, and many balancers that
// each see only their own connections do not all run to the same server.
#pragma once

#include <array>
#include <vector>

#include "route/scheduler.h"

namespace rejoin::route {

/// Weights in a row, of which one is drawn by a number below their sum: sums of sums (Fenwick 1994), so that
/// drawing and changing cost O(log n).
class WeightSums {
 public:
  explicit WeightSums(std::size_t count) : sums_(count + 1, 0), weights_(count, 0) {}

  void set(ServerIndex index, std::uint64_t weight);
  std::uint64_t weight(ServerIndex index) const { return weights_[index]; }
  std::uint64_t all() const { return all_; }
  /// Of all before `index`.
  std::uint64_t before(ServerIndex index) const;
  /// The first whose weight, with all before it, is more than `at`, which is less than all().
  ServerIndex drawn(std::uint64_t at) const;

 private:
  std::vector<std::uint64_t> sums_;  // from 1: [i] is of as many, up to i, as its lowest bit says
  std::vector<std::uint64_t> weights_;
  std::uint64_t all_ = 0;
};

class RandomTwo final : public Scheduler {
 public:
  RandomTwo(const Pool& pool, std::uint64_t seed);

  std::optional<ServerIndex> pick(const Wanted& wanted) override;

 private:
  WeightSums& sums_of(ServerIndex index) { return sums_[pool().server(index).backup]; }
  std::optional<ServerIndex> drawn_of(const WeightSums& sums);
  std::uint64_t below(std::uint64_t bound);

  std::uint64_t state_;
  std::array<WeightSums, 2> sums_;  // backups apart
};

}  // namespace rejoin::route
