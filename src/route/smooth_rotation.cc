#include "route/smooth_rotation.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>

#include "route/hash.h"

namespace rejoin::route {
namespace {

constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();

}  // namespace

// With priorities by the number of zeros at the end, a group of all servers is a balanced tree; what is left
// of it, and equals, are told apart by chance.
SmoothRotation::SmoothRotation(std::size_t servers, std::int64_t turns_max)
    : nodes_(servers), turns_max_(turns_max) {
  for (std::size_t i = 0; i < servers; ++i) {
    nodes_[i].priority = static_cast<std::uint32_t>(std::countr_zero(i + 1)) << 26 |
                         static_cast<std::uint32_t>(mix_bits(i) >> 38);
  }
}

void SmoothRotation::join(Group& group, ServerIndex index, std::uint64_t weight) {
  assert(weight <= std::numeric_limits<std::uint32_t>::max());
  Node& node = at(index);
  node.weight = static_cast<std::uint32_t>(weight);
  node.at_zero -= std::int64_t{node.weight} * group.turns_;
  node.left = node.right = kNobody;
  group.earned_ += weight;
  judge(index, group.turns_ + 1);
  group.root_ = with(group.root_, index, group.turns_ + 1);
}

void SmoothRotation::leave(Group& group, ServerIndex index) {
  group.root_ = without(group.root_, index, group.turns_ + 1);
  Node& node = at(index);
  node.at_zero += std::int64_t{node.weight} * group.turns_;
  group.earned_ -= node.weight;
}

std::optional<ServerIndex> SmoothRotation::next(Group& group) {
  if (group.empty()) return std::nullopt;
  advance(group.root_, group.turns_ + 1);
  return at(group.root_).richest;
}

void SmoothRotation::turn(Group& group, ServerIndex has_it) {
  at(has_it).at_zero -= static_cast<std::int64_t>(group.earned_);
  ++group.turns_;
  paid(group.root_, has_it, group.turns_ + 1);
  if (group.turns_ >= turns_max_) begin_anew(group);
}

// --- who is richest ---

/// Of the richest on both sides and itself: the one who will be at `turn`, and how long that stays so.
void SmoothRotation::judge(ServerIndex index, std::int64_t turn) {
  Node& top = at(index);
  const auto wealth = [this, turn](ServerIndex of) {
    const Node& node = nodes_[of];
    return node.at_zero + std::int64_t{node.weight} * turn;
  };
  const ServerIndex left = top.left == kNobody ? kNobody : at(top.left).richest;
  const ServerIndex right = top.right == kNobody ? kNobody : at(top.right).richest;
  // In the servers' order, so that the first of equals stays.
  top.richest = left == kNobody || wealth(index) > wealth(left) ? index : left;
  if (right != kNobody && wealth(right) > wealth(top.richest)) top.richest = right;
  top.until = kForEver;
  if (left != kNobody) {
    top.until = std::min(top.until, at(top.left).until);
    challenge(top, left, turn);
  }
  challenge(top, index, turn);
  if (right != kNobody) {
    top.until = std::min(top.until, at(top.right).until);
    challenge(top, right, turn);
  }
}

/// When `other` overtakes the richest, `top` has to be judged again.
void SmoothRotation::challenge(Node& top, ServerIndex other, [[maybe_unused]] std::int64_t turn) {
  const Node& is = at(top.richest);
  const Node& would_be = at(other);
  if (would_be.weight <= is.weight) return;
  // One who stands before it needs to draw level only.
  const std::int64_t lead = is.at_zero - would_be.at_zero - (other < top.richest ? 1 : 0);
  const std::int64_t last = lead / (std::int64_t{would_be.weight} - is.weight);
  assert(last >= turn);
  top.until = std::min(top.until, last);
}

void SmoothRotation::advance(ServerIndex index, std::int64_t turn) {
  if (index == kNobody || at(index).until >= turn) return;
  advance(at(index).left, turn);
  advance(at(index).right, turn);
  judge(index, turn);
}

/// `by`, below `top`, has another balance.
void SmoothRotation::paid(ServerIndex top, ServerIndex by, std::int64_t turn) {
  if (by != top) paid(by < top ? at(top).left : at(top).right, by, turn);
  judge(top, turn);
}

// --- the tree ---

ServerIndex SmoothRotation::merge(ServerIndex left, ServerIndex right, std::int64_t turn) {
  if (left == kNobody) return right;
  if (right == kNobody) return left;
  const ServerIndex top = at(left).priority > at(right).priority ? left : right;
  if (top == left) {
    at(left).right = merge(at(left).right, right, turn);
  } else {
    at(right).left = merge(left, at(right).left, turn);
  }
  judge(top, turn);
  return top;
}

/// What stands before `index` below `top`, and what behind it.
void SmoothRotation::split(ServerIndex top, ServerIndex index, ServerIndex& left, ServerIndex& right,
                           std::int64_t turn) {
  if (top == kNobody) {
    left = right = kNobody;
    return;
  }
  if (top < index) {
    left = top;
    split(at(top).right, index, at(top).right, right, turn);
  } else {
    right = top;
    split(at(top).left, index, left, at(top).left, turn);
  }
  judge(top, turn);
}

ServerIndex SmoothRotation::with(ServerIndex top, ServerIndex added, std::int64_t turn) {
  if (top == kNobody) return added;
  if (at(added).priority > at(top).priority) {
    split(top, added, at(added).left, at(added).right, turn);
    judge(added, turn);
    return added;
  }
  ServerIndex& side = added < top ? at(top).left : at(top).right;
  side = with(side, added, turn);
  judge(top, turn);
  return top;
}

ServerIndex SmoothRotation::without(ServerIndex top, ServerIndex gone, std::int64_t turn) {
  assert(top != kNobody);
  if (top == gone) return merge(at(top).left, at(top).right, turn);
  ServerIndex& side = gone < top ? at(top).left : at(top).right;
  side = without(side, gone, turn);
  judge(top, turn);
  return top;
}

void SmoothRotation::begin_anew(Group& group) {
  move_to_zero(group.root_, group.turns_);
  group.turns_ = 0;
}

void SmoothRotation::move_to_zero(ServerIndex top, std::int64_t turns) {
  if (top == kNobody) return;
  move_to_zero(at(top).left, turns);
  move_to_zero(at(top).right, turns);
  at(top).at_zero += std::int64_t{at(top).weight} * turns;
  judge(top, 1);
}

}  // namespace rejoin::route
