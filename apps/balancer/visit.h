// One client's connection while coroutines serve it, and what is kept from one request to the next.
//
// Place on the path: made by serve_client.cc when a connection was accepted, gone when it became a tunnel
// (worker.h) or ended. Owner: the coroutine that serves it; one worker's thread.
#pragma once

#include <cstdint>
#include <utility>

#include "apps/balancer/generation.h"
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
  Visit(Worker& w, GenerationPtr g, ListenerPtr l, io::Socket accepted, const Address& from)
      : worker(w),
        generation(std::move(g)),
        listener(std::move(l)),
        pool(&generation->pool(*listener)),
        address(from),
        client(w.world(), std::move(accepted), Side::client, w.stop_switch()) {
    ++book().connections;
  }
  ~Visit() {
    --book().connections;
    lease.close(worker.world().clock.now());
  }

  ListenerBook& book() { return *listener->book; }
  Counts& counts() { return book().counts; }

  TimePoint in(Duration time) const { return worker.world().clock.now() + time; }

  /// With a source-ip rule: the pin holds as long as the connection does, and follows where the client is
  /// sent.
  void keep_lease(const route::Choice& choice) {
    if (lease) {
      pool->router.move_lease(lease, choice);
    } else {
      lease = pool->router.lease(choice, address, worker.world().clock.now());
    }
  }

  /// Between two requests: from here on by the worker's present generation. Where its listener is gone, the
  /// connection stays with what it has, and ends after the next answer.
  void follow() {
    if (generation == worker.generation()) return;
    ListenerPtr next = worker.generation()->successor(*listener);
    is_last = !next;
    if (is_last) return;
    generation = worker.generation();
    --book().connections;
    listener = std::move(next);
    ++book().connections;
    PoolUse* const before = std::exchange(pool, &generation->pool(*listener));
    if (before->plan.route->leases != pool->plan.route->leases) lease.close(in(Duration(0)));
  }

  Worker& worker;
  GenerationPtr generation;  // holds the two below
  ListenerPtr listener;
  PoolUse* pool;
  Address address;
  io::Stream client;
  Buffer head;     // the bytes of the request's head
  Buffer arrived;  // what came behind it: its body, or the next request. At layer 4: all that came
  route::Lease lease;
  Seen seen;  // of the request that is served now; at layer 4 of the connection
  bool first_request = true;
  bool is_last = false;  // its listener is gone: the connection ends after this request
};

}  // namespace rejoin::balancer
