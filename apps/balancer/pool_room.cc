#include "apps/balancer/pool_room.h"

#include <utility>

namespace rejoin::balancer {

PoolRoom::PoolRoom(route::SharedRoute& route, std::function<void()> look_soon)
    : pool_(*route.pool),
      queue_(*route.pool, route.rules.queue.size),
      look_soon_(std::move(look_soon)),
      home_(std::this_thread::get_id()) {
  if (route.rules.queue.size != 0) pool_.room_watch().add(*this);
}

PoolRoom::~PoolRoom() { pool_.room_watch().remove(*this); }

void PoolRoom::room_at(route::ServerIndex server) {
  if (std::this_thread::get_id() == home_) {
    queue_.room_at(server);
  } else if (!asked_.exchange(true)) {
    look_soon_();
  }
}

void PoolRoom::look(TimePoint now) {
  asked_.store(false);  // first: what ends while we look asks again
  queue_.look(now);
}

}  // namespace rejoin::balancer
