// Affinity by a resume ticket: the gateway that made it is a server of the pool, and its name stands in it.
// So a player comes back to their session from any address, with or without a cookie jar, at layer 7 and at
// layer 4.
//
// The gateway issues tickets; this rule stores nothing and plants nothing. It looks for one, in this order:
//   1. a RESUME in the list of sub-protocols ("rejoin.v1.resume.<base64url>")
//   2. the field Rejoin-Ticket
//   3. the cookie REJOIN-TICKET of clients that know the resume protocol, then the one by which gateways know
//      plain WebSocket clients again
//   4. at layer 4: a RESUME as the client's first frame (proto/resume_opening.h)
// The first whose owner is in the pool wins; what is no ticket of ours is as if absent.
//
// Unlike a cookie's, its pin may not be broken lightly: at another server the session is not, and would be
// lost while its owner is only away for a moment. See TicketRule, Chosen::come_again.
#pragma once

#include "route/affinity.h"

namespace rejoin::route {

class AffinityTicket final : public Affinity {
 public:
  /// `pool` and `seal` outlive it.
  AffinityTicket(const TicketRule& rule, const Pool& pool, Seal& seal)
      : rule_(rule), pool_(pool), seal_(seal) {}

  Pin find(const Arrival& arrival) override;
  Patience patience() const override { return {rule_.owner_gone, rule_.come_again}; }
  bool wants_opening() const override { return true; }

 private:
  class Search;

  TicketRule rule_;
  const Pool& pool_;
  Seal& seal_;
};

}  // namespace rejoin::route
