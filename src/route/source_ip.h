// Affinity by the client's address: the only one for layer 4, and the one that a change of address breaks.
#pragma once

#include "route/affinity.h"

namespace rejoin::route {

class SourceIp final : public Affinity {
 public:
  /// `leases` is the pool's, shared by all workers; it outlives this.
  explicit SourceIp(LeaseTable& leases) : leases_(leases) {}

  Pin find(const Arrival& arrival) override;
  LeaseTable* leases() override { return &leases_; }

 private:
  LeaseTable& leases_;
};

}  // namespace rejoin::route
