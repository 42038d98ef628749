// `rejoin gateway`: the gateway as a program.
//
// run_gateway() is defined in gateway.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <string>

namespace rejoin::gateway {

struct GatewayOptions {
  std::string config_file;
};

/// Reads the configuration, opens every listener of [gateway], says `listener NAME: listening on
/// ADDRESS:PORT` for each and `ready` on stderr, and serves until SIGTERM or SIGINT. Returns the exit status:
/// 0 after a signal, 1 when something could not be opened, 2 for a configuration that cannot be used (nothing
/// was opened then; what is wrong is on stderr).
int run_gateway(const GatewayOptions& options);

}  // namespace rejoin::gateway
