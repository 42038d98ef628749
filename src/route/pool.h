// A named set of servers, and what all workers know of them at this moment.
//
// The list is constant once made. What changes (health, draining, weights, connections) is a few relaxed
// atomics per server, so that one Pool is shared by all workers without a lock: a reader may see a count that
// is a few nanoseconds old, and nothing in routing needs more than that. Schedulers and affinities are per
// worker and read the Pool.
//
// A changed list is another Pool, which shares the live state of the servers that are still the same: so a
// reload forgets nothing, and whoever holds the old Pool still counts at the right place.
//
// Owner: who made it, shared by all workers (SharedRoute). Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "route/change_log.h"
#include "route/health.h"
#include "route/room_watch.h"

namespace rejoin::route {

/// A server's place in its pool. Means nothing outside of it: what leaves the process names the server
/// instead, because two balancers may list the same servers in another order.
using ServerIndex = std::uint16_t;

struct Server {
  std::string name;  // unique in its pool; this is what a cookie carries
  Address address;
  /// As configured: share of new clients; 0 takes pinned clients only. At most limits::kWeightMax. What
  /// counts at this moment is Pool::weight().
  std::uint32_t weight = 1;
  bool backup = false;                // takes new clients only while no other server could
  std::uint32_t max_connections = 0;  // in use at once, over all workers; 0: no bound
  std::string tls_name{};             // over TLS: whom its certificate must be for; empty: its address

  bool operator==(const Server&) const = default;
};

/// An operator's word about a server: health says whether it can, this says whether it may.
enum class ServerOrder : std::uint8_t {
  ready,
  drain,        // no new clients; those that belong there come back
  maintenance,  // nobody
};
std::string_view to_string(ServerOrder order);

/// What Pools that follow each other have in common besides their servers.
struct PoolLife {
  RoomWatch room_watch;
  std::atomic<std::uint32_t> weights_version{0};  // changes whenever a steady_weight() has
  std::atomic<std::uint32_t> use_readers{0};      // who wants every change of `active` in `changes`, too
  /// Servers of which Pool::taking() may say something else than before, but for what time alone changes.
  ChangeLog changes;
};

/// A server's number as long as Pools that follow each other have a server of its name: what outlives one
/// Pool (a lease) remembers it instead of the ServerIndex. Never used twice.
using ServerNumber = std::uint32_t;

/// The live state of one server, shared by all workers and by all Pools that have the server. What is written
/// at each connection, and read for each choice, is on a cache line of its own. Moments are milliseconds of
/// the monotonic clock, 0: none.
struct alignas(64) ServerState {
  ServerState(std::string of, std::shared_ptr<PoolLife> in) : life(std::move(in)), name(std::move(of)) {}

  std::atomic<HealthState> health{HealthState{}};
  std::atomic<std::uint32_t> active{0};  // what ServerUse counts
  std::atomic<std::uint32_t> weight{1};  // begins as Server::weight; set_weight() changes it
  std::atomic<std::uint64_t> drains_until{
      0};                                   // while its probes say that it drains: its own clients may come
  std::atomic<std::uint64_t> came_up{0};    // 0: was up from the start, and takes its full share
  std::atomic<std::uint64_t> out_until{0};  // passive marks: as if it were down until then
  std::atomic<std::uint32_t> holders{0};    // ServerRefs
  std::atomic<ServerOrder> order{ServerOrder::ready};
  std::atomic<std::uint8_t> share_percent{100};   // of its weight, as the server itself asks for
  std::atomic<std::uint32_t> max_connections{0};  // Server's, of the Pool that has taken effect
  ServerNumber number = 0;                        // constant once its first Pool is made
  const std::shared_ptr<PoolLife> life;
  const std::string name;  // "pool/server"

