#include "session/source_budget.h"

#include <algorithm>

namespace rejoin::session {

namespace {

/// Whoever has one address of IPv6 has all of its /64.
Address key_of(const Address& source) {
  return source.prefix(source.family == Address::Family::ipv6 ? 64 : 32);
}

}  // namespace

bool SourceBudget::has_left(const Address& source, TimePoint now) const {
  const auto at = paid_until_.find(key_of(source));
  return at == paid_until_.end() || at->second + every_ <= now + every_ * burst_;
}

void SourceBudget::spend(const Address& source, TimePoint now) {
  if (paid_until_.size() >= addresses_max_) forget_good(now);
  const Address key = key_of(source);
  const auto at = paid_until_.find(key);
  if (at == paid_until_.end()) {
    if (paid_until_.size() < addresses_max_) paid_until_.emplace(key, now + every_);
    return;
  }
  at->second = std::min(std::max(at->second, now) + every_, now + every_ * burst_);
}

// All of it is looked at, so not at every call: a flood that fills the table must not buy that with each of
// its frames.
void SourceBudget::forget_good(TimePoint now) {
  if (looked_ != TimePoint() && now < looked_ + every_) return;
  looked_ = now;
  std::erase_if(paid_until_, [now](const auto& entry) { return entry.second <= now; });
}

}  // namespace rejoin::session
