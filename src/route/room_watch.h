// Tells those who wait for room at a server that a connection to it has ended.
//
// Connections end on every worker's thread, and so do clients wait: one RoomWatch per Pool knows how many
// wait in all, and has a bell for each worker's queue (room_queue.h). While nobody waits, the end of a
// connection costs one look at a number.
//
// It outlives Pools: those that follow each other share it (PoolLife). Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace rejoin::route {

struct ServerState;

/// One worker's ear.
class RoomBell {
 public:
  /// A connection to `server` has ended. On the thread on which it ended, while the watch is locked: it must
  /// not come back to the watch.
  virtual void room_at(const ServerState& server) = 0;

 protected:
  ~RoomBell() = default;
};

class RoomWatch {
 public:
  void add(RoomBell& bell) {
    const std::lock_guard hold(lock_);
    bells_.push_back(&bell);
    is_used_.store(true, std::memory_order_relaxed);
  }
  /// After it returned, `bell` is not called any more.
  void remove(RoomBell& bell) {
    const std::lock_guard hold(lock_);
    std::erase(bells_, &bell);
  }

  /// Somebody has ever had a queue here.
  bool is_used() const { return is_used_.load(std::memory_order_relaxed); }

  /// One more waits, if there are less than `most` in all. It has to look for room after that once more.
  bool begin_to_wait(std::size_t most) {
    std::size_t waiting = waiting_.load(std::memory_order_relaxed);
    do {
      if (waiting >= most) return false;
    } while (!waiting_.compare_exchange_weak(waiting, waiting + 1));  // acquires: see connection_ended()
    return true;
  }
  void waits_no_more() { waiting_.fetch_sub(1); }
  std::size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

  /// The count of `server` has gone down.
  void connection_ended(const ServerState& server) {
    // Who began to wait saw the server full before it counted itself, and looks again after that. So either
    // we see it waiting, or it counted itself after this, has seen what was before this, and finds the room.
    // Nothing is added: both have to change the one number for that. (Two fences would do as well, but
    // ThreadSanitizer does not know them.)
    if (waiting_.fetch_add(0, std::memory_order_acq_rel) == 0) return;
    const std::lock_guard hold(lock_);
    for (RoomBell* bell : bells_) bell->room_at(server);
  }

 private:
  std::atomic<bool> is_used_{false};
  std::atomic<std::size_t> waiting_{0};
  std::mutex lock_;
  std::vector<RoomBell*> bells_;  // under the lock
};

}  // namespace rejoin::route
