// Does a client's link still live? Silence proves nothing, and neither does a change of the network: a PING
// asks, and only its PONG answers. When it is late, the client dials beside the link, which serves on until
// the new one does (make before break).
//
// A calculator beside client_session.h: time in, what to do out. Owner: a client's driver; one thread. It
// watches the live link, one after the other.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace rejoin::session {

class Liveness {
 public:
  enum class Act : std::uint8_t {
    nothing,
    ping,  // send a PING and say so with pinged()
    dial,  // no PONG in time: dial beside the link
    dead,  // silent for longer than the gateway allows: the link is gone
  };

  /// A link is live from now on. `ping`: within this time a healthy gateway says something (0: it may be
  /// silent); `dead`: silent for longer, it is gone (0: never).
  void opened(TimePoint now, Duration ping, Duration dead);
  /// No link is live.
  void closed() { phase_ = Phase::off; }

  /// A frame came.
  void heard(TimePoint now);
  /// A frame left that must be answered soon, with an acknowledgement if with nothing else.
  void sent(TimePoint now);
  /// "The network changed", "visible again": ask now.
  void doubt(TimePoint now);
  void pinged(std::uint64_t number, TimePoint now);
  void pong(std::uint64_t number, TimePoint now);
  /// True while a PING is out and its PONG is late.
  bool in_doubt() const { return phase_ == Phase::late; }

  /// When act() has something to do; kNever: never, as things stand.
  TimePoint due() const;
  /// What to do at `now`. A timer that fires much too late (the machine slept) proves nothing either: then it
  /// asks anew.
  Act act(TimePoint now);

 private:
  enum class Phase : std::uint8_t {
    off,
    quiet,  // no question is out
    ask,    // to be asked now
    asked,  // a PING is out
    late,   // and its PONG is not there: dialling beside
  };
  TimePoint next_question() const;

  Phase phase_ = Phase::off;
  Duration ping_{0}, dead_{0};
  Duration patience_{2s};  // for a PONG: longer on a path that is known to be slow
  TimePoint heard_{}, asked_{}, ask_at_{};
  TimePoint unanswered_ = kNever;  // when the first frame left that nothing has answered
  std::uint64_t number_ = 0;
};

}  // namespace rejoin::session
