// What a balancer leaves to the process that comes in its place (an upgrade): which clients belong to which
// servers, as far as that stands in tables of ours and not in a sealed cookie or ticket. These are the leases
// of source-ip, and those that keep a cookie with max_idle good under an open WebSocket.
//
// A text of lines, each `KIND POOL SERVER CLIENT TIME`: KIND `source-ip` or `idle`, CLIENT an address (of
// `idle` a number in the form of one), TIME the milliseconds that the pin is still good for, or `open` while
// a connection of the client's is there. What the new configuration does not have is left out: a pool, a
// server, a rule; and so is a line that nobody understands, since the two processes may be of two versions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/balancer/plan.h"

namespace rejoin::balancer {

/// Makes the text, of what holds at `now`. May be called on any thread, later: it keeps what it needs. With a
/// million leases it takes a second.
std::function<std::string()> legacy_of(std::shared_ptr<const Plan> plan, TimePoint now);

/// Owner: worker 0 of the new process, on its thread.
class Legacy {
 public:
  /// The pins of `text` are those of `plan`'s tables from `now` on, which nobody has asked for anything yet.
  /// Those of open connections are held as long as this lives: until the process before us has ended, or
  /// shorter, but never less than their grace.
  Legacy(std::string_view text, const Plan& plan, TimePoint now);

  std::size_t pins() const { return pins_; }

 private:
  struct Held {
    std::shared_ptr<route::LeaseTable> table;
    route::Lease lease;
  };
  std::vector<Held> held_;
  std::size_t pins_ = 0;
};

}  // namespace rejoin::balancer
