// Worker 0 asks the servers how they are, over all generations: a server that a reload did not touch is
// probed on as if nothing had happened.
//
// Beside the path. Owner: worker 0; its thread. What the probes find is in the servers' live state, which all
// workers share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/balancer/plan.h"
#include "base/scope.h"
#include "base/task.h"
#include "io/tls_network.h"
#include "io/world.h"
#include "route/pool.h"

namespace rejoin::balancer {

class Probes {
 public:
  /// Told that a server went down, by the names of its pool and itself.
  using OnDown = std::function<void(const std::string& pool, const std::string& server)>;

  /// Probes run on `scope`, which is empty before this dies. All outlive it.
  Probes(io::World& world, io::TlsNetwork& tls, Scope& scope, OnDown on_down);
  ~Probes();

  /// Probes the servers of `plan` from now on, and no others.
  void follow(const Plan& plan);
  void stop();
  /// Forgets what has ended. Now and then.
  void tidy();
  std::size_t running() const { return probes_.size(); }

 private:
  struct Probe;
  Task<void> run(Probe& probe);

  io::World& world_;
  io::TlsNetwork& tls_;
  Scope& scope_;
  OnDown on_down_;
  std::vector<std::unique_ptr<Probe>> probes_;
};

}  // namespace rejoin::balancer
