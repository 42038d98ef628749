#include "route/takers.h"

namespace rejoin::route {

Takers::Takers(const Pool& pool) : pool_(pool), servers_(pool.size()) {}

std::vector<ServerIndex>* Takers::list_of(const Pool::Taking& is) {
  if (is.weight != 0) return &open_;
  return is.lacks_room ? &full_ : nullptr;
}

void Takers::look(ServerIndex index, TimePoint now) {
  Of& of = servers_[index];
  const Pool::Taking is = pool_.taking(index, now);
  if (is == of.is) return;
  if (is.until_ms != of.is.until_ms) {
    if (of.is.until_ms != Pool::kForEver) due_.erase({of.is.until_ms, index});
    if (is.until_ms != Pool::kForEver) due_.insert({is.until_ms, index});
  }
  std::vector<ServerIndex>* const from = list_of(of.is);
  std::vector<ServerIndex>* const to = list_of(is);
  of.is = is;
  if (from == to) return;
  if (from != nullptr) {
    servers_[from->back()].place = of.place;
    (*from)[of.place] = from->back();
    from->pop_back();
  }
  if (to != nullptr) {
    of.place = static_cast<std::uint16_t>(to->size());
    to->push_back(index);
  }
}

}  // namespace rejoin::route
