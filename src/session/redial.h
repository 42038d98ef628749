// When a client dials next, and where: the calculator beside client_session.h. It never dials itself.
//
// At once at the start and after a change of path; else after a time by chance, uniform in [0, spread], whose
// bound doubles with each failure up to limits::kRedialMax ("full jitter": a thousand clients of one gateway
// come back one by one). Where: the application's own address, and those that the gateway advertised or
// redirects to, if the application allows it; never from TLS to an address without.
//
// Owner: a client's driver; one thread. Its user sees to it that there is one dial at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "proto/url.h"
#include "session/client_session.h"

namespace rejoin::session {

/// May addresses be used that the gateway told, in WELCOME and in DETACH? They can lead past the balancer.
enum class Advertised : std::uint8_t { no, yes };

/// How a dial ended that opened nothing.
enum class DialFailure : std::uint8_t {
  unreachable,  // no connection: nothing was said to anybody
  before_open,  // connected and our request sent, but no 101 (WebSocket), or no answer at all (TCP)
  later,        // it was open, and broke before WELCOME or RESUMED
};

class Redial {
 public:
  /// `home` is the application's address. The first dial is due at `now`.
  Redial(proto::Url home, Advertised advertised, TimePoint now);

  // --- what happened ---
  /// WELCOME, or a restored session: its spread and its addresses from now on.
  void told(const Terms& terms);
  /// The live link is gone, and no dial is under way.
  void link_lost(TimePoint now, Random& random);
  /// The network changed, or the application knows that it did: due now, whatever failed before.
  void path_changed(TimePoint now);
  /// A dial to target() began. Nothing is due until it has ended.
  void dial_began();
  void dial_failed(DialFailure how, TimePoint now, Random& random);
  /// It became the live link.
  void dial_opened();
  /// DETACH again (or its like): not before `wait` is over, at `address` if that may be used.
  void sent_away(Duration wait, std::string_view address, TimePoint now, Random& random);
  /// DETACH move: dial beside the link that serves, well within `wait`.
  void move(Duration wait, std::string_view address, TimePoint now, Random& random);
  /// Dial on though a link lives, as after a failure: a RESUME is out that nobody answered.
  void dial_on(TimePoint now, Random& random);
  /// Nothing is due any more.
  void stop() { due_ = kNever; }

  // --- what to do ---
  /// kNever: nothing is due.
  TimePoint due() const { return due_; }
  const proto::Url& target() const;
  /// May the next RESUME ride in the list of sub-protocols? Not where the last one that did never met a 101:
  /// something between us and the gateway may dislike it. (One too long for it is proto::resume_item()'s to
  /// say.)
  bool may_use_item() const { return !skip_item_ && item_strikes_ < 2; }
  /// To be told of a dial that carried it.
  void item_used() { with_item_ = true; }

 private:
  void back_off(Duration wait, TimePoint now, Random& random);
  std::optional<proto::Url> usable(std::string_view address) const;
  bool redirect_to(std::string_view address);

  proto::Url home_;
  std::vector<proto::Url> addresses_;  // advertised ones that may be used
  std::optional<proto::Url> redirect_;
  std::size_t turn_ = 0;  // in addresses_, then home_
  Duration spread_;
  TimePoint due_;
  Advertised advertised_;
  int failures_ = 0;
  int redirects_ = 0;  // in a row
  bool last_secure_;   // of the last dial's address
  bool with_item_ = false, skip_item_ = false;
  int item_strikes_ = 0;
};

}  // namespace rejoin::session
