#include "apps/gateway/opening.h"

#include <algorithm>
#include <memory>

#include "apps/gateway/live_session.h"
#include "apps/gateway/relay_to_owner.h"
#include "apps/gateway/worker.h"
#include "base/limits.h"
#include "io/stream.h"
#include "proto/cookie.h"

namespace rejoin::gateway {

using proto::Detach;
using proto::DetachAction;
using proto::LinkCode;
using Is = ResumeJudgement::Is;

namespace {

Detach detach_of(LinkCode code, DetachAction action, Bytes reason, std::uint32_t wait_ms = 0) {
  Detach detach;
  detach.code = number(code);
  detach.action = action;
  detach.wait_ms = wait_ms;
  detach.reason = reason;
  return detach;
}

ResumeJudgement refused(const Detach& detach) {
  ResumeJudgement judgement;
  judgement.detach = detach;
  return judgement;
}

// The one answer to whoever did not prove anything.
ResumeJudgement log_in(LinkCode code = LinkCode::login_needed) {
  return refused(detach_of(code, DetachAction::login, "log in"));
}

/// Another gateway that passes its clients on to us: they share its address, and are not to pay for each
/// other.
bool is_peer(const Worker& worker, const Address& source) {
  const auto& peers = worker.rules().peers;
  return std::any_of(peers.begin(), peers.end(), [&](const config::PeerGateway& peer) {
    return peer.websocket.ip_text() == source.ip_text() || peer.tcp.ip_text() == source.ip_text();
  });
}

ResumeJudgement bad(Worker& worker, const Address& source, std::uint64_t& counted) {
  ++counted;
  if (!is_peer(worker, source)) worker.sessions().bad_openings().spend(source, worker.world().clock.now());
  return log_in();
}

ResumeJudgement resume_here(Worker& worker, LiveSession& session, const proto::Resume& resume) {
  session::ResumeVerdict verdict = session.state().resume(resume, worker.world().clock.now());
  SessionCounts& counts = worker.sessions().counts();
  switch (verdict.kind) {
    case session::ResumeVerdict::Kind::take: break;
    case session::ResumeVerdict::Kind::epoch_used: {
      ++counts.epoch_used;
      Detach detach = detach_of(LinkCode::epoch_used, DetachAction::again, "a later attempt was taken");
      detach.epoch = session.state().epoch();
      return refused(detach);
    }
    case session::ResumeVerdict::Kind::too_fast:
      ++counts.over_budget;
      return refused(
          detach_of(LinkCode::too_fast, DetachAction::again, "too many resumes", limits::kTooFastWaitMs));
    case session::ResumeVerdict::Kind::unfit: return log_in();
  }
  ResumeJudgement judgement;
  judgement.is = Is::taken;
  judgement.session = &session;
  judgement.verdict = verdict;
  return judgement;
}

}  // namespace

ResumeJudgement judge_resume(Worker& worker, Bytes resume_frame, const Address& source) {
  SessionTable& sessions = worker.sessions();
  SessionCounts& counts = sessions.counts();
  if (!sessions.bad_openings().has_left(source, worker.world().clock.now())) {
    ++counts.over_budget;
    return refused(
        detach_of(LinkCode::too_fast, DetachAction::again, "too many bad openings", limits::kTooFastWaitMs));
  }
  const auto resume = proto::parse_resume(resume_frame);
  if (!resume || resume_frame.size() > limits::kResumeBytesMax) {
    return refused(detach_of(LinkCode::bad_frame, DetachAction::again, "no RESUME", limits::kTooFastWaitMs));
  }
  route::OpenedTicket opened = sessions.open_ticket(resume->ticket);
  if (!opened.ok() || opened.ticket.kind != route::TicketKind::proof) {
    return bad(worker, source, counts.bad_ticket);
  }
  ResumeJudgement judgement;
  judgement.ticket = std::move(opened.ticket);
  const route::Ticket& ticket = judgement.ticket;
  if (ticket.owner != worker.rules().name) {
    ++counts.stranger;
    judgement.is = Is::strangers;
    return judgement;
  }
  if (ticket.session.worker() != worker.number() && ticket.session.worker() < worker.colleagues_count()) {
    judgement.is = Is::colleagues;
    return judgement;
  }
  LiveSession* const session = sessions.find(ticket.session);
  if (session == nullptr) {
    judgement.is = Is::not_here;
    return judgement;
  }
  if (session->state().kind() != route::TicketKind::proof ||
      !proof_holds(*resume, session->state().secret())) {
    return bad(worker, source, counts.bad_proof);
  }
  return resume_here(worker, *session, *resume);
}

ResumeJudgement judge_known(Worker& worker, Bytes resume_frame, const route::Ticket& ticket,
                            const Address& source, const Result<session::Known>& known) {
  SessionTable& sessions = worker.sessions();
  SessionCounts& counts = sessions.counts();
  const auto resume = proto::parse_resume(resume_frame);
  if (!known) {
    return refused(detach_of(LinkCode::owner_unreachable, DetachAction::again, "the store is away",
                             limits::kTooFastWaitMs));
  }
  // Somebody else may have brought it back while we asked.
  if (LiveSession* const session = sessions.find(ticket.session)) {
    if (!proof_holds(*resume, session->state().secret())) return bad(worker, source, counts.bad_proof);
    return resume_here(worker, *session, *resume);
  }
  switch (known->state) {
    case session::Known::State::unknown: break;
    case session::Known::State::ended:
      if (!proof_holds(*resume, known->end.secret)) return bad(worker, source, counts.bad_proof);
      return log_in(static_cast<LinkCode>(known->end.code));
    case session::Known::State::not_proved: return bad(worker, source, counts.bad_proof);
    case session::Known::State::epoch_used: {
      ++counts.epoch_used;
      Detach detach = detach_of(LinkCode::epoch_used, DetachAction::again, "a later attempt was taken");
      detach.epoch = known->epoch;
      return refused(detach);
    }
    case session::Known::State::elsewhere: {
      ResumeJudgement judgement;
      judgement.is = Is::strangers;
      judgement.ticket = ticket;
      judgement.ticket.owner = known->owner;
      return judgement;
    }
    case session::Known::State::ours: {
      auto restored = session::Session::restore(known->saved, sessions.rules(), worker.world().clock.now());
      if (!restored || !proof_holds(*resume, restored->secret()))
        return bad(worker, source, counts.bad_proof);
      return resume_here(worker, sessions.adopt(std::move(*restored), source), *resume);
    }
  }
  // The ticket was ours: most likely we have lost our memory, and all who come with one have not deserved it.
  ++counts.unknown_session;
  return log_in();
}

session::Claim claim_of(Bytes resume_frame) {
  session::Claim claim;
  claim.epoch = proto::parse_resume(resume_frame)->epoch;
  claim.resume = std::string(resume_frame);
  return claim;
}

namespace {

void answer(Worker& worker, Link& link, const ResumeJudgement& judgement) {
  if (judgement.is == Is::taken) {
    judgement.session->resumed(link, judgement.verdict);
  } else {
    worker.tell(link, "opening refused: " + std::string(judgement.detach.reason));
    link.refuse_opening(judgement.detach);
  }
}

// A task begins a turn later than it is spawned, and the link may be gone by then: it is watched from before.
Task<void> answer_later(Worker& worker, std::unique_ptr<LinkWatch> watching, std::string frame,
                        ResumeJudgement judgement) {
  const LinkWatch& watch = *watching;
  if (watch.link == nullptr) co_return;
  const Address source = watch.link->client();
  if (judgement.is == Is::not_here && worker.moving_out()) {  // the next process knows
    watch.link->refuse_opening(come_again());
    co_return;
  }
  if (judgement.is == Is::not_here) {
    const route::Ticket ticket = judgement.ticket;
    session::Claim claim = claim_of(frame);
    const Result<session::Known> known =
        co_await worker.sessions().store().find(ticket.session, std::move(claim));
    if (watch.link == nullptr || watch.link->phase() != LinkPhase::open) co_return;
    judgement = judge_known(worker, frame, ticket, source, known);
  }
  if (watch.link == nullptr || watch.link->phase() != LinkPhase::open) co_return;
  if (judgement.is == Is::colleagues) {
    worker.hand_over(*watch.link, judgement.ticket.session.worker(), std::move(frame));
  } else if (judgement.is == Is::strangers && watch.link->relayed()) {
    watch.link->refuse_opening(detach_of(LinkCode::owner_unreachable, DetachAction::again,
                                         "its gateway cannot be reached", limits::kTooFastWaitMs));
  } else if (judgement.is == Is::strangers) {
    co_await relay_link_to_owner(worker, watch, std::move(frame), judgement.ticket.owner);
  } else {
    answer(worker, *watch.link, judgement);
  }
}

Task<void> begin_session(Worker& worker, std::unique_ptr<LinkWatch> watching) {
  const LinkWatch& watch = *watching;
  if (watch.link == nullptr) co_return;
  if (worker.sessions().full()) {  // many HELLOs may have come in one turn
    watch.link->refuse_opening(detach_of(LinkCode::too_fast, DetachAction::again, "no room for more sessions",
                                         limits::kTooFastWaitMs));
    co_return;
  }
  LiveSession& session =
      worker.sessions().make(route::TicketKind::proof, watch.link->client(), Lasting::outlives_links);
  const route::SessionId id = session.state().id();
  Status known = co_await worker.sessions().store().begin(id);
  LiveSession* const still = worker.sessions().find(id);
  const bool waits = watch.link != nullptr && watch.link->phase() == LinkPhase::open;
  if (still == nullptr) co_return;
  if (!known || !waits) {
    still->cancel();
    if (waits) {
      watch.link->refuse_opening(detach_of(LinkCode::owner_unreachable, DetachAction::again,
                                           "the store is away", limits::kTooFastWaitMs));
    }
    co_return;
  }
  still->welcome(*watch.link);
}

void hear_hello(Worker& worker, Link& link, const proto::FrameView& frame, std::size_t bytes) {
  const auto hello = proto::parse_hello(frame.body);
  if (!hello || bytes > limits::kHelloBytesMax) {
    worker.bad_frame(link, "no HELLO");
  } else if (hello->version == 0) {
    link.refuse_opening(detach_of(LinkCode::version, DetachAction::stop, "no version in common"));
  } else if (!worker.admits()) {
    ++worker.sessions().counts().draining;
    link.refuse_opening(detach_of(LinkCode::restart, DetachAction::again, "this gateway is going away",
                                  limits::kTooFastWaitMs));
  } else if (worker.sessions().full()) {
    link.refuse_opening(detach_of(LinkCode::too_fast, DetachAction::again, "no room for more sessions",
                                  limits::kTooFastWaitMs));
  } else {
    worker.spawn(begin_session(worker, std::make_unique<LinkWatch>(link)));
  }
}

}  // namespace

void open_session(Worker& worker, Link& link, Bytes bytes) {
  const auto frame = proto::parse_frame(bytes);
  if (frame && frame->head.is(proto::FrameType::hello)) return hear_hello(worker, link, *frame, bytes.size());
  if (!frame || !frame->head.is(proto::FrameType::resume)) {
    return worker.bad_frame(link, "a link begins with HELLO or RESUME");
  }
  ResumeJudgement judgement = judge_resume(worker, bytes, link.client());
  if (judgement.is == Is::taken || judgement.is == Is::refused) return answer(worker, link, judgement);
  worker.spawn(
      answer_later(worker, std::make_unique<LinkWatch>(link), std::string(bytes), std::move(judgement)));
}

// --- plain clients ---

std::vector<route::SessionId> sessions_in_cookies(Worker& worker, const proto::RequestHead& request) {
  const std::string& name = worker.rules().session_cookie->name;
  SessionTable& sessions = worker.sessions();
  std::vector<route::SessionId> out;
  for (const proto::Field& field : request.all(proto::KnownField::cookie)) {
    const auto pair = proto::find_cookie(request.value(field), name);
    if (!pair) continue;
    const route::OpenedTicket opened = sessions.open_ticket(pair->value);
    if (opened.ok() && opened.ticket.kind == route::TicketKind::cookie) {
      out.push_back(opened.ticket.session);
    } else {
      ++sessions.counts().bad_ticket;
    }
  }
  return out;
}

LiveSession* find_plain(Worker& worker, const route::SessionId& id) {
  LiveSession* const session = worker.sessions().find(id);
  return session != nullptr && session->state().kind() == route::TicketKind::cookie ? session : nullptr;
}

std::string session_cookie_line(Worker& worker, const LiveSession& session) {
  const config::SessionCookie& rules = *worker.rules().session_cookie;
  std::string ticket;
  (void)worker.sessions().seal_ticket(session.state(), ticket);
  proto::CookieSpec spec;
  spec.name = rules.name;
  spec.value = ticket;
  spec.domain = rules.domain;
  spec.path = rules.path;
  spec.secure = rules.secure;
  spec.partitioned = rules.partitioned;
  spec.http_only = true;
  switch (rules.same_site) {
    case config::SameSite::unset: break;
    case config::SameSite::lax: spec.same_site = proto::SameSite::lax; break;
    case config::SameSite::strict: spec.same_site = proto::SameSite::strict; break;
    case config::SameSite::none: spec.same_site = proto::SameSite::none; break;
  }
  std::string line = "Set-Cookie: ";
  proto::write_checked_set_cookie(spec, line);  // the configuration was checked, and the value is base64url
  line += "\r\n";
  return line;
}

// Hosts are compared without their ports, as browsers do when they decide which cookies to send.
bool origin_allowed(const Worker& worker, const proto::RequestHead& request) {
  const proto::Field* const field = request.find("Origin");
  if (field == nullptr) return true;
  const Bytes origin = request.value(*field);
  for (const std::string& allowed : worker.rules().origins) {
    if (allowed == "*" || allowed == origin) return true;
  }
  const auto without_port = [](Bytes host) {
    const std::size_t colon = host.rfind(':');
    const std::size_t bracket = host.rfind(']');
    return colon == Bytes::npos || (bracket != Bytes::npos && colon < bracket) ? host : host.substr(0, colon);
  };
  const std::size_t scheme = origin.find("://");
  return scheme != Bytes::npos && without_port(origin.substr(scheme + 3)) == without_port(request.host());
}

}  // namespace rejoin::gateway
