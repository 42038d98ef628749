#include "apps/gateway/record.h"

#include "apps/gateway/worker.h"
#include "watch/access_log.h"

namespace rejoin::gateway {
namespace {

using watch::LinkRecord;

void tell_caller(LinkRecord& record, const Caller& caller) {
  record.client = caller.client;
  if (caller.peer != caller.client) record.peer = caller.peer;
  record.tls_version = caller.tls_version;
  record.sni = caller.sni;
}

std::string_view protocol_of(LinkMode mode) {
  switch (mode) {
    case LinkMode::undecided: break;
    case LinkMode::opening:
    case LinkMode::waiting:
    case LinkMode::framed: return "rejoin";
    case LinkMode::plain: return "plain";
  }
  return {};
}

std::string_view word_of(const upstream::RelayEnd& end) {
  using How = upstream::RelayEnd::How;
  switch (end.how) {
    case How::finished: return to_string(LinkEnd::finished);
    case How::broken: return to_string(LinkEnd::broken);
    case How::idle:
    case How::silent:
    case How::dead: return to_string(LinkEnd::silent);
    case How::stalled: return to_string(LinkEnd::stalled);
    case How::cancelled: return to_string(LinkEnd::cancelled);
    case How::dismissed: return to_string(LinkEnd::dismissed);
    case How::refused: return to_string(LinkEnd::refused);
  }
  return "?";
}

}  // namespace

void record_link(Worker& worker, const Link& link, LinkEnd how) {
  const LinkNotes* const notes = link.notes();
  watch::AccessLog* const log = worker.access_log();
  if (log == nullptr || notes == nullptr || how == LinkEnd::moved) return;
  LinkRecord record;
  record.kind = LinkRecord::Kind::link;
  record.began = link.opened();
  record.total = worker.world().clock.now() - link.opened();
  record.listener = notes->listener;
  tell_caller(record, notes->caller);
  record.transport = link.websocket() ? "websocket" : "tcp";
  record.protocol = protocol_of(link.mode());
  std::string id;
  if (notes->attached) {
    id = notes->session.text();
    record.session = id;
    record.opened = notes->resumed ? "resumed" : "new";
    record.epoch = notes->epoch;
    record.messages_in = notes->messages_in;
    record.messages_out = notes->messages_out;
    record.bytes_out = notes->bytes_out;
  }
  record.code = notes->code;
  record.reason = code_word(notes->code);
  record.detail = notes->detail;
  record.end = to_string(how);
  record.end_by = to_string(how == LinkEnd::dismissed ? notes->by.value_or(Side::ours) : side_of(how));
  record.end_in = notes->attached ? "session" : "opening";
  log->add(record);
}

void record_relay(Worker& worker, const OwnerRelay& relay, const upstream::RelayEnd& end) {
  watch::AccessLog* const log = worker.access_log();
  if (log == nullptr || !relay.notes) return;
  LinkRecord record;
  record.kind = LinkRecord::Kind::relay;
  record.began = relay.opened();
  record.total = worker.world().clock.now() - relay.opened();
  record.listener = relay.notes->listener;
  tell_caller(record, relay.notes->caller);
  record.protocol = "rejoin";
  record.bytes_in = relay.bytes_from_client();
  record.bytes_out = relay.bytes_from_server();
  record.detail = relay.notes->detail;
  record.end = word_of(end);
  record.end_by = to_string(end.side);
  log->add(record);
}

void record_session(Worker& worker, const LiveSession& session, std::uint16_t code, Bytes reason,
                    EndCause cause) {
  watch::AccessLog* const log = worker.access_log();
  if (log == nullptr) return;
  const session::Session& state = session.state();
  const std::string id = state.id().text();
  LinkRecord record;
  record.kind = LinkRecord::Kind::session;
  record.began = state.born();
  record.total = worker.world().clock.now() - state.born();
  record.session = id;
  record.client = session.client();
  record.protocol = state.kind() == route::TicketKind::proof ? "rejoin" : "plain";
  record.epoch = state.epoch();
  record.links = session.links_count();
  record.resumes = session.links_count() == 0 ? 0 : session.links_count() - 1;
  record.messages_in = state.received();
  record.messages_out = state.window().sent();
  record.code = code;
  record.reason = code_word(code);
  record.detail = reason;
  record.end = to_string(cause);
  record.end_by = to_string(side_of(cause));
  log->add(record);
}

void record_refused(Worker& worker, const Caller& caller, const config::GatewayListener& listener,
                    const Refused& refused) {
  watch::AccessLog* const log = worker.access_log();
  if (log == nullptr) return;
  LinkRecord record;
  record.kind = LinkRecord::Kind::refused;
  record.began = refused.began;
  record.total = worker.world().clock.now() - refused.began;
  record.listener = listener.name;
  tell_caller(record, caller);
  record.transport = listener.kind == config::GatewayListenerKind::websocket ? "websocket" : "tcp";
  record.status = refused.status;
  record.reason = refused.reason;
  record.detail = refused.detail;
  record.end = to_string(LinkEnd::refused);
  record.end_by = to_string(refused.by);
  record.end_in = refused.phase;
  log->add_refused(record);
}

}  // namespace rejoin::gateway
