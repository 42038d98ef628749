#include "apps/balancer/generation.h"

namespace rejoin::balancer {

PoolUse::PoolUse(io::World& world, std::shared_ptr<const PoolPlan> of, route::Seal& seal, Rooms& rooms,
                 Books& books, unsigned worker, const PoolUse* before)
    : held(std::move(of)),
      plan(*held),
      router(*plan.route, seal, worker, before ? &before->router : nullptr),
      idle(world, plan.route->pool->size(), plan.rules.keep_alive.idle,
           static_cast<std::size_t>(plan.rules.keep_alive.connections)),
      room(*plan.route, rooms),
      book(books.pool(plan.rules.name)) {
  const route::Pool& pool = *plan.route->pool;
  for (std::size_t i = 0; i < pool.size(); ++i)
    servers.push_back(books.server(pool.ref(static_cast<route::ServerIndex>(i))->name));
}

void PoolUse::take_over(PoolUse& before) {
  const route::Pool& now = *plan.route->pool;
  const route::Pool& then = *before.plan.route->pool;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const auto index = static_cast<route::ServerIndex>(i);
    const auto there = then.index_of(now.server(index).name);
    if (there && then.ref(*there) == now.ref(index)) idle.take_over(i, before.idle, *there);
  }
  before.idle.retire();
}

Generation::Generation(io::World& world, std::shared_ptr<const Plan> of, route::Seal& seal, Rooms& rooms,
                       Books& books, unsigned worker, const Generation* before)
    : plan(std::move(of)) {
  for (const auto& pool : plan->pools) {
    PoolUse* old = nullptr;
    LocalPtr<PoolUse> same;
    for (std::size_t i = 0; before != nullptr && i < before->pools.size(); ++i) {
      if (before->pools[i]->held == pool) same = before->pools[i];
      if (before->pools[i]->plan.rules.name == pool->rules.name) old = before->pools[i].get();
    }
    pools.push_back(same ? same : make_local<PoolUse>(world, pool, seal, rooms, books, worker, old));
  }
  for (const ListenerPlan& listener : plan->listeners) {
    ListenerPtr same;
    for (std::size_t i = 0; before != nullptr && i < before->listeners.size(); ++i) {
      if (static_cast<const ListenerPlan&>(*before->listeners[i]) == listener) same = before->listeners[i];
    }
    listeners.push_back(same ? same : make_local<const ListenerUse>(listener, books));
  }
}

PoolUse* Generation::find_pool(std::string_view name) const {
  for (const auto& pool : pools) {
    if (pool->plan.rules.name == name) return pool.get();
  }
  return nullptr;
}

ListenerPtr Generation::successor(const ListenerPlan& old) const {
  for (const ListenerPtr& listener : listeners) {
    if (listener->same_door(old) && listener->rules.mode == old.rules.mode &&
        listener->rules.tls == old.rules.tls) {
      return listener;
    }
  }
  return {};
}

}  // namespace rejoin::balancer
