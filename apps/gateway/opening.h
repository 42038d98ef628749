// What a client's first frame comes to: a new session, one of ours, one of a colleague's or of another
// gateway's, or a refusal.
//
// Place: between a link without a session and the SessionTable. Most is decided at once; what needs the
// store, another worker or another gateway becomes a short coroutine.
//
// Rules: spec/resume.md, "Resume" 1. One answer for a bad ticket, an unknown session and a wrong proof, so
// that nobody learns which it was; nothing that is not proved touches a live link.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/gateway/link.h"
#include "base/task.h"
#include "proto/http_head.h"
#include "proto/resume_frame.h"
#include "route/ticket.h"
#include "session/session.h"
#include "session/store.h"

namespace rejoin::gateway {

class LiveSession;
class Worker;

/// What a RESUME comes to, as far as it can be said at once.
struct ResumeJudgement {
  enum class Is : std::uint8_t {
    taken,       // `session` has taken it: LiveSession::resumed() with `verdict`
    refused,     // answer with `detach`
    colleagues,  // session of another worker of this process: ticket.session.worker()
    strangers,   // of another gateway: ticket.owner
    not_here,    // should be here and is not: the store may know
  };
  Is is = Is::refused;
  LiveSession* session = nullptr;
  session::ResumeVerdict verdict;
  proto::Detach detach;
  route::Ticket ticket;
};

/// Counts, and spends the budget of the source address, too.
ResumeJudgement judge_resume(Worker& worker, Bytes resume_frame, const Address& source);

/// The opening frame of `link`, which is waiting for the answer.
void open_session(Worker& worker, Link& link, Bytes frame);

/// The rest of the judgement for a session that is not here, when the store has answered: taken, refused, or
/// a stranger's.
ResumeJudgement judge_known(Worker& worker, Bytes resume_frame, const route::Ticket& ticket,
                            const Address& source, const Result<session::Known>& known);
/// Of a frame that judge_resume() has read.
session::Claim claim_of(Bytes resume_frame);

/// The sessions that the cookies of a plain client name, as far as their tickets are right.
std::vector<route::SessionId> sessions_in_cookies(Worker& worker, const proto::RequestHead& request);
/// A plain client's session that lives here; nullptr: none.
LiveSession* find_plain(Worker& worker, const route::SessionId& id);
/// The field line that plants that cookie, with its CRLF.
std::string session_cookie_line(Worker& worker, const LiveSession& session);

/// May a page of this origin open a WebSocket here (RFC 6455 10.2)?
bool origin_allowed(const Worker& worker, const proto::RequestHead& request);

}  // namespace rejoin::gateway
