#include "apps/balancer/greet_client.h"

#include <string>

#include "apps/balancer/record.h"
#include "apps/serve/hear_proxy.h"

namespace rejoin::balancer {
namespace {

void turn_away(Worker& worker, const ListenerPlan& listener, io::Socket& socket, const Address& from,
               std::string_view why) {
  worker.tell(listener, from, "turned away: " + std::string(why));
  socket.reset();
}

Refused kept_out(const serve::KeptOut& by) {
  return {{Side::ours, EndHow::refused, EndPhase::gate}, by.word, std::string(by.why)};
}

/// No PROXY header came, or no good one.
Refused not_introduced(const Error& error) {
  Refused out{ending_of(error, EndPhase::proxy), kGone, to_string(error)};
  if (error.kind == ErrorKind::bad_input) out.reason = "bad_proxy";
  if (error.kind == ErrorKind::timed_out) out.reason = kLate;
  return out;
}

}  // namespace

bool knock(Worker& worker, const ListenerPlan& listener, io::Socket& socket, const Address& peer,
           Entry& entry) {
  const serve::KeptOut out = listener.gate->enter(peer, worker.world().clock.now(), worker.edge(), entry);
  if (!out) return true;
  connection_refused(worker, listener, peer, kept_out(out));
  turn_away(worker, listener, socket, peer, out.why);
  return false;
}

Task<bool> greet(Visit& visit) {
  Worker& worker = visit.worker;
  serve::Gate& gate = *visit.listener->gate;
  Status heard;
  {
    const Worker::Waiting waiting(worker, visit.client);  // a drain ends this wait
    const TimePoint deadline = visit.accepted + visit.listener->rules.head_timeout;
    heard = co_await serve::hear_proxy(worker.world(), visit.client, visit.arrived, gate.proxy(), deadline,
                                       visit.address, visit.facts);
  }
  if (!heard) {
    if (heard.error().kind == ErrorKind::bad_input) ++worker.edge().bad_proxy;
    if (heard.error().kind == ErrorKind::timed_out) ++worker.edge().late;
    const Refused refused = not_introduced(heard.error());
    if (refused.reason != kGone || !visit.arrived.empty()) connection_refused(visit, refused);
    turn_away(worker, *visit.listener, visit.client.socket(), visit.address, refused.detail);
    co_return false;
  }
  const serve::KeptOut out = gate.name(visit.pass, visit.address, worker.world().clock.now(), worker.edge());
  if (!out) co_return true;
  connection_refused(visit, kept_out(out));
  turn_away(worker, *visit.listener, visit.client.socket(), visit.address, out.why);
  co_return false;
}

Task<Status> introduce(Visit& visit, io::Stream& server, TimePoint deadline) {
  const config::ProxyProtocol kind = visit.pool->plan.rules.proxy_protocol;
  if (kind == config::ProxyProtocol::v2 && visit.facts.unique_id.empty())
    visit.facts.unique_id = serve::make_unique_id(visit.worker.world().random);
  const Address dialled = visit.facts.dialled ? visit.facts.dialled : visit.client.socket().local_address();
  const proto::ProxyHeader header = serve::proxy_header_for(kind, visit.address, dialled, visit.facts);
  Status sent = co_await server.write_all(header.view(), deadline);
  co_return sent;
}

}  // namespace rejoin::balancer
