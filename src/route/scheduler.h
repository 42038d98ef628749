// Who takes a client that belongs nowhere yet.
//
// Place: asked by the Router when no affinity names a usable server, and again, with the ones already tried,
// when the chosen one refuses: failover is "the next one". Each kind is one file. Owner: one worker; not
// shared. Schedulers of several workers agree through the counts in the Pool, where their kind needs any.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/limits.h"
#include "route/pool.h"

namespace rejoin::route {

/// The servers that one client was already sent to. A value of 18 bytes.
class Tried {
 public:
  bool contains(ServerIndex index) const {
    for (std::uint8_t i = 0; i < count_; ++i) {
      if (servers_[i] == index) return true;
    }
    return false;
  }
  /// False when it is full: then give up instead of trying another.
  bool add(ServerIndex index) {
    if (count_ == servers_.size()) return false;
    servers_[count_++] = index;
    return true;
  }
  std::size_t count() const { return count_; }

 private:
  std::array<ServerIndex, limits::kTriedServersMax> servers_{};
  std::uint8_t count_ = 0;
};

enum class SchedulerKind : std::uint8_t { round_robin, least_connections };

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// A server that takes new clients (Pool::takes_new) and was not tried; none when there is no such server.
  /// Always of the same pool: a scheduler keeps a place per server. At most one pass over the servers.
  virtual std::optional<ServerIndex> pick(const Pool& pool, const Tried& tried) = 0;
};

/// `worker`: its number, from 0. Schedulers of different workers begin at different servers, so that the
/// first clients of a program with many workers do not all land on the first server.
std::unique_ptr<Scheduler> make_scheduler(SchedulerKind kind, const Pool& pool, unsigned worker);

}  // namespace rejoin::route
