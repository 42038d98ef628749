// All workers go over to another Plan, or none of them.
//
// Two rounds: each worker makes ready what can fail (Worker::prepare), and only when all have done so, each
// goes over (Worker::commit), which cannot fail. A worker that does not answer in time (it is stopping) is an
// error: then the others forget what they prepared.
//
// Owner: Operations, on worker 0. One at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "apps/balancer/plan.h"
#include "apps/serve/workers.h"
#include "base/scope.h"
#include "base/task.h"

namespace rejoin::balancer {

class Worker;

/// For each of the two rounds.
inline constexpr std::chrono::seconds kRolloutRoundS{5};

class Rollout {
 public:
  /// `worker` is worker 0; without `colleagues` it is alone. `stop` ends what waits. All outlive it.
  Rollout(Worker& worker, serve::Colleagues* colleagues, Stop& stop);

  /// Error: why nothing has changed. Ok: every worker that is still there serves by `plan`.
  Task<Status> run(std::shared_ptr<const Plan> plan);

  /// A colleague's answer in round `number`.
  void answered(std::uint64_t number, Status how);

 private:
  Task<Status> everywhere_else(std::function<Status(Worker&)> what);
  void tell_others(std::function<void(Worker&)> what);

  Worker& worker_;
  serve::Colleagues* colleagues_;
  Waiter waiter_;
  std::uint64_t round_ = 0;  // the present one
  unsigned missing_ = 0;
  Status so_far_;
};

}  // namespace rejoin::balancer
