#include "apps/balancer/greet_client.h"

#include <string>

#include "apps/serve/hear_proxy.h"

namespace rejoin::balancer {
namespace {

void turn_away(Worker& worker, const ListenerPlan& listener, io::Socket& socket, const Address& from,
               std::string_view why) {
  worker.tell(listener, from, "turned away: " + std::string(why));
  socket.reset();
}

}  // namespace

bool knock(Worker& worker, const ListenerPlan& listener, io::Socket& socket, const Address& peer,
           Entry& entry) {
  const std::string_view why = listener.gate->enter(peer, worker.world().clock.now(), worker.edge(), entry);
  if (!why.empty()) turn_away(worker, listener, socket, peer, why);
  return why.empty();
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
    turn_away(worker, *visit.listener, visit.client.socket(), visit.address, to_string(heard.error()));
    co_return false;
  }
  const std::string_view why =
      gate.name(visit.pass, visit.address, worker.world().clock.now(), worker.edge());
  if (!why.empty()) turn_away(worker, *visit.listener, visit.client.socket(), visit.address, why);
  co_return why.empty();
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
