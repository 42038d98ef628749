#include "apps/balancer/exchange.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "apps/balancer/dial_server.h"
#include "apps/balancer/http_forward.h"
#include "apps/balancer/own_answer.h"
#include "apps/balancer/record.h"
#include "apps/balancer/wait_for_room.h"
#include "base/limits.h"
#include "upstream/body_relay.h"

namespace rejoin::balancer {
namespace {

using proto::HeadState;
using proto::HeadVerdict;
using proto::RequestHead;
using proto::ResponseHead;

/// One request on its way to a server, and the answer on its way back.
struct Exchange {
  Exchange(Visit& v, const RequestHead& r, const RulePlan* by, route::Choice& c)
      : visit(v),
        request(r),
        rule(by),
        choice(c),
        server(v.worker.world(), Side::server, v.worker.stop_switch()),
        upload(v.worker.world().ready),
        busy(v.worker, server) {}

  Visit& visit;
  const RequestHead& request;
  const RulePlan* rule;
  route::Choice& choice;
  route::ServerUse use;
  io::Stream server;
  Buffer arrived;             // from the server: the head of its response, then what came behind it
  Scope upload;               // home of the coroutine that moves the request's body
  Worker::Busy busy;          // ends it when its server goes down
  Status uploaded;            // how that ended; an error when it could not begin
  bool uploading = false;     // it has begun and has not ended
  bool has_upload = false;    // there is a body that does not leave with the head
  bool reused = false;        // the connection served another request before
  Duration reuse{0};          // a connection that did, within this time, may be taken
  bool repeatable = false;    // the request may be sent twice
  bool server_spoke = false;  // a byte of the response has come
  bool client_heard = false;  // a byte of an answer went to the client
  bool continued = false;     // the client was told 100, so that its body comes

