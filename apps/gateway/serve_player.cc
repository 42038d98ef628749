// The life of a player's connection. Read it from serve_websocket() down: a request is heard within its time;
// one for /healthz is answered and the next one heard; one that may become a WebSocket is answered with 101
// and what its session has to say (RESUMED and what was missed, or a game server's greeting); then the socket
// is a parked record's (link.h) and the coroutine is gone.
//
// A client of the resume protocol whose session has to be found brings a RESUME in the request itself, so
// that coming back takes one round trip (spec/resume.md).
#include "apps/gateway/serve_player.h"

#include <algorithm>
#include <optional>
#include <string>

#include "apps/gateway/client_address.h"
#include "apps/gateway/enter_tls.h"
#include "apps/gateway/live_session.h"
#include "apps/gateway/opening.h"
#include "apps/gateway/record.h"
#include "apps/gateway/relay_to_owner.h"
#include "apps/serve/hear_proxy.h"
#include "base/limits.h"
#include "io/stream.h"
#include "proto/base64.h"
#include "proto/cookie.h"
#include "proto/http_response.h"
#include "proto/ws_extensions.h"
#include "proto/ws_handshake.h"
#include "upstream/prober.h"

namespace rejoin::gateway {
namespace {

using proto::HeadState;
using proto::HeadVerdict;
using proto::Method;
using proto::RequestHead;

constexpr Bytes kHealthPath = "/healthz";
constexpr std::size_t kCookieRandomBytes = 12;

enum class After : std::uint8_t { next_request, close };

/// One client's connection until it is a link.
struct Visit {
  Visit(Worker& w, io::Socket socket, Caller from, const config::GatewayListener& at,
        route::Admission::Pass right)
      : worker(w),
        caller(std::move(from)),
        listener(at),
        pass(std::move(right)),
        accepted(w.world().clock.now()),
        client(w.world(), std::move(socket), Side::client, w.stop_switch()) {}

  TimePoint in(Duration time) const { return worker.world().clock.now() + time; }

