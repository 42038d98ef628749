// The sessions of one worker: found by their ids, opened by HELLO, RESUME or a cookie, remembered for a while
// when they have ended.
//
// Place: under the openings of links (opening.h). Owner: a worker; its thread. The store (session/store.h)
// knows of sessions beyond this worker.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "apps/config/config.h"
#include "apps/gateway/live_session.h"
#include "base/record_index.h"
#include "base/record_pool.h"
#include "io/world.h"
#include "route/key_ring.h"
#include "route/seal.h"
#include "route/ticket.h"
#include "session/memory_store.h"
#include "session/session.h"
#include "session/source_budget.h"
#include "session/store.h"

namespace rejoin::gateway {

/// Plain integers that only grow.
struct SessionCounts {
  std::uint64_t opened = 0;            // by HELLO, or for a plain client
  std::uint64_t resumed = 0;           // links that took an existing session
  std::uint64_t replayed = 0;          // messages sent again
  std::uint64_t replaced = 0;          // links that lost their session to a newer one
  std::uint64_t detached = 0;          // links lost, whatever the reason
  std::uint64_t silent = 0;            // of these: nothing was heard for too long
  std::uint64_t expired = 0;           // sessions whose client did not come back
  std::uint64_t overflowed = 0;        // sessions whose window stayed full
  std::uint64_t closed_by_client = 0;  // sessions
  std::uint64_t ended_by_operator = 0;
  std::uint64_t stalled = 0;  // a game server was not read for want of room
  std::uint64_t pings = 0;
  std::uint64_t messages_out = 0;  // of game servers
  std::uint64_t too_fast = 0;      // links that sent more than the rate allows
  // Openings that were refused, by reason.
  std::uint64_t bad_ticket = 0;  // forged, expired, or of an unknown key
  std::uint64_t unknown_session = 0;
  std::uint64_t bad_proof = 0;
  std::uint64_t epoch_used = 0;
  std::uint64_t over_budget = 0;  // 4429: of the source address, or of the session
  std::uint64_t draining = 0;     // new sessions, while none are taken
  std::uint64_t stranger = 0;     // tickets of other gateways
  std::uint64_t relayed = 0;      // of these: passed on to their owner
};

/// Ends that a worker keeps to be shown (`rejoin ctl sessions`).
inline constexpr std::size_t kEndedShownMax = 100;

/// A session that has ended, for people.
struct EndedSession {
  route::SessionId id;
  std::uint16_t code = 0;
  std::string reason;
  Duration lived{};
  TimePoint when;
};

class SessionTable {
 public:
  /// `rules`, `ring` and `world` outlive it. `number`: its worker's, from 0.
  SessionTable(Worker& worker, io::World& world, const config::Gateway& rules, const route::KeyRing& ring,
               unsigned number);
  ~SessionTable();

  LiveSession* find(const route::SessionId& id) const;
  /// A new one, epoch 1, without a link.
  LiveSession& make(route::TicketKind kind, const Address& client, Lasting lasting);
  /// One that was saved elsewhere.
  LiveSession& adopt(session::Session state, const Address& client);
  /// One that the process before this one, or this one itself, has packed up (LiveSession::pack_up()). Error:
  /// why not; `socket` is untouched then.
  Result<LiveSession*> arrive(Bytes parcel, io::Socket& socket);
  /// It has ended: found no more, and how it ended is told to who comes for it. `reason` is shown.
  void ended(LiveSession& session, proto::LinkCode code, Bytes reason, EndCause cause);
  /// Gives the record back.
  void destroy(LiveSession& session);
  /// Every session that has not ended.
  template <typename Visit>
  void for_each(Visit visit) {
    sessions_.for_each(visit);
  }

  /// Ends all, and gives every record back.
  void cancel_all();

  /// The one that has lived longest; nullptr when there is none.
  LiveSession* oldest() { return sessions_.empty() ? nullptr : &sessions_.front(); }
  /// The latest kEndedShownMax, the oldest first.
  const std::deque<EndedSession>& ends() const { return ends_; }
  /// A session got a link (+1) or has none any more (-1).
  void count_with_link(int change) { with_link_ += static_cast<std::size_t>(change); }
  std::size_t with_link() const { return with_link_; }

  /// Sessions that have not ended.
  std::size_t size() const { return by_id_.size(); }
  bool full() const { return by_id_.size() >= sessions_max_; }
  /// No record is left.
  bool empty() const { return records_.live() == 0; }

  /// Appends a ticket for the session; when it should be renewed, in unix seconds.
  std::uint32_t seal_ticket(const session::Session& session, std::string& out);
  route::OpenedTicket open_ticket(Bytes text);

  /// Memory of replay windows went from `before` to `now`.
  void account(std::size_t before, std::size_t now) { window_bytes_ += now - before; }
  std::size_t window_bytes() const { return window_bytes_; }
  bool over_budget() const { return window_bytes_ > window_bytes_max_; }

  session::SessionStore& store() { return *store_; }
  /// What this worker itself remembers of ends, whatever the store is.
  session::MemoryStore& memory() { return memory_; }
  /// Instead of the memory alone. It outlives the table's tasks.
  void set_store(session::SessionStore& store) { store_ = &store; }
  session::SourceBudget& bad_openings() { return bad_openings_; }
  const session::SessionRules& rules() const { return rules_; }
  SessionCounts& counts() { return counts_; }
  const SessionCounts& counts() const { return counts_; }

 private:
  struct ById {
    static const route::SessionId& key(const LiveSession& session) { return session.state().id(); }
    // Random but for the first byte, so any eight others will do.
    static std::size_t hash(const route::SessionId& id) {
      std::size_t out;
      std::memcpy(&out, id.bytes.data() + 8, sizeof out);
      return out;
    }
  };

  Worker& worker_;
  io::World& world_;
  const config::Gateway& config_;
  session::SessionRules rules_;
  route::Seal seal_;
  unsigned number_;
  std::size_t sessions_max_, window_bytes_max_;
  std::size_t window_bytes_ = 0, with_link_ = 0;
  SessionCounts counts_;
  session::MemoryStore memory_;
  session::SessionStore* store_ = &memory_;
  session::SourceBudget bad_openings_;
  RecordPool<LiveSession> records_;
  List<LiveSession> sessions_, ending_;
  std::deque<EndedSession> ends_;
  RecordIndex<LiveSession, ById> by_id_;
};

}  // namespace rejoin::gateway
