// What the admin port asks each worker, and what a worker answers: values, so that nothing of a worker is
// touched by another.
//
// Made by Admin (admin.h) on worker 0, answered by answer_question() on the thread of the worker that is
// asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/balancer/metrics.h"

namespace rejoin::balancer {

class Worker;

struct Question {
  enum class Kind : std::uint8_t {
    numbers,      // everything that is counted
    connections,  // tunnels that match, the lowest ids first, at most `limit` behind `after`
    look,         // the one tunnel `id`
    end,          // ends it
  };
  Kind kind = Kind::numbers;
  std::size_t limit = 0;
  std::uint64_t after = 0, id = 0;
  // connections: empty means any
  std::string pool, server, listener;
  std::optional<Address> client;  // without its port
};

/// One tunnel, as it is shown.
struct TunnelRow {
  std::uint64_t id = 0;
  unsigned worker = 0;
  std::string_view kind;      // static: "tunnel", or "connection" at layer 4
  std::string_view decision;  // static
  std::string listener, client, pool, server;
  Duration age{}, idle{};
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint32_t pauses = 0;
};

struct Answer {
  Numbers numbers;
  std::vector<TunnelRow> rows;  // connections, look, end
  std::size_t matching = 0;     // connections: how many there are, beyond the limit too

  /// Another worker's answer to the same question.
  void add(Answer&& more);
};

Answer answer_question(Worker& worker, const Question& question);

}  // namespace rejoin::balancer