  void changed() { life->changes.note(number); }
  void begin_use() { count_changed(active.fetch_add(1, std::memory_order_relaxed) + 1); }
  void end_use() { count_changed(active.fetch_sub(1, std::memory_order_relaxed)); }
  /// `more`: the larger one of `active` before and after. It is noted where it decides who is full.
  void count_changed(std::uint32_t more) {
    if (more == max_connections.load(std::memory_order_relaxed) ||
        life->use_readers.load(std::memory_order_relaxed) != 0)
      changed();
  }
};

static_assert(std::atomic<HealthState>::is_always_lock_free);
static_assert(sizeof(ServerState) == 128);

/// What a server takes at this moment, the weakest bar first.
enum class Standing : std::uint8_t {
  open,         // everybody
  weight_0,     // pinned clients only
  draining,     // pinned clients only, and only until the drain's deadline
  full,         // nobody until a connection ends
  drained,      // nobody: the drain's deadline is over
  maintenance,  // nobody, an operator says
  out,          // nobody: it failed too often, see PassiveRules
  down,         // nobody
};
inline constexpr std::size_t kStandings = 8;
std::string_view to_string(Standing standing);

/// What probes and clients' connections have told of one server: for a process that comes in the place of
/// this one. Moments as in ServerState.
struct ServerHealth {
  HealthState state{};
  std::uint64_t drains_until = 0, came_up = 0, out_until = 0;
  std::uint8_t share_percent = 100;
  std::vector<TimePoint> failures{};  // that count at the moment: PassiveRules::within

