// The server of the client's address, by consistent hash: the same client to the same server as long as the
// list stays, with nothing remembered. Weighted; slow start does not count, since it would move clients.
//
// The router hashes (Wanted::hash), so that source-hash and key-hash are one scheduler over two hashes.
#pragma once

#include "route/maglev.h"
#include "route/scheduler.h"

namespace rejoin::route {

class SourceHash : public Scheduler {
 public:
  explicit SourceHash(MaglevShare& share) : Scheduler(share.pool()), table_(share) {}

  std::optional<ServerIndex> pick(const Wanted& wanted) override {
    takers().refresh(wanted.now);
    return table_.first(wanted.hash, wanted.now, takers(), false,
                        [&](ServerIndex index) { return wanted.may(pool(), index); });
  }

 private:
  MaglevReader table_;
};

}  // namespace rejoin::route
