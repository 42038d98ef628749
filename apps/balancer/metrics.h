// The balancer's numbers: counted by each worker, added up by name, written for Prometheus.
//
// Place: beside the path. numbers_of() is called on the thread of the worker that is asked
// (admin_question.h); the rest is pure. docs/metrics.md lists every metric; a test holds it beside a scrape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/balancer/counts.h"
#include "apps/serve/gate.h"
#include "base/address.h"
#include "route/router.h"

namespace rejoin::balancer {

class Worker;

struct ListenerNumbers {
  std::string name;
  Address address;
  std::string_view mode;  // static
  std::string pool;
  Counts counts;
  EndCounts requests_ended, tunnels_ended;
  std::uint64_t connections = 0, tunnels = 0;  // open now
};

struct ServerNumbers {
  std::string name;
  Address address;
  ServerCounts counts;
  std::uint64_t tunnels = 0;  // open now
  // Of all workers together, as they share it:
  std::uint32_t weight = 0, active = 0;
  bool up = false, draining = false, takes_new = false;  // draining: as its probes say
  route::ServerOrder order = route::ServerOrder::ready;
  Duration away{};
};

struct PoolNumbers {
  std::string name;
  std::vector<std::string_view> affinity;  // static words
  route::RouteCounts route;
  PoolCounts counts;
  std::uint64_t idle = 0;  // connections kept for the next request
  std::vector<ServerNumbers> servers;
  // Of all workers together, as they share it:
  std::uint64_t lease_addresses = 0, lease_open = 0, leases_evicted = 0, leases_refused = 0;

  std::size_t usable() const;
};

/// What has no listener and no pool.
struct WorkerNumbers {
  std::uint64_t workers = 0, draining = 0;  // workers
  std::uint64_t sockets = 0;                // open now
  std::uint64_t access_records = 0, access_lost = 0;
};

struct Numbers {
  WorkerNumbers workers;
  serve::EdgeCounts edge;
  std::vector<ListenerNumbers> listeners;
  std::vector<PoolNumbers> pools;

  /// Another worker's. Listeners, pools and servers that one of them does not have (yet) are kept.
  void add(Numbers&& more);
};
/// `worker`'s own, with the bytes of tunnels that are open.
Numbers numbers_of(Worker& worker);

/// For the body of GET /metrics.
std::string metrics_text(const Numbers& numbers, const std::vector<pid_t>& own_tables = {});

}  // namespace rejoin::balancer
