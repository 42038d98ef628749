#include "apps/balancer/wait_for_room.h"

namespace rejoin::balancer {
namespace {

/// A client in the queue: a wait of its own, and one for its client's socket, which both end when it is
/// woken.
class Waiting final : public route::RoomQueue::Place {
 public:
  explicit Waiting(Visit& visit)
      : client(visit.client),
        waiter(visit.worker.world().ready, visit.worker.world().timers, visit.worker.stop_switch()) {}
  ~Waiting() override { client.go_on(); }
  void wake() override {
    waiter.wake();
    client.interrupt();
  }

  io::Stream& client;
  Waiter waiter;
};

/// Keeps what the client says. Error: it has gone.
Status hear(Visit& visit) {
  if (!visit.arrived) visit.arrived = visit.worker.world().buffers.borrow();
  const io::ReadResult read = visit.client.socket().read(visit.arrived.room());
  if (read.state == io::ReadResult::State::failed) return visit.client.broken(read.errnum, "read");
  if (read.state == io::ReadResult::State::ended)
    return Error{ErrorKind::closed, Side::client, Retry::no, "it has gone while it waited for room"};
  if (read.got()) visit.arrived.append(read.view());
  if (visit.arrived.empty()) visit.arrived.release();
  return {};
}

/// Until it is woken, the client says something or goes, or the deadline.
Task<Status> wait_in_queue(Visit& visit, Waiting& place, TimePoint deadline) {
  if (visit.arrived && visit.arrived.room() == 0) {  // it has said all that we keep: now it only waits
    const Woken woken = co_await place.waiter.until(deadline);
    if (woken == Woken::timed_out) co_return Error{ErrorKind::timed_out, Side::server, Retry::yes, "no room"};
    if (woken == Woken::stopped) co_return Error{ErrorKind::cancelled, Side::ours, Retry::no, "stopping"};
    co_return Status{};
  }
  Status come = co_await visit.client.readable(deadline);
  visit.client.go_on();
  if (place.woken()) co_return Status{};
  if (!come) co_return come;
  co_return hear(visit);
}

/// It was woken: takes the room, if there is some. False: it waits on.
bool look_again(Visit& visit, route::Choice& choice, route::ServerUse& use) {
  route::Router& router = visit.pool->router;
  router.look_again(choice, visit.in(Duration(0)));
  if (!choice.server) return choice.how != route::Chosen::waits;
  use = route::ServerUse::take(router.pool(), *choice.server);
  if (use) return true;
  router.wait_behind(choice);
  return false;
}

/// See wait_for_room(), which it is, but for what it leaves behind.
Task<Status> wait_in_line(Visit& visit, route::Choice& choice, route::ServerUse& use) {
  route::Router& router = visit.pool->router;
  route::RoomQueue& queue = visit.pool->room.queue();
  const TimePoint deadline = visit.in(router.rules().queue.timeout);
  use.end();
  Waiting place(visit);
  std::optional<route::ServerIndex> waits_for = choice.waits_for;
  if (!queue.enter(place, waits_for)) {
    router.waited_in_vain(choice, visit.in(Duration(0)), true);
    co_return Status{};
  }
  router.waits();
  visit.pool->room.look(visit.in(Duration(0)));  // room that came before we had a place was told to nobody
  for (;;) {
    Status come;
    if (!place.woken()) come = co_await wait_in_queue(visit, place, deadline);
    const TimePoint now = visit.in(Duration(0));
    if (!come && come.error().kind != ErrorKind::timed_out) co_return come;
    if (!come || place.displaced()) {
      router.waited_in_vain(choice, now);
      co_return Status{};
    }
    if (!place.woken()) continue;
    if (look_again(visit, choice, use)) co_return Status{};
    if (choice.waits_for == waits_for) {
      place.wait_on();
      continue;
    }
    // It waited for its own server, which takes nobody any more: behind those who take any.
    place.leave_queue();
    waits_for = choice.waits_for;
    if (!queue.enter(place, waits_for)) {
      router.waited_in_vain(choice, now, true);
      co_return Status{};
    }
    visit.pool->room.look(now);
  }
}

}  // namespace

bool take_room(Visit& visit, route::Choice& choice, route::ServerUse& use) {
  route::Router& router = visit.pool->router;
  while (choice.server) {
    if (use.is_of(router.pool(), *choice.server)) return true;
    const bool is_pinned = choice.how == route::Chosen::pinned;
    const bool has_waited = choice.gave_up;  // for its own server, and may now take what others have
    if (!has_waited && visit.pool->room.queue().must_queue(*choice.server, is_pinned)) {
      router.wait_behind(choice);
      return false;
    }
    use = route::ServerUse::take(router.pool(), *choice.server);
    if (use) return true;
    router.was_full(choice, visit.in(Duration(0)));
  }
  return false;
}

Task<Status> wait_for_room(Visit& visit, route::Choice& choice, route::ServerUse& use) {
  Status waited = co_await wait_in_line(visit, choice, use);
  // It may have been woken and leave without the room: then that is the next one's.
  if (!use) visit.pool->room.look(visit.in(Duration(0)));
  co_return waited;
}

}  // namespace rejoin::balancer
