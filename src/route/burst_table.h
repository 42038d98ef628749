// A page's first burst: it opens several sockets at once, none of which has a cookie yet. For a short time
// they all go where the first one went.
//
// Known by address and what the browser says of itself, so several people behind one address with the same
// browser go together too, for those seconds. The time counts from the first of them and is not renewed.
//
// One per pool, shared by all workers, since the kernel spreads one client's connections over them. A fixed
// table: a newcomer takes the place of another one where two keys meet, so that nobody can fill it.
//
// Owner: SharedRoute. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "route/pool.h"

namespace rejoin::route {

/// Bursts that are remembered at once: 24 bytes each.
inline constexpr std::size_t kBurstsMax = 64 * 1024;

class BurstTable {
 public:
  explicit BurstTable(Duration within);

  /// Where the burst of `key` goes; none when there is none, or it is over.
  std::optional<ServerNumber> find(std::uint64_t key, TimePoint now);
  /// The burst of `key` goes to `server`. One that is not over keeps its end.
  void put(std::uint64_t key, ServerNumber server, TimePoint now);

 private:
  static constexpr std::size_t kLocks = 64;
  struct Burst {
    std::uint64_t key = 0;
    TimePoint ends = TimePoint::min();
    ServerNumber server = 0;
  };

  Duration within_;
  std::vector<Burst> bursts_;  // each under the lock of its number
  std::array<std::mutex, kLocks> locks_;
};

}  // namespace rejoin::route
