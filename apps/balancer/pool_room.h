// Where clients of one worker wait for room at a pool's servers, and who wakes them.
//
// Place on the path: between the Router's choice (Chosen::waits) and the connect, see wait_for_room.h. Owner: the
// worker's PoolUse; its thread, but for room_at().
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "route/room_queue.h"
#include "route/room_watch.h"
#include "route/router.h"

namespace rejoin::balancer {

class PoolRoom final : private route::RoomBell {
 public:
  /// Made on the worker's thread. `look_soon` is called from other threads, and has look() called on the worker's.
  PoolRoom(route::SharedRoute& route, std::function<void()> look_soon);
  ~PoolRoom();
  PoolRoom(const PoolRoom&) = delete;
  PoolRoom& operator=(const PoolRoom&) = delete;

  route::RoomQueue& queue() { return queue_; }
  /// Wakes those for whom there may be room by now.
  void look(TimePoint now);

 private:
  /// On the thread of the connection that has ended.
  void room_at(route::ServerIndex server) override;

  route::Pool& pool_;
  route::RoomQueue queue_;
  std::function<void()> look_soon_;
  std::thread::id home_;
  std::atomic<bool> asked_{false};  // look_soon() was called, and look() has not come
};

}  // namespace rejoin::balancer
