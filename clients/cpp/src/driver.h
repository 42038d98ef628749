// A client of rejoin.v1 on any World: the kernel's (client.cc, which is what applications get) or a
// simulation's. It puts the three calculators on a network: ClientSession (what a frame means), Redial (when
// and where to dial), Liveness (does the link live).
//
// Read it from on_time() and act() down. Links are records of link.h; at most two matter at a time, the live
// one and one dial beside it.
//
// Owner: whoever has the World; one thread. May be destroyed at any moment but inside its own events; that
// ends no session: who wants to end it calls close() and waits for `ended`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/timers.h"
#include "clients/cpp/src/link.h"
#include "clients/cpp/src/resolver.h"
#include "io/world.h"
#include "proto/cookie_jar.h"
#include "session/client_session.h"
#include "session/liveness.h"
#include "session/redial.h"

namespace rejoin::client {

struct DriverOptions {
  proto::Url url;  // ws, wss, tcp or tls
  std::string identity, application;
  std::string saved;  // a snapshot of an earlier run; empty: a new session
  session::Snapshot save = session::Snapshot::light;
  session::Advertised advertised = session::Advertised::no;
  LinkRules link;
  /// The session is gone (4401): log in anew. Else that is the end.
  bool login_again = true;
  /// No link for so long, and it gives up (the session may live on, and a snapshot of it is worth something).
  /// 0: never.
  Duration give_up{0};
};

/// What became of the connection.
struct State {
  enum class Kind : std::uint8_t {
    connecting,    // the first dial begins
    open,          // a new session
    reconnecting,  // the link is lost: `reason`. Messages are kept
    resumed,       // the session goes on
    lost,          // the session is gone, `code` and `reason` say why; a new login follows
    ended,         // for good
  };
  Kind kind = Kind::connecting;
  std::uint16_t code = 0;
  std::string reason;
  // open, resumed:
  std::string url;
  Address local, peer;
  std::uint32_t epoch = 0;
  int dials = 0;        // since the last link was lost or doubted
  int round_trips = 0;  // of the dial that succeeded, after TCP and TLS
  Duration took{0};     // since the last link was lost or doubted, or since the beginning
  // resumed:
  bool whole = true;             // false: the session is kept, the stream has a gap
  std::uint64_t to_come = 0;     // messages that the gateway sends (again)
  std::uint64_t sent_again = 0;  // messages that we do
};

/// Told on the driver's thread. Any method of the Driver may be called in these; it may not be destroyed.
class DriverEvents {
 public:
  /// Lent. It counts as handed on, and will be acknowledged, when this returns.
  virtual void on_message(Bytes message, bool text) = 0;
  virtual void on_state(const State& state) = 0;
  /// A send() that had no room would succeed now.
  virtual void on_room() = 0;
  /// To be stored before it returns: what it says leaves right after. Empty: there is nothing to keep.
  virtual void on_save(const std::string& snapshot) = 0;

 protected:
  ~DriverEvents() = default;
};

struct Stats {
  std::uint64_t dials = 0, failed_dials = 0, logins = 0, resumes = 0;
  std::uint64_t received = 0, duplicates = 0, sent = 0, sent_again = 0;
  std::uint64_t bad_frames = 0;
};

class Driver final : private LinkEvents {
 public:
  /// `secure`: the Network for wss and tls; nullptr: there is none. Error: bad_input (a snapshot that cannot
  /// be read, an identity that is too large, an address that is not for this).
  static Result<std::unique_ptr<Driver>> make(io::World& world, io::Network* secure, Resolver& resolver,
                                              DriverOptions options, DriverEvents& events);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Dials. Once.
  void start();

  using Sent = session::ClientSession::Sent;
  /// Takes a copy. It leaves at the end of the loop's turn, or with flush(): not before this returns.
  Sent send(Bytes message, bool text);
  /// What was sent from outside the driver's events leaves now.
  void flush() { settle(); }
  /// Room for a message of so many bytes is wanted: on_room() tells.
  void want_room(std::size_t bytes);
  bool has_room(std::size_t bytes) const { return session_.has_room(bytes); }

