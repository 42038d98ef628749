#include "apps/balancer/rollout.h"

#include "apps/balancer/operate.h"
#include "apps/balancer/worker.h"

namespace rejoin::balancer {

Rollout::Rollout(Worker& worker, serve::Colleagues* colleagues, Stop& stop)
    : worker_(worker), colleagues_(colleagues), waiter_(worker.world().ready, worker.world().timers, stop) {}

Task<Status> Rollout::run(std::shared_ptr<const Plan> plan) {
  const std::shared_ptr<const Plan> before = worker_.generation()->plan;
  Status ready = worker_.prepare(plan, {});
  if (!ready) co_return ready;
  // Where the system chooses a port, it is the same for all.
  const std::vector<Address> at = worker_.prepared_addresses();
  const std::function<Status(Worker&)> prepare = [plan, at](Worker& other) {
    return other.prepare(plan, at);
  };
  ready = co_await everywhere_else(prepare);
  if (!ready) {
    worker_.abandon();
    tell_others([](Worker& other) { other.abandon(); });
    co_return ready;
  }
  take_effect(*plan, *before);
  worker_.commit();
  const std::function<Status(Worker&)> commit = [](Worker& other) {
    other.commit();
    return Status();
  };
  Status gone_over = co_await everywhere_else(commit);
  if (!gone_over) worker_.world().log.warn("a worker has not said that it goes by the new plan");
  co_return Status();
}

/// Asks every colleague, and waits for all answers. An error: the first one, or that one did not answer.
Task<Status> Rollout::everywhere_else(std::function<Status(Worker&)> what) {
  ++round_;
  so_far_ = Status();
  missing_ = colleagues_ != nullptr ? colleagues_->count() - 1 : 0;
  serve::Colleagues* const colleagues = colleagues_;
  const std::uint64_t number = round_;
  for (unsigned i = 1; i <= missing_; ++i) {
    // The number comes back, not a pointer: who asked may be gone by then.
    colleagues->ask(i, [colleagues, number, what](serve::WorkerProgram& program) {
      Status how = what(static_cast<Worker&>(program));
      colleagues->ask(0, [number, how](serve::WorkerProgram& back) {
        Operations* const operations = static_cast<Worker&>(back).operations();
        if (operations != nullptr) operations->rollout().answered(number, how);
      });
    });
  }
  const TimePoint deadline = worker_.world().clock.now() + Duration(kRolloutRoundS);
  while (missing_ != 0) {
    const Woken woken = co_await waiter_.until(deadline);
    if (woken == Woken::ready) continue;
    so_far_ = woken == Woken::stopped
                  ? Error{ErrorKind::cancelled, Side::ours, Retry::no, "this process is about to end"}
                  : Error{ErrorKind::timed_out, Side::ours, Retry::yes, "a worker did not answer"};
    break;
  }
  ++round_;  // late answers mean nothing
  co_return so_far_;
}

void Rollout::tell_others(std::function<void(Worker&)> what) {
  for (unsigned i = 1; colleagues_ != nullptr && i < colleagues_->count(); ++i)
    colleagues_->ask(i, [what](serve::WorkerProgram& program) { what(static_cast<Worker&>(program)); });
}

void Rollout::answered(std::uint64_t number, Status how) {
  if (number != round_) return;
  if (!how && so_far_) so_far_ = std::move(how);
  if (--missing_ == 0) waiter_.wake();
}

}  // namespace rejoin::balancer
