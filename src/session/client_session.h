// The client's end of a session: what a program that plays must know to keep its session over any number of
// links.
//
// A calculator: no socket, no clock, no thread. In: frames that came on a link, links that broke, messages to
// send. Out: the frame that opens a link, what a frame meant, the next frame to write. When and where to dial
// is redial.h, whether a link still lives is liveness.h; clients/cpp/src/driver.h puts the three on a
// network. The rules are spec/resume.md.
//
// Several links at once: one is live, others are dials beside it (after a change of the network, or when the
// gateway asked to move). Whoever dials gives each link a number, greater than all before, and asks knows()
// after each call: a link that is not known any more is closed, unread.
//
// Nothing is pushed out: whoever owns a socket that takes bytes pulls next_frame(). So what waits is in the
// window and nowhere else.
//
// Owner: a client's driver; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "proto/resume_frame.h"
#include "session/conversation.h"

namespace rejoin::session {

/// Given by whoever dials; 0 is none.
using LinkNumber = std::uint32_t;

/// What the gateway told in WELCOME, of how it wants the session to be kept.
struct Terms {
  Duration grace = 60s, ping = 15s, dead = 40s;
  Duration spread = 1s;
  WindowLimits window;
  std::vector<std::string> addresses;  // URLs, as told: not checked
  bool operator==(const Terms&) const = default;
};

/// What of the window our own end uses.
WindowLimits own_window(const Terms& terms);

/// What an application keeps outside the program, so that the session outlives it. Both are a right to take
/// the session: as secret as a password.
enum class Snapshot : std::uint8_t {
  light,  // ticket, secret, epoch. Who comes back with it is told that the stream is not whole
  whole,  // also the counts and what was not acknowledged. Saved at each message, it loses none
};

struct Opening {
  enum class Kind : std::uint8_t {
    hello,
    resume,  // snapshot() must be stored before `frame` leaves: it has counted this attempt
  };
  Kind kind = Kind::hello;
  std::string frame;
};

/// What a frame, or the end of a link, meant.
struct Heard {
  enum class Kind : std::uint8_t {
    nothing,    // taken care of
    message,    // hand `bytes` to the application, then call accepted()
    pong,       // `number`
    opened,     // WELCOME: a new session, on this link. To be stored
    resumed,    // RESUMED: the session goes on, on this link
    renewed,    // a new ticket. To be stored
    move,       // dial beside this link, which serves on: within `wait`, at `address` if there is one
    sent_away,  // this link is over: RESUME (or HELLO, if there is no session yet) after `wait`, at `address`
    lost,       // the session is gone, `code` says why; messages with it. A new one begins with a HELLO
    ended,      // for good: by CLOSE, or by the gateway's wish. Nothing is dialled any more
    bad_frame,  // the gateway broke the protocol, `reason` says how: close this link with `code`, and dial
                // anew
  };
  Kind kind = Kind::nothing;
  bool text = false;          // message
  bool reopen = false;        // sent_away, lost: this link takes one more opening frame: call open() on it
  bool room = false;          // with any kind: a send() that was refused for want of room would succeed now
  bool whole = true;          // resumed: nothing was missed. Else the session is kept, and the stream is not
  std::uint16_t code = 0;     // sent_away, lost, ended
  std::uint64_t number = 0;   // pong
  std::uint64_t to_come = 0;  // resumed: messages that the gateway sends (again)
  std::uint64_t sent_again = 0;  // resumed: messages of ours that the older link had lost
  Duration wait{0};              // move, sent_away
  Bytes bytes;                   // message: lies in the frame that was given
  std::string address;           // move, sent_away: a URL, not checked
  std::string reason;            // sent_away, lost, ended, bad_frame
};

class ClientSession {
 public:
  enum class Phase : std::uint8_t {
    fresh,    // no session: the next link opens with HELLO
    kept,     // a session, with a live link or not
    closing,  // close() was called: CLOSE is to be said, or its answer to be heard
    ended,
  };
  enum class Sent : std::uint8_t {
    taken,
    no_room,    // the window is full, or there is no session yet (or no answer to the first RESUME of a
                // restored one): Heard::room tells when
    too_large,  // above the window's bytes: never
    not_text,   // not UTF-8
    ended,
  };
  struct Counts {
    std::uint64_t received = 0, duplicates = 0;  // messages
    std::uint64_t sent = 0, sent_again = 0;      // messages; the second times of one
    std::uint64_t resumes = 0, bad_frames = 0;
  };

  /// `identity` and `application` go into HELLO. Error: too_large (limits::kHelloBytesMax).
  static Result<ClientSession> make(Bytes identity, Bytes application);

  // --- keeping it ---
  /// An opaque text of bytes for restore(); empty while there is nothing to keep.
  std::string snapshot(Snapshot kind) const;
  /// Goes on with a session of an earlier run of the program. Only as the first call. Error: bad_input (not a
  /// snapshot of ours, or of a version that we do not know); then it is as before.
  Status restore(Bytes snapshot);

