// A session with what it lives by: the link that it may have, the connection to its game server, the time.
//
// Place: between links (link.h) and game servers (upstream/game_connection.h). What is right to do is decided
// by the calculator, session::Session; here it is done.
//
// Owner: SessionTable (session_table.h), on its worker's thread. Ends by telling the table, which destroys
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "apps/gateway/link.h"
#include "apps/gateway/session_parcel.h"
#include "base/address.h"
#include "base/intrusive_list.h"
#include "base/record_index.h"
#include "base/timers.h"
#include "proto/resume_frame.h"
#include "session/session.h"
#include "upstream/game_connection.h"

namespace rejoin::gateway {

class SessionTable;
class Worker;

/// What becomes of a session whose link is gone.
enum class Lasting : std::uint8_t {
  outlives_links,  // it waits for the next one
  ends_with_link,  // nobody could find it again: a plain client without a session cookie
};

/// Not movable: game server, link and timer wheel hold its address.
class alignas(64) LiveSession final : public ListNode,
                                      public IndexNode<LiveSession>,
                                      private upstream::GameEvents {
 public:
  LiveSession(Worker& worker, session::Session state, const Address& client, Lasting lasting);
  ~LiveSession();
  LiveSession(const LiveSession&) = delete;
  LiveSession& operator=(const LiveSession&) = delete;

  // --- links come ---
  /// Answers a HELLO. The game server is not dialled before the client has answered.
  void welcome(Link& link);
  /// Answers a RESUME that the session took; an older link is told and ends.
  void resumed(Link& link, const session::ResumeVerdict& verdict);
  /// A plain client, new or come back. `cookie`: for an echo's greeting.
  void attach_plain(Link& link, const session::SendWindow::Cursor& from,
                    const std::optional<upstream::Echo::SeenCookie>& cookie);

  // --- its link tells ---
  void heard();
  void on_frame(Bytes frame);
  void on_plain(const upstream::Message& message);
  /// Everything before `next` was given to the link's socket, with the acknowledgement.
  void sent(const session::SendWindow::Cursor& next);
  void tell_ack();
  void tell_close(Link& link);
  /// After each turn in which the link had something to do.
  void turn_ended();
  void link_lost(Link& link, LinkEnd how);

  // --- it goes to the next process of this gateway (departure.h, arrivals.h) ---
  /// Its link, if there is one, is told `detach` and ends; the session waits for another. Not for one that
  /// ends with its link.
  void send_link_away(const proto::Detach& detach, LinkEnd why = LinkEnd::dismissed);
  /// DETACH move: the link serves on, and its client dials beside it.
  void ask_to_move(Duration wait);
  /// Can it be packed up now? Not with a link, and not while its game server is dialled or ends.
  bool may_leave() const;
  /// All of it into `parcel`, but for the game server's socket, which is returned. Only with may_leave(); the
  /// record is to be destroyed.
  io::Socket pack_up(std::string& parcel);
  /// Right after it was made of a parcel's state: the rest of it. False: its game server's connection does
  /// not fit here, and the record is to be destroyed; `socket` is untouched.
  bool arrive(const SessionParcel& parcel, io::Socket& socket);

  // --- it ends ---
  /// The client is told, the game server gets what was said, and how it ended is remembered for a while.
  /// Where the game server ended it before, that is the cause.
  void end(proto::LinkCode code, Bytes reason, EndCause cause = EndCause::stopped);
  /// The same, behind all that the client has not been sent yet.
  void end_told(proto::LinkCode code, Bytes reason, EndCause cause);
  /// The gateway goes away, and the session with it: the client is told to come again.
  void end_by_drain();
  /// Now, with everything that it has. It is destroyed when this returns.
  void cancel();

  // --- what others look at ---
  const session::Session& state() const { return state_; }
  session::Session& state() { return state_; }
  Link* link() { return link_; }
  const Address& client() const { return client_; }
  Lasting lasting() const { return lasting_; }
  /// The game server has ended; what it said last, and CLOSE, are still to be told.
  bool closing() const { return closing_code_ != 0; }
  std::uint16_t closing_code() const { return closing_code_; }
  std::size_t unsent_to_game() const { return game_ ? game_->unsent_bytes() : 0; }
  std::string game_server() const { return game_ ? game_->where() : "-"; }
  std::uint32_t links_count() const { return links_; }

 private:
  void game_said(const upstream::Message& message) override;
  void game_took(std::size_t count) override;
  void game_ended(upstream::GameEnd how, const Error& why) override;

  Link* set_link(Link* link);
  void take_link(Link& link, const session::SendWindow::Cursor& from, LinkMode mode);
  void begin_game(const std::optional<upstream::Echo::SeenCookie>& cookie);
  void to_game(const upstream::Message& message);
  bool within_rate(std::size_t bytes);
  void room_again();
  void renew_ticket();
  void close_for(proto::LinkCode code);
  void forget_unconfirmed();
  void overflow();
  void finish_if_over();
  EndCause cause_of_closing() const;
  void on_time();
  void arm();
  void account();

  struct Stalled {
    std::string bytes;
    upstream::MessageKind kind;
  };
  /// Moments up to which the client has used up what it may send.
  struct Rate {
    TimePoint messages, bytes;
  };

  SessionTable& table();

  // Bytes on a 64-bit machine; before them stand the table of virtual functions, 8, the ListNode, 16, and the
  // IndexNode, 8. What a message touches lies together, in the first 240: with thousands of sessions each
  // line of cache comes from memory.
  Worker& worker_;                     // 8
  Link* link_ = nullptr;               // 8
  upstream::GamePtr game_;             // 8
  std::unique_ptr<Stalled> stalled_;   // 8, a message of the game server that had no room
  std::unique_ptr<Rate> rate_;         // 8, where there is a bound
  TimePoint armed_for_ = kNever;       // 8, when timer_ fires; kNever: it is not armed
  std::uint32_t taking_bytes_ = 0;     // 4, of messages that the game server has not taken
  std::uint32_t accounted_bytes_ = 0;  // 4, memory that the table knows of
  std::uint16_t closing_code_ = 0;     // 2
  Lasting lasting_;                    // 1
  bool finished_ : 1 = false;          // 1 with the next: the game server was told that it is over
  bool game_over_ : 1 = false;         // the game server has ended
  std::uint32_t links_ = 0;            // 4
  session::Session state_;             // 224, of which the last 80 are touched when links come and go
  Address client_;                     // 20, of its latest link
  std::uint32_t ticket_renewal_ = 0;   // 4, unix seconds
  Timer timer_;                        // 40
};
static_assert(sizeof(LiveSession) <= 384, "a player who is away is a record: look at what was added to it");

}  // namespace rejoin::gateway