  /// Ends the session: `ended` follows, at the latest after limits::kSayCloseS and kCloseReplyS.
  void close(std::uint16_t code, Bytes reason);

  enum class Change : std::uint8_t {
    doubt,      // "something changed", "visible again": ask, and dial beside if there is no answer
    path_gone,  // the way we had is gone: dial at once, the old link serves until the new one does
  };
  void network_changed(Change change);

  /// Later dials leave from this address: for hosts with several, and for trials.
  void dial_from(const Address& address) { options_.link.bind = address; }

  std::string snapshot(session::Snapshot kind) const { return session_.snapshot(kind); }
  proto::CookieJar& jar() { return jar_; }
  const session::ClientSession& session() const { return session_; }
  bool live() const { return session_.live() != 0; }
  bool ended() const { return phase_ == Phase::ended; }
  /// Over the driver's whole life.
  Stats stats() const;
  /// When it has something to do next, if the network is silent; for tests.
  TimePoint deadline() const;

 private:
  enum class Phase : std::uint8_t { fresh, running, ended };
  struct Dial {
    session::LinkNumber number = 0;  // 0: none
    TimePoint began{};
    proto::Url url;
    int round_trips = 0;
    bool asked = false;  // its opening frame was made: the session knows it
  };
  struct Inside;  // counts our calls on the stack

  Driver(io::World& world, io::Network* secure, Resolver& resolver, DriverOptions options,
         DriverEvents& events, session::ClientSession session);

  // --- dialling ---
  bool wants_dial() const;
  void dial();
  void dial_addresses(session::LinkNumber number, Result<std::vector<Address>> addresses);
  void dial_failed(session::DialFailure how, std::string_view why);
  session::DialFailure give_dial_up();
  void search_anew();
  void link_connected(Link& link) override;
  session::Opening open(session::LinkNumber number);

  // --- what links say ---
  void link_frame(Link& link, Bytes frame) override;
  void link_over(Link& link, const LinkEnd& end) override;
  void links_settled() override { settle(); }
  void act(Link& link, session::Heard heard);
  void opened(Link& link, State state);
  void sent_away(Link& link, session::Heard& heard);
  void lost(Link& link, session::Heard& heard);
  void reopen(Link& link);
  void set_frame_max(Link& link);
  enum class Keep : std::uint8_t { no, yes };  // what the application has stored
  void end(std::uint16_t code, std::string reason, Keep keep);

  // --- the end of a turn ---
  void settle();
  void note_loss();
  void pump();
  void sweep();
  void on_time();
  void watch();
  void watch_link(TimePoint now);
  void arm();
  void save();
  Link* link(session::LinkNumber number);
  io::Network* network_for(const proto::Url& url);
  TimePoint now() const { return world_.clock.now(); }

  io::World& world_;
  io::Network* secure_;
  Resolver& resolver_;
  DriverOptions options_;
  DriverEvents& events_;
  proto::CookieJar jar_;
  session::ClientSession session_;
  session::Redial redial_;
  session::Liveness liveness_;
  Stats stats_;

  Phase phase_ = Phase::fresh;
  std::vector<std::unique_ptr<Link>> links_;
  session::LinkNumber last_number_ = 0;
  Dial dial_;
  bool beside_ = false;    // dial, though the live link may serve: it is in doubt
  bool moving_ = false;    // the same, because the gateway asked to
  bool had_live_ = false;  // at the end of the last turn
  std::string why_lost_;
  TimePoint since_{};  // when the present search for a link began
  int dials_ = 0;      // since then
  std::uint16_t close_code_ = 0;
  std::string close_reason_;
  TimePoint ack_at_ = kNever, close_at_ = kNever, give_up_at_ = kNever, restart_at_ = kNever;
  Timer timer_;
  int inside_ = 0;
  std::string frame_;                                      // kept for its memory
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for answers that come when we are gone
};

}  // namespace rejoin::client
