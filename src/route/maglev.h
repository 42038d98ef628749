// Consistent hashing: a key belongs to a server, and stays with it when other servers come and go (Eisenbud
// et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4).
//
// The table is made of the servers' names and weights, so all balancers with the same list agree. A server
// that is down, drains or is full keeps its slots: a key of its goes on to the next of its preference and
// returns when the server does, and no other key moves. (A table made anew at each change of health, as in
// the paper, also moves some percent of the others' keys.) Only a change of weights or of the list makes a
// new table.
//
// Place: under the schedulers source-hash and key-hash and the affinity `key`. One MaglevShare per pool,
// shared by its workers; one MaglevReader per user and worker.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "route/hash.h"
#include "route/pool.h"
#include "route/takers.h"

namespace rejoin::route {

/// A prime, so that every step visits every slot. 131 kB a table; with 1000 servers each has 65 or 66 slots,
/// so that equal servers differ by 1.5 %. Made in some milliseconds whatever the number of servers and
/// weights: slots x ln(slots) steps.
inline constexpr std::uint32_t kMaglevSlots = 65537;
/// Places of its preference at which a key's server is looked for, before all servers are compared.
inline constexpr int kMaglevTriesMax = 32;
/// Weights that change again and again (agent checks) make at most one new table in this time.
inline constexpr std::chrono::milliseconds kMaglevRemakeMs{1000};

/// Which server has which slot. Constant.
class MaglevTable {
 public:
  struct Member {
    std::string_view name;  // used while the table is made
    ServerIndex index = 0;
    std::uint64_t weight = 0;  // 0: has no slot
  };
  /// The members' order does not matter.
  explicit MaglevTable(std::vector<Member> members);

  /// No member has a weight.
  bool empty() const { return slots_.empty(); }
  /// The server at `place` (from 0) of the key's preference; places may repeat a server. Not of an empty
  /// table.
  ServerIndex at(std::uint64_t key, int place = 0) const {
    const std::uint64_t hash = place == 0 ? key : mix_bits(key + static_cast<std::uint64_t>(place));
    return slots_[hash % kMaglevSlots];
  }

 private:
  std::vector<ServerIndex> slots_;
};

/// The pool's present table. Any thread.
class MaglevShare {
 public:
  /// `pool` outlives it. Backup servers have no slots.
  explicit MaglevShare(const Pool& pool);

  struct Current {
    std::shared_ptr<const MaglevTable> table;
    std::uint32_t of_weights = 0;  // Pool::weights_version() when it was made
  };
  /// The table of the weights at `now`, or the one before as long as it is younger than kMaglevRemakeMs.
  Current current(TimePoint now);
  const Pool& pool() const { return pool_; }
  std::uint64_t name_hash(ServerIndex index) const { return name_hashes_[index]; }

 private:
  Current made() const;

  const Pool& pool_;
  std::vector<std::uint64_t> name_hashes_;
  std::mutex lock_;
  Current current_;      // under the lock
  TimePoint made_at_{};  // under the lock
};

/// One worker's view of it, which takes no lock while nothing has changed. One thread.
class MaglevReader {
 public:
  explicit MaglevReader(MaglevShare& share) : share_(share) {}

  /// The first server of the key's preference for which `takes(index)` holds; where none of the first
  /// kMaglevTriesMax places does, the server that ranks highest for this key among all for which it holds
  /// (rendezvous hashing); none when it holds for none. It may hold for those alone that `takers` has as
  /// open, and with `may_be_full` as full. As the tries fail where those are few, hardly more than a
  /// hundredth of all servers is ever looked at.
  template <typename Takes>
  std::optional<ServerIndex> first(std::uint64_t key, TimePoint now, const Takers& takers, bool may_be_full,
                                   Takes takes) {
    const MaglevTable& table = refreshed(now);
    for (int place = 0; !table.empty() && place < kMaglevTriesMax; ++place) {
      const ServerIndex index = table.at(key, place);
      if (takes(index)) return index;
    }
    std::optional<ServerIndex> best;
    std::uint64_t highest = 0;
    const auto rank_all = [&](const std::vector<ServerIndex>& servers) {
      for (const ServerIndex index : servers) {
        const std::uint64_t rank = mix_bits(key ^ share_.name_hash(index));
        if ((best && rank <= highest) || !takes(index)) continue;
        best = index;
        highest = rank;
      }
    };
    rank_all(takers.open());
    if (may_be_full) rank_all(takers.full());
    return best;
  }
  /// The head of the key's preference, usable or not; none when no server has a weight.
  std::optional<ServerIndex> home(std::uint64_t key, TimePoint now) {
    const MaglevTable& table = refreshed(now);
    if (table.empty()) return std::nullopt;
    return table.at(key);
  }

 private:
  const MaglevTable& refreshed(TimePoint now);

  MaglevShare& share_;
  MaglevShare::Current current_;
};

}  // namespace rejoin::route
