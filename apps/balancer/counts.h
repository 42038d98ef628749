// What one worker counts: plain integers that only grow, by listener, by pool and by server.
//
// A new counter is a member here and a line in the tables of metrics.cc (a static_assert asks for it). Owner:
// a worker; its thread. Nothing but 64-bit integers in each struct (watch/metrics_table.h).
#pragma once

#include <array>
#include <cstdint>

#include "apps/balancer/ending.h"
#include "watch/histogram.h"

namespace rejoin::balancer {

/// Of one listener.
struct Counts {
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;
  std::uint64_t tunnels = 0;
  std::uint64_t responses_2xx = 0;  // and 1xx that are final: 101
  std::uint64_t responses_3xx = 0;
  std::uint64_t responses_4xx = 0;
  std::uint64_t responses_5xx = 0;
  std::uint64_t refused_heads = 0;   // answered 400, 414, 431, 501, 505
  std::uint64_t timed_out = 0;       // clients that did not send their head, or their first frame, in time
  std::uint64_t no_server = 0;       // answered 503
  std::uint64_t come_again = 0;      // told to come again, since the server of their ticket is away
  std::uint64_t server_failed = 0;   // answered 502, 504
  std::uint64_t retried = 0;         // requests sent to another server after one had taken the connection
  std::uint64_t tls_handshakes = 0;  // of clients, that succeeded
  std::uint64_t tls_resumed = 0;     // of these: with a session of before
  std::uint64_t tls_failed = 0;      // those that did not, but for the timed out
  std::uint64_t bytes_in = 0;        // from clients: of requests and tunnels that have ended
  std::uint64_t bytes_out = 0;
  watch::ShortTimes request_time;  // from the first byte of a request to the last one of its answer
  watch::Lives tunnel_life;        // of those that have ended
};

/// How requests, or tunnels, of one listener ended.
struct EndCounts {
  std::array<std::array<std::uint64_t, kEndHows>, 3> of{};  // by Side, then EndHow
  void add(const Ending& end) { ++of[static_cast<std::size_t>(end.side)][static_cast<std::size_t>(end.how)]; }
};

/// Of one pool. What its Router decided is in route::RouteCounts.
struct PoolCounts {
  watch::ShortTimes queue_time;     // of clients that waited for room at a server
  watch::ShortTimes connect_time;   // of connections that came to be
  watch::ShortTimes response_time;  // from the request having left to the first byte of the response
};

/// Of one server.
struct ServerCounts {
  std::uint64_t requests = 0;
  std::uint64_t tunnels = 0;
  std::uint64_t connections = 0;      // that came to be
  std::uint64_t reused = 0;           // requests on a connection that was kept
  std::uint64_t connects_failed = 0;  // that did not come to be
  std::uint64_t failures = 0;         // requests that got no answer fit to be passed on
  std::uint64_t bytes_to = 0;         // of requests and tunnels that have ended
  std::uint64_t bytes_from = 0;
};

}  // namespace rejoin::balancer