  // --- links ---
  /// The frame that opens `link` (or opens it anew, see Heard::reopen). Counts an attempt when it is a
  /// RESUME. Not when ended.
  Opening open(LinkNumber link);
  /// A whole frame came on a link. Of one that is not known: nothing.
  Heard heard(LinkNumber link, Bytes frame);
  /// The link broke, was closed, or could not be opened. `code`: of the WebSocket's close frame, 0 for none.
  Heard lost(LinkNumber link, std::uint16_t code = 0);
  bool knows(LinkNumber link) const;
  /// The link that serves; 0 for none.
  LinkNumber live() const { return live_; }
  /// A RESUME was sent that nothing has answered. Whoever saw it could use it until it is overtaken, so dial
  /// on, even if the older link still lives.
  bool owes_resume() const;

  // --- messages ---
  Sent send(Bytes payload, bool text);
  /// Somebody wants to send so many bytes and has no room: Heard::room tells when there is, and one PING asks
  /// for it. send() calls it.
  void want_room(std::size_t bytes);
  /// May a message of so many bytes be sent now?
  bool has_room(std::size_t bytes) const;
  /// The message of the last heard() was handed to the application.
  void accepted(std::size_t bytes);
  AckDebt::Due ack_due() const { return conversation_.ack_due(); }
  /// The time of an acknowledgement that is owed has come (limits::kAckDelayMs).
  void ack_now() { ack_now_ = true; }
  /// A PING with a number that was not used before, for liveness. On the live link.
  std::uint64_t ping();
  /// The next frame to write on `link`, into `frame`. False: nothing now. Call it after each of the other
  /// calls, until it says so or the socket is full.
  bool next_frame(LinkNumber link, std::string& frame);

  /// Ends the session: CLOSE goes out behind all that was sent. `ended` is heard when it was answered.
  /// Without a live link: when one more dial was answered; without a session: at once.
  void close(std::uint16_t code, Bytes reason);
  /// Ends it without a word to anybody: the answer does not come.
  void abandon();

  Phase phase() const { return phase_; }
  const Terms& terms() const { return terms_; }
  /// For the balancer, and for logs as a short hash. Empty while there is none.
  const std::string& ticket() const { return ticket_; }
  std::uint32_t epoch() const { return epoch_; }
  const SendWindow& window() const { return conversation_.out; }
  /// False: a restored client whose first RESUME was not answered yet.
  bool certain() const { return memory_ == Memory::whole; }
  const Counts& counts() const { return counts_; }

 private:
  // What a RESUMED is measured against.
  enum class Memory : std::uint8_t {
    whole,      // counts that do not fit are the gateway's fault
    doubtful,   // restored from a whole snapshot: maybe not the last one
    forgotten,  // restored from a light one: the counts are in RESUMED
  };
  struct Link {
    LinkNumber number;
    std::uint32_t epoch;  // of its opening frame
    Opening::Kind opened_with;
    bool reopened;
  };

  ClientSession(Bytes identity, Bytes application) : identity_(identity), application_(application) {}
  Link* find(LinkNumber number);
  void drop(LinkNumber number);
  void become_live(const Link& link);
  void part_with(const Link& link, bool may_reopen, Heard& heard);
  void forget_session();

  Heard take_welcome(Link& link, const proto::FrameView& frame);
  Heard take_resumed(Link& link, const proto::FrameView& frame);
  bool take_counts(const proto::Resumed& resumed, std::uint32_t ack, Heard& heard);
  Heard take_detach(Link& link, const proto::FrameView& frame);
  Heard take_login(Link& link, const proto::Detach& detach);
  Heard take_stop(Link& link, const proto::Detach& detach);
  Heard take_live(Link& link, const proto::FrameView& frame);
  Heard take_data(Link& link, const proto::FrameView& frame);
  Heard take_close(Link& link, const proto::FrameView& frame);
  Heard bad(LinkNumber link, std::string_view why, proto::LinkCode code = proto::LinkCode::bad_frame);
  Heard lose(LinkNumber link, std::uint16_t code, std::string_view why);
  Heard end(std::uint16_t code, std::string_view why);
  bool take_ack(std::uint32_t wire, Heard& heard);
  void tell_room(Heard& heard);
  bool count_bad();

  std::string identity_, application_;
  Phase phase_ = Phase::fresh;
  Memory memory_ = Memory::whole;
  std::string ticket_;
  proto::SessionSecret secret_{};
  std::uint32_t epoch_ = 0;  // of the last RESUME; 1 after WELCOME
  Terms terms_;
  Conversation conversation_{WindowLimits{}};
  Counts counts_;
  int bad_in_a_row_ = 0;

  std::vector<Link> links_;
  LinkNumber live_ = 0;
  std::uint32_t live_epoch_ = 0;  // of the last link that was answered
  SendWindow::Cursor cursor_;     // of the live link
  std::uint64_t written_ = 0;     // the highest number that was given to any link
  // Not 0: what an earlier run of the program sent up to here may still fill the window, we do not know with
  // how many bytes. Nothing is sent until it was accepted.
  std::uint64_t forgotten_until_ = 0;
  LinkNumber parting_ = 0;  // has to say a last CLOSE, in answer

  std::optional<std::uint64_t> pong_;
  std::uint64_t ping_number_ = 0;
  bool ping_due_ = false, ping_waits_ = false;
  bool asked_for_room_ = false;
  std::optional<std::size_t> wanted_;  // bytes that a refused send() had
  bool ack_first_ = false;             // a link that has just been answered
  bool ack_now_ = false;
  bool said_close_ = false;  // on the live link
  std::uint16_t close_code_ = 0;
  std::string close_reason_;
};

}  // namespace rejoin::session
