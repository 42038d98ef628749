// A named set of servers, and what all workers know of them at this moment.
//
// The list is constant once made. What changes (up or down, draining, connections) is a few relaxed atomics
// per server, so that one Pool is shared by all workers without a lock: a reader may see a count that is a
// few nanoseconds old, and nothing in routing needs more than that. Schedulers and affinities are per worker
// and read the Pool.
//
// Owner: the balancer, which outlives its workers. Thread: any.
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
#include "route/health.h"

namespace rejoin::route {

/// A server's place in its pool. Means nothing outside of it: what leaves the process names the server
/// instead, because two balancers may list the same servers in another order.
using ServerIndex = std::uint16_t;

struct Server {
  std::string name;  // unique in its pool; this is what a cookie carries
  Address address;
  std::uint32_t weight = 1;  // share of new clients; 0 takes pinned clients only. At most limits::kWeightMax
  std::string tls_name{};    // over TLS: whom its certificate must be for; empty: its address
};

/// The live state of one server, shared by all workers. On a cache line of its own: it is written at each
/// connection.
struct alignas(64) ServerState {
  std::atomic<HealthState> health{HealthState{}};
  std::atomic<std::uint32_t> active{0};  // what ServerUse counts
  std::atomic<bool> draining{false};
};

static_assert(std::atomic<HealthState>::is_always_lock_free);

class Pool {
 public:
  /// Error: config, when check_servers() finds something wrong.
  static Result<std::unique_ptr<Pool>> make(std::string name, std::vector<Server> servers,
                                            HealthRules health = {});
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& name() const { return name_; }
  std::size_t size() const { return servers_.size(); }
  const Server& server(ServerIndex index) const { return servers_[index]; }
  const HealthRules& health_rules() const { return health_rules_; }
  std::optional<ServerIndex> index_of(std::string_view server_name) const;

  bool up(ServerIndex index) const { return health(index).up; }
  /// How long nobody could reach it; zero when somebody could. See HealthState::away_since_ms.
  Duration away_for(ServerIndex index, TimePoint now) const { return route::away_for(health(index), now); }
  bool draining(ServerIndex index) const { return state(index).draining.load(std::memory_order_relaxed); }
  std::uint32_t active(ServerIndex index) const {
    return state(index).active.load(std::memory_order_relaxed);
  }

  /// May a client without a pin be sent there: up, not draining, weight above 0.
  bool takes_new(ServerIndex index) const {
    return servers_[index].weight > 0 && up(index) && !draining(index);
  }
  /// May a client that belongs there come back: up. Draining and weight 0 do not keep it away.
  bool takes_pinned(ServerIndex index) const { return up(index); }

  /// A probe of ours ended, or (ProbeResult::refused) a client's connect to the server failed. Safe from
  /// every thread; exactly one caller is told of each change, and logs it. With health checks off nothing
  /// ever changes but away_for().
  HealthChange observe(ServerIndex index, ProbeResult result, TimePoint now);
  /// A client's connect succeeded: observe() with ProbeResult::reached, where that can change anything.
  void reached(ServerIndex index, TimePoint now) {
    if (health(index).away_since_ms != 0) observe(index, ProbeResult::reached, now);
  }
  /// No new clients from now on; pinned ones still come back.
  void set_draining(ServerIndex index, bool draining) {
    state(index).draining.store(draining, std::memory_order_relaxed);
  }

 private:
  friend class ServerUse;
  Pool(std::string name, std::vector<Server> servers, HealthRules health);
  const ServerState& state(ServerIndex index) const { return states_[index]; }
  HealthState health(ServerIndex index) const { return state(index).health.load(std::memory_order_relaxed); }
  ServerState& state(ServerIndex index) { return states_[index]; }

  std::string name_;
  std::vector<Server> servers_;
  HealthRules health_rules_;
  std::unordered_map<std::string_view, ServerIndex> by_name_;  // views into servers_
  std::unique_ptr<ServerState[]> states_;
};

/// What is wrong with a list of servers (Error: config), or nothing: at least one, at most
/// limits::kServersPerPoolMax, names unique and of 1 to limits::kServerNameBytesMax bytes, addresses with a
/// port, weights in range.
Status check_servers(const std::vector<Server>& servers);

/// One connection (or request in flight) at a server, counted in its `active` as long as this lives.
/// Move-only, 8 bytes, kept in the record of the connection. The Pool outlives it. May die on any thread.
class ServerUse {
 public:
  ServerUse() = default;
  ServerUse(Pool& pool, ServerIndex index) : state_(&pool.state(index)) {
    state_->active.fetch_add(1, std::memory_order_relaxed);
  }
  ServerUse(ServerUse&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  ServerUse& operator=(ServerUse&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~ServerUse() { end(); }

  /// Counts no longer. Harmless when it did not count.
  void end() {
    if (ServerState* state = std::exchange(state_, nullptr))
      state->active.fetch_sub(1, std::memory_order_relaxed);
  }
  explicit operator bool() const { return state_ != nullptr; }

 private:
  ServerState* state_ = nullptr;
};

}  // namespace rejoin::route
