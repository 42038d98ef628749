// The store that needs nothing: sessions are known to their own worker alone, and die with the process.
// Remembers how sessions ended.
#pragma once

#include <deque>
#include <map>

#include "base/clock.h"
#include "base/limits.h"
#include "session/store.h"

namespace rejoin::session {

class MemoryStore final : public SessionStore {
 public:
  /// `clock` outlives it. Keeps at most `ended_max` ends; the oldest is forgotten first.
  explicit MemoryStore(const Clock& clock, std::size_t ended_max = limits::kEndedSessionsMax);

  bool shared() const override { return false; }
  Task<Status> begin(route::SessionId id) override;
  Task<Result<Known>> find(route::SessionId id, Claim claim) override;
  /// Error: unsupported. Nobody else could read it.
  Task<Status> save(route::SessionId id, std::string saved) override;
  void end(const route::SessionId& id, const SessionEnd& how, Duration keep) override;

  std::size_t ended() const { return ends_.size(); }
  /// What find() would say now.
  Known look(const route::SessionId& id) const;
  /// Every end that is remembered: `visit(id, how, until)`.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [id, end] : ends_) visit(id, end.how, end.until);
  }

 private:
  struct End {
    SessionEnd how;
    TimePoint until;
  };
  void forget_old();

  const Clock& clock_;
  std::size_t ended_max_;
  std::map<route::SessionId, End> ends_;
  std::deque<route::SessionId> in_order_;
};

}  // namespace rejoin::session
