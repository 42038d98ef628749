// What the balancer says itself: errors, redirects, fixed answers.
//
// Place on the path: in the place of a server's answer. One worker's thread; all arguments outlive the tasks.
#pragma once

#include "apps/balancer/http_rules.h"
#include "apps/balancer/visit.h"
#include "base/bytes.h"
#include "base/task.h"
#include "proto/http_head.h"

namespace rejoin::balancer {

/// Answers with an error: the listener's page for it, or a line of text that says `why`, which also goes to
/// the log. `request`: of which the answer is; nullptr when it could not be read, and the connection ends.
/// With a request that has no body the connection may stay.
Task<After> refuse(Visit& visit, int status, Bytes why, const proto::RequestHead* request);

/// The same, and the connection ends: what comes behind such a request is nothing that we would read.
Task<After> refuse_and_close(Visit& visit, int status, Bytes why, const proto::RequestHead& request);

/// The client's server is away: it is told when to come again, and the connection ends.
Task<After> send_away(Visit& visit, const proto::RequestHead& request, Duration wait);

/// The listener's `health_path`: 200 when visit.pool has a server for new clients, else 503.
Task<After> answer_health(Visit& visit, const proto::RequestHead& request);

/// `redirect = "https"` of the listener.
Task<After> redirect_to_https(Visit& visit, const proto::RequestHead& request);

/// A rule that asks no pool: its `redirect` or its `respond`.
Task<After> answer_by_rule(Visit& visit, const proto::RequestHead& request, const RulePlan& rule);

}  // namespace rejoin::balancer
