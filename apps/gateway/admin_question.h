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

#include "apps/gateway/metrics.h"
#include "apps/gateway/operator_drain.h"
#include "route/ticket.h"
#include "session/session.h"

namespace rejoin::gateway {

class Worker;

struct Question {
  enum class Kind : std::uint8_t {
    state,  // how many sessions, draining or not; every answer has that
    list,   // sessions of `phase` (nothing: all), at most `limit`; and what has ended lately
    look,   // the one session `id`
    end,    // ends it, for `reason`
    drain,  // by `order`
    undrain,
    upgrade,  // may the next process begin (`may`)? With `over`: links are told within that time
    metrics,
  };
  Kind kind = Kind::state;
  std::size_t limit = 0;
  std::optional<session::Phase> phase;
  route::SessionId id;
  std::string reason;
  DrainOrder order;
  std::optional<Duration> over;  // upgrade
};

/// One session, as it is shown.
struct SessionRow {
  route::SessionId id;
  std::string_view phase, kind;  // static
  Duration age{}, since{};
  std::string link;            // address of the link's client; empty: detached
  std::string_view link_kind;  // static
  std::string client;          // address of its latest link
  std::uint32_t epoch = 0, links = 0;
  std::uint64_t sent = 0, acked = 0, held_messages = 0, held_bytes = 0;
  std::uint64_t received = 0, pending = 0, unsent_to_game = 0, duplicates = 0;
  std::string game_server;
  std::uint16_t closing_code = 0;
};

struct EndedRow {
  EndedSession end;
  Duration age{};  // since then
};

struct Answer {
  // Of every answer:
  std::size_t sessions = 0, attached = 0;
  bool draining = false;
  std::optional<Duration> ends_in;
  std::uint64_t moved_in = 0;
  bool arriving = false;  // sessions of the process before this one still come
  // By kind:
  bool found = false;            // look, end
  std::vector<SessionRow> rows;  // list, look
  std::size_t matching = 0;      // list: how many there are, beyond the limit too
  std::vector<EndedRow> ended;   // list; look: what became of a session that is not there any more
  std::string not_now;           // upgrade: why; empty: it may
  Totals totals;                 // metrics

  /// Another worker's answer to the same question.
  void add(Answer&& more);
};

Answer answer_question(Worker& worker, const Question& question);

}  // namespace rejoin::gateway
