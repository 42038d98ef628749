#include "apps/balancer/dial_server.h"

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
      Status waited = co_await wait_for_room(visit, choice, use);
      if (!waited) co_return waited;
      if (!choice.server && choice.how == route::Chosen::nobody) last.detail = "no server had room in time";
      continue;
    }
    if (!choice.server) break;
    const Address to = router.pool().server(*choice.server).address;
    const io::ConnectOptions options;
    const TimePoint deadline = visit.in(visit.pool->plan.connect_timeout);
    Status open = co_await server.connect(to, options, deadline);
    if (open) router.reached(choice, visit.in(Duration(0)));
    if (open) co_return open;
    if (open.error().kind == ErrorKind::exhausted && visit.in(Duration(0)) < patience) {
      // No descriptor for the second half of a connection whose first half had one: wait for it, as accepting
      // does.
      const TimePoint again = visit.in(limits::kAcceptRetryMs);
      const Woken woken = co_await io::sleep_until(visit.worker.world(), again, visit.worker.stop_switch());
      if (woken == Woken::stopped) co_return open;
      continue;
    }
    if (open.error().side != Side::server) co_return open;  // ours: no descriptors, or stopping
    visit.worker.server_refused(*visit.pool, choice, open.error());
    last = std::move(open.error());
    if (!visit.pool->plan.retry.connect) break;
  }
  use.end();
  co_return last;
}

}  // namespace rejoin::balancer
