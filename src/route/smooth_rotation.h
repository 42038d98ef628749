// Weighted round robin that interleaves: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
//
// Each server has a balance. At each turn every server that takes part earns its weight; the richest one (the
// first of equals) has the turn and pays what all earned together. Exact: in any `sum of weights` turns in a
// row, from the start and while the same servers take part with the same weights, each server has `weight`
// of them.
//
// A turn costs O(log n), although all earn in it: a balance is a line over the number of turns, and what is
// kept is who is richest in each part of a tree, and up to which turn that is sure (a kinetic tournament:
// Basch, Guibas, Hershberger, "Data structures for mobile data", 1997). Who has the turn is new in one leaf;
// the others are looked at when one overtakes another, which those of equal weight never do. The tree is a
// treap over the servers' places, so that groups of servers can take turns apart, and come and go.
//
// Place: under the schedulers round-robin and least-connections. Owner: one of them; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "route/pool.h"

namespace rejoin::route {

class SmoothRotation {
  static constexpr ServerIndex kNobody = 0xffff;

 public:
  /// After so many turns a group counts from zero again: a line of 32 bits' weight stays far from 2^63.
  static constexpr std::int64_t kTurnsMax = std::int64_t{1} << 28;

  /// All balances are 0, and nobody is in a group.
  explicit SmoothRotation(std::size_t servers, std::int64_t turns_max = kTurnsMax);

  /// Servers that take turns among themselves. Belongs to one rotation; 24 bytes.
  class Group {
   public:
    bool empty() const { return root_ == kNobody; }

   private:
    friend class SmoothRotation;
    std::uint64_t earned_ = 0;  // by all together, each turn
    std::int64_t turns_ = 0;
    ServerIndex root_ = kNobody;
  };

  /// From now on `index`, which is in no group, earns `weight` (less than 2^32) in each turn of `group`.
  void join(Group& group, ServerIndex index, std::uint64_t weight);
  /// It keeps its balance. It is in `group` (asserted).
  void leave(Group& group, ServerIndex index);
  /// Whose turn is next; none in an empty group. Changes nothing.
  std::optional<ServerIndex> next(Group& group);
  /// Everybody in `group` earns, and `has_it`, which is next(), pays.
  void turn(Group& group, ServerIndex has_it);

 private:
  struct Node {
    std::int64_t at_zero = 0;  // its balance; in a group: what it was, or would have been, before any turn
    std::int64_t until = 0;    // up to this turn `richest` is right for what is below it
    std::uint32_t weight = 0;
    std::uint32_t priority = 0;  // above those of its children
    ServerIndex left = kNobody, right = kNobody;
    ServerIndex richest = kNobody;
  };
  Node& at(ServerIndex index) { return nodes_[index]; }
  void judge(ServerIndex top, std::int64_t turn);
  void advance(ServerIndex top, std::int64_t turn);
  void challenge(Node& top, ServerIndex other, std::int64_t turn);
  ServerIndex merge(ServerIndex left, ServerIndex right, std::int64_t turn);
  void split(ServerIndex top, ServerIndex at, ServerIndex& left, ServerIndex& right, std::int64_t turn);
  ServerIndex with(ServerIndex top, ServerIndex added, std::int64_t turn);
  ServerIndex without(ServerIndex top, ServerIndex gone, std::int64_t turn);
  void paid(ServerIndex top, ServerIndex by, std::int64_t turn);
  void begin_anew(Group& group);
  void move_to_zero(ServerIndex top, std::int64_t turns);

  std::vector<Node> nodes_;
  std::int64_t turns_max_;
};

}  // namespace rejoin::route
