#include "apps/balancer/dial_server.h"

#include "base/limits.h"

namespace rejoin::balancer {

Task<Status> dial_server(Visit& visit, route::Choice& choice, route::ServerUse& use, io::Stream& server) {
  route::Router& router = visit.pool->router;
  const TimePoint patience = visit.in(visit.pool->plan.connect_timeout);
  Error last{ErrorKind::unreachable, Side::server, Retry::yes, "no server is up"};
  while (choice.server) {
    use = route::ServerUse(router.pool(), *choice.server);
    const Address to = router.pool().server(*choice.server).address;
    const io::ConnectOptions options;
    const TimePoint dialled = visit.in(Duration(0));
    const TimePoint deadline = visit.in(visit.pool->plan.connect_timeout);
    Status open = co_await server.connect(to, options, deadline);
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
  }
  use.end();
  co_return last;
}

}  // namespace rejoin::balancer
