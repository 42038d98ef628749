// The sessions of this worker go to the next process of the same gateway, with their game servers'
// connections: the old process's side of an upgrade. arrivals.h is the new one's, move_frame.h what they say.
//
// The links go first, evenly over `over`: clients of the resume protocol are told to dial beside (DETACH
// move) and find the new process; plain WebSocket clients with a session cookie are told to come again. A
// session leaves when its client comes for it over there, or else when its time is over. What has no way back
// (a plain client without a cookie) keeps its link, and this process, for at most `linger`.
//
// Until the other process has taken a session, it is ours: when that process dies, or says no, or does not
// answer, it goes on here as before.
//
// Owner: a worker; its thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/config.h"
#include "apps/gateway/live_session.h"
#include "apps/gateway/move_frame.h"
#include "base/clock.h"
#include "base/task.h"
#include "base/timers.h"
#include "io/passing.h"
#include "route/ticket.h"

namespace rejoin::gateway {

class Worker;

/// Sessions that were offered and not taken yet, at most: what stands still at one moment.
inline constexpr std::size_t kOffersMax = 64;
/// Links are told, and what waits is looked at, so often.
inline constexpr std::chrono::milliseconds kMoveStepMs{10};
/// An offer that is not answered for so long is taken back, and made again later.
inline constexpr std::chrono::seconds kOfferS{10};
/// When nothing is left but what cannot move.
inline constexpr std::chrono::milliseconds kLingerLookMs{100};
/// Bytes that the other process has not read, at most, before more is offered.
inline constexpr std::size_t kOfferedBytesMax = std::size_t{4} << 20;
/// Whoever dials this process for a session that has left, or who is sent away at the end of its time: the
/// next dial reaches the new process.
inline constexpr std::chrono::milliseconds kMovedAgainMs{20};

/// For a client whose session goes, or has gone, to the next process: it dials again at once.
proto::Detach come_again();

/// Plain integers that only grow.
struct MoveCounts {
  std::uint64_t out = 0;          // sessions that went to the next process
  std::uint64_t in = 0;           // that came from the one before
  std::uint64_t failed = 0;       // that could not go, or could not go on here
  std::uint64_t told = 0;         // links that were asked to move
  std::uint64_t connections = 0;  // passed on in the middle of their handshake
};

class Departure final : private io::PassEvents {
 public:
  enum class Phase : std::uint8_t {
    waiting,    // the other process is not up yet: all is as before
    moving,     // it has the listeners
    lingering,  // nothing is left but what cannot move
    over,       // nothing is left
    failed,     // the other process is gone: all that is still here goes on
  };

  /// `worker` outlives it.
  Departure(Worker& worker, std::unique_ptr<io::PassChannel> channel, const config::Upgrade& rules);
  ~Departure();
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

  Phase phase() const { return phase_; }
  /// Is somebody else there for who dials?
  bool under_way() const { return phase_ == Phase::moving || phase_ == Phase::lingering; }
  std::size_t offered() const { return exports_.size(); }
  /// No more waiting: all links go now (SIGTERM).
  void hurry();
  /// This worker stops: what is offered at this moment is the other process's, as soon as this one is gone.
  void let_be();
  /// A connection that has said `said` is the other process's, from the beginning of its handshake on.
  void pass_on(io::Socket socket, const Address& client, std::size_t listener, Bytes said);

 private:
  /// A session that was offered. It stands still.
  struct Export {
    route::SessionId id;
    std::string parcel;
    io::LooseSocket socket;
    TimePoint offered;
    bool wanted = false;  // somebody asks for it over there
  };
  void on_passed(Bytes message, io::LooseSocket with) override;
  void on_channel_end() override;

  void begin();
  void on_want(const MoveFrame& frame);
  void want_plain(LiveSession& session);
  Task<void> when_its_link_is_dead(route::SessionId id);
  void taken(std::uint32_t serial);
  void refused(const MoveFrame& frame);
  LiveSession* take_back(Export& back);
  void take_all_back();
  void not_here(const route::SessionId& id, MoveFrame::Why why, std::uint32_t epoch = 0);
  void say(const MoveFrame& frame, const io::LooseSocket* with = nullptr);

  void on_time();
  void tell_some(TimePoint now);
  void end_waits(TimePoint now);
  void push_some();
  void look_at_offers(TimePoint now);
  void sweep(TimePoint now);
  void finish(TimePoint now);
  bool nobody_is_coming();
  bool all_in_hand_gone() const;
  void take_up(LiveSession& session, TimePoint now);
  void let_go(LiveSession& session);
  bool offer_if_it_can(const route::SessionId& id, bool wanted);
  void offer(LiveSession& session, bool wanted);
  bool is_exported(const route::SessionId& id) const;

  Worker& worker_;
  std::unique_ptr<io::PassChannel> channel_;
  config::Upgrade rules_;
  Timer timer_;
  Phase phase_ = Phase::waiting;
  TimePoint began_ = kNever;
  std::vector<route::SessionId> to_tell_;                     // in the order in which they are
  std::size_t told_ = 0;                                      // of these
  std::deque<std::pair<TimePoint, route::SessionId>> waits_;  // told to move, and until when they may
  std::set<route::SessionId> taken_up_;                       // told, or let go
  std::set<route::SessionId> wanted_, leaving_;               // as soon as they can
  std::map<std::uint32_t, Export> exports_;                   // by serial
  std::uint32_t serial_ = 0;
  bool said_late_ = false, hurried_ = false;
};

}  // namespace rejoin::gateway
