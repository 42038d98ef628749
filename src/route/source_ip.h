// Affinity by the client's address: the only one for layer 4, and the one that a change of address breaks.
#pragma once

#include "route/affinity.h"

namespace rejoin::route {

class SourceIp final : public Affinity {
 public:
  /// `leases` is the pool's, shared by all workers; both outlive this.
  SourceIp(const Pool& pool, LeaseTable& leases) : pool_(pool), leases_(leases) {}

  Pin find(const Arrival& arrival) override;
  LeaseTable* leases() override { return &leases_; }

 private:
  const Pool& pool_;
  LeaseTable& leases_;
};

}  // namespace rejoin::route
