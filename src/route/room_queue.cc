#include "route/room_queue.h"

#include <algorithm>
#include <cassert>

namespace rejoin::route {

RoomQueue::Place::~Place() { leave_queue(); }

void RoomQueue::Place::leave_queue() {
  if (queue_ != nullptr) queue_->leave(*this);
}

RoomQueue::RoomQueue(const Pool& pool, std::size_t most)
    : pool_(pool), most_(most), pinned_(most == 0 ? nullptr : std::make_unique<Line[]>(pool.size())) {
  for (std::size_t i = 0; most != 0 && i < pool.size(); ++i) {
    const auto index = static_cast<ServerIndex>(i);
    indices_[&*pool.ref(index)] = index;
  }
}

RoomQueue::~RoomQueue() { assert(waiting_ == 0); }

void RoomQueue::Place::wait_on() {
  if (queue_ != nullptr && woken_) queue_->wait_on(*this);
}

bool RoomQueue::enter(Place& place, std::optional<ServerIndex> server) {
  assert(!place.in_queue());
  if (!pool_.room_watch().begin_to_wait(most_)) {
    if (!server || others_.asleep.empty()) return false;
    Place& last = others_.asleep.back();
    leave(last);
    last.displaced_ = true;
    last.woken_ = true;
    last.wake();
    if (!pool_.room_watch().begin_to_wait(most_)) return false;  // another worker's client was quicker
  }
  ++waiting_;
  place.queue_ = this;
  place.server_ = server;
  place.number_ = ++came_;
  place.woken_ = false;
  place.displaced_ = false;
  Line& line = line_of(place);
  ++line.count;
  line.asleep.push_back(place);
  return true;
}

void RoomQueue::leave(Place& place) {
  static_cast<ListNode&>(place).leave();
  place.queue_ = nullptr;
  --line_of(place).count;
  --waiting_;
  pool_.room_watch().waits_no_more();
}

bool RoomQueue::wake_first(Line& line) {
  if (line.asleep.empty()) return false;
  Place& first = line.asleep.front();
  static_cast<ListNode&>(first).leave();
  first.woken_ = true;
  first.wake();
  return true;
}

// Few are woken at a time, so few stand before it.
void RoomQueue::wait_on(Place& place) {
  place.woken_ = false;
  List<Place>& asleep = line_of(place).asleep;
  while (!asleep.empty() && asleep.front().number_ < place.number_) before_.push_back(asleep.front());
  before_.push_back(place);
  before_.take_all(asleep);
  asleep.take_all(before_);
}

void RoomQueue::room_at(ServerIndex server) {
  if (waiting_ == 0) return;
  if (!wake_first(pinned_[server])) wake_first(others_);
}

void RoomQueue::room_at(const ServerState& server) {
  if (waiting_ == 0) return;
  const auto found = indices_.find(&server);
  if (found != indices_.end()) room_at(found->second);
}

void RoomQueue::look(TimePoint now) {
  if (waiting_ == 0) return;
  for (std::size_t i = 0; i < pool_.size(); ++i) {
    const auto index = static_cast<ServerIndex>(i);
    const Standing is = pool_.standing(index, now);
    if (is == Standing::full) continue;
    const std::uint32_t max = pool_.max_connections(index);
    const bool is_bounded = is < Standing::full && max != 0;
    std::size_t room = is_bounded ? max - std::min(max, pool_.active(index)) : most_;
    while (room > 0 && wake_first(pinned_[index])) --room;
    if (is != Standing::open) continue;
    while (room > 0 && wake_first(others_)) --room;
  }
}

}  // namespace rejoin::route
