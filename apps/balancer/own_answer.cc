#include "apps/balancer/own_answer.h"

#include <string>

#include "apps/balancer/admin.h"
#include "apps/balancer/come_again.h"
#include "proto/http_response.h"

namespace rejoin::balancer {
namespace {

using proto::NextHop;
using proto::RequestHead;

/// Whether the next request may follow on the connection: this one was heard whole, and what comes next is a
/// request (who asked for another protocol may have begun to speak it).
NextHop next_after(const Visit& visit, const RequestHead* request) {
  const bool may_stay = request != nullptr && request->keep_alive() && !request->wants_upgrade() &&
                        !visit.body_left && !visit.is_last && !visit.worker.draining();
  if (!may_stay) return NextHop::close;
  return request->minor_version() == 0 ? NextHop::persist_aloud : NextHop::persist;
}

/// Sends it, and ends the connection or not, as it says.
Task<After> send(Visit& visit, const proto::SimpleResponse& response) {
  const TimePoint deadline = visit.in(visit.listener->rules.idle_timeout);
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_simple_response(out, response);
  if (written) written = co_await visit.client.write_all(out.view(), deadline);
  if (written && response.text_apart && response.request_method != proto::Method::head)
    written = co_await visit.client.write_all(response.text, deadline);
  visit.seen.status = response.status;
  if (written) visit.seen.bytes_out += out.size();
  visit.seen.over = visit.in(Duration(0));
  if (!written) visit.seen.end(ending_of(written.error(), EndPhase::download));
  if (!written) co_return After::close;
  if (response.next != NextHop::close) co_return After::next_request;
  co_await visit.client.linger();
  co_return After::close;
}

/// What a buffer surely takes beside a head.
constexpr std::size_t kTextWithHeadMax = 8 * 1024;

/// Field lines of ours, from what a rule says of responses. (Set and added are the same where nothing is
/// there.)
std::string field_lines(const RulePlan* rule) {
  std::string lines;
  if (rule == nullptr) return lines;
  for (const auto* list : {&rule->response.set, &rule->response.add}) {
    for (const auto& [name, value] : *list) lines.append(name).append(": ").append(value).append("\r\n");
  }
  return lines;
}

Task<After> redirect(Visit& visit, const RequestHead& request, std::string location, int status,
                     const RulePlan* rule) {
  const std::string lines = "Location: " + location + "\r\n" + field_lines(rule);
  proto::SimpleResponse response;
  response.status = status;
  response.field_lines = lines;
  response.next = next_after(visit, &request);
  response.request_method = request.method();
  After after = co_await send(visit, response);
  co_return after;
}

Bytes path_of(const RequestHead& request) {
  const Bytes path = request.path_and_query();
  return path.starts_with('/') ? path : Bytes("/");  // "*" is no path
}

Task<After> refuse(Visit& visit, int status, Bytes why, proto::Method method, NextHop next) {
  visit.worker.tell(*visit.listener, visit.address,
                    "answered " + std::to_string(status) + ": " + std::string(why));
  const std::string text = std::to_string(status) + " " + std::string(proto::reason_phrase(status)) + "\n" +
                           std::string(why) + "\n";
  proto::SimpleResponse response;
  response.status = status;
  response.text = text;
  if (const ErrorPage* page = visit.listener->http->page(status); page != nullptr && !page->bytes.empty()) {
    response.text = page->bytes;
    response.type = page->type;
    response.text_apart = page->bytes.size() > kTextWithHeadMax;
  }
  response.next = next;
  response.request_method = method;
  After after = co_await send(visit, response);
  co_return after;
}

}  // namespace

Task<After> refuse(Visit& visit, int status, Bytes why, const RequestHead* request) {
  const proto::Method method = request != nullptr ? request->method() : proto::Method::get;
  After after = co_await refuse(visit, status, why, method, next_after(visit, request));
  co_return after;
}

Task<After> refuse_and_close(Visit& visit, int status, Bytes why, const RequestHead& request) {
  After after = co_await refuse(visit, status, why, request.method(), NextHop::close);
  co_return after;
}

Task<After> send_away(Visit& visit, const RequestHead& request, Duration wait) {
  ++visit.counts().come_again;
  visit.worker.tell(*visit.listener, visit.address, "told to come again: the server of its ticket is away");
  Buffer out = visit.worker.world().buffers.borrow();
  Status written = write_come_again(out, request, wait, visit.worker.accept_hasher());
  if (written)
    written = co_await visit.client.write_all(out.view(), visit.in(visit.listener->rules.idle_timeout));
  visit.seen.end({Side::ours, EndHow::come_again, EndPhase::queue});
  visit.seen.status = out.view().starts_with("HTTP/1.1 101") ? 101 : 503;
  if (written) visit.seen.bytes_out += out.size();
  visit.seen.over = visit.in(Duration(0));
  if (written) co_await visit.client.linger();
  co_return After::close;
}

Task<After> answer_health(Visit& visit, const RequestHead& request) {
  const bool ready = visit.pool != nullptr && is_ready(visit.worker, visit.pool->router.pool());
  proto::SimpleResponse response;
  response.status = ready ? 200 : 503;
  response.text = ready ? "ok\n" : visit.worker.draining() ? "draining\n" : "no server for new clients\n";
  response.next = next_after(visit, &request);
  response.request_method = request.method();
  After after = co_await send(visit, response);
  co_return after;
}

Task<After> redirect_to_https(Visit& visit, const RequestHead& request) {
  if (request.host().empty()) {
    After after = co_await refuse(visit, 400, "no Host to redirect to", &request);
    co_return after;
  }
  const int port = visit.listener->rules.redirect_port;
  std::string to = "https://" + std::string(without_port(request.host()));
  if (port != 443) to += ':' + std::to_string(port);
  to += path_of(request);
  // 308 keeps the method and the body; what only reads gets the one that every client knows.
  const bool reads = request.method() == proto::Method::get || request.method() == proto::Method::head;
  const int status = reads ? 301 : 308;
  After after = co_await redirect(visit, request, std::move(to), status, nullptr);
  co_return after;
}

Task<After> answer_by_rule(Visit& visit, const RequestHead& request, const RulePlan& rule) {
  if (rule.rule.redirect) {
    const config::Redirect& way = *rule.rule.redirect;
    if (request.host().empty() && way.to.find("{host}") != way.to.npos) {
      After after = co_await refuse(visit, 400, "no Host to redirect to", &request);
      co_return after;
    }
    std::string to = redirect_location(way.to, request.host(), path_of(request));
    After after = co_await redirect(visit, request, std::move(to), way.status, &rule);
    co_return after;
  }
  const config::Respond& say = *rule.rule.respond;
  if (say.body.empty() && say.status >= 400) {
    After after = co_await refuse(visit, say.status, "by a rule", &request);
    co_return after;
  }
  const std::string lines = field_lines(&rule);
  proto::SimpleResponse response;
  response.status = say.status;
  response.text = say.body;
  response.type = say.type;
  response.text_apart = say.body.size() > kTextWithHeadMax;
  response.field_lines = lines;
  response.next = next_after(visit, &request);
  response.request_method = request.method();
  After after = co_await send(visit, response);
  co_return after;
}

}  // namespace rejoin::balancer
