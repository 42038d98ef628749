// The gateway's end of one session: who may have it, what a frame of its client means, and when what is due.
//
// A calculator: frames, messages and the time in; verdicts out. It knows neither link nor game server: its
// owner (apps/gateway/live_session.h) carries the verdicts out, and says when a link came or went. The rules
// are spec/resume.md; the model that was explored for them is described there.
//
// The same for clients of the resume protocol (TicketKind::proof) and for plain WebSocket clients that only
// keep a cookie (TicketKind::cookie): those never acknowledge, so what they were sent counts as accepted.
//
// Owner: a LiveSession; one thread. Its size is what a detached player costs, with little besides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "proto/resume_frame.h"
#include "route/ticket.h"
#include "session/conversation.h"

namespace rejoin::session {

/// What happens when the game server speaks and the window is full.
enum class Overflow : std::uint8_t {
  pause,   // it is not read for at most `pause_max`; then as expire
  expire,  // the session ends (4413)
};

/// One for all sessions of a gateway; outlives them.
struct SessionRules {
  Duration grace = 60s;  // a session lives so long without a link
  Duration ping = 15s;   // nothing heard, or nothing said, for so long: PING
  Duration dead = 40s;   // nothing heard for so long: the link is taken for lost
  Duration pause_max = 5s;
  Duration spread = 1s;  // for the client's first dial after a break that it did not cause
  WindowLimits window;   // both directions, both ends
  Overflow overflow = Overflow::pause;
};

enum class Phase : std::uint8_t {
  unconfirmed,  // WELCOME was sent and not answered: no game server yet
  attached,     // it has a link
  detached,     // it has none, and waits for one until `grace` is over
  ended,
};
std::string_view to_string(Phase phase);

/// What a RESUME is worth that names this session and proves the right to it.
struct ResumeVerdict {
  enum class Kind : std::uint8_t {
    take,        // the link is the session's now: answer with `resumed`, then send from `from` on
    epoch_used,  // DETACH again (4412) with the session's epoch
    too_fast,    // DETACH again (4429)
    unfit,       // it claims what was never sent: DETACH login (4401)
  };
  Kind kind = Kind::unfit;
  proto::Resumed resumed;
  SendWindow::Cursor from;
};

/// What a frame on the session's link means. `bad` and `over_limit` end the link, not the session.
struct FrameVerdict {
  enum class Kind : std::uint8_t {
    nothing,     // it has done its work (an acknowledgement, a duplicate, a kind that we do not know)
    message,     // for the game server: `message` (lent), `text`
    ping,        // answer with a PONG that bears `number`
    close,       // the client ends the session, with `code` and `why`
    bad,         // 4400
    over_limit,  // 4413: more than the window was sent, or a longer message than it holds
  };
  Kind kind = Kind::nothing;
  bool text = false;
  bool freed = false;  // messages left the window: there is room for the game server's again
  std::uint16_t code = 0;
  std::uint64_t number = 0;
  Bytes message;
  Bytes why;  // of close: the client's; of bad: ours, static
};

/// What became of a message of the game server.
enum class Said : std::uint8_t {
  sent,       // in the window: the link sends it when it can
  full,       // no room: keep it, stop reading the game server, and come again when a verdict says `freed`
  too_large,  // never has room: the session ends (4413)
};

/// What on_time() wants done. One at a time: ask again until nothing is due.
enum class Due : std::uint8_t {
  nothing,
  ack,       // send an ACK: one is owed, and no frame went that bore it
  ping,      // send a PING
  silent,    // the link is lost (4408): detach it
  expired,   // end the session: nobody came back within its grace
  overflow,  // end the session (4413): the window stayed full
};

class Session {
 public:
  /// A new one, for a client that was just admitted: epoch 1, unconfirmed (a plain one: attached).
  Session(const route::SessionId& id, route::TicketKind kind, const proto::SessionSecret& secret,
          const SessionRules& rules, TimePoint now);

  // --- who it is ---
  const route::SessionId& id() const { return id_; }
  route::TicketKind kind() const { return kind_; }
  const proto::SessionSecret& secret() const { return secret_; }
  std::uint32_t epoch() const { return epoch_; }
  Phase phase() const { return phase_; }
  const SessionRules& rules() const { return rules_; }
  TimePoint born() const { return born_; }
  /// Since when it has been without a link, or has had the present one.
  TimePoint since() const { return since_; }

