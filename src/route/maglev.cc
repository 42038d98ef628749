#include "route/maglev.h"

#include <algorithm>
#include <cassert>

namespace rejoin::route {
namespace {

constexpr ServerIndex kFree = 0xffff;
static_assert(limits::kServersPerPoolMax < kFree);
constexpr std::uint64_t kOffsetSeed = 1, kStepSeed = 2;

/// One server on its walk over the slots, in an order of its own that visits all of them.
struct Walk {
  ServerIndex index;
  std::uint32_t at;
  std::uint32_t step;     // 1 to kMaglevSlots - 1
  std::uint32_t turns;    // slots that it shall have
  std::uint64_t remains;  // of the division that gave its turns
};

void share_out(std::vector<Walk>& walks, const std::vector<MaglevTable::Member>& members) {
  std::uint64_t sum = 0;
  for (const MaglevTable::Member& member : members) sum += member.weight;
  std::uint32_t given = 0;
  std::size_t next = 0;
  for (const MaglevTable::Member& member : members) {
    if (member.weight == 0) continue;
    const std::uint64_t exact = member.weight * kMaglevSlots;  // 2^30 x 2^16
    Walk& walk = walks[next++];
    walk.turns = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(exact / sum));
    walk.remains = exact % sum;
    given += walk.turns;
  }
  // What division left over goes to the largest remainders, one each.
  std::vector<Walk*> by_remainder;
  for (Walk& walk : walks) by_remainder.push_back(&walk);
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [](const Walk* a, const Walk* b) { return a->remains > b->remains; });
  for (std::size_t i = 0; given < kMaglevSlots; ++i, ++given) ++by_remainder[i % by_remainder.size()]->turns;
}

}  // namespace

// A server with t turns takes them at the moments (k + 1/2) / t, k from 0: so the turns of all interleave,
// the heavy ones' more densely, and their order is had by counting instead of sorting.
MaglevTable::MaglevTable(std::vector<Member> members) {
  // Equal remainders and equal moments are told apart by the order, which must not be the list's.
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) { return a.name < b.name; });
  std::vector<Walk> walks;
  for (const Member& member : members) {
    if (member.weight == 0) continue;
    const std::uint64_t offset = hash_of(member.name, kOffsetSeed), step = hash_of(member.name, kStepSeed);
    walks.push_back({member.index, static_cast<std::uint32_t>(offset % kMaglevSlots),
                     static_cast<std::uint32_t>(step % (kMaglevSlots - 1) + 1), 0, 0});
  }
  if (walks.empty()) return;
  share_out(walks, members);

  const auto moment = [](const Walk& walk, std::uint32_t turn) {
    return static_cast<std::uint32_t>((2 * std::uint64_t{turn} + 1) * kMaglevSlots / (2 * walk.turns));
  };
  std::vector<std::uint32_t> begins(kMaglevSlots + 1, 0);  // of each moment's turns, in `order`
  for (const Walk& walk : walks) {
    for (std::uint32_t turn = 0; turn < walk.turns; ++turn) ++begins[moment(walk, turn) + 1];
  }
  for (std::size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
  std::vector<std::uint16_t> order(begins.back());
  for (std::size_t i = 0; i < walks.size(); ++i) {
    for (std::uint32_t turn = 0; turn < walks[i].turns; ++turn)
      order[begins[moment(walks[i], turn)]++] = static_cast<std::uint16_t>(i);
  }

  slots_.assign(kMaglevSlots, kFree);
  std::uint32_t taken = 0;
  for (const std::uint16_t number : order) {
    if (taken == kMaglevSlots) break;  // one turn at least for everybody can make more turns than slots
    Walk& walk = walks[number];
    while (slots_[walk.at] != kFree) walk.at = (walk.at + walk.step) % kMaglevSlots;
    slots_[walk.at] = walk.index;
    ++taken;
  }
  assert(taken == kMaglevSlots);
}

MaglevShare::MaglevShare(const Pool& pool) : pool_(pool) {
  for (std::size_t i = 0; i < pool.size(); ++i)
    name_hashes_.push_back(hash_of(pool.server(static_cast<ServerIndex>(i)).name));
  current_ = made();
}

MaglevShare::Current MaglevShare::made() const {
  const std::uint32_t weights = pool_.weights_version();  // before them: a change meanwhile is seen later
  std::vector<MaglevTable::Member> members;
  for (std::size_t i = 0; i < pool_.size(); ++i) {
    const auto index = static_cast<ServerIndex>(i);
    const Server& server = pool_.server(index);
    members.push_back({server.name, index, server.backup ? 0 : pool_.steady_weight(index)});
  }
  return {std::make_shared<const MaglevTable>(std::move(members)), weights};
}

MaglevShare::Current MaglevShare::current(TimePoint now) {
  const std::lock_guard hold(lock_);
  if (pool_.weights_version() != current_.of_weights && now - made_at_ >= kMaglevRemakeMs) {
    current_ = made();
    made_at_ = now;
  }
  return current_;
}

const MaglevTable& MaglevReader::refreshed(TimePoint now) {
  if (!current_.table || current_.of_weights != share_.pool().weights_version())
    current_ = share_.current(now);
  return *current_.table;
}

}  // namespace rejoin::route
