// The handshake of TLS, where a listener has it: before the first byte of a player.
//
// Place on the path: after the accept, before serve_player.cc and the links. One worker's thread.
#pragma once

#include <string>

#include "apps/config/config.h"
#include "apps/gateway/caller.h"
#include "base/task.h"
#include "io/network.h"
#include "route/admission.h"

namespace rejoin::gateway {

class Worker;

/// Waits for the handshake as long as the listener allows, and serves what is inside of it. A player who does
/// not do it, or not well, costs no session. `said` was read already, and belongs to TLS. `worker` and
/// `listener`, which is the plan's, outlive the task.
Task<void> enter_tls(Worker& worker, io::Socket accepted, Caller caller,
                     const config::GatewayListener& listener, std::string said, route::Admission::Pass pass);

}  // namespace rejoin::gateway