  bool operator==(const ServerHealth&) const = default;
};

/// Shares a ServerState; the last one deletes it. 8 bytes. Any thread, one thread at a time.
class ServerRef {
 public:
  ServerRef() = default;
  explicit ServerRef(ServerState& state) : state_(&state) {
    state.holders.fetch_add(1, std::memory_order_relaxed);
  }
  ServerRef(const ServerRef& other) : state_(other.state_) {
    if (state_ != nullptr) state_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  ServerRef(ServerRef&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  ServerRef& operator=(ServerRef other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~ServerRef() {
    if (state_ != nullptr && state_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete state_;
  }

  ServerState& operator*() const { return *state_; }
  ServerState* operator->() const { return state_; }
  explicit operator bool() const { return state_ != nullptr; }
  /// The same server, not an equal one.
  bool operator==(const ServerRef&) const = default;

 private:
  ServerState* state_ = nullptr;
};

/// Whether a pool may have nobody: one whose servers come and go by themselves.
enum class NoServers : std::uint8_t { refused, allowed };

class Pool {
 public:
  /// Error: config, when check_servers() finds something wrong. `before`: the Pool in whose place this one
  /// will stand. Servers that have the same name and address share their live state with it, which changes
  /// nothing there until take_effect().
  static Result<std::unique_ptr<Pool>> make(std::string name, std::vector<Server> servers,
                                            HealthRules health = {}, const Pool* before = nullptr,
                                            Duration slow_start = Duration(0),
                                            NoServers empty = NoServers::refused);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& name() const { return name_; }
  std::size_t size() const { return servers_.size(); }
  const Server& server(ServerIndex index) const { return servers_[index]; }
  const HealthRules& health_rules() const { return health_rules_; }
  std::optional<ServerIndex> index_of(std::string_view server_name) const;
  ServerNumber number(ServerIndex index) const { return numbers_[index]; }
  /// None: the server is not in this Pool (any more).
  std::optional<ServerIndex> index_of_number(ServerNumber number) const;
  /// For what outlives the Pool.
  ServerRef ref(ServerIndex index) const { return states_[index]; }
  /// A Pool of this one server, which shares its live state: for a prober, which outlives Pools.
  std::unique_ptr<Pool> alone(ServerIndex index) const;

  /// It stands in the place of `before` now: where the configuration says something new about a server
  /// (Server is another), that counts, and what was said at runtime (set_weight(), set_order()) is over;
  /// otherwise it goes on. With other health checks (HealthKind) a server begins on probation. Once.
  void take_effect();

  /// What probes and connects say. Whether clients may go there, says standing().
  bool up(ServerIndex index) const { return health(index).up; }
  /// How long nobody could reach it; zero when somebody could. See HealthState::away_since_ms.
  Duration away_for(ServerIndex index, TimePoint now) const { return route::away_for(health(index), now); }
  bool draining(ServerIndex index) const {
    return state(index).drains_until.load(std::memory_order_relaxed) != 0;
  }
  std::uint32_t active(ServerIndex index) const {
    return state(index).active.load(std::memory_order_relaxed);
  }
  /// 0: no bound.
  std::uint32_t max_connections(ServerIndex index) const {
    return state(index).max_connections.load(std::memory_order_relaxed);
  }
  /// Has as many connections as it may have.
  bool full(ServerIndex index) const {
    const std::uint32_t max = max_connections(index);
    return max != 0 && active(index) >= max;
  }
  /// Marked by failures of its own, see PassiveRules.
  bool out(ServerIndex index, TimePoint now) const {
    return state(index).out_until.load(std::memory_order_relaxed) > monotonic_ms(now);
  }
  Standing standing(ServerIndex index, TimePoint now) const;

  /// The weight at this moment: the configured one, until somebody changes it.
  std::uint32_t weight(ServerIndex index) const {
    return state(index).weight.load(std::memory_order_relaxed);
  }
  /// Safe from every thread. At most limits::kWeightMax (asserted); 0: no new clients, pinned ones still
  /// come.
  void set_weight(ServerIndex index, std::uint32_t weight);
  /// What the server itself asks for in its answers to probes: 0 to 100 percent of its weight.
  std::uint8_t share_percent(ServerIndex index) const {
    return state(index).share_percent.load(std::memory_order_relaxed);
  }
  void set_share_percent(ServerIndex index, std::uint8_t percent);
  /// Weight and share in one number: kWeightUnits for a weight of 1 and a share of 100 percent. Does not
  /// change by itself.
  std::uint64_t steady_weight(ServerIndex index) const {
    return std::uint64_t{weight(index)} * share_percent(index) * (kWeightUnits / 100);
  }
  /// The same, less while a server that came up makes its slow start: from a hundredth of it to all of it,
  /// evenly. Less than 2^30.
  std::uint64_t present_weight(ServerIndex index, TimePoint now) const;
  static constexpr std::uint64_t kWeightUnits = 10'000;
  /// Changes whenever a steady_weight() has.
  std::uint32_t weights_version() const { return life_->weights_version.load(std::memory_order_acquire); }

  /// What an operator said last; ready when nobody said anything. Safe from every thread.
  ServerOrder order(ServerIndex index) const { return state(index).order.load(std::memory_order_relaxed); }
  void set_order(ServerIndex index, ServerOrder order) {
    state(index).order.store(order, std::memory_order_relaxed);
    state(index).changed();
  }

  /// May a client without a pin be sent there?
  bool takes_new(ServerIndex index, TimePoint now) const { return standing(index, now) == Standing::open; }
  /// May a client that belongs there come back? Draining and weight 0 do not keep it away.
  bool takes_pinned(ServerIndex index, TimePoint now) const { return standing(index, now) < Standing::full; }
  /// It would take new clients if it had room, and perhaps has.
  bool would_take_new(ServerIndex index, TimePoint now) const;
  bool has_backups() const { return has_backups_; }

  /// All of that in one, for views that are kept (takers.h).
  struct Taking {
    std::uint64_t weight = 0;  // present_weight() of a server that takes new clients; 0: it does not
    bool lacks_room = false;   // it would if it had room
    std::uint64_t until_ms =
        kForEver;  // of the monotonic clock: when time alone changes it. Else changes() tells

    bool operator==(const Taking&) const = default;
  };
  static constexpr std::uint64_t kForEver = ~std::uint64_t{0};
  Taking taking(ServerIndex index, TimePoint now) const;
  const ChangeLog& changes() const { return life_->changes; }
  /// While there are readers of uses, changes() tells of every connection's begin and end.
  void add_use_reader(int change) const {
    life_->use_readers.fetch_add(static_cast<std::uint32_t>(change), std::memory_order_acq_rel);
  }

  /// A probe of ours ended, or (ProbeResult::refused) a client's connect to the server failed. Safe from
  /// every thread; exactly one caller is told of each change, and logs it. With health checks off nothing
  /// ever changes but away_for().
  HealthChange observe(ServerIndex index, ProbeResult result, TimePoint now);
  /// A client's connect succeeded: observe() with ProbeResult::reached, where that can change anything.
  void reached(ServerIndex index, TimePoint now) {
    if (health(index).away_since_ms != 0) observe(index, ProbeResult::reached, now);
  }
  /// No new clients from now on; pinned ones still come back until `deadline`. Or all of that is over. For
  /// probes; operators say set_order().
  void set_draining(ServerIndex index, bool draining, TimePoint deadline = kNever) {
    state(index).drains_until.store(draining ? monotonic_ms(deadline) : 0, std::memory_order_relaxed);
    state(index).changed();
  }
  /// A failure in the server's answers, or a connect that failed, at `now`. True when that was one too many
  /// and the server is out from now on, for PassiveRules::out; never when that would leave less than half of
  /// the pool's servers. Any thread; exactly one caller is told.
  bool mark_failure(ServerIndex index, TimePoint now);

  /// Everything of a server's health at once; and to go on with, before anybody asks for the server. It was
  /// told by checks of the same HealthKind.
  ServerHealth health_of(ServerIndex index, TimePoint now) const;
  void go_on_with(ServerIndex index, const ServerHealth& health);

  /// Whose bells ring when a connection to a server ends while somebody waits.
  RoomWatch& room_watch() const { return life_->room_watch; }

 private:
  friend class ServerUse;
  Pool(std::string name, std::vector<Server> servers, HealthRules health, Duration slow_start,
       std::shared_ptr<PoolLife> life);
  void begin_anew();
  void follow(const Pool& before);
  std::uint64_t slow_start_ends_ms(ServerIndex index) const;
  ServerState& state(ServerIndex index) const { return *states_[index]; }
  HealthState health(ServerIndex index) const { return state(index).health.load(std::memory_order_relaxed); }

  std::string name_;
  std::vector<Server> servers_;
  HealthRules health_rules_;
  std::unordered_map<std::string_view, ServerIndex> by_name_;  // views into servers_
  std::unordered_map<ServerNumber, ServerIndex> by_number_;
  std::shared_ptr<PoolLife> life_;
  std::vector<ServerRef> states_;
  std::vector<std::unique_ptr<FailureWindow>> failures_;  // empty without passive marks
  Duration slow_start_;
  bool has_backups_ = false;
  std::vector<ServerNumber> numbers_;
  ServerNumber next_number_ = 0;
  // For take_effect(): of which servers the configuration says something new, and whether health checks are
  // others.
  std::vector<ServerIndex> new_words_;
  bool new_health_ = false;
};

/// What is wrong with a list of servers (Error: config), or nothing: at least one, at most
/// limits::kServersPerPoolMax, names unique and of 1 to limits::kServerNameBytesMax bytes, addresses with a
/// port, weights in range.
Status check_servers(const std::vector<Server>& servers);

/// One connection (or request in flight) at a server, counted in its `active` as long as this lives.
/// Move-only, 8 bytes, kept in the record of the connection. Outlives the Pool where it must. May die on any
/// thread.
class ServerUse {
 public:
  ServerUse() = default;
  ServerUse(const Pool& pool, ServerIndex index) : server_(pool.state(index)) { server_->begin_use(); }
  /// Only if the server has room: never more than max_connections, whoever else takes at this moment. Else
  /// empty.
  static ServerUse take(const Pool& pool, ServerIndex index);
  ServerUse(ServerUse&& other) noexcept = default;
  ServerUse& operator=(ServerUse&& other) noexcept {
    std::swap(server_, other.server_);
    return *this;
  }
  ~ServerUse() { end(); }

  /// Counts no longer. Harmless when it did not count.
  void end() {
    if (!server_) return;
    server_->end_use();  // before those who wait are told: they look at what it notes
    if (RoomWatch& watch = server_->life->room_watch; watch.is_used()) watch.connection_ended(*server_);
    server_ = {};
  }
  bool is_of(const Pool& pool, ServerIndex index) const { return server_ && &*server_ == &pool.state(index); }
  explicit operator bool() const { return static_cast<bool>(server_); }
  /// Whose connection this is; none when it does not count.
  const ServerRef& server() const { return server_; }

 private:
  ServerRef server_;
};

}  // namespace rejoin::route
