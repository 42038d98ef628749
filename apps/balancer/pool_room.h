// Where clients of one worker wait for room at a pool's servers, and who wakes them.
//
// Place on the path: between the Router's choice (Chosen::waits) and the connect, see wait_for_room.h. Owner:
// the worker (Rooms), and its PoolUses (PoolRoom); its thread, but for room_at().
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/intrusive_list.h"
#include "route/room_queue.h"
#include "route/room_watch.h"
#include "route/router.h"

namespace rejoin::balancer {

class Rooms;

/// One pool's. Also of a generation that is gone, as long as somebody waits there.
class PoolRoom final : private route::RoomBell, private ListNode {
 public:
  /// Made on the worker's thread. `rooms` outlives it.
  PoolRoom(const route::SharedRoute& route, Rooms& rooms);
  ~PoolRoom();
  PoolRoom(const PoolRoom&) = delete;
  PoolRoom& operator=(const PoolRoom&) = delete;

  route::RoomQueue& queue() { return queue_; }
  /// Wakes those for whom there may be room by now.
  void look(TimePoint now) { queue_.look(now); }

 private:
  friend class Rooms;
  friend class List<PoolRoom>;
  /// On the thread of the connection that has ended.
  void room_at(const route::ServerState& server) override;

  const route::Pool& pool_;
  Rooms& rooms_;
  route::RoomQueue queue_;
};

/// All of a worker.
class Rooms {
 public:
  /// Made on the worker's thread. `look_soon` is called on other threads, and has look() called on the
  /// worker's.
  explicit Rooms(std::function<void()> look_soon);

  /// Wakes those for whom there may be room by now, in all pools.
  void look(TimePoint now);

 private:
  friend class PoolRoom;
  std::function<void()> look_soon_;
  std::thread::id home_;
  std::atomic<bool> asked_{false};  // look_soon() was called, and look() has not come
  List<PoolRoom> rooms_;
};

}  // namespace rejoin::balancer
