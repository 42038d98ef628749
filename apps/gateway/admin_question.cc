#include "apps/gateway/admin_question.h"

#include <algorithm>
#include <iterator>

#include "apps/gateway/live_session.h"
#include "apps/gateway/worker.h"

namespace rejoin::gateway {
namespace {

std::string_view kind_of(const LiveSession& session) {
  if (session.state().kind() == route::TicketKind::proof) return "rejoin";
  return session.lasting() == Lasting::outlives_links ? "cookie" : "plain";
}

SessionRow row_of(Worker& worker, LiveSession& session) {
  const session::Session& state = session.state();
  const TimePoint now = worker.world().clock.now();
  SessionRow row;
  row.id = state.id();
  row.phase = to_string(state.phase());
  row.kind = kind_of(session);
  row.age = now - state.born();
  row.since = now - state.since();
  row.client = session.client().text();
  if (const Link* const link = session.link()) {
    row.link = link->client().text();
    row.link_kind = link->websocket() ? "websocket" : "tcp";
  }
  row.epoch = state.epoch();
  row.links = session.links_count();
  row.sent = state.window().sent();
  row.acked = state.window().acked();
  row.held_messages = state.window().held_messages();
  row.held_bytes = state.window().held_bytes();
  row.received = state.received();
  row.pending = state.pending();
  row.unsent_to_game = session.unsent_to_game();
  row.duplicates = state.duplicates();
  row.game_server = session.game_server();
  row.closing_code = session.closing_code();
  return row;
}

void list(Worker& worker, const Question& question, Answer& out) {
  worker.sessions().for_each([&](LiveSession& session) {
    if (question.phase && session.state().phase() != *question.phase) return;
    ++out.matching;
    if (out.rows.size() < question.limit) out.rows.push_back(row_of(worker, session));
  });
}

void list_ended(Worker& worker, const route::SessionId* only, Answer& out) {
  const TimePoint now = worker.world().clock.now();
  for (const EndedSession& end : worker.sessions().ends()) {
    if (only == nullptr || end.id == *only) out.ended.push_back({end, now - end.when});
  }
}

}  // namespace

void Answer::add(Answer&& more) {
  sessions += more.sessions;
  attached += more.attached;
  draining = draining || more.draining;
  if (more.ends_in) ends_in = std::min(ends_in.value_or(*more.ends_in), *more.ends_in);
  moved_in += more.moved_in;
  arriving = arriving || more.arriving;
  if (not_now.empty()) not_now = std::move(more.not_now);
  found = found || more.found;
  std::move(more.rows.begin(), more.rows.end(), std::back_inserter(rows));
  matching += more.matching;
  std::move(more.ended.begin(), more.ended.end(), std::back_inserter(ended));
  totals += more.totals;
}

Answer answer_question(Worker& worker, const Question& question) {
  Answer out;
  SessionTable& sessions = worker.sessions();
  switch (question.kind) {
    case Question::Kind::state: break;
    case Question::Kind::list:
      list(worker, question, out);
      list_ended(worker, nullptr, out);
      break;
    case Question::Kind::look:
    case Question::Kind::end:
      if (LiveSession* const session = sessions.find(question.id)) {
        out.found = true;
        out.rows.push_back(row_of(worker, *session));
        if (question.kind == Question::Kind::look) break;
        ++sessions.counts().ended_by_operator;
        session->end_told(proto::LinkCode::session_ended, question.reason, EndCause::by_operator);
      }
      list_ended(worker, &question.id, out);
      break;
    case Question::Kind::drain: worker.operator_drain().begin(question.order); break;
    case Question::Kind::undrain: worker.operator_drain().take_back(); break;
    case Question::Kind::upgrade: {
      const Status may = worker.may_hand_on();
      if (!may) out.not_now = may.error().detail;
      worker.set_upgrade_over(question.over);
      break;
    }
    case Question::Kind::metrics: out.totals = totals_of(worker); break;
  }
  out.sessions = sessions.size();
  out.attached = sessions.with_link();
  out.draining = !worker.admits();
  out.ends_in = worker.operator_drain().ends_in();
  out.moved_in = worker.moves().in;
  out.arriving = worker.arrivals() != nullptr && worker.arrivals()->coming();
  return out;
}

}  // namespace rejoin::gateway
