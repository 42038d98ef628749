// One client's connection while coroutines serve it, and what is kept from one request to the next.
//
// Place on the path: made by serve_client.cc when a connection was accepted, gone when it became a tunnel
// (worker.h) or ended. Owner: the coroutine that serves it; one worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/balancer/generation.h"
#include "apps/balancer/seen.h"
#include "apps/balancer/worker.h"
#include "apps/serve/client_facts.h"
#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "io/stream.h"
#include "io/tls_connection.h"
#include "route/lease_table.h"
#include "route/router.h"
#include "upstream/pace.h"

namespace rejoin::balancer {

/// What goes on after a request.
enum class After : std::uint8_t { next_request, close, tunnel };

/// A server's connection that may serve its one client again.
struct KeptServer {
  io::Socket socket;
  const PoolUse* pool = nullptr;
  route::ServerIndex server = 0;
  TimePoint since{};
};

/// One client's connection, and what is kept from one request to the next.
struct Visit {
  Visit(Worker& w, GenerationPtr g, ListenerPtr l, io::Socket socket, const Address& from, Entry entry)
      : worker(w),
        generation(std::move(g)),
        listener(std::move(l)),
        pool(generation->pool_of(*listener)),
        address(from),
        peer(from),
        pass(std::move(entry.pass)),
        accepted(w.world().clock.now()),
        client(w.world(), std::move(socket), Side::client, w.stop_switch()) {
    ++book().connections;
  }
  ~Visit() {
    --book().connections;
    for (PoolLease& one : leases) one.lease.close(worker.world().clock.now());
  }

  ListenerBook& book() { return *listener->book; }
  Counts& counts() { return book().counts; }

  TimePoint in(Duration time) const { return worker.world().clock.now() + time; }

  /// What the access log will say of the tunnel that the connection becomes, besides what that knows itself;
  /// nullptr: nothing.
  std::unique_ptr<ClientNotes> notes() const {
    const bool any = peer != address || facts.tls || !facts.authority.empty();
    if (worker.access_log() == nullptr || !any) return nullptr;
    return std::make_unique<ClientNotes>(
        ClientNotes{peer, facts.tls ? facts.tls->version : std::string(), facts.authority});
  }

  /// With a source-ip rule: the pin in the pool holds as long as the connection does, and follows where the
  /// client is sent.
  void keep_lease(const route::Choice& choice) {
    for (PoolLease& one : leases) {
      if (one.pool == pool) return pool->router.move_lease(one.lease, choice);
    }
    route::Lease lease = pool->router.lease(choice, address, worker.world().clock.now());
    if (lease) leases.push_back({pool, std::move(lease)});
  }

  /// The server ended the client's pin in the pool.
  void unpin() {
    for (PoolLease& one : leases) {
      if (one.pool == pool) one.lease.unpin();
    }
  }

  /// The pin in the pool, for the tunnel that the connection becomes; empty when there is none.
  route::Lease take_lease() {
    if (generation != worker.generation()) worker.keep_tables(*pool);
    for (PoolLease& one : leases) {
      if (one.pool == pool) return std::move(one.lease);
    }
    return {};
  }

  /// Between two requests: from here on by the worker's present generation. Where its listener is gone, the
  /// connection stays with what it has, and ends after the next answer.
  void follow() {
    if (generation == worker.generation()) return;
    ListenerPtr next = worker.generation()->successor(*listener);
    is_last = !next;
    if (is_last) return;
    const GenerationPtr before =
        std::exchange(generation, worker.generation());  // holds the leases' pools until we are done
    --book().connections;
    listener = std::move(next);
    ++book().connections;
    pool = &generation->pool(*listener);
    kept = KeptServer();  // its pool may be gone, and its server another
    std::erase_if(leases, [this](PoolLease& one) {
      PoolUse* const now = generation->find_pool(one.pool->plan.rules.name);
      const bool stays = now != nullptr && now->plan.route->leases == one.pool->plan.route->leases;
      if (!stays) one.lease.close(in(Duration(0)));
      one.pool = now;
      return !stays;
    });
  }

  Worker& worker;
  GenerationPtr generation;  // holds the two below
  ListenerPtr listener;
  PoolUse* pool;  // of the request that is served; at layer 4 the listener's, nullptr: chosen by a name that
                  // has not been heard
  Address address;  // of the client, as far as it is known
  Address peer;     // who dialled
  route::Admission::Pass pass;
  TimePoint accepted;  // the time to say the first head counts from here
  io::Stream client;
  Buffer head;     // the bytes of the request's head
  Buffer arrived;  // what came behind it: its body, or the next request. At layer 4: all that came
  struct PoolLease {
    PoolUse* pool;
    route::Lease lease;
  };
  std::vector<PoolLease> leases;  // one for each pool with a source-ip rule that a request went to
  serve::ClientFacts facts;
  Seen seen;  // of the request that is served now; at layer 4 of the connection
  upstream::Pace pace_up{listener->rules.rate.from_client}, pace_down{listener->rules.rate.to_client};
  KeptServer kept;  // with a PROXY header a connection to a server is this client's alone
  bool first_request = true;
  bool answered = false;   // by a server, at least once, and the connection went on
  bool body_left = false;  // the body of the request has not been read to its end
  // what servers are told of the client; made with the first request
  std::string client_ip;
  std::string port;  // on which it came in
  const char* scheme = "http";
  bool trusted = false;                                 // the client is a proxy in front of us
  std::optional<io::TlsClientCertificate> certificate;  // that the client has shown
  bool is_last = false;  // its listener is gone: the connection ends after this request
};

}  // namespace rejoin::balancer
