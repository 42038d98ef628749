// One client's connection while coroutines serve it, and what is kept from one request to the next.
//
// Place on the path: made by serve_client.cc when a connection was accepted, gone when it became a tunnel
// (worker.h) or ended. Owner: the coroutine that serves it; one worker's thread.
#pragma once

#include <cstdint>

#include "apps/balancer/seen.h"
#include "apps/balancer/worker.h"
#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "io/stream.h"
#include "route/lease_table.h"
#include "route/router.h"

namespace rejoin::balancer {

/// What goes on after a request.
enum class After : std::uint8_t { next_request, close, tunnel };

/// One client's connection, and what is kept from one request to the next.
struct Visit {
  Visit(Worker& w, const ListenerPlan& l, io::Socket accepted, const Address& from)
      : worker(w),
        listener(l),
        pool(w.pool(l)),
        address(from),
        client(w.world(), std::move(accepted), Side::client, w.stop_switch()) {
    ++worker.use(listener).connections;
  }
  ~Visit() {
    --worker.use(listener).connections;
    lease.close(worker.world().clock.now());
  }

  Counts& counts() { return worker.counts(listener); }

  TimePoint in(Duration time) const { return worker.world().clock.now() + time; }

  /// With a source-ip rule: the pin holds as long as the connection does, and follows where the client is
  /// sent.
  void keep_lease(const route::Choice& choice) {
    if (lease) {
      lease.move_to(*choice.server);
    } else {
      lease = pool.router.lease(choice, address, worker.world().clock.now());
    }
  }

  Worker& worker;
  const ListenerPlan& listener;
  PoolUse& pool;
  Address address;
  io::Stream client;
  Buffer head;     // the bytes of the request's head
  Buffer arrived;  // what came behind it: its body, or the next request. At layer 4: all that came
  route::Lease lease;
  Seen seen;  // of the request that is served now; at layer 4 of the connection
  bool first_request = true;
};

}  // namespace rejoin::balancer