  Worker& worker;
  Caller caller;
  const config::GatewayListener& listener;
  route::Admission::Pass pass;
  TimePoint accepted;
  io::Stream client;
  Buffer arrived;  // the head of the request that is heard or answered, and what came behind it
};

// --- answers that end the connection ---

struct Refusal {
  int status = 400;
  Bytes why;
  Bytes field_lines = {};  // as in proto::SimpleResponse
  Method method = Method::get;
};

/// A line in the access log about a connection that becomes no link.
void record(const Visit& visit, Side by, std::string_view reason, std::string detail, int status) {
  Refused refused;
  refused.began = visit.accepted;
  refused.by = by;
  refused.phase = "head";
  refused.reason = reason;
  refused.detail = std::move(detail);
  refused.status = status;
  record_refused(visit.worker, visit.caller, visit.listener, refused);
}

Task<void> refuse(Visit& visit, const Refusal& refusal) {
  ++visit.worker.counts().refused_heads;
  record(visit, refusal.status >= 500 ? Side::ours : Side::client, "answered", std::string(refusal.why),
         refusal.status);
  const std::string text = std::to_string(refusal.status) + " " +
                           std::string(proto::reason_phrase(refusal.status)) + "\n" +
                           std::string(refusal.why) + "\n";
  visit.worker.tell(visit.caller.client, "answered " + text);
  proto::SimpleResponse response;
  response.status = refusal.status;
  response.text = text;
  response.field_lines = refusal.field_lines;
  response.request_method = refusal.method;
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_simple_response(out, response);
  const TimePoint deadline = visit.in(limits::kCloseReplyS);
  const Bytes bytes = out.view();
  if (written) written = co_await visit.client.write_all(bytes, deadline);
  if (written) co_await visit.client.linger();
}

Task<void> refuse_for_now(Visit& visit, Bytes why) {
  Refusal refusal;
  refusal.status = 503;
  refusal.why = why;
  refusal.field_lines = "Retry-After: 1\r\n";
  co_await refuse(visit, refusal);
}

// --- a request ---

/// Reads one whole head into visit.arrived; how many bytes of it are the head, 0 if there is none: the client
/// was told so where it should be.
Task<std::size_t> hear_request(Visit& visit, RequestHead& request, TimePoint deadline) {
  Refusal refusal;
  for (;;) {
    if (visit.arrived) {
      const HeadVerdict verdict = request.feed(visit.arrived.view());
      if (verdict.state == HeadState::complete) co_return verdict.consumed;
      if (verdict.state == HeadState::refused) {
        refusal.status = verdict.status;
        refusal.why = verdict.reason;
        break;
      }
    } else {
      // Between requests nothing is held; the block is borrowed when there is something to read.
      Status come = co_await visit.client.readable(deadline);
      if (!come) co_return 0;
      visit.arrived = visit.worker.world().buffers.borrow();
    }
    Status more = co_await visit.client.read_into(visit.arrived, deadline);
    if (more) continue;
    // Who said nothing at all, or has gone, gets no answer.
    if (visit.arrived.empty()) co_return 0;
    if (more.error().kind != ErrorKind::timed_out) {
      record(visit, more.error().side, "gone", to_string(more.error()), 0);
      co_return 0;
    }
    ++visit.worker.counts().timed_out;
    refusal.status = 408;
    refusal.why = "the request did not come whole in time";
    break;
  }
  co_await refuse(visit, refusal);
  co_return 0;
}

Bytes path_of(const RequestHead& request) {
  const Bytes target = request.path_and_query();
  return target.substr(0, target.find('?'));
}

/// GET and HEAD: 200, or 503 while we drain, so that a balancer sends its new clients elsewhere. It may still
/// send those whose sessions live here, and kDrainingLine tells one of ours so.
Task<After> answer_health(Visit& visit, const RequestHead& request) {
  const bool asks = request.method() == Method::get || request.method() == Method::head;
  if (!asks || request.body().kind != proto::BodyKind::none) {
    Refusal refusal;
    refusal.status = asks ? 400 : 405;
    refusal.why = asks ? "a question about health has no body" : "ask with GET or HEAD";
    refusal.field_lines = asks ? Bytes() : Bytes("Allow: GET, HEAD\r\n");
    refusal.method = request.method();
    co_await refuse(visit, refusal);
    co_return After::close;
  }
  const bool draining = !visit.worker.admits();
  const bool stays = request.keep_alive() && !visit.worker.draining() && !visit.worker.moving_out();
  proto::SimpleResponse response;
  response.status = draining ? 503 : 200;
  response.text = draining ? "draining\n" : "ok\n";
  if (draining && !visit.worker.draining()) response.field_lines = upstream::kDrainingLine;
  response.request_method = request.method();
  response.next = proto::NextHop::close;
  if (stays)
    response.next = request.minor_version() == 0 ? proto::NextHop::persist_aloud : proto::NextHop::persist;
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_simple_response(out, response);
  const TimePoint deadline = visit.in(visit.worker.rules().handshake_timeout);
  const Bytes bytes = out.view();
  if (written) written = co_await visit.client.write_all(bytes, deadline);
  if (!written) co_return After::close;
  if (stays) co_return After::next_request;
  co_await visit.client.linger();
  co_return After::close;
}

/// One of the gateway's own pages.
Task<After> answer_page(Visit& visit, const RequestHead& request, const Pages::Page& page) {
  const bool stays = request.keep_alive() && !visit.worker.draining();
  proto::NextHop next = proto::NextHop::close;
  if (stays) next = request.minor_version() == 0 ? proto::NextHop::persist_aloud : proto::NextHop::persist;
  const Pages::Answer answer = Pages::answer(page, request, next);
  const TimePoint deadline = visit.in(Duration(limits::kGatewayIdleS));
  const Bytes head = answer.head, body = answer.body;
  Status written = co_await visit.client.write_all(head, deadline);
  if (written && !body.empty()) written = co_await visit.client.write_all(body, deadline);
  if (!written) co_return After::close;
  if (stays) co_return After::next_request;
  co_await visit.client.linger();
  co_return After::close;
}

/// The page that is asked for; nullptr: none, or it is asked for in a way that pages do not answer.
const Pages::Page* asked_page(const Visit& visit, const RequestHead& request) {
  const bool asks = request.method() == Method::get || request.method() == Method::head;
  if (!asks || request.wants_websocket() || request.body().kind != proto::BodyKind::none) return nullptr;
  return visit.worker.plan().pages.find(path_of(request));
}

// --- the upgrade ---

/// The session cookie of a gateway that sets one for the application. It stands in for the application's: a
/// server knows the sessions that it made, and gives every other client a new one.
struct ApplicationCookie {
  std::optional<upstream::Echo::SeenCookie> seen;  // nothing: we set none
  std::string field_line;                          // empty: the client has one of ours
};

ApplicationCookie application_cookie(Worker& worker, const config::GatewayListener& listener,
                                     const RequestHead& request) {
  ApplicationCookie out;
  const std::string& name = worker.rules().cookie;
  if (name.empty()) return out;
  out.seen.emplace();
  for (const proto::Field& field : request.all(proto::KnownField::cookie)) {
    if (out.seen->value) break;
    if (const auto pair = proto::find_cookie(request.value(field), name)) out.seen->value = pair->value;
  }
  const std::string ours = worker.rules().name + "-";
  if (out.seen->value && out.seen->value->starts_with(ours)) return out;

  char random[kCookieRandomBytes];
  worker.world().random.fill(random);
  const std::string value = ours + proto::base64_encode(Bytes(random, sizeof random), proto::Base64::url);
  proto::CookieSpec spec;
  spec.name = name;
  spec.value = value;
  spec.http_only = true;
  spec.secure = listener.tls.has_value();
  out.field_line = "Set-Cookie: ";
  proto::write_checked_set_cookie(
      spec, out.field_line);  // the configuration was checked, and the value is base64url
  out.field_line += "\r\n";
  return out;
}

/// What a client offers in its list of sub-protocols.
struct Offered {
  bool resume_protocol = false;
  std::string resume;  // the frame of an item that bears one
};

Offered offered(const RequestHead& request) {
  Offered out;
  proto::OfferedProtocols protocols(request);
  while (const std::optional<Bytes> item = protocols.next()) {
    if (*item == proto::kResumeProtocol) {
      out.resume_protocol = true;
    } else if (out.resume.empty()) {
      if (auto frame = proto::resume_in_item(*item)) out.resume = std::move(*frame);
    }
  }
  return out;
}

/// The terms of permessage-deflate; nothing where the configuration, or the client, does not want it. Error:
/// the client's offer is malformed, whatever we think of it (RFC 6455 9.1).
Result<std::optional<proto::DeflateTerms>> agree_on_compression(Worker& worker, const RequestHead& request,
                                                                bool resumable, bool resume_in_request) {
  const proto::CompressionShare* const share = worker.compression();
  const bool wanted = share != nullptr && (!resumable || worker.rules().compression.on_resumable_links);
  // What may have to be passed on to another gateway must not depend on what we heard before.
  const bool may_be_relayed = resumable && !resume_in_request && !worker.rules().peers.empty();
  const proto::Takeover most = may_be_relayed ? proto::Takeover::no : proto::Takeover::yes;
  auto terms = proto::accept_deflate(request, wanted ? share->wanted(most) : proto::DeflateTerms());
  if (terms && !wanted) terms->reset();
  return terms;
}

/// What a request comes to, besides its head: what its handshake has to say.
struct Upgrade {
  Bytes key;
  std::optional<proto::DeflateTerms> deflate;
};

/// The 101, in a text of its own: it leaves in one write with what the session has to say.
std::string upgrade_response(Worker& worker, const Upgrade& upgrade, Bytes protocol,
                             std::string field_lines) {
  if (upgrade.deflate) {
    field_lines += "Sec-WebSocket-Extensions: " + proto::deflate_answer(*upgrade.deflate) + "\r\n";
  }
  Buffer out = worker.world().buffers.borrow();
  // It is short, and a block is long: this cannot fail.
  const Status written =
      proto::write_upgrade_response(out, worker.hasher().accept(upgrade.key), protocol, field_lines);
  return written ? std::string(out.view()) : std::string();
}

/// The connection becomes a link. Behind `head_bytes` of what arrived stands what the client sent already.
WebSocketLink& make_link(Visit& visit, LinkMode mode, Bytes response, const Upgrade& upgrade) {
  WebSocketLink& link = visit.worker.make_websocket(visit.client.release(), visit.caller.client, mode,
                                                    response, upgrade.deflate);
  link.keep_pass(std::move(visit.pass));
  link.keep_notes(visit.worker.notes_of(visit.caller, visit.listener));
  return link;
}

void begin_link(Visit& visit, WebSocketLink& link, std::size_t head_bytes) {
  visit.arrived.consume(head_bytes);
  visit.worker.begin(link, MutableBytes(visit.arrived.data(), visit.arrived.size()));
}

/// What came on this connection is for the next process of this gateway, which begins with it anew. False: it
/// speaks TLS, whose keys stay in this process; its client has to dial again.
bool pass_on(Visit& visit) {
  if (visit.listener.tls) return false;
  const std::string said(visit.arrived.view());
  visit.worker.pass_on(visit.client.release(), visit.caller.client, visit.listener, said);
  return true;
}

/// A client of the resume protocol. Without a RESUME in the request its first message is the opening frame.
Task<void> open_resumable(Visit& visit, const RequestHead& request, Upgrade upgrade, std::string resume,
                          std::size_t head_bytes) {
  Worker& worker = visit.worker;
  const std::string response = upgrade_response(worker, upgrade, proto::kResumeProtocol, {});
  if (resume.empty()) {
    WebSocketLink& link = make_link(visit, LinkMode::opening, response, upgrade);
    if (request.find(kRelayedHeader) != nullptr) link.mark_relayed();
    begin_link(visit, link, head_bytes);
    co_return;
  }
  ResumeJudgement judgement = judge_resume(worker, resume, visit.caller.client);
  if (judgement.is == ResumeJudgement::Is::colleagues) {
    std::string said(visit.arrived.view());
    const unsigned colleague = judgement.ticket.session.worker();
    worker.hand_over(visit.client.release(), visit.caller, colleague, visit.listener, std::move(said),
                     std::move(visit.pass));
    co_return;
  }
  if (judgement.is == ResumeJudgement::Is::not_here && worker.moving_out()) {
    if (pass_on(visit)) co_return;
    judgement.detach = come_again();
  } else if (judgement.is == ResumeJudgement::Is::not_here) {
    const route::Ticket ticket = judgement.ticket;
    session::Claim claim = claim_of(resume);
    const Result<session::Known> known =
        co_await worker.sessions().store().find(ticket.session, std::move(claim));
    judgement = judge_known(worker, resume, ticket, visit.caller.client, known);
  }
  if (judgement.is == ResumeJudgement::Is::strangers) {
    if (request.find(kRelayedHeader) == nullptr) {
      std::string head(visit.arrived.view().substr(0, head_bytes));
      std::string behind(visit.arrived.view().substr(head_bytes));
      std::string owner = judgement.ticket.owner;
      std::unique_ptr<LinkNotes> notes = worker.notes_of(visit.caller, visit.listener);
      const bool relayed =
          co_await relay_request_to_owner(worker, visit.client, visit.caller.client, std::move(head),
                                          std::move(behind), std::move(owner), visit.pass, std::move(notes));
      if (relayed) co_return;
    }
    judgement.detach = proto::Detach();
    judgement.detach.code = number(proto::LinkCode::owner_unreachable);
    judgement.detach.wait_ms = limits::kTooFastWaitMs;
    judgement.detach.reason = "its gateway cannot be reached";
  }
  WebSocketLink& link = make_link(visit, LinkMode::waiting, response, upgrade);
  link.count_opening();
  if (judgement.is == ResumeJudgement::Is::taken) {
    judgement.session->resumed(link, judgement.verdict);
  } else {
    worker.tell(link, "opening refused: " + std::string(judgement.detach.reason));
    link.refuse_opening(judgement.detach);
  }
  begin_link(visit, link, head_bytes);
}

/// A client that knows nothing of the resume protocol: its messages are the game's.
Task<void> open_plain(Visit& visit, const RequestHead& request, Upgrade upgrade, std::size_t head_bytes) {
  Worker& worker = visit.worker;
  const ApplicationCookie application = application_cookie(worker, visit.listener, request);
  std::string field_lines = application.field_line;
  LiveSession* session = nullptr;
  Lasting lasting = Lasting::ends_with_link;
  if (worker.rules().session_cookie) {
    lasting = Lasting::outlives_links;
    const std::vector<route::SessionId> named = sessions_in_cookies(worker, request);
    for (const route::SessionId& id : named) {
      session = find_plain(worker, id);
      if (session != nullptr) break;
      const unsigned colleague = id.worker();
      if (colleague != worker.number() && colleague < worker.colleagues_count()) {
        std::string said(visit.arrived.view());
        worker.hand_over(visit.client.release(), visit.caller, colleague, visit.listener, std::move(said),
                         std::move(visit.pass));
        co_return;
      }
      if (worker.moving_out()) {
        if (!pass_on(visit)) co_await refuse_for_now(visit, "its session has moved");
        co_return;
      }
      session::Claim claim;
      const Result<session::Known> known = co_await worker.sessions().store().find(id, std::move(claim));
      session = find_plain(worker, id);
      if (session != nullptr) break;
      if (!known) {
        co_await refuse_for_now(visit, "its session cannot come now");
        co_return;
      }
      ++worker.sessions().counts().unknown_session;
    }
    if (session != nullptr && session->link() != nullptr) {
      const route::SessionId id = session->state().id();
      const bool lives = co_await link_lives(worker, id);
      session = worker.sessions().find(id);
      if (lives) {
        session = nullptr;
        lasting = Lasting::ends_with_link;  // its cookie is the other tab's
      }
    }
  }
  if (worker.draining()) co_return;
  // Who has a session here comes back to it, however full it is.
  if (session == nullptr && (!worker.admits() || worker.sessions().full())) {
    const bool draining = !worker.admits();
    if (draining) ++worker.sessions().counts().draining;
    const Bytes why =
        draining ? Bytes("this gateway takes no new sessions") : Bytes("no room for more sessions");
    co_await refuse_for_now(visit, why);
    co_return;
  }
  session::SendWindow::Cursor from;
  if (session != nullptr) {
    from = session->state().come_back(worker.world().clock.now());
    ++worker.sessions().counts().resumed;
  } else {
    session = &worker.sessions().make(route::TicketKind::cookie, visit.caller.client, lasting);
    from = session->state().window().end();
  }
  if (lasting == Lasting::outlives_links) field_lines += session_cookie_line(worker, *session);
  const std::string response = upgrade_response(worker, upgrade, {}, std::move(field_lines));
  WebSocketLink& link = make_link(visit, LinkMode::plain, response, upgrade);
  session->attach_plain(link, from, application.seen);
  begin_link(visit, link, head_bytes);
}

/// What is against a WebSocket here, besides RFC 6455.
std::optional<Refusal> not_here(Worker& worker, const RequestHead& request, bool resumable,
                                config::LinkProtocol protocol) {
  Refusal refusal;
  refusal.method = request.method();
  if (!origin_allowed(worker, request)) {
    ++worker.counts().refused_origins;
    refusal.status = 403;
    refusal.why = "pages of this origin may not open a WebSocket here";
  } else if (worker.draining()) {
    refusal.status = 503;
    refusal.why = "this gateway is going away";
    refusal.field_lines = "Retry-After: 1\r\n";
  } else if (!resumable && protocol == config::LinkProtocol::rejoin) {
    refusal.why = "offer the sub-protocol rejoin.v1";
  } else {
    return std::nullopt;
  }
  return refusal;
}

}  // namespace

Task<bool> link_lives(Worker& worker, route::SessionId id) {
  LiveSession* session = worker.sessions().find(id);
  const TimePoint asked = worker.world().clock.now();
  const TimePoint until = asked + Duration(limits::kLinkDoubtMs);
  if (session->link() == nullptr || !session->link()->ping()) co_return false;
  while (worker.world().clock.now() < until) {
    const TimePoint look = std::min(until, worker.world().clock.now() + Duration(limits::kLinkLookMs));
    const Woken woken = co_await io::sleep_until(worker.world(), look, worker.stop_switch());
    session = worker.sessions().find(id);
    if (woken == Woken::stopped || session == nullptr || session->link() == nullptr) co_return false;
    if (session->state().heard_at() > asked) co_return true;
  }
  co_return false;
}

Task<void> serve_websocket(Worker& worker, io::Socket accepted, Caller caller,
                           const config::GatewayListener& listener, std::string said,
                           route::Admission::Pass pass) {
  Visit visit(worker, std::move(accepted), std::move(caller), listener, std::move(pass));
  if (!said.empty()) {
    visit.arrived = worker.world().buffers.borrow();
    visit.arrived.append(said);
  }
  Duration patience = worker.rules().handshake_timeout;
  for (;;) {
    const TimePoint deadline = visit.in(patience);
    RequestHead request;
    const std::size_t head_bytes = co_await hear_request(visit, request, deadline);
    if (head_bytes == 0) co_return;
    ++worker.counts().requests;

    const Pages::Page* const page = asked_page(visit, request);
    const bool about_health = path_of(request) == kHealthPath;
    if (about_health || page != nullptr) {
      After after = After::close;
      if (about_health) {
        after = co_await answer_health(visit, request);
      } else {
        after = co_await answer_page(visit, request, *page);
      }
      if (after == After::close) co_return;
      visit.arrived.consume(head_bytes);
      visit.arrived.compact();
      if (visit.arrived.empty()) visit.arrived.release();
      patience = Duration(limits::kGatewayIdleS);
      continue;
    }

    const proto::UpgradeVerdict verdict = proto::check_upgrade_request(request);
    if (!verdict.ok()) {
      Refusal refusal;
      refusal.method = request.method();
      refusal.status = verdict.status;
      refusal.why = verdict.reason;
      refusal.field_lines = verdict.field_lines;
      co_await refuse(visit, refusal);
      co_return;
    }
    visit.caller.client = client_behind(request, visit.caller.client, worker.plan().trusted_proxies);
    Offered offer = offered(request);
    const bool resumable = offer.resume_protocol && listener.protocol != config::LinkProtocol::plain;
    std::optional<Refusal> against = not_here(worker, request, resumable, listener.protocol);
    const auto deflate = agree_on_compression(worker, request, resumable, !offer.resume.empty());
    if (!deflate && !against) {
      against.emplace();
      against->why = deflate.error().detail;
    }
    Upgrade upgrade;
    upgrade.key = verdict.key;
    if (deflate) upgrade.deflate = *deflate;
    if (against) {
      co_await refuse(visit, *against);
    } else if (resumable) {
      co_await open_resumable(visit, request, upgrade, std::move(offer.resume), head_bytes);
    } else {
      co_await open_plain(visit, request, upgrade, head_bytes);
    }
    co_return;
  }
}

Task<void> serve_proxied(Worker& worker, io::Socket accepted, Address peer,
                         const config::GatewayListener& listener, serve::Gate& gate,
                         route::Admission::Pass pass) {
  Caller caller(peer);
  serve::ClientFacts facts;
  Buffer arrived;
  io::Stream stream(worker.world(), std::move(accepted), Side::client, worker.stop_switch());
  Refused refused;
  refused.began = worker.world().clock.now();
  const TimePoint deadline = refused.began + worker.rules().handshake_timeout;
  Status heard = co_await serve::hear_proxy(worker.world(), stream, arrived, gate.proxy(), deadline,
                                            caller.client, facts);
  if (facts.tls) caller.tls_version = std::move(facts.tls->version);
  caller.sni = std::move(facts.authority);
  if (heard) {
    const serve::KeptOut out = gate.name(pass, caller.client, worker.world().clock.now(), worker.edge());
    refused.by = Side::ours;
    refused.phase = "gate";
    refused.reason = out.word;
    refused.detail = out.why;
  } else {
    refused.by = heard.error().side;
    refused.phase = "proxy";
    refused.reason = "gone";
    refused.detail = to_string(heard.error());
    if (heard.error().kind == ErrorKind::bad_input) {
      refused.reason = "bad_proxy";
      ++worker.edge().bad_proxy;
    }
    if (heard.error().kind == ErrorKind::timed_out) {
      refused.reason = "late";
      ++worker.edge().late;
    }
  }
  if (!refused.reason.empty()) {
    worker.tell(caller.client, "turned away: " + refused.detail);
    const bool said_nothing = !arrived || arrived.empty();
    if (refused.reason != "gone" || !said_nothing) record_refused(worker, caller, listener, refused);
    stream.socket().reset();
    co_return;
  }
  io::Socket socket = stream.release();
  if (listener.tls) {
    std::string behind(arrived ? arrived.view() : Bytes());
    worker.spawn(enter_tls(worker, std::move(socket), std::move(caller), listener, std::move(behind),
                           std::move(pass)));
    co_return;
  }
  if (listener.kind == config::GatewayListenerKind::tcp) {
    MutableBytes behind;
    if (arrived) behind = MutableBytes(arrived.data(), arrived.size());
    worker.park_tcp(std::move(socket), caller, listener, std::move(pass), behind);
    co_return;
  }
  std::string said(arrived ? arrived.view() : Bytes());
  arrived.release();
  co_await serve_websocket(worker, std::move(socket), std::move(caller), listener, std::move(said),
                           std::move(pass));
}

}  // namespace rejoin::gateway