  // --- links come and go ---
  /// Only for a RESUME whose proof holds. With `take` the session is attached: its epoch is the RESUME's, and
  /// whatever link it had is none of its any more.
  ResumeVerdict resume(const proto::Resume& resume, TimePoint now);
  /// What it would be worth, but for too_fast. Nothing changes.
  ResumeVerdict::Kind judge(const proto::Resume& resume) const;
  /// For a plain client that came back with its cookie: attached; where to send on from.
  SendWindow::Cursor come_back(TimePoint now);
  /// The link is gone. An unconfirmed session ends by its own deadline.
  void detach(TimePoint now);
  void end() { phase_ = Phase::ended; }
  /// The game server has ended: whether or not the client answers CLOSE, the session ends `grace` later.
  void closing(TimePoint now) { closing_ = now; }

  // --- what the client says ---
  /// Bytes came on its link.
  void heard(TimePoint now) {
    heard_ = now;
    pinged_ = false;
  }
  TimePoint heard_at() const { return heard_; }
  /// `waiting`: bytes that the game server has not taken of what was read, their framing included.
  FrameVerdict on_frame(const proto::FrameView& frame, std::size_t waiting = 0);
  /// `count` messages, of `bytes` together, were taken by the game server: they are acknowledged with the
  /// next frame.
  void accepted(std::size_t count, std::size_t bytes, TimePoint now);
  /// Messages that the game server has not taken.
  std::uint64_t pending() const { return talk_.in.pending(); }

  // --- what the client is told ---
  Said say(Bytes message, bool text);
  /// Said::full was answered at `now`; on_time() bounds how long that lasts.
  void stalled(TimePoint now);
  void flowing() { stalled_ = kNever; }
  const SendWindow& window() const { return talk_.out; }
  /// A link stands at `cursor`: what lies before it was handed to its socket. A plain client will never
  /// acknowledge that, so it leaves the window.
  void forget_taken(const SendWindow::Cursor& cursor);
  /// What each frame bears.
  std::uint64_t ack() const { return talk_.in.accepted(); }
  std::uint64_t received() const { return talk_.in.read(); }
  /// A frame of ours left, with ack() on it.
  void said(TimePoint now);
  bool ack_due_now() const { return talk_.ack_due() == AckDebt::Due::now; }

  // --- time ---
  /// When on_time() has something to say, if nothing happens before; kNever.
  TimePoint deadline() const;
  Due on_time(TimePoint now);

  /// Memory of its replay window, for the budget over all sessions.
  std::size_t memory_bytes() const { return talk_.out.memory_bytes(); }
  void shrink() { talk_.out.shrink(); }
  std::uint64_t duplicates() const { return duplicates_; }

  // --- for a store that other gateways read ---
  /// Everything but the link, the game server and the rules: identity, epoch, counts, the messages that are
  /// not acknowledged. What was read and not accepted is its owner's to add.
  void save(std::string& out) const;
  /// Nothing when `saved` is not of this form. Detached since `now`.
  static std::optional<Session> restore(Bytes saved, const SessionRules& rules, TimePoint now);
  /// The same for another process of this gateway, in which the session goes on where it stands: its clocks
  /// run on, and an unconfirmed one is still that. It has no link, and detach() was called.
  void save_whole(std::string& out, TimePoint now) const;
  static std::optional<Session> restore_whole(Bytes saved, const SessionRules& rules, TimePoint now);

 private:
  FrameVerdict on_data(const proto::FrameView& frame, FrameVerdict verdict, std::size_t waiting);
  bool spend_resume(TimePoint now);

  // What a message touches first, then what links and resumes do.
  const SessionRules& rules_;         // 8
  Conversation talk_;                 // 88
  TimePoint heard_;                   // 8
  TimePoint said_;                    // 8
  TimePoint owed_ = kNever;           // 8, since when an acknowledgement has been owed
  TimePoint closing_ = kNever;        // 8, since when the game server has been gone
  TimePoint stalled_ = kNever;        // 8, since when the window has been full
  bool pinged_ = false;               // 1, a PING went since something was heard
  route::TicketKind kind_;            // 1
  Phase phase_ = Phase::unconfirmed;  // 1
  std::uint32_t epoch_ = 1;           // 4
  std::uint32_t duplicates_ = 0;      // 4
  TimePoint born_;                    // 8
  TimePoint since_;                   // 8
  TimePoint resumes_paid_;            // 8, see spend_resume()
  route::SessionId id_;               // 16
  proto::SessionSecret secret_;       // 32
};
static_assert(sizeof(Session) <= 224, "every player who is away has one: look at what was added to it");

}  // namespace rejoin::session
