// How many bad openings one address has left. A flood of forged tickets costs its sender the right to be
// listened to, and nobody else anything.
//
// A calculator. Owner: a gateway's worker; its thread. Bounded: of addresses that behaved badly long ago
// nothing is kept.
#pragma once

#include <cstddef>
#include <unordered_map>

#include "base/address.h"
#include "base/address_hash.h"
#include "base/clock.h"
#include "base/random.h"

namespace rejoin::session {

class SourceBudget {
 public:
  /// `burst` bad ones in a row, then one in each `every`. At most `addresses_max` are remembered. `random`
  /// keys the table: nobody can choose addresses that all fall into one of its buckets.
  SourceBudget(int burst, Duration every, std::size_t addresses_max, Random& random)
      : burst_(burst), every_(every), addresses_max_(addresses_max), paid_until_(0, AddressHash(random)) {}

  /// May this address (of IPv6: its /64) be listened to?
  bool has_left(const Address& source, TimePoint now) const;
  /// It was bad. When as many addresses as are remembered are bad at this very moment, the newest is let off.
  void spend(const Address& source, TimePoint now);

  std::size_t remembered() const { return paid_until_.size(); }

 private:
  void forget_good(TimePoint now);

  int burst_;
  Duration every_;
  std::size_t addresses_max_;
  std::unordered_map<Address, TimePoint, AddressHash> paid_until_;  // full again at that moment
  TimePoint looked_{};                                              // for who is good again, in a full table
};

}  // namespace rejoin::session
