// The gateway's numbers: counted by each worker, added up, written for Prometheus.
//
// Plain values; pure.
#pragma once

#include <cstdint>
#include <string>

#include "apps/gateway/session_table.h"
#include "apps/gateway/worker.h"
#include "upstream/connector.h"

namespace rejoin::gateway {

/// What one worker counted, or several together.
struct Totals {
  /// How things stand at this moment.
  struct Now {
    std::uint64_t links = 0;
    std::uint64_t attached = 0;  // sessions with a link
    std::uint64_t detached = 0;  // and without
    std::uint64_t window_bytes = 0;
    std::uint64_t compression_bytes = 0;
    std::uint64_t game_connections = 0;
    std::uint64_t draining = 0;  // workers that take no new sessions
    std::uint64_t arriving = 0;  // workers to which sessions of the process before still come
  };
  Now now;
  Counts counts;
  SessionCounts sessions;
  MoveCounts moves;
  upstream::GameCounts games;
  serve::EdgeCounts edge;
  std::uint64_t access_records = 0, access_lost = 0;

  Totals& operator+=(const Totals& more);
};
Totals totals_of(Worker& worker);

/// For the body of GET /metrics.
std::string metrics_text(const Totals& totals, const std::vector<pid_t>& own_tables = {});

}  // namespace rejoin::gateway
