// What a balancer leaves to the process that comes in its place (an upgrade): a file of two sections, each
// `rejoin-legacy NAME VERSION BYTES`, a line feed, that many bytes, a line feed. Whoever reads skips a
// section of a name or a version that they do not know, since the two processes may be of two versions.
//
// `knowledge`: what is known of servers, and keys (knowledge.h).
//
// `leases`: which clients belong to which servers, as far as that stands in tables of ours and not in a
// sealed cookie or ticket. These are the leases of source-ip, and those that keep a cookie with max_idle good
// under an open WebSocket. Lines, each `KIND POOL SERVER CLIENT TIME`: KIND `source-ip` or `idle`, CLIENT an
// address (of `idle` a number in the form of one), TIME the milliseconds that the pin is still good for, or
// `open` while a connection of the client's is there. What the new configuration does not have is left out: a
// pool, a server, a rule; and so is a line that nobody understands. Binaries from before there were sections
// write such lines alone, and find them in ours.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/balancer/plan.h"
#include "base/bytes.h"
#include "base/secret_bytes.h"

namespace rejoin::balancer {

/// Makes the file, of what holds at `now` and of written Knowledge. May be called on any thread, later: it
/// keeps what it needs. With a million leases it takes a second.
std::function<SecretBytes()> legacy_of(std::shared_ptr<const Plan> plan, TimePoint now,
                                       SecretBytes knowledge);

/// What is where in a file; views of it.
struct LegacySections {
  Bytes knowledge, leases;
  std::vector<std::string> skipped;  // a line for each section that cannot be read
};
/// Never more than what stands there whole.
LegacySections sections_of(Bytes file);

/// Owner: worker 0 of the new process, on its thread.
class Legacy {
 public:
  /// The pins of the section `leases` are those of `plan`'s tables from `now` on, which nobody has asked for
  /// anything yet. Those of open connections are held as long as this lives: until the process before us has
  /// ended, or shorter, but never less than their grace.
  Legacy(std::string_view leases, const Plan& plan, TimePoint now);

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
