#include "apps/balancer/record.h"

#include <array>

#include "watch/access_log.h"

namespace rejoin::balancer {
namespace {

using watch::AccessRecord;

std::optional<Duration> between(TimePoint from, TimePoint to) {
  if (from == kNever || to == kNever) return std::nullopt;
  return to - from;
}

/// It is told of after its connection has lingered, which is no part of it.
TimePoint end_of(Visit& visit) { return visit.seen.over != kNever ? visit.seen.over : visit.in(Duration(0)); }

void count_status(Counts& counts, int status) {
  if (status >= 500) {
    ++counts.responses_5xx;
  } else if (status >= 400) {
    ++counts.responses_4xx;
  } else if (status >= 300) {
    ++counts.responses_3xx;
  } else if (status > 0) {
    ++counts.responses_2xx;
  }
}

void tell_decision(AccessRecord& record, const Decision& decision) {
  record.decision = word_of(decision.chosen());
  record.retries = decision.refused;
  if (decision.kind == Decision::kNoKind) return;
  record.affinity = affinity_word(decision.kind);
  record.reason = to_string(static_cast<route::Reason>(decision.reason));
}

void tell_end(AccessRecord& record, const Ending& ending) {
  record.end = to_string(ending.how);
  record.end_in = to_string(ending.phase);
  const bool as_it_should = ending.how == EndHow::done && ending.phase != EndPhase::tunnel;
  if (!as_it_should) record.end_by = to_string(ending.side);
}

/// The client besides its address.
void tell_client(AccessRecord& record, const Visit& visit) {
  if (visit.peer != visit.address) record.peer = visit.peer;
  if (visit.facts.tls) record.tls_version = visit.facts.tls->version;
  record.sni = visit.facts.authority;
}

/// What requests and connections have in common.
AccessRecord record_of(Visit& visit, const Ending& ending) {
  const Seen& seen = visit.seen;
  AccessRecord record;
  record.id = seen.id;
  record.began = seen.began;
  record.listener = visit.listener->rules.name;
  record.client = visit.address;
  tell_client(record, visit);
  record.bytes_in = seen.bytes_in;
  record.bytes_out = seen.bytes_out;
  record.head = between(seen.began, seen.heard);
  record.first_byte = between(seen.asked, seen.answered);
  record.total = end_of(visit) - seen.began;
  record.reused = seen.reused;
  tell_end(record, ending);
  return record;
}

void tell_choice(AccessRecord& record, Visit& visit, const route::Choice& choice) {
  const Seen& seen = visit.seen;
  if (visit.pool == nullptr) return;
  const route::Router& router = visit.pool->router;
  record.pool = router.rules().name;
  tell_decision(record, decision_of(choice, router.rules()));
  if (choice.server) record.server = visit.pool->router.pool().server(*choice.server).name;
  record.queue = seen.queued;
  const TimePoint looked_from = seen.heard != kNever ? seen.heard : seen.began;
  if (const auto reached = between(looked_from, seen.reached)) record.connect = *reached - seen.queued;
}

void tell_head(AccessRecord& record, const Seen& seen, const proto::RequestHead& request) {
  record.method = request.method_text();
  record.host = request.host();
  const Bytes target = request.path_and_query();
  const std::size_t mark = target.find('?');
  record.path = target.substr(0, mark);
  if (mark != Bytes::npos) record.query = target.substr(mark + 1);
  record.version = request.minor_version() == 0 ? "HTTP/1.0" : "HTTP/1.1";
  record.forwarded_for = request.value_of(proto::KnownField::x_forwarded_for);
  record.user_agent = request.value_of(proto::KnownField::user_agent);
  record.request_id = request.value_of(proto::KnownField::x_request_id);
  if (!seen.request_id.empty()) record.request_id = seen.request_id;
}

void tell_refusal(AccessRecord& record, const Refused& refused) {
  record.kind = AccessRecord::Kind::refused;
  record.reason = refused.reason;
  record.detail = refused.detail;
}

}  // namespace

std::string_view affinity_word(std::size_t kind) {
  // In the order of the variant's alternatives.
  static constexpr std::array<std::string_view, 6> kWords{"cookie-insert", "cookie-rewrite", "cookie-prefix",
                                                          "source-ip",     "ticket",         "key"};
  static_assert(std::variant_size_v<route::AffinityRule> == kWords.size());
  return kind < kWords.size() ? kWords[kind] : "?";
}
std::string_view word_of(const route::AffinityRule& rule) { return affinity_word(rule.index()); }

std::string_view word_of(route::Chosen chosen) {
  switch (chosen) {
    case route::Chosen::nobody: return "nobody";
    case route::Chosen::pinned: return "pinned";
    case route::Chosen::scheduled: return "scheduled";
    case route::Chosen::come_again: return "come_again";
    case route::Chosen::waits: return "waits";
    case route::Chosen::refused: return "refused";
  }
  return "?";
}

Decision decision_of(const route::Choice& choice, const route::RouteRules& rules) {
  Decision out{};
  out.how = static_cast<std::uint16_t>(choice.how) & 7;
  out.kind = Decision::kNoKind;
  out.refused = static_cast<std::uint16_t>(choice.tried.count()) & 15;
  const auto tells = [&](std::size_t i) {
    out.kind = static_cast<std::uint16_t>(rules.affinity[i].index()) & 15;
    out.reason = static_cast<std::uint16_t>(choice.pins[i].reason) & 31;
  };
  for (std::size_t i = 0; i < rules.affinity.size(); ++i) {
    const route::Pin& pin = choice.pins[i];
    if (pin.reason == route::Reason::none) continue;
    if (out.kind == Decision::kNoKind) tells(i);
    const bool this_one = choice.how == route::Chosen::pinned && pin.found() && pin.server == choice.server;
    if (!this_one) continue;
    tells(i);
    break;
  }
  return out;
}

void request_ended(Visit& visit, const proto::RequestHead* request, const route::Choice* choice) {
  Seen& seen = visit.seen;
  if (seen.began == kNever) return;
  const Ending ending = seen.ending.value_or(Ending());
  ListenerBook& use = visit.book();
  count_status(use.counts, seen.status);
  use.counts.bytes_in += seen.bytes_in;
  use.counts.bytes_out += seen.bytes_out;
  if (request != nullptr && seen.status != 101) use.counts.request_time.add(end_of(visit) - seen.began);
  use.requests_ended.add(ending);
  if (choice != nullptr && choice->server) {
    ServerCounts& server = visit.pool->server_counts(*choice->server);
    ++server.requests;
    server.bytes_to += seen.bytes_in;
    server.bytes_from += seen.bytes_out;
    if (seen.reused) ++server.reused;
    if (ending.side == Side::server && ending.how != EndHow::done) ++server.failures;
    if (const auto waited = between(seen.asked, seen.answered))
      visit.pool->book->counts.response_time.add(*waited);
  }
  watch::AccessLog* const log = visit.worker.access_log();
  if (log == nullptr) return;
  AccessRecord record = record_of(visit, ending);
  record.kind = AccessRecord::Kind::request;
  record.status = seen.status;
  if (request != nullptr) tell_head(record, seen, *request);
  if (choice != nullptr) tell_choice(record, visit, *choice);
  log->add(record);
}

void connection_ended(Visit& visit, const route::Choice& choice) {
  const Ending ending = visit.seen.ending.value_or(Ending());
  ListenerBook& use = visit.book();
  use.counts.bytes_in += visit.seen.bytes_in;
  use.counts.bytes_out += visit.seen.bytes_out;
  use.tunnels_ended.add(ending);
  watch::AccessLog* const log = visit.worker.access_log();
  if (log == nullptr) return;
  AccessRecord record = record_of(visit, ending);
  record.kind = AccessRecord::Kind::connection;
  if (ending.phase != EndPhase::head) tell_choice(record, visit, choice);
  log->add(record);
}

void connection_refused(Visit& visit, const Refused& refused) {
  watch::AccessLog* const log = visit.worker.access_log();
  if (log == nullptr) return;
  visit.seen.id = visit.worker.next_id();
  visit.seen.began = visit.accepted;
  AccessRecord record = record_of(visit, refused.ending);
  tell_refusal(record, refused);
  log->add_refused(record);
}

void connection_refused(Worker& worker, const ListenerPlan& listener, const Address& peer,
                        const Refused& refused) {
  watch::AccessLog* const log = worker.access_log();
  if (log == nullptr) return;
  AccessRecord record;
  record.id = worker.next_id();
  record.began = worker.world().clock.now();
  record.listener = listener.rules.name;
  record.client = peer;
  tell_end(record, refused.ending);
  tell_refusal(record, refused);
  log->add_refused(record);
}

void tunnel_ended(Worker& worker, const Tunnel& tunnel, const Ending& ending) {
  const Duration life = worker.world().clock.now() - tunnel.opened();
  ListenerBook& book = *tunnel.listener->book;
  book.counts.bytes_in += tunnel.bytes_from_client();
  book.counts.bytes_out += tunnel.bytes_from_server();
  book.counts.tunnel_life.add(life);
  book.tunnels_ended.add(ending);
  --book.tunnels;
  const std::string& server_name = tunnel.use.server()->name;
  if (ServerBook* const server = worker.books().find_server(server_name)) {
    server->counts.bytes_to += tunnel.bytes_from_client();
    server->counts.bytes_from += tunnel.bytes_from_server();
  }
  watch::AccessLog* const log = worker.access_log();
  if (log == nullptr) return;
  AccessRecord record;
  const bool layer_4 = tunnel.listener->rules.mode == config::Mode::tcp;
  record.kind = layer_4 ? AccessRecord::Kind::connection : AccessRecord::Kind::tunnel;
  record.id = tunnel.id;
  record.began = tunnel.opened();
  record.listener = tunnel.listener->rules.name;
  record.client = tunnel.client;
  record.bytes_in = tunnel.bytes_from_client();
  record.bytes_out = tunnel.bytes_from_server();
  record.total = life;
  if (const ClientNotes* const notes = worker.notes_of(tunnel)) {
    if (notes->peer != tunnel.client) record.peer = notes->peer;
    record.tls_version = notes->tls_version;
    record.sni = notes->sni;
  }
  const ServerName names = split_server_name(server_name);
  record.pool = names.pool;
  record.server = names.server;
  tell_decision(record, tunnel.decision);
  tell_end(record, ending);
  log->add(record);
}

ServerName split_server_name(std::string_view name) {
  const std::size_t slash = name.find('/');
  return {name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace rejoin::balancer
