// Affinity by a key of the application (a room, a player's name), by consistent hash: all who bring the key
// go to the same server, with nothing remembered anywhere, and before any other balancer with the same list
// too.
//
// A key whose server takes no new clients (down, draining, weight 0, or full where nobody may wait) goes on
// to the next of its preference, and returns when that server does. Who comes again with a key cannot be told
// from who comes first, so the reconnect-hit rate does not count it.
#pragma once

#include "route/affinity.h"
#include "route/maglev.h"

namespace rejoin::route {

class KeyAffinity final : public Affinity {
 public:
  /// `pool` and `maglev` outlive it.
  KeyAffinity(const KeyRule& rule, const Pool& pool, MaglevShare& maglev)
      : rule_(rule), pool_(pool), table_(maglev), takers_(pool) {}

  Pin find(const Arrival& arrival) override;
  std::optional<ServerIndex> server_for(const Pin& pin, const Wanted& wanted) override;
  bool remembers() const override { return false; }
  bool strict() const override { return rule_.strict; }

 private:
  KeyRule rule_;
  const Pool& pool_;
  MaglevReader table_;
  Takers takers_;
};

}  // namespace rejoin::route
