#include "apps/balancer/serve_request.h"

#include <optional>
#include <string>

#include "apps/balancer/admin.h"
#include "apps/balancer/come_again.h"
#include "apps/balancer/dial_server.h"
#include "apps/balancer/http_forward.h"
#include "apps/balancer/record.h"
#include "base/limits.h"
#include "proto/http_response.h"
#include "upstream/body_relay.h"

namespace rejoin::balancer {
namespace {

using proto::HeadState;
using proto::HeadVerdict;
using proto::RequestHead;
using proto::ResponseHead;

/// One request on its way to a server, and the answer on its way back.
struct Exchange {
  Exchange(Visit& v, const RequestHead& r)
      : visit(v),
        request(r),
        server(v.worker.world(), Side::server, v.worker.stop_switch()),
        upload(v.worker.world().ready) {}

  Visit& visit;
  const RequestHead& request;
  route::Choice choice;
  route::ServerUse use;
  io::Stream server;
  Buffer arrived;             // from the server: the head of its response, then what came behind it
  Scope upload;               // home of the coroutine that moves the request's body
  Status uploaded;            // how that ended; an error when it could not begin
  bool uploading = false;     // it has begun and has not ended
  bool reused = false;        // the connection served another request before
  bool server_spoke = false;  // a byte of the response has come
  bool continued = false;     // the client was told 100, so that its body comes
};

// --- answers of our own ---

/// Answers with an error; the connection ends after it.
Task<After> refuse(Visit& visit, int status, Bytes why, proto::Method method) {
  visit.worker.tell(*visit.listener, visit.address,
                    "answered " + std::to_string(status) + ": " + std::string(why));
  Buffer out = visit.worker.world().buffers.borrow();
  std::string text = std::to_string(status) + " " + std::string(proto::reason_phrase(status)) + "\n" +
                     std::string(why) + "\n";
  proto::SimpleResponse response;
  response.status = status;
  response.text = text;
  response.request_method = method;
  Status written = write_simple_response(out, response);
  if (written)
    written = co_await visit.client.write_all(out.view(), visit.in(visit.listener->rules.idle_timeout));
  visit.seen.status = status;
  if (written) visit.seen.bytes_out += out.size();
  visit.seen.over = visit.in(Duration(0));
  if (written) co_await visit.client.linger();
  co_return After::close;
}

/// The client's server is away: it is told when to come again, and the connection ends.
Task<After> send_away(Visit& visit, const RequestHead& request, Duration wait) {
  ++visit.counts().come_again;
  visit.seen.end({Side::ours, EndHow::come_again, EndPhase::queue});
  visit.worker.tell(*visit.listener, visit.address, "told to come again: the server of its ticket is away");
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_come_again(out, request, wait, visit.worker.accept_hasher());
  if (written)
    written = co_await visit.client.write_all(out.view(), visit.in(visit.listener->rules.idle_timeout));
  visit.seen.status = out.view().starts_with("HTTP/1.1 101") ? 101 : 503;
  if (written) visit.seen.bytes_out += out.size();
  visit.seen.over = visit.in(Duration(0));
  if (written) co_await visit.client.linger();
  co_return After::close;
}

/// The listener's own health, for a balancer in front of us.
bool asks_health(const Visit& visit, const RequestHead& request) {
  const std::string& path = visit.listener->rules.health_path;
  const Bytes target = request.path_and_query();
  return !path.empty() && target.substr(0, target.find('?')) == path &&
         (request.method() == proto::Method::get || request.method() == proto::Method::head);
}

Task<void> answer_health(Visit& visit, const RequestHead& request) {
  const bool ready = is_ready(visit.worker, visit.pool->router.pool());
  proto::SimpleResponse response;
  response.status = ready ? 200 : 503;
  response.text = ready ? "ok\n" : visit.worker.draining() ? "draining\n" : "no server for new clients\n";
  response.request_method = request.method();
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_simple_response(out, response);
  if (written)
    written = co_await visit.client.write_all(out.view(), visit.in(visit.listener->rules.idle_timeout));
  visit.seen.status = response.status;
  if (written) visit.seen.bytes_out += out.size();
  visit.seen.over = visit.in(Duration(0));
  if (written) co_await visit.client.linger();
}

// --- the request ---

/// Waits for the first byte of a request. A client that goes, or stays silent, between requests is no error.
Task<Status> wait_for_request(Visit& visit) {
  if (!visit.first_request && visit.worker.draining())
    co_return Error{ErrorKind::cancelled, Side::ours, Retry::no, "draining"};
  const Duration patience =
      visit.first_request ? visit.listener->rules.head_timeout : visit.listener->rules.idle_timeout;
  const Worker::Waiting waiting(visit.worker, visit.client);  // a drain ends this wait
  Status come = co_await visit.client.readable(visit.in(patience));
  co_return come;
}

/// Reads one whole head into visit.head, and what lies behind it into visit.arrived. False: there is none,
/// and the client was told so where it should be.
Task<bool> hear_request(Visit& visit, RequestHead& request) {
  if (visit.arrived.empty()) {
    visit.arrived.release();
    visit.head.release();  // an idle connection holds no buffer
    Status come = co_await wait_for_request(visit);
    if (!come) co_return false;
    visit.arrived = visit.worker.world().buffers.borrow();
  }
  visit.follow();
  visit.seen.began = visit.in(Duration(0));
  visit.head = std::move(visit.arrived);
  const TimePoint deadline = visit.in(visit.listener->rules.head_timeout);
  HeadVerdict verdict = request.feed(visit.head.view());
  while (verdict.state == HeadState::need_more) {
    const bool nothing_yet = visit.head.empty();
    Status more = co_await visit.client.read_into(visit.head, deadline);
    if (more && nothing_yet) visit.seen.began = visit.in(Duration(0));
    if (!more && visit.head.empty()) {  // who said nothing is no client
      visit.seen.began = kNever;
      if (more.error().kind == ErrorKind::timed_out) ++visit.counts().timed_out;
      co_return false;
    }
    visit.seen.bytes_in = visit.head.size();
    if (!more) visit.seen.end(ending_of(more.error(), EndPhase::head));
    if (!more && more.error().kind == ErrorKind::timed_out) {
      ++visit.counts().timed_out;
      co_await refuse(visit, 408, "the request head did not come in time", proto::Method::get);
    }
    if (!more) co_return false;
    verdict = request.feed(visit.head.view());
  }
  if (verdict.state == HeadState::refused) {
    ++visit.counts().refused_heads;
    visit.seen.bytes_in = visit.head.size();
    visit.seen.end(ending_of_head(verdict.status));
    co_await refuse(visit, verdict.status, verdict.reason, proto::Method::get);
    co_return false;
  }
  visit.seen.bytes_in = verdict.consumed;
  visit.seen.heard = visit.in(Duration(0));
  const Bytes behind = visit.head.view().substr(verdict.consumed);
  if (!behind.empty()) {
    visit.arrived = visit.worker.world().buffers.borrow();
    visit.arrived.append(behind);
  }
  co_return true;
}

// --- the server ---

/// A connection to the chosen server: one that is kept, if the request may be sent twice, or a new one.
Task<Status> reach_server(Exchange& exchange, bool may_reuse) {
  Visit& visit = exchange.visit;
  exchange.reused = visit.seen.reused = false;
  if (may_reuse && exchange.choice.server) {
    io::Socket idle = visit.pool->idle.take(*exchange.choice.server);
    if (idle) {
      exchange.reused = visit.seen.reused = true;
      visit.seen.reached = visit.in(Duration(0));
      exchange.use = route::ServerUse(visit.pool->router.pool(), *exchange.choice.server);
      exchange.server.adopt(std::move(idle));
      co_return Status{};
    }
  }
  Status open = co_await dial_server(visit, exchange.choice, exchange.use, exchange.server);
  co_return open;
}

/// Moves the request's body while the response may come already.
Task<void> upload_body(Exchange& exchange) {
  Visit& visit = exchange.visit;
  upstream::BodyRoute route{.world = visit.worker.world(),
                            .from = visit.client,
                            .to = exchange.server,
                            .arrived = visit.arrived,
                            .silence_max = visit.listener->rules.idle_timeout};
  Status uploaded = co_await upstream::relay_body(route, exchange.request.body());
  visit.seen.bytes_in += route.moved;
  // Without the client's body there is nothing to wait for; with a server that takes none, there is still its
  // answer.
  if (!uploaded && uploaded.error().side == Side::client) exchange.server.interrupt();
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

/// Reads the head of the next response; its bytes stay in exchange.arrived.
Task<Result<HeadVerdict>> hear_response(Exchange& exchange, ResponseHead& response) {
  const Duration patience = exchange.visit.listener->rules.idle_timeout;
  TimePoint deadline = exchange.visit.in(patience);
  for (;;) {
    if (!exchange.arrived.empty()) {
      const HeadVerdict verdict = response.feed(exchange.arrived.view());
      if (verdict.state != HeadState::need_more) co_return verdict;
    }
    Status possible = co_await exchange.server.readable(deadline);
    if (!possible && possible.error().kind == ErrorKind::timed_out && exchange.uploading) {
      deadline =
          exchange.visit.in(patience);  // the server still gets its request, within a time-out of its own
      continue;
    }
    if (!possible) co_return std::move(possible.error());
    if (!exchange.arrived) exchange.arrived = exchange.visit.worker.world().buffers.borrow();
    Status more = co_await exchange.server.read_into(exchange.arrived, deadline);
    if (!more) co_return std::move(more.error());
    if (!exchange.server_spoke) exchange.visit.seen.answered = exchange.visit.in(Duration(0));
    exchange.server_spoke = true;
  }
}

/// No response can be passed on: says why, to the client that still listens.
Task<After> no_response(Exchange& exchange, Error error) {
  Visit& visit = exchange.visit;
  co_await end_upload(exchange);
  int status = error.kind == ErrorKind::timed_out ? 504 : 502;
  std::string why = "no answer of the server can be passed on: " + error.detail;
  if (!exchange.uploaded && exchange.uploaded.error().side == Side::client) {
    const Error& of_client = exchange.uploaded.error();
    visit.seen.end(ending_of(of_client, EndPhase::upload));
    if (of_client.kind != ErrorKind::bad_input && of_client.kind != ErrorKind::timed_out)
      co_return After::close;
    status = of_client.kind == ErrorKind::bad_input ? 400 : 408;
    why = "the body of the request: " + of_client.detail;
  } else {
    ++visit.counts().server_failed;
    visit.seen.end(ending_of(error, EndPhase::response));
  }
  After after = co_await refuse(visit, status, why, exchange.request.method());
  co_return after;
}

/// Sends an edited head, and with it what of the body fits beside it.
Task<Status> send_head(Exchange& exchange, const ResponseHead& response, ResponsePlan plan,
                       proto::Body body) {
  Visit& visit = exchange.visit;
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_response(out, visit.pool->router, exchange.choice, response, plan,
                                  visit.worker.world().clock.unix_now());
  if (!written) co_return written;
  exchange.arrived.consume(response.bytes().size());
  // A small body leaves with its head, in one packet. (Not all bodies may be cut here: chunks are scanned
  // first.)
  const Bytes behind = exchange.arrived.view();
  if (body.kind == proto::BodyKind::tunnel) exchange.arrived.consume(out.append(behind));
  visit.seen.status = response.status();
  visit.seen.bytes_out += out.size();
  written = co_await visit.client.write_all(out.view(), visit.in(visit.listener->rules.idle_timeout));
  co_return written;
}

/// After the 101: the connections are joined, and this coroutine has nothing more to do.
Task<After> open_tunnel(Exchange& exchange, const ResponseHead& response) {
  Visit& visit = exchange.visit;
  const TimePoint deadline = visit.in(visit.listener->rules.idle_timeout);
  const ResponsePlan plan{.next = proto::NextHop::upgrade};
  Status sent = co_await send_head(exchange, response, plan, response.body(exchange.request.method()));
  if (sent && !exchange.arrived.empty())
    sent = co_await visit.client.write_all(exchange.arrived.view(), deadline);
  if (sent && !visit.arrived.empty())
    sent = co_await exchange.server.write_all(visit.arrived.view(), deadline);
  if (!sent) visit.seen.end(ending_of(sent.error(), EndPhase::download));
  if (!sent) co_return After::close;
  const upstream::ClientFin client_fin =
      exchange.request.wants_websocket() ? upstream::ClientFin::ends_both : upstream::ClientFin::passes_on;
  const Origin origin{visit.seen.id, decision_of(exchange.choice, visit.pool->router.rules())};
  visit.worker.park(visit.listener, visit.client.release(), exchange.server.release(), visit.address,
                    std::move(exchange.use), std::move(visit.lease), client_fin, origin);
  co_return After::tunnel;
}

/// 100, 102, 103: passed on, and another response follows. A client of HTTP/1.0 does not know them.
Task<Status> pass_interim(Exchange& exchange, const ResponseHead& response) {
  Visit& visit = exchange.visit;
  Status written;
  if (exchange.request.minor_version() > 0) {
    Buffer out = visit.worker.world().buffers.borrow();
    written = write_interim(out, response);
    if (written)
      written = co_await visit.client.write_all(out.view(), visit.in(visit.listener->rules.idle_timeout));
  }
  exchange.continued |= response.status() == 100;
  exchange.arrived.consume(response.bytes().size());
  co_return written;
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
  const ResponsePlan plan = plan_response(exchange.request, response, body, last);
  const bool server_stays = response.keep_alive() && body.kind != proto::BodyKind::until_close;
  Status sent = co_await send_head(exchange, response, plan, body);
  if (!sent) visit.seen.end(ending_of(sent.error(), EndPhase::download));
  if (!sent) co_return After::close;

  upstream::BodyRoute route{.world = visit.worker.world(),
                            .from = exchange.server,
                            .to = visit.client,
                            .arrived = exchange.arrived,
                            .silence_max = visit.listener->rules.idle_timeout,
                            .framing = plan.framing};
  Status moved = co_await upstream::relay_body(route, body);
  visit.seen.bytes_out += route.moved;
  if (!moved) {
    visit.seen.end(ending_of(moved.error(), EndPhase::download));
    visit.worker.tell(*visit.listener, visit.address, "response broken off: " + to_string(moved.error()));
    co_await end_upload(exchange);
    visit.client.socket().reset();  // the client must not take what it has for the whole
    co_return After::close;
  }
  if (!server_stays || plan.next == proto::NextHop::close) co_await end_upload(exchange);
  co_await exchange.upload.join();  // a server may answer before it has heard all, and hear on
  const bool request_whole = exchange.uploaded.ok();
  if (!request_whole) visit.seen.end(ending_of(exchange.uploaded.error(), EndPhase::upload));
  if (server_stays && request_whole && exchange.arrived.empty() && !visit.worker.draining()) {
    visit.pool->idle.put(*exchange.choice.server, exchange.server.release());
  }
  if (plan.next == proto::NextHop::close || !request_whole) {
    visit.seen.over = visit.in(Duration(0));
    if (!request_whole || !visit.arrived.empty()) co_await visit.client.linger();
    co_return After::close;
  }
  co_return After::next_request;
}

/// From a head that was heard to the end of its answer.
Task<After> exchange_messages(Exchange& exchange) {
  Visit& visit = exchange.visit;
  const RequestHead& request = exchange.request;
  const bool upgrade = passes_upgrade(request);
  const bool has_body = request.body().kind != proto::BodyKind::none;
  Buffer outgoing = visit.worker.world().buffers.borrow();
  Status written =
      write_request(outgoing, visit.pool->router, exchange.choice, request, visit.address, upgrade);
  if (!written) {
    visit.seen.end({Side::client, EndHow::limit, EndPhase::head});
    After after = co_await refuse(visit, 431, "no room for the proxy's own fields", request.method());
    co_return after;
  }

  std::optional<ResponseHead> response;
  // A connection kept from before may have been closed by its server at this very moment: what may be sent
  // twice is.
  bool may_reuse = !has_body && !upgrade && may_be_repeated(request.method());
  for (;;) {
    Status reached = co_await reach_server(exchange, may_reuse);
    if (!reached && exchange.choice.how == route::Chosen::come_again) {
      After after = co_await send_away(visit, request, exchange.choice.wait);
      co_return after;
    }
    if (!reached) {
      ++visit.counts().no_server;
      visit.seen.end(ending_of(reached.error(), EndPhase::connect));
      After after = co_await refuse(visit, 503, "no server could be reached", request.method());
      co_return after;
    }
    visit.keep_lease(exchange.choice);
    const TimePoint deadline = visit.in(visit.listener->rules.idle_timeout);
    Status sent = co_await exchange.server.write_all(outgoing.view(), deadline);
    visit.seen.asked = visit.in(Duration(0));
    if (!sent)
      exchange.uploaded = sent;  // there may be an answer all the same, but the request was not heard whole
    if (sent && has_body) {
      exchange.uploading = true;
      exchange.upload.spawn(upload_body(exchange));
    }
    response.emplace();
    Result<HeadVerdict> heard = co_await hear_response(exchange, *response);
    while (heard && heard->state == HeadState::complete && response->interim()) {
      Status passed = co_await pass_interim(exchange, *response);
      if (!passed) visit.seen.end(ending_of(passed.error(), EndPhase::response));
      if (!passed) co_return After::close;
      response.emplace();
      heard = co_await hear_response(exchange, *response);
    }
    if (!heard) {
      if (heard.error().kind == ErrorKind::cancelled && visit.worker.stop_switch().requested()) {
        visit.seen.end(ending_of(heard.error(), EndPhase::response));
        co_return After::close;
      }
      if (exchange.reused && !exchange.server_spoke && heard.error().kind != ErrorKind::timed_out) {
        may_reuse = false;
        exchange.uploaded = Status();
        exchange.server.close();
        continue;
      }
      After after = co_await no_response(exchange, std::move(heard.error()));
      co_return after;
    }
    if (heard->state == HeadState::refused) {
      Error wrong{ErrorKind::bad_input, Side::server, Retry::no, heard->reason};
      After after = co_await no_response(exchange, std::move(wrong));
      co_return after;
    }
    break;
  }
  if (response->status() == 101 && !upgrade) {
    Error unasked{ErrorKind::bad_input, Side::server, Retry::no, "101 without being asked"};
    After after = co_await no_response(exchange, std::move(unasked));
    co_return after;
  }
  if (response->status() == 101) {
    After after = co_await open_tunnel(exchange, *response);
    co_return after;
  }
  After after = co_await pass_response(exchange, *response);
  co_return after;
}

}  // namespace

Task<After> serve_request(Visit& visit) {
  RequestHead request;
  visit.seen = Seen();
  visit.seen.id = visit.worker.next_id();
  const bool heard = co_await hear_request(visit, request);
  if (!heard) {
    request_ended(visit, nullptr, nullptr);
    co_return After::close;
  }
  ++visit.counts().requests;
  if (asks_health(visit, request)) {
    co_await answer_health(visit, request);
    request_ended(visit, &request, nullptr);
    co_return After::close;
  }
  if (request.method() == proto::Method::connect || request.method() == proto::Method::trace) {
    visit.seen.end({Side::client, EndHow::unsupported, EndPhase::head});
    After after = co_await refuse(visit, 501, "CONNECT and TRACE are not passed on", request.method());
    request_ended(visit, &request, nullptr);
    co_return after;
  }
  Exchange exchange(visit, request);
  io::World& world = visit.worker.world();
  exchange.choice =
      visit.pool->router.choose({visit.address, &request, world.clock.now(), world.clock.unix_now()});
  const After after = co_await exchange_messages(exchange);
  co_await end_upload(exchange);
  request_ended(visit, &request, &exchange.choice);
  visit.first_request = false;
  co_return after;
}

}  // namespace rejoin::balancer
