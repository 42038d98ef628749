// One request at a server, and its answer at the client: from a head that was judged to the end of the
// answer.
//
// Place on the path: serve_request.cc has heard the request and knows its pool (visit.pool). One worker's
// thread.
#pragma once

#include <optional>

#include "apps/balancer/http_rules.h"
#include "apps/balancer/visit.h"
#include "base/task.h"
#include "proto/http_head.h"

namespace rejoin::balancer {

/// Chooses a server, reaches it, sends the request on (again to another one, where that is safe and
/// configured), and passes the answer on. `rule`: what applies besides, or nullptr. `target`: what the server
/// sees in the place of the request's; empty: as it is. `choice` is where it says how the server was found.
/// All arguments outlive the task.
Task<After> exchange_messages(Visit& visit, const proto::RequestHead& request, const RulePlan* rule,
                              Bytes target, std::optional<route::Choice>& choice);

}  // namespace rejoin::balancer
