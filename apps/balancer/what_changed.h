// What a new configuration changes, in words for the log and for who asked. Pure.
#pragma once

#include <string>
#include <vector>

#include "apps/config/config.h"
#include "route/key_ring.h"

namespace rejoin::balancer {

struct WhatChanged {
  /// "listener play: removed", "server gateways/g1: weight 1, was 2", in the order of the file.
  std::vector<std::string> done;
  /// "balancer.workers: ...": what a running process cannot change. The old value goes on.
  std::vector<std::string> needs_restart;

  bool nothing() const { return done.empty() && needs_restart.empty(); }
};

/// Listeners, pools, servers; and what of `before` (as the process began with it, for `needs_restart`) the
/// balancer reads only at its start.
WhatChanged what_changed(const config::Config& before, const config::Config& now);
/// Keys are told by their ids, which give nothing away.
void keys_changed(const route::KeyRing& before, const route::KeyRing& now, WhatChanged& out);

}  // namespace rejoin::balancer
