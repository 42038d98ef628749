#include "apps/balancer/serve_request.h"

#include <optional>
#include <string>

#include "apps/balancer/exchange.h"
#include "apps/balancer/http_forward.h"
#include "apps/balancer/own_answer.h"
#include "apps/balancer/record.h"
#include "proto/chunk_scanner.h"
#include "proto/http_path.h"

namespace rejoin::balancer {
namespace {

using proto::HeadState;
using proto::HeadVerdict;
using proto::RequestHead;

/// Until when a head has to be whole. The first one counts from the accept, whatever came before it.
TimePoint head_deadline(const Visit& visit) {
  const Duration patience = visit.listener->rules.head_timeout;
  return visit.first_request ? visit.accepted + patience : visit.in(patience);
}

/// Waits for the first bytes of a request, into visit.arrived; a client that says nothing holds no block
/// meanwhile. False: none come.
Task<bool> wait_for_request(Visit& visit) {
  if (!visit.first_request && visit.worker.hurries()) co_return false;
  const TimePoint until =
      visit.first_request ? head_deadline(visit) : visit.in(visit.listener->rules.keep_alive_timeout);
  const Worker::Waiting waiting(visit.worker, visit.client);  // a drain ends this wait
  for (;;) {
    Status come = co_await visit.client.readable(until);
    if (!come) co_return false;
    const io::ReadResult read = visit.client.socket().read();
    if (read.state == io::ReadResult::State::would_block) continue;
    if (!read.got()) co_return false;
    visit.arrived = visit.worker.world().buffers.borrow();
    visit.arrived.append(read.view());
    co_return true;
  }
}

/// Reads one whole head into visit.head, and what lies behind it into visit.arrived. False: there is none,
/// and the client was told so where it should be. (A client that goes, or stays silent, between requests is
/// no error.)
Task<bool> hear_request(Visit& visit, RequestHead& request) {
  if (visit.arrived.empty()) {
    visit.arrived.release();
    visit.head.release();  // an idle connection holds no buffer
    const bool come = co_await wait_for_request(visit);
    if (!come) co_return false;
  }
  visit.follow();
  visit.seen.began = visit.in(Duration(0));
  visit.head = std::move(visit.arrived);
  const TimePoint deadline = head_deadline(visit);
  HeadVerdict verdict = request.feed(visit.head.view());
  while (verdict.state == HeadState::need_more) {
    Status more = co_await visit.client.readable(deadline);
    if (more) {
      std::optional<Status> read = visit.client.read_now(visit.head);
      if (!read) continue;
      more = std::move(*read);
    }
    visit.seen.bytes_in = visit.head.size();
    if (!more) visit.seen.end(ending_of(more.error(), EndPhase::head));
    if (!more && more.error().kind == ErrorKind::timed_out && !visit.head.empty()) {
      ++visit.counts().timed_out;
      co_await refuse(visit, 408, "the request head did not come in time", nullptr);
    }
    if (!more) co_return false;
    verdict = request.feed(visit.head.view());
  }
  if (verdict.state == HeadState::refused) {
    ++visit.counts().refused_heads;
    visit.seen.bytes_in = visit.head.size();
    visit.seen.end(ending_of_head(verdict.status));
    co_await refuse(visit, verdict.status, verdict.reason, nullptr);
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

/// A request that goes to no server, and why.
struct Refusal {
  int status = 0;
  const char* why = "";
  explicit operator bool() const { return status != 0; }
};

/// Of chunks that are here already: a server is not shown the head of a request whose body is known to be
/// bad.
Refusal judge_chunks(const Visit& visit) {
  proto::ChunkScanner scanner;
  const proto::ChunkScanner::Fed fed = scanner.feed(visit.arrived.view());
  if (fed.state == proto::ChunkState::refused) return {400, fed.reason};
  return {};
}

Refusal judge(const Visit& visit, const RequestHead& request) {
  const config::Listener& rules = visit.listener->rules;
  if (request.method() == proto::Method::connect || request.method() == proto::Method::trace)
    return {501, "CONNECT and TRACE are not passed on"};
  if (expects_something_else(request)) return {417, "an expectation other than one 100-continue"};
  if (!rules.forwarded.via.empty() && has_via(request, rules.forwarded.via))
    return {508, "the request has been here before"};
  const proto::Body body = request.body();
  if (rules.max_body != 0 && body.kind == proto::BodyKind::length && body.length > rules.max_body)
    return {413, "the body is larger than allowed"};
  if (body.kind == proto::BodyKind::chunked && !visit.arrived.empty()) return judge_chunks(visit);
  return {};
}

/// What servers are told of the client, once a connection.
void introduce(Visit& visit) {
  visit.client_ip = visit.address.ip_text();
  const std::uint16_t port = visit.listener->rules.listen.port;
  visit.port = std::to_string(port != 0 ? port : visit.client.socket().local_address().port);
}

/// Where a request goes.
struct Way {
  const RulePlan* rule = nullptr;
  bool is_bad = false;  // its path is one that servers read in different ways
  std::string target;   // what the server sees in the place of the request's; empty: as it is
};

Way way_of(const Visit& visit, const RequestHead& request) {
  Way way;
  const std::vector<RulePlan>& rules = visit.listener->http->rules;
  if (rules.empty()) return way;
  std::string scratch;
  Bytes path = "/";  // of OPTIONS *
  const Bytes target = request.path_and_query();
  if (target != "*") {
    const std::optional<Bytes> normal = proto::normal_path(target, scratch);
    way.is_bad = !normal;
    if (way.is_bad) return way;
    path = *normal;
  }
  way.rule = find_rule(rules, request.host(), path);
  if (way.rule != nullptr && !way.rule->rule.strip_prefix.empty() && target != "*")
    way.target = strip_prefix(target, path, way.rule->rule.strip_prefix);
  return way;
}

/// The listener's own health, for a balancer in front of us.
bool asks_health(const Visit& visit, const RequestHead& request) {
  const std::string& path = visit.listener->rules.health_path;
  const Bytes target = request.path_and_query();
  return !path.empty() && target.substr(0, target.find('?')) == path &&
         (request.method() == proto::Method::get || request.method() == proto::Method::head);
}

/// From a head that was heard to the end of its answer. `choice`: how a server was found, once one was looked
/// for.
Task<After> answer_request(Visit& visit, const RequestHead& request, std::optional<route::Choice>& choice) {
  ++visit.counts().requests;
  if (visit.first_request) introduce(visit);
  visit.first_request = false;
  visit.trusted = visit.listener->http->trusts(visit.address);
  visit.body_left = request.body().kind != proto::BodyKind::none;
  if (asks_health(visit, request)) {
    visit.pool = visit.generation->pool_of(*visit.listener);
    After after = co_await answer_health(visit, request);
    co_return after;
  }
  const Refusal wrong = judge(visit, request);
  if (wrong) {
    visit.seen.end(ending_of_head(wrong.status));
    After after = co_await refuse_and_close(visit, wrong.status, wrong.why, request);
    co_return after;
  }
  const Way way = way_of(visit, request);
  if (way.is_bad) {
    visit.seen.end(ending_of_head(400));
    After after = co_await refuse(visit, 400, "a path that leads out of the root, or a bad escape", &request);
    co_return after;
  }
  if (way.rule != nullptr && (way.rule->rule.redirect || way.rule->rule.respond)) {
    After after = co_await answer_by_rule(visit, request, *way.rule);
    co_return after;
  }
  if (way.rule == nullptr && visit.listener->rules.redirect == config::RedirectAll::https) {
    After after = co_await redirect_to_https(visit, request);
    co_return after;
  }
  visit.pool = way.rule != nullptr ? visit.generation->pools[way.rule->pool].get()
                                   : &visit.generation->pool(*visit.listener);
  After after = co_await exchange_messages(visit, request, way.rule, way.target, choice);
  co_return after;
}

}  // namespace

Task<After> serve_request(Visit& visit) {
  visit.seen = Seen();
  visit.seen.id = visit.worker.next_id();
  proto::HeadLimits head_limits;
  head_limits.bytes = static_cast<std::uint16_t>(visit.listener->rules.head_bytes);
  head_limits.fields = static_cast<std::uint16_t>(visit.listener->rules.head_fields);
  RequestHead request(head_limits);
  const bool heard = co_await hear_request(visit, request);
  if (!heard) {
    request_ended(visit, nullptr, nullptr);
    co_return After::close;
  }
  std::optional<route::Choice> choice;
  After after = co_await answer_request(visit, request, choice);
  request_ended(visit, &request, choice ? &*choice : nullptr);
  co_return after;
}

}  // namespace rejoin::balancer
