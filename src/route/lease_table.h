// Pins by source address: "whoever comes from here belongs to that server", for as long as a connection from
// there is open, and `grace` after the last one closed. (Elsewhere a pin is counted from the handshake, so it
// runs out under a player who is still connected.)
//
// One table per source-ip rule, SHARED by all workers, since SO_REUSEPORT spreads one client's connections
// over them. Sharded, one mutex per shard, held for one look-up: the only locks in routing. Every operation
// is O(1): closed leases stand in the order of their closing, which is the order of their expiry, and leave
// from the front.
//
// Bounded: when a shard is full, a new address takes the place of the one closed longest ago; when all of
// them have open connections, the new address is served and not remembered, and that is counted.
//
// It outlives Pools: a reload keeps it where the rule is the same, so it remembers servers by their number
// (pool.h).
//
// Time comes in with each call. Clocks of different workers may differ by a turn of their loops; nothing here
// minds.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/random.h"
#include "route/pool.h"

namespace rejoin::route {

struct LeaseRules {
  Duration grace = 5min;
  unsigned prefix = 32;      // bits of an IPv4 address that make the key
  unsigned prefix_v6 = 128;  // the same for IPv6
  std::size_t leases_max = limits::kLeasesMax;

  bool operator==(const LeaseRules&) const = default;
};

class LeaseTable;

/// One open connection's share in its address's pin. Move-only, 16 bytes, lives in the connection's record.
/// When it dies the connection counts as closed; the table outlives it. May be closed on any thread, by one
/// thread at a time.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  /// As close(), at the latest moment that anybody told the table (by find, open, close or tick): a
  /// destructor is not given the time. With a tick each second, grace begins at most a second too early.
  ~Lease();

  /// The connection closed at `now`. If it was the last one of its address, grace begins. Harmless when
  /// empty.
  void close(TimePoint now);
  /// The client was sent to another server (its own refused): all of the address's pin moves there. Harmless
  /// when empty.
  void move_to(ServerNumber server);
  /// The server has ended the client's pin: its address is bound to nothing from now on, until it is sent to
  /// a server again. Its other connections stay. Harmless when empty.
  void unpin();
  /// False for an empty lease: default-made, moved from, closed, or of a connection that the table had no
  /// room for.
  explicit operator bool() const { return entry_ != nullptr; }

 private:
  friend class LeaseTable;
  struct Entry;
  Lease(LeaseTable& table, Entry& entry) : table_(&table), entry_(&entry) {}
  LeaseTable* table_ = nullptr;
  Entry* entry_ = nullptr;
};

class LeaseTable {
 public:
  /// `random` seeds the hash, so that nobody can choose addresses that fall into one bucket; used here only.
  LeaseTable(const LeaseRules& rules, Random& random);
  /// All leases are closed by now (asserted).
  ~LeaseTable();
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  const LeaseRules& rules() const { return rules_; }

  /// The server to which `client`'s address is pinned at `now`; none when it never was, or grace has passed.
  std::optional<ServerNumber> find(const Address& client, TimePoint now);

  /// A connection from `client` was sent to `server`: pins its address there (a pin to another server moves)
  /// until the returned Lease closes, and grace after. Empty Lease when the table is full of open ones:
  /// counted in refused().
  Lease open(const Address& client, ServerNumber server, TimePoint now);

  // --- for the process that comes in our place ---
  struct Pin {
    Address client;  // cut to the prefix
    ServerNumber server;
    bool open;      // a connection is
    Duration left;  // otherwise, of grace
  };
  /// All pins that hold at `now`, in the order in which they would end, the open ones last. Takes all locks
  /// in turn.
  std::vector<Pin> pins(TimePoint now) const;
  /// A pin of before that has no connection: holds for `left`, at most `grace`. In the order of pins(), and
  /// before anything else is asked of the table. Nothing is remembered beyond its room.
  void remember(const Address& client, ServerNumber server, Duration left, TimePoint now);

  /// Takes out what has expired by `now`, in small bites per shard. find() and open() do the same in passing,
  /// so this only matters for memory of a table that nobody asks any more, and for the destructor of Lease.
  void tick(TimePoint now);

  /// Addresses remembered now, and those with a connection open; for people to see. Takes all locks in turn.
  struct Size {
    std::size_t addresses = 0;
    std::size_t open = 0;
  };
  Size size() const;
  /// Addresses forgotten early since the table was full, and connections that it had no room for.
  std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  friend class Lease;
  using Entry = Lease::Entry;
  static constexpr std::size_t kShards = 16;

  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const Address& key) const;
  };
  struct Shard;

  Address key_of(const Address& client) const;
  Shard& shard_of(const Address& key) const;
  void close(Entry& entry, TimePoint now);
  /// Under the shard's lock, these two.
  static void expire(Shard& shard, TimePoint now, int entries_max);
  static void forget(Shard& shard, Entry& entry);
  /// Remembers the latest moment for the destructor of Lease.
  void tell(TimePoint now);

  LeaseRules rules_;
  Hash hash_;
  std::size_t shards_used_;
  std::size_t shard_max_;
  std::array<std::unique_ptr<Shard>, kShards> shards_;
  std::atomic<Duration::rep> latest_{std::numeric_limits<Duration::rep>::min()};
  std::atomic<std::uint64_t> evicted_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace rejoin::route
