// Affinity by the client's address: the only one for layer 4, and the one that a change of address breaks.
#pragma once

#include "route/affinity.h"

namespace rejoin::route {

class SourceIp final : public Affinity {
 public:
  /// `leases` is the pool's, shared by all workers; both outlive this.
  SourceIp(const Pool& pool, LeaseTable& leases, bool strict)
      : pool_(pool), leases_(leases), strict_(strict) {}

  Pin find(const Arrival& arrival) override;
  bool strict() const override { return strict_; }

 private:
  const Pool& pool_;
  LeaseTable& leases_;
  bool strict_;
};

}  // namespace rejoin::route
