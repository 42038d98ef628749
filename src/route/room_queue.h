// Clients of one worker who wait until a server of a pool has room: those who belong to a server first, in
// the order of their coming, and behind them those whom any server may take.
//
// Bounded over all workers of the pool, by its RoomWatch; the order holds in one worker. A client that
// belongs to a server takes the place of the last one that does not when the queue is full.
//
// Place: in apps/balancer/wait_for_room.cc, behind Chosen::waits. Pure: it wakes through Place::wake(), and
// who was woken looks for itself whether there is room. Owner: one worker; its thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/intrusive_list.h"
#include "route/pool.h"
#include "route/room_watch.h"

namespace rejoin::route {

class RoomQueue {
 public:
  /// One client's place. Leaves the queue when it dies.
  class Place : public ListNode {
   public:
    Place() = default;
    virtual ~Place();
    /// There may be room, or the place was lost: called once, until wait_on().
    virtual void wake() = 0;

    bool in_queue() const { return queue_ != nullptr; }
    /// Somebody who belongs to a server has taken this place: it is in no queue any more.
    bool displaced() const { return displaced_; }
    /// It was woken since it last waited.
    bool woken() const { return woken_; }
    /// There was no room for it after all: it waits on, in its old place.
    void wait_on();
    void leave_queue();

   private:
    friend class RoomQueue;
    RoomQueue* queue_ = nullptr;
    std::optional<ServerIndex> server_;
    std::uint64_t number_ = 0;  // who came before whom
    bool woken_ = false;
    bool displaced_ = false;
  };

  /// `most` clients wait, over all workers. `pool` outlives the queue.
  RoomQueue(const Pool& pool, std::size_t most);
  /// Nobody waits (asserted).
  ~RoomQueue();

  /// `place` waits for `server`, or for any. False: the queue is full.
  [[nodiscard]] bool enter(Place& place, std::optional<ServerIndex> server);
  /// May a client that comes now not take a place at `server` past those who wait? `is_pinned`: it belongs
  /// there.
  bool must_queue(ServerIndex server, bool is_pinned) const {
    if (waiting_ == 0) return false;
    return pinned_[server].count != 0 || (!is_pinned && others_.count != 0);
  }
  /// Something has changed at `server`: wakes the first who waits for it and was not woken, else the first of
  /// those who take any.
  void room_at(ServerIndex server);
  /// The same, of a server that may not be of this pool (any more).
  void room_at(const ServerState& server);
  /// Wakes as many as could be served now, and all who wait for a server that takes them no more.
  void look(TimePoint now);
  std::size_t waiting() const { return waiting_; }

 private:
  struct Line {
    List<Place> asleep;     // who was not woken, the first first
    std::size_t count = 0;  // with those who were
  };
  Line& line_of(const Place& place) { return place.server_ ? pinned_[*place.server_] : others_; }
  bool wake_first(Line& line);
  void leave(Place& place);
  void wait_on(Place& place);

  const Pool& pool_;
  std::size_t most_;
  std::size_t waiting_ = 0;
  std::uint64_t came_ = 0;
  std::unique_ptr<Line[]> pinned_;  // by server
  std::unordered_map<const ServerState*, ServerIndex> indices_;
  Line others_;
  List<Place> before_;  // empty between calls
};

}  // namespace rejoin::route
