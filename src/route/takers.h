// Who of a pool takes new clients at this moment, and with what weight: one worker's view, kept up to date by
// what changes. Asking costs what has changed since the last time (Pool::changes(), and moments at which time
// alone changes something), whatever the number of servers.
//
// Place: under the schedulers and the consistent hash. Owner: one of them; one thread.
#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "route/pool.h"

namespace rejoin::route {

class Takers {
 public:
  /// `pool` outlives it.
  explicit Takers(const Pool& pool);

  /// Brings the view to `now`: calls `changed(index)` for each server that may have another weight() than
  /// before, and for each of which a connection began or ended, where those are noted (Pool::add_use_reader).
  /// The first time, and when more has changed than the log holds, for all.
  template <typename Changed>
  void refresh(TimePoint now, Changed changed) {
    const std::uint64_t ms = monotonic_ms(now);
    const auto note = [&](ServerNumber number) {
      const auto index = pool_.index_of_number(number);
      if (!index) return;
      look(*index, now);
      changed(*index);
    };
    const std::uint64_t head = pool_.changes().head();
    if (ms < seen_ms_ || !pool_.changes().read(cursor_, note)) {
      cursor_ = head;
      for (std::size_t i = 0; i < pool_.size(); ++i) {
        look(static_cast<ServerIndex>(i), now);
        changed(static_cast<ServerIndex>(i));
      }
    }
    seen_ms_ = ms;
    while (!due_.empty() && due_.begin()->first <= ms) {
      const ServerIndex index = due_.begin()->second;
      look(index, now);
      changed(index);
    }
  }
  void refresh(TimePoint now) {
    refresh(now, [](ServerIndex) {});
  }
  /// One server, now.
  void look(ServerIndex index, TimePoint now);

  // --- of the last look ---
  /// 0: it takes nobody.
  std::uint64_t weight(ServerIndex index) const { return servers_[index].is.weight; }
  bool lacks_room(ServerIndex index) const { return servers_[index].is.lacks_room; }
  /// Those that take new clients, and those that only lack room, backups among both; in no order.
  const std::vector<ServerIndex>& open() const { return open_; }
  const std::vector<ServerIndex>& full() const { return full_; }

 private:
  struct Of {
    Pool::Taking is;
    std::uint16_t place = 0;  // in open_ or full_
  };
  std::vector<ServerIndex>* list_of(const Pool::Taking& is);

  const Pool& pool_;
  std::vector<Of> servers_;
  std::vector<ServerIndex> open_, full_;
  std::set<std::pair<std::uint64_t, ServerIndex>> due_;  // when who changes by itself
  std::uint64_t cursor_ = 0;
  std::uint64_t seen_ms_ = Pool::kForEver;  // nothing was seen yet
};

}  // namespace rejoin::route
