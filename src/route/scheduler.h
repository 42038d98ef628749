// Who takes a client that belongs nowhere yet.
//
// Place: asked by the Router when no affinity names a usable server, and again, with the ones already tried,
// when the chosen one refuses: failover is "the next one". Each kind is one file. Owner: one worker; not
// shared. Schedulers of several workers agree through the counts in the Pool, where their kind needs any.
//
// A pick costs little more with a thousand servers than with ten: each scheduler keeps what it needs in
// order, and what has changed since the last pick (Takers) is what it works on. scheduler_model_test.cc holds
// them to the rules that look at every server.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/limits.h"
#include "route/pool.h"
#include "route/takers.h"

namespace rejoin::route {

/// The servers that one client was already sent to. A value of 18 bytes.
class Tried {
 public:
  const ServerIndex* begin() const { return servers_.data(); }
  const ServerIndex* end() const { return servers_.data() + count_; }
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

enum class SchedulerKind : std::uint8_t {
  round_robin,
  least_connections,
  random_two,
  source_hash,
  key_hash,
};

/// Whom a pick is for. Borrowed for the call.
struct Wanted {
  const Tried& tried;
  TimePoint now{};
  std::uint64_t hash = 0;  // of the client's address or key, for the schedulers that hash
  bool backups = false;    // among the backup servers only, else among the others only
  bool may_wait = false;   // for room at a server that is full

  bool may(const Pool& pool, ServerIndex index) const {
    return pool.server(index).backup == backups && pool.takes_new(index, now) && !tried.contains(index);
  }
};

class MaglevShare;

class Scheduler {
 public:
  /// `pool` outlives it.
  explicit Scheduler(const Pool& pool) : pool_(pool), takers_(pool) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  virtual ~Scheduler() = default;
  /// A server for which Wanted::may() holds; none when there is no such server.
  virtual std::optional<ServerIndex> pick(const Wanted& wanted) = 0;
  /// After a pick for `wanted` that found nobody: among the servers that are meant, does one only lack room?
  bool lacks_room(const Wanted& wanted) const;

 protected:
  const Pool& pool() const { return pool_; }
  Takers& takers() { return takers_; }

 private:
  const Pool& pool_;
  Takers takers_;
};

/// `worker`: its number, from 0. Schedulers of different workers begin at different servers, so that the
/// first clients of a program with many workers do not all land on the first server. `seed`: for those who
/// draw lots, the same for all workers. `maglev`: the pool's, for those who hash; it outlives the scheduler.
std::unique_ptr<Scheduler> make_scheduler(SchedulerKind kind, const Pool& pool, unsigned worker,
                                          std::uint64_t seed = 0, MaglevShare* maglev = nullptr);

}  // namespace rejoin::route
