#include "session/memory_store.h"

namespace rejoin::session {

MemoryStore::MemoryStore(const Clock& clock, std::size_t ended_max) : clock_(clock), ended_max_(ended_max) {}

Task<Status> MemoryStore::begin(route::SessionId) { co_return Status{}; }

Task<Result<Known>> MemoryStore::find(route::SessionId id, Claim) { co_return look(id); }

Known MemoryStore::look(const route::SessionId& id) const {
  Known known;
  const auto at = ends_.find(id);
  if (at != ends_.end() && at->second.until > clock_.now()) {
    known.state = Known::State::ended;
    known.end = at->second.how;
  }
  return known;
}

Task<Status> MemoryStore::save(route::SessionId, std::string) {
  co_return Error{ErrorKind::unsupported, Side::ours, Retry::no, "a memory store is nobody else's"};
}

void MemoryStore::end(const route::SessionId& id, const SessionEnd& how, Duration keep) {
  forget_old();
  if (ends_.insert_or_assign(id, End{how, clock_.now() + keep}).second) in_order_.push_back(id);
}

// All are kept for the same time, so those that ended first are forgotten first.
void MemoryStore::forget_old() {
  while (!in_order_.empty()) {
    const auto oldest = ends_.find(in_order_.front());
    if (ends_.size() < ended_max_ && oldest->second.until > clock_.now()) return;
    ends_.erase(oldest);
    in_order_.pop_front();
  }
}

}  // namespace rejoin::session
