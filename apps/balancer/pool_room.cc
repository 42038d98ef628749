#include "apps/balancer/pool_room.h"

#include <utility>

namespace rejoin::balancer {

PoolRoom::PoolRoom(const route::SharedRoute& route, Rooms& rooms)
    : pool_(*route.pool), rooms_(rooms), queue_(*route.pool, route.rules.queue.size) {
  if (route.rules.queue.size == 0) return;
  rooms.rooms_.push_back(*this);
  pool_.room_watch().add(*this);
}

PoolRoom::~PoolRoom() {
  if (in_list()) pool_.room_watch().remove(*this);
}

void PoolRoom::room_at(const route::ServerState& server) {
  if (std::this_thread::get_id() == rooms_.home_) {
    queue_.room_at(server);
  } else if (!rooms_.asked_.exchange(true)) {
    rooms_.look_soon_();
  }
}

Rooms::Rooms(std::function<void()> look_soon)
    : look_soon_(std::move(look_soon)), home_(std::this_thread::get_id()) {}

void Rooms::look(TimePoint now) {
  asked_.store(false);  // first: what ends while we look asks again
  rooms_.for_each([now](PoolRoom& room) { room.look(now); });
}

}  // namespace rejoin::balancer
