#include "apps/balancer/dial_server.h"

#include "apps/balancer/enter_tls.h"
#include "apps/balancer/greet_client.h"
#include "apps/balancer/wait_for_room.h"
#include "base/limits.h"

namespace rejoin::balancer {

Task<Status> dial_server(Visit& visit, route::Choice& choice, route::ServerUse& use, io::Stream& server) {
  route::Router& router = visit.pool->router;
  const TimePoint patience = visit.in(visit.pool->plan.connect_timeout);
  Error last{ErrorKind::unreachable, Side::server, Retry::yes, "no server is up"};
  for (;;) {
    const bool has_room = take_room(visit, choice, use);
    if (!has_room && choice.how == route::Chosen::waits) {
      const TimePoint queued = visit.in(Duration(0));
      Status waited = co_await wait_for_room(visit, choice, use);
      visit.seen.queued += visit.in(Duration(0)) - queued;
      visit.pool->book->counts.queue_time.add(visit.in(Duration(0)) - queued);
      if (!waited) co_return waited;
      if (!choice.server && choice.how == route::Chosen::nobody) last.detail = "no server had room in time";
      continue;
    }
    if (!choice.server) break;
    const Address to = router.pool().server(*choice.server).address;
    const io::ConnectOptions options;
    const TimePoint dialled = visit.in(Duration(0));
    const TimePoint deadline = visit.in(visit.pool->plan.connect_timeout);
    Status open = co_await server.connect(to, options, deadline);
    if (open && visit.pool->plan.rules.proxy_protocol != config::ProxyProtocol::off)
      open = co_await introduce(visit, server, deadline);
    if (open && visit.pool->plan.tls)
      open = co_await enter_tls_to_server(visit, *choice.server, server, deadline);
    if (open) {
      visit.seen.reached = visit.in(Duration(0));
      visit.pool->book->counts.connect_time.add(visit.seen.reached - dialled);
      ++visit.pool->server_counts(*choice.server).connections;
      router.reached(choice, visit.seen.reached);
      co_return open;
    }
    if (open.error().kind == ErrorKind::exhausted && visit.in(Duration(0)) < patience) {
      // No descriptor for the second half of a connection whose first half had one: wait for it, as accepting
      // does.
      const TimePoint again = visit.in(limits::kAcceptRetryMs);
      const Woken woken = co_await io::sleep_until(visit.worker.world(), again, visit.worker.stop_switch());
      if (woken == Woken::stopped) co_return open;
      continue;
    }
    if (open.error().side != Side::server) co_return open;  // ours: no descriptors, or stopping
    ++visit.pool->server_counts(*choice.server).connects_failed;
    visit.worker.server_refused(*visit.pool, choice, open.error());
    last = std::move(open.error());
    if (!visit.pool->plan.retry.connect) break;
  }
  use.end();
  co_return last;
}

io::Socket take_idle(Visit& visit, route::ServerIndex server, Duration used_within) {
  if (visit.pool->plan.rules.proxy_protocol == config::ProxyProtocol::off)
    return visit.pool->idle.take(server, used_within);
  io::Socket kept = std::move(visit.kept.socket);
  if (!kept || visit.kept.pool != visit.pool || visit.kept.server != server) return {};
  if (visit.in(Duration(0)) - visit.kept.since > used_within) return {};
  // Nobody watched it: a FIN, or bytes that no request asked for, make it useless.
  if (kept.may_read() && kept.read(1).state != io::ReadResult::State::would_block) return {};
  return kept;
}

void keep_idle(Visit& visit, route::ServerIndex server, io::Socket socket, Duration told) {
  if (visit.pool->plan.rules.proxy_protocol == config::ProxyProtocol::off) {
    visit.pool->idle.put(server, std::move(socket), told);
    return;
  }
  socket.set_events(nullptr);
  visit.kept.socket = std::move(socket);
  visit.kept.pool = visit.pool;
  visit.kept.server = server;
  visit.kept.since = visit.in(Duration(0));
}

}  // namespace rejoin::balancer
