// What one worker has of one Plan (plan.h), and of the one before it, and the one before that, as long as
// somebody who began under them is there.
//
// A connection holds the Generation that it began with for one request (layer 7; between requests it follows
// the present one) or until it has a server (layer 4); it cannot change under its feet, and dies when its
// last user has gone. Tunnels, which live for days, hold no Generation: only their listener's rules, their
// server's live state and their lease. So reloads leave nothing behind but what is in use.
//
// Owner: one worker, its thread: counts are plain integers.
#pragma once

#include <memory>
#include <vector>

#include "apps/balancer/books.h"
#include "apps/balancer/plan.h"
#include "apps/balancer/pool_room.h"
#include "base/local_ptr.h"
#include "io/world.h"
#include "route/router.h"
#include "route/seal.h"
#include "upstream/idle_connections.h"

namespace rejoin::balancer {

/// What a worker keeps of one pool: the same in all Generations whose Plans share the PoolPlan.
struct PoolUse : LocalCounted {
  /// `before`: what it stands in the place of. Idle connections come over at take_over().
  PoolUse(io::World& world, std::shared_ptr<const PoolPlan> of, route::Seal& seal, Rooms& rooms, Books& books,
          unsigned worker, const PoolUse* before);
  /// Idle connections to servers that are still the same are ours now, and `before` keeps none any more.
  void take_over(PoolUse& before);
  ServerCounts& server_counts(route::ServerIndex index) { return servers[index]->counts; }

  const std::shared_ptr<const PoolPlan> held;
  const PoolPlan& plan;
  route::Router router;
  upstream::IdleConnections idle;
  PoolRoom room;
  TimePoint tls_warned{};  // when a server's failing TLS was last said
  const LocalPtr<PoolBook> book;
  std::vector<LocalPtr<ServerBook>> servers;  // by ServerIndex
};

/// What a worker keeps of one listener: the same in all Generations in which its rules are.
struct ListenerUse : LocalCounted, ListenerPlan {
  ListenerUse(const ListenerPlan& of, Books& books) : ListenerPlan(of), book(books.listener(of.rules.name)) {}
  const LocalPtr<ListenerBook> book;
};
using ListenerPtr = LocalPtr<const ListenerUse>;

struct Generation : LocalCounted {
  /// `before`: the Generation that it will follow; what did not change is shared with it.
  Generation(io::World& world, std::shared_ptr<const Plan> of, route::Seal& seal, Rooms& rooms, Books& books,
             unsigned worker, const Generation* before);

  PoolUse& pool(const ListenerPlan& listener) const { return *pools[listener.pool]; }
  /// nullptr: it has none of its own.
  PoolUse* pool_of(const ListenerPlan& listener) const {
    return listener.pool == ListenerPlan::kNoPool ? nullptr : pools[listener.pool].get();
  }
  /// The pool of this name; nullptr when there is none.
  PoolUse* find_pool(std::string_view name) const;
  /// Where clients of `old` belong now; none when it was removed, or speaks another layer or other TLS.
  ListenerPtr successor(const ListenerPlan& old) const;

  const std::shared_ptr<const Plan> plan;
  std::vector<LocalPtr<PoolUse>> pools;  // as Plan::pools
  std::vector<ListenerPtr> listeners;    // as Plan::listeners
};
using GenerationPtr = LocalPtr<const Generation>;

}  // namespace rejoin::balancer
