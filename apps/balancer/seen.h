// What is noted of one request (at layer 4: of one connection) while it is served, for its line in the access
// log and for the histograms. Whoever serves writes moments and endings in passing; record.h reads them when
// it is over.
//
// Part of a Visit; plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "apps/balancer/ending.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "route/router.h"

namespace rejoin::balancer {

struct Seen {
  std::uint64_t id = 0;
  TimePoint began = kNever;     // its first byte was there; at layer 4 it was accepted
  TimePoint heard = kNever;     // its head was whole
  TimePoint reached = kNever;   // a server has taken it
  TimePoint asked = kNever;     // the server has its head
  TimePoint answered = kNever;  // the first byte of the response came
  TimePoint over = kNever;      // all was said; the connection may linger
  Duration queued{};            // it waited so long for room at a server
  std::uint64_t bytes_in = 0;   // from the client
  std::uint64_t bytes_out = 0;  // to the client
  int status = 0;               // that the client was told; 0: none
  bool reused = false;          // on a connection to the server that was kept
  std::optional<Ending> ending;
  std::array<char, 32> made_request_id;  // a request id of ours, where the listener has such
  Bytes request_id;                      // by which servers know it; empty: by none, or by the client's

  /// The first cause counts: what follows from it is no news.
  void end(const Ending& how) {
    if (!ending) ending = how;
  }
};

/// How a server was found for a client, small enough to be kept in the record of a tunnel.
struct Decision {
  static constexpr unsigned kNoKind = 15;

  std::uint16_t how : 3;      // route::Chosen
  std::uint16_t kind : 4;     // of the affinity that told something: its place in AffinityRule, or kNoKind
  std::uint16_t reason : 5;   // route::Reason of that rule
  std::uint16_t refused : 4;  // servers that did not take the client before

  route::Chosen chosen() const { return static_cast<route::Chosen>(how); }
};
static_assert(sizeof(Decision) == 2);
static_assert(std::variant_size_v<route::AffinityRule> <= Decision::kNoKind &&
              limits::kTriedServersMax < 16 && route::kReasons <= 32);
Decision decision_of(const route::Choice& choice, const route::RouteRules& rules);

}  // namespace rejoin::balancer