  TimePoint patience() const { return visit.in(visit.listener->rules.idle_timeout); }
};

// --- the server ---

/// How long a connection may have waited that this request is sent on. Its server may be closing it at this
/// very moment. What may be sent twice is sent once more then. Of the rest (POST) nobody can know whether it
/// was heard; so it is sent on such a connection only if its own client did the same, and must expect the
/// same of us (RFC 9112 9.3.1, 9.5): that it is closed without an answer. And only if the connection was used
/// lately: servers close what has been idle. A tunnel would take a connection from the others.
Duration reuse_of(const Exchange& exchange, bool upgrade) {
  if (upgrade) return Duration(0);
  if (exchange.repeatable) return Duration::max();
  return exchange.visit.answered ? exchange.visit.pool->plan.rules.keep_alive.unsafe : Duration(0);
}

/// A connection to the chosen server: one that is kept, if the request may be sent on such a one.
bool take_kept(Exchange& exchange) {
  Visit& visit = exchange.visit;
  exchange.reused = visit.seen.reused = false;
  if (exchange.reuse <= Duration(0) || !take_room(visit, exchange.choice, exchange.use)) return false;
  io::Socket idle = take_idle(visit, *exchange.choice.server, exchange.reuse);
  if (!idle) return false;
  exchange.reused = visit.seen.reused = true;
  visit.seen.reached = visit.in(Duration(0));
  exchange.server.adopt(std::move(idle));
  visit.pool->router.reached(exchange.choice, visit.in(Duration(0)));
  exchange.busy.at(exchange.use.server());
  return true;
}

/// A body that came whole with its head leaves with it, in one packet, and comes along to each further
/// server.
bool append_whole_upload(Exchange& exchange, Buffer& out) {
  Visit& visit = exchange.visit;
  const proto::Body body = exchange.request.body();
  if (body.kind == proto::BodyKind::none) return true;
  if (body.kind != proto::BodyKind::length || visit.pace_up.bounded()) return false;
  if (visit.arrived.size() < body.length || out.room() < body.length) return false;
  const auto length = static_cast<std::size_t>(body.length);
  out.append(visit.arrived.view().substr(0, length));
  visit.arrived.consume(length);
  visit.seen.bytes_in += length;
  visit.body_left = false;
  return true;
}

/// Moves the request's body while the response may come already.
Task<void> upload_body(Exchange& exchange) {
  Visit& visit = exchange.visit;
  upstream::BodyRoute route{.world = visit.worker.world(),
                            .from = visit.client,
                            .to = exchange.server,
                            .arrived = visit.arrived,
                            .silence_max = visit.listener->rules.idle_timeout,
                            .bytes_max = visit.listener->rules.max_body,
                            .pace = &visit.pace_up,
                            .stop = &visit.worker.stop_switch()};
  Status uploaded = co_await upstream::relay_body(route, exchange.request.body());
  visit.seen.bytes_in += route.moved;
  // Without the client's body there is nothing to wait for; with a server that takes none, there is still its
  // answer.
  if (!uploaded && uploaded.error().side == Side::client) exchange.server.interrupt();
  if (uploaded) visit.body_left = false;
  exchange.uploaded = std::move(uploaded);
  exchange.uploading = false;
}

/// Ends the upload if it still goes on: the answer is whole, or there will be none.
Task<void> end_upload(Exchange& exchange) {
  if (!exchange.uploading) co_return;
  exchange.visit.client.interrupt();
  exchange.server.interrupt();
  co_await exchange.upload.join();
  exchange.visit.client.go_on();
}

// --- the response ---

/// No response can be passed on: says why, to the client that still listens.
Task<After> no_response(Exchange& exchange, Error error) {
  Visit& visit = exchange.visit;
  co_await end_upload(exchange);
  int status = error.kind == ErrorKind::timed_out ? 504 : 502;
  std::string why = "no answer of the server can be passed on: " + error.detail;
  if (!exchange.uploaded && exchange.uploaded.error().side == Side::client) {
    const Error& of_client = exchange.uploaded.error();
    visit.seen.end(ending_of(of_client, EndPhase::upload));
    switch (of_client.kind) {
      case ErrorKind::bad_input: status = 400; break;
      case ErrorKind::timed_out: status = 408; break;
      case ErrorKind::too_large: status = 413; break;
      default: co_return After::close;
    }
    why = "the body of the request: " + of_client.detail;
  } else {
    ++visit.counts().server_failed;
    visit.seen.end(ending_of(error, EndPhase::response));
    visit.worker.server_answered_badly(*visit.pool, *exchange.choice.server, why);
  }
  After after = co_await refuse(visit, status, why, &exchange.request);
  co_return after;
}

/// Writes an edited head into `out`, and behind it what of the body may be cut here.
Status edit_head(Exchange& exchange, const ResponseHead& response, const ResponsePlan& plan, proto::Body body,
                 Buffer& out) {
  Status written = write_response(out, exchange.visit.pool->router, exchange.choice, response, plan,
                                  exchange.visit.worker.world().clock.unix_now());
  if (!written) return written;
  if (exchange.choice.unpinned) exchange.visit.unpin();
  exchange.arrived.consume(response.bytes().size());
  const Bytes behind = exchange.arrived.view();
  if (body.kind == proto::BodyKind::tunnel) exchange.arrived.consume(out.append(behind));
  return {};
}

/// What is told besides, on every final answer.
void add_extras(const Exchange& exchange, ResponsePlan& plan) {
  const config::Forwarded& rules = exchange.visit.listener->rules.forwarded;
  if (exchange.rule != nullptr && !exchange.rule->response.empty())
    plan.header_rules = &exchange.rule->response;
  if (rules.request_id_response) plan.request_id = exchange.visit.seen.request_id;
  plan.via = rules.via;
}

/// After the 101: the connections are joined, and this coroutine has nothing more to do.
Task<After> open_tunnel(Exchange& exchange, const ResponseHead& response) {
  Visit& visit = exchange.visit;
  ResponsePlan plan{.next = proto::NextHop::upgrade};
  add_extras(exchange, plan);
  Buffer out = visit.worker.world().buffers.borrow();
  TunnelStart start;
  start.pass = std::move(visit.pass);
  start.websocket = exchange.request.wants_websocket();
  start.id = visit.seen.id;
  start.decision = decision_of(exchange.choice, visit.pool->router.rules());
  start.notes = visit.notes();
  visit.seen.status = response.status();
  const bool care = visit.listener->care.any(start.websocket);
  // Where frames are followed, the first ones are, too: what came behind the heads goes to the tunnel.
  const proto::Body behind = care ? proto::Body() : response.body(exchange.request.method());
  Status sent = edit_head(exchange, response, plan, behind, out);
  visit.seen.bytes_out += out.size();
  if (sent) sent = co_await visit.client.write_all(out.view(), exchange.patience());
  if (sent && care) {
    start.from_server = std::move(exchange.arrived);
    start.from_client = std::move(visit.arrived);
  }
  if (sent && !exchange.arrived.empty())
    sent = co_await visit.client.write_all(exchange.arrived.view(), exchange.patience());
  if (sent && !visit.arrived.empty())
    sent = co_await exchange.server.write_all(visit.arrived.view(), exchange.patience());
  if (!sent) visit.seen.end(ending_of(sent.error(), EndPhase::download));
  if (!sent) co_return After::close;
  start.held = visit.pool->router.hold(exchange.choice, visit.in(Duration(0)));
  const upstream::ClientFin client_fin =
      start.websocket ? upstream::ClientFin::ends_both : upstream::ClientFin::passes_on;
  visit.worker.park(visit.listener, visit.client.release(), exchange.server.release(), visit.address,
                    std::move(exchange.use), visit.take_lease(), client_fin, std::move(start));
  co_return After::tunnel;
}

/// 100, 102, 103: passed on, and another response follows. A client of HTTP/1.0 does not know them.
Task<Status> pass_interim(Exchange& exchange, const ResponseHead& response) {
  Visit& visit = exchange.visit;
  Status written;
  if (exchange.request.minor_version() > 0) {
    Buffer out = visit.worker.world().buffers.borrow();
    written = write_interim(out, response);
    if (written) written = co_await visit.client.write_all(out.view(), exchange.patience());
    exchange.client_heard = true;
  }
  exchange.continued |= response.status() == 100;
  exchange.arrived.consume(response.bytes().size());
  co_return written;
}

/// A body that came whole with its head leaves with it, in one packet. False: it did not, or must be looked
/// at.
bool append_whole_body(Exchange& exchange, const ResponsePlan& plan, proto::Body body, Buffer& out) {
  if (body.kind == proto::BodyKind::none) return true;
  if (body.kind != proto::BodyKind::length || plan.framing != upstream::Framing::as_it_is) return false;
  if (exchange.arrived.size() < body.length || out.room() < body.length) return false;
  const auto length = static_cast<std::size_t>(body.length);
  out.append(exchange.arrived.view().substr(0, length));
  exchange.arrived.consume(length);
  return true;
}

/// The server's connection waits for its next request, if it may.
void keep_server(Exchange& exchange, bool server_stays, Duration told) {
  Visit& visit = exchange.visit;
  if (server_stays && exchange.uploaded.ok() && exchange.arrived.empty() && !visit.worker.draining())
    keep_idle(visit, *exchange.choice.server, exchange.server.release(), told);
}

/// What is left to do when the answer has gone out whole, and something else is not as simple.
Task<After> finish(Exchange& exchange, proto::NextHop next, bool server_stays, Duration told) {
  Visit& visit = exchange.visit;
  if (!server_stays || next == proto::NextHop::close) co_await end_upload(exchange);
  co_await exchange.upload.join();  // a server may answer before it has heard all, and hear on
  keep_server(exchange, server_stays, told);
  const bool request_whole = exchange.uploaded.ok();
  if (!request_whole) visit.seen.end(ending_of(exchange.uploaded.error(), EndPhase::upload));
  visit.seen.over = visit.in(Duration(0));
  if (next != proto::NextHop::close && request_whole) co_return After::next_request;
  if (!request_whole || !visit.arrived.empty()) co_await visit.client.linger();
  co_return After::close;
}

/// The final response, with its body.
Task<After> pass_response(Exchange& exchange, const ResponseHead& response) {
  Visit& visit = exchange.visit;
  const proto::Body body = response.body(exchange.request.method());
  // Who waits for 100 and gets a final answer may send the body or not (RFC 9110 10.1.1): what comes next is
  // unknown.
  const bool body_uncertain =
      exchange.request.expects_continue() && exchange.uploading && !exchange.continued;
  const bool last = visit.worker.draining() || visit.is_last || body_uncertain;
  ResponsePlan plan = plan_response(exchange.request, response, body, last);
  add_extras(exchange, plan);
  const bool server_stays = response.keep_alive() && body.kind != proto::BodyKind::until_close;
  const Duration told = keep_alive_told(response);

  Buffer out = visit.worker.world().buffers.borrow();
  Status sent = edit_head(exchange, response, plan, body, out);
  if (!sent) visit.seen.end(ending_of(sent.error(), EndPhase::download));
  if (!sent) co_return After::close;
  const bool is_whole = append_whole_body(exchange, plan, body, out);
  visit.seen.status = response.status();
  visit.seen.bytes_out += out.size();
  Bytes rest = out.view();
  sent = visit.client.write_now(rest);
  if (sent && !rest.empty()) sent = co_await visit.client.write_all(rest, exchange.patience());
  if (!sent) visit.seen.end(ending_of(sent.error(), EndPhase::download));
  if (!sent) co_return After::close;
  out.release();

  if (!is_whole) {
    upstream::BodyRoute route{.world = visit.worker.world(),
                              .from = exchange.server,
                              .to = visit.client,
                              .arrived = exchange.arrived,
                              .silence_max = visit.listener->rules.idle_timeout,
                              .framing = plan.framing,
                              .pace = &visit.pace_down,
                              .stop = &visit.worker.stop_switch()};
    Status moved = co_await upstream::relay_body(route, body);
    visit.seen.bytes_out += route.moved;
    if (!moved) {
      visit.seen.end(ending_of(moved.error(), EndPhase::download));
      visit.worker.tell(*visit.listener, visit.address, "response broken off: " + to_string(moved.error()));
      co_await end_upload(exchange);
      visit.client.socket().reset();  // the client must not take what it has for the whole
      co_return After::close;
    }
  }
  visit.answered = true;
  if (!exchange.uploading && exchange.uploaded.ok() && plan.next != proto::NextHop::close) {
    keep_server(exchange, server_stays, told);
    co_return After::next_request;
  }
  After after = co_await finish(exchange, plan.next, server_stays, told);
  co_return after;
}

// --- once more ---

/// Nothing has reached the client, the request may be sent twice, and there is another server for it.
bool goes_to_another(Exchange& exchange) {
  if (!exchange.repeatable || exchange.client_heard) return false;
  Visit& visit = exchange.visit;
  if (!visit.pool->router.another(exchange.choice, visit.in(Duration(0)))) return false;
  ++visit.counts().retried;
  visit.worker.tell(*visit.listener, visit.address, "the request is sent to another server");
  return true;
}

/// A connection kept from before was closed by its server at this very moment.
bool closed_under_us(const Exchange& exchange, const Error& error) {
  return exchange.reused && !exchange.server_spoke && error.side == Side::server &&
         error.kind != ErrorKind::timed_out && error.kind != ErrorKind::bad_input &&
         error.kind != ErrorKind::cancelled;
}

/// The exchange is to begin anew, on another connection: it had no answer.
bool begins_anew_after(Exchange& exchange, const Error& error) {
  const bool timed_out = error.kind == ErrorKind::timed_out;
  if (closed_under_us(exchange, error)) {
    exchange.reuse = Duration(0);
    return exchange.repeatable;
  }
  const RetryOn& on = exchange.visit.pool->plan.retry;
  return (timed_out ? on.timeout : on.reset) && goes_to_another(exchange);
}

/// ... or an answer that another server may not give.
bool begins_anew_after(Exchange& exchange, const ResponseHead& response) {
  const std::vector<int>& statuses = exchange.visit.pool->plan.retry.statuses;
  return std::ranges::find(statuses, response.status()) != statuses.end() && goes_to_another(exchange);
}

void forget_server(Exchange& exchange) {
  exchange.uploaded = Status();
  exchange.server_spoke = false;
  exchange.arrived.clear();
  exchange.server.close();
}

/// No server could be reached: come_again has its own ending.
Ending ending_of_dial(const route::Choice& choice, const Error& why) {
  if (choice.how == route::Chosen::come_again) return {Side::ours, EndHow::come_again, EndPhase::queue};
  return ending_of(why, EndPhase::connect);
}

/// Reaches a server. Error, Side::client: it did not wait for one; else there is none, and choice.how says
/// why.
Task<Status> reach_server(Exchange& exchange) {
  Status open = co_await dial_server(exchange.visit, exchange.choice, exchange.use, exchange.server);
  if (open) exchange.busy.at(exchange.use.server());
  co_return open;
}

/// The rest of the request's head, and its body begins to follow.
Task<void> send_rest(Exchange& exchange, Bytes head) {
  if (!head.empty()) {
    Status sent = co_await exchange.server.write_all(head, exchange.patience());
    exchange.uploaded = std::move(sent);
  }
  if (exchange.uploaded && exchange.has_upload) {
    exchange.uploading = true;
    exchange.upload.spawn(upload_body(exchange));
  }
}

/// Reads heads of responses until the final one, whose bytes stay in exchange.arrived. Interim ones pass.
Task<Status> hear_final(Exchange& exchange, ResponseHead& response) {
  Visit& visit = exchange.visit;
  const Duration patience =
      visit.pool->plan.rules.response_timeout.value_or(visit.listener->rules.idle_timeout);
  TimePoint deadline = visit.in(patience);
  for (;;) {
    const HeadVerdict verdict =
        exchange.arrived.empty() ? HeadVerdict{} : response.feed(exchange.arrived.view());
    if (verdict.state == HeadState::refused)
      co_return Error{ErrorKind::bad_input, Side::server, Retry::no, verdict.reason};
    if (verdict.state == HeadState::complete) {
      if (!response.interim()) co_return Status{};
      Status passed = co_await pass_interim(exchange, response);
      if (!passed) visit.seen.end(ending_of(passed.error(), EndPhase::response));
      if (!passed) co_return passed;
      response = ResponseHead();
      deadline = visit.in(patience);
      continue;
    }
    Status possible = co_await exchange.server.readable(deadline);
    if (!possible && possible.error().kind == ErrorKind::timed_out && exchange.uploading) {
      deadline = visit.in(patience);  // the server still gets its request, within a time-out of its own
      continue;
    }
    if (!possible) co_return possible;
    if (!exchange.arrived) exchange.arrived = visit.worker.world().buffers.borrow();
    std::optional<Status> more = exchange.server.read_now(exchange.arrived);
    if (!more) continue;
    if (!*more) co_return std::move(*more);
    if (!exchange.server_spoke) visit.seen.answered = visit.in(Duration(0));
    exchange.server_spoke = true;
  }
}

Bytes why_nobody(const route::Choice& choice) {
  if (choice.how == route::Chosen::refused) return "the server of this client does not take it now";
  return choice.gave_up ? "no server had room in time" : "no server could be reached";
}

Task<After> nobody_answers(Exchange& exchange) {
  if (exchange.choice.how == route::Chosen::come_again) {
    After after = co_await send_away(exchange.visit, exchange.request, exchange.choice.wait);
    co_return after;
  }
  ++exchange.visit.counts().no_server;
  After after = co_await refuse(exchange.visit, 503, why_nobody(exchange.choice), &exchange.request);
  co_return after;
}

/// Gives the request to a server, and hears the head of its answer: from one server after the other as long
/// as that is safe and of use.
Task<Status> ask_servers(Exchange& exchange, Bytes head, ResponseHead& response) {
  for (;;) {
    if (!take_kept(exchange)) {
      Status reached = co_await reach_server(exchange);
      if (!reached) exchange.visit.seen.end(ending_of_dial(exchange.choice, reached.error()));
      if (!reached && reached.error().side == Side::client) co_return reached;
      if (!reached) co_return Error{ErrorKind::unreachable, Side::ours, Retry::yes, "no server"};
    }
    exchange.visit.keep_lease(exchange.choice);
    Bytes rest = head;
    // An error here: there may be an answer all the same, but the request was not heard whole.
    exchange.uploaded = exchange.server.write_now(rest);
    exchange.visit.seen.asked = exchange.visit.in(Duration(0));
    if (exchange.uploaded && (exchange.has_upload || !rest.empty())) co_await send_rest(exchange, rest);
    Status heard = co_await hear_final(exchange, response);
    bool anew = false;
    if (heard && route::Router::is_bad_answer(response.status())) {
      exchange.visit.worker.server_answered_badly(*exchange.visit.pool, *exchange.choice.server,
                                                  response.start_line());
    }
    if (heard) {
      anew = begins_anew_after(exchange, response);
    } else if (heard.error().side == Side::server && heard.error().kind != ErrorKind::bad_input &&
               heard.error().kind != ErrorKind::cancelled) {
      anew = begins_anew_after(exchange, heard.error());
    }
    if (!anew) co_return heard;
    response = ResponseHead();
    forget_server(exchange);
  }
}

/// There is no answer of a server.
Task<After> answer_instead(Exchange& exchange, Error error) {
  if (error.kind == ErrorKind::unreachable && error.side == Side::ours) {
    After after = co_await nobody_answers(exchange);
    co_return after;
  }
  const bool stopping = error.kind == ErrorKind::cancelled && exchange.visit.worker.stop_switch().requested();
  if (error.side == Side::client || stopping) exchange.visit.seen.end(ending_of(error, EndPhase::response));
  if (error.side == Side::client || stopping) co_return After::close;
  if (closed_under_us(exchange, error)) {
    exchange.visit.seen.end(ending_of(error, EndPhase::response));
    co_return After::close;  // reuse_of says why
  }
  // A gateway that dies between the accept and its answer is as one that does not accept: its sessions may
  // still be there. A handshake may be sent twice, so its client is told to.
  const bool unanswered = exchange.request.wants_websocket() && !exchange.server_spoke &&
                          (error.kind == ErrorKind::reset || error.kind == ErrorKind::closed);
  if (unanswered) {
    const std::optional<Duration> wait = exchange.visit.pool->router.comes_again(exchange.choice);
    if (wait) {
      After after = co_await send_away(exchange.visit, exchange.request, *wait);
      co_return after;
    }
  }
  After after = co_await no_response(exchange, std::move(error));
  co_return after;
}

/// 32 hexadecimal digits that nobody else has.
Bytes make_id(Exchange& exchange) {
  std::array<char, 16> random;
  exchange.visit.worker.world().random.fill({random.data(), random.size()});
  std::array<char, 32>& made = exchange.visit.seen.made_request_id;
  for (std::size_t i = 0; i < random.size(); ++i) {
    const auto byte = static_cast<unsigned char>(random[i]);
    made[2 * i] = "0123456789abcdef"[byte >> 4];
    made[2 * i + 1] = "0123456789abcdef"[byte & 15];
  }
  return {made.data(), made.size()};
}

RequestOrigin origin_of(Exchange& exchange, Bytes target, bool upgrade) {
  const Visit& visit = exchange.visit;
  RequestOrigin origin{.rules = visit.listener->rules.forwarded,
                       .client_ip = visit.client_ip,
                       .scheme = visit.scheme,
                       .port = visit.port,
                       .trusted = visit.trusted,
                       .target = target,
                       .upgrade = upgrade};
  origin.tells_certificates = visit.listener->tells_certificates;
  if (visit.certificate) origin.certificate = &*visit.certificate;
  if (exchange.rule != nullptr && !exchange.rule->request.empty())
    origin.header_rules = &exchange.rule->request;
  if (origin.rules.request_id) {
    origin.request_id = make_id(exchange);
    exchange.visit.seen.request_id = request_id_of(exchange.request, visit.trusted, origin.request_id);
  }
  return origin;
}

}  // namespace

Task<After> exchange_messages(Visit& visit, const RequestHead& request, const RulePlan* rule, Bytes target,
                              std::optional<route::Choice>& choice) {
  io::World& world = visit.worker.world();
  choice = visit.pool->router.choose({visit.address, &request, world.clock.now(), world.clock.unix_now()});
  Exchange exchange(visit, request, rule, *choice);
  const bool upgrade = passes_upgrade(request);
  exchange.repeatable = may_be_repeated(request.method()) && request.body().kind == proto::BodyKind::none;
  exchange.reuse = reuse_of(exchange, upgrade);

  Buffer head = world.buffers.borrow();
  const RequestOrigin origin = origin_of(exchange, target, upgrade);
  Status written = write_request(head, visit.pool->router, exchange.choice, request, origin);
  if (!written) {
    visit.seen.end({Side::client, EndHow::limit, EndPhase::head});
    After after = co_await refuse(visit, 431, "no room for the proxy's own fields", &request);
    co_return after;
  }
  exchange.has_upload = !append_whole_upload(exchange, head);
  ResponseHead response;
  Status answered = co_await ask_servers(exchange, head.view(), response);
  head.release();
  if (answered && response.status() == 101 && !upgrade)
    answered = Error{ErrorKind::bad_input, Side::server, Retry::no, "101 without being asked"};
  After after = After::close;
  if (!answered) {
    after = co_await answer_instead(exchange, std::move(answered.error()));
  } else if (response.status() == 101) {
    after = co_await open_tunnel(exchange, response);
  } else {
    after = co_await pass_response(exchange, response);
  }
  if (exchange.uploading) co_await end_upload(exchange);
  co_return after;
}

}  // namespace rejoin::balancer
