#include "apps/balancer/admin_question.h"

#include <algorithm>
#include <iterator>

#include "apps/balancer/record.h"
#include "apps/balancer/worker.h"

namespace rejoin::balancer {
namespace {

ServerName server_of(const Tunnel& tunnel) { return split_server_name(tunnel.use.server()->name); }

TunnelRow row_of(Worker& worker, const Tunnel& tunnel) {
  const TimePoint now = worker.world().clock.now();
  TunnelRow row;
  row.id = tunnel.id;
  row.worker = worker.number();
  row.kind = tunnel.listener->rules.mode == config::Mode::tcp ? "connection" : "tunnel";
  row.decision = word_of(tunnel.decision.chosen());
  row.listener = tunnel.listener->rules.name;
  row.client = tunnel.client.text();
  row.pool = server_of(tunnel).pool;
  row.server = server_of(tunnel).server;
  row.age = now - tunnel.opened();
  row.idle = now - tunnel.last_active();
  row.bytes_in = tunnel.bytes_from_client();
  row.bytes_out = tunnel.bytes_from_server();
  row.pauses = tunnel.pauses();
  return row;
}

bool matches(const Tunnel& tunnel, const Question& question) {
  if (!question.listener.empty() && tunnel.listener->rules.name != question.listener) return false;
  if (!question.pool.empty() && server_of(tunnel).pool != question.pool) return false;
  if (!question.server.empty() && server_of(tunnel).server != question.server) return false;
  return !question.client || tunnel.client.ip == question.client->ip;
}

/// The lowest ids: a heap of as many as are shown, whose top is the highest of them. The order in which
/// tunnels opened is not quite that of their ids.
void list(Worker& worker, const Question& question, Answer& out) {
  std::vector<const Tunnel*> shown;
  const auto lower = [](const Tunnel* a, const Tunnel* b) { return a->id < b->id; };
  worker.for_each_tunnel([&](const Tunnel& tunnel) {
    if (!matches(tunnel, question)) return;
    ++out.matching;
    if (tunnel.id <= question.after || question.limit == 0) return;
    if (shown.size() == question.limit) {
      if (shown.front()->id < tunnel.id) return;
      std::pop_heap(shown.begin(), shown.end(), lower);
      shown.pop_back();
    }
    shown.push_back(&tunnel);
    std::push_heap(shown.begin(), shown.end(), lower);
  });
  std::sort_heap(shown.begin(), shown.end(), lower);
  for (const Tunnel* const tunnel : shown) out.rows.push_back(row_of(worker, *tunnel));
}

}  // namespace

void Answer::add(Answer&& more) {
  numbers.add(std::move(more.numbers));
  std::move(more.rows.begin(), more.rows.end(), std::back_inserter(rows));
  matching += more.matching;
}

Answer answer_question(Worker& worker, const Question& question) {
  Answer out;
  switch (question.kind) {
    case Question::Kind::numbers: out.numbers = numbers_of(worker); break;
    case Question::Kind::connections: list(worker, question, out); break;
    case Question::Kind::look:
    case Question::Kind::end: {
      Tunnel* found = nullptr;
      worker.for_each_tunnel([&](Tunnel& tunnel) {
        if (tunnel.id == question.id) found = &tunnel;
      });
      if (found == nullptr) break;
      out.rows.push_back(row_of(worker, *found));
      if (question.kind == Question::Kind::end) worker.end_by_operator(*found);
      break;
    }
  }
  return out;
}

}  // namespace rejoin::balancer
