// `rejoin balancer`: the load balancer as a program.
//
// run_balancer() is defined in balancer.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <string>

namespace rejoin::balancer {

struct BalancerOptions {
  std::string config_file;
};

/// Reads the configuration, opens every [[listener]], says `listener NAME: listening on ADDRESS:PORT` for
/// each and `ready` on stderr, and serves until SIGTERM or SIGINT. Returns the exit status: 0 after a signal,
/// 1 when something could not be opened, 2 for a configuration that cannot be used (nothing was opened then;
/// what is wrong is on stderr).
int run_balancer(const BalancerOptions& options);

}  // namespace rejoin::balancer
