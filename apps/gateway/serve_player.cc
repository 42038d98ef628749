// The life of a player's connection. Read it from serve_websocket() down: a request is heard within its time;
// one for /healthz is answered and the next one heard; one that may become a WebSocket is answered with 101
// and the upstream's greeting; then the socket goes to a parked record (link.h) and the coroutine is gone.
//
// On a tcp listener there is no handshake: serve_tcp(), at the end.
#include "apps/gateway/serve_player.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/limits.h"
#include "io/stream.h"
#include "proto/base64.h"
#include "proto/cookie.h"
#include "proto/http_response.h"
#include "proto/ws_handshake.h"

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
  Visit(Worker& w, io::Socket accepted, const Address& from)
      : worker(w), address(from), client(w.world(), std::move(accepted), Side::client, w.stop_switch()) {}

  TimePoint in(Duration time) const { return worker.world().clock.now() + time; }

  Worker& worker;
  Address address;
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

Task<void> refuse(Visit& visit, const Refusal& refusal) {
  ++visit.worker.counts().refused_heads;
  const std::string text = std::to_string(refusal.status) + " " +
                           std::string(proto::reason_phrase(refusal.status)) + "\n" +
                           std::string(refusal.why) + "\n";
  visit.worker.tell(visit.address, "answered " + text);
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
    if (more.error().kind != ErrorKind::timed_out || visit.arrived.empty()) co_return 0;
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

/// GET and HEAD: 200, or 503 while we drain, so that a balancer sends its new clients elsewhere.
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
  const bool draining = visit.worker.draining();
  const bool stays = request.keep_alive() && !draining;
  proto::SimpleResponse response;
  response.status = draining ? 503 : 200;
  response.text = draining ? "draining\n" : "ok\n";
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

// --- the upgrade ---

/// The session cookie of a gateway that sets one. It stands in for the application's: a server knows the
/// sessions that it made, and gives every other client a new one.
struct SessionCookie {
  std::optional<upstream::Echo::SeenCookie> seen;  // nothing: we set none
  std::string field_line;                          // empty: the client has one of ours
};

SessionCookie session_cookie(Worker& worker, const RequestHead& request) {
  SessionCookie out;
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
  out.field_line = "Set-Cookie: ";
  proto::write_checked_set_cookie(
      spec, out.field_line);  // the configuration was checked, and the value is base64url
  out.field_line += "\r\n";
  return out;
}

/// 101 and the greeting, in one write; then the connection is a link.
Task<void> open_link(Visit& visit, const RequestHead& request, Bytes key, std::size_t head_bytes,
                     TimePoint deadline) {
  Worker& worker = visit.worker;
  Buffer out = worker.world().buffers.borrow();
  {
    const SessionCookie cookie = session_cookie(worker, request);
    const std::string greeting = worker.echo().greeting(visit.address, cookie.seen);
    proto::FrameSpec spec;
    spec.opcode = proto::WsOpcode::text;
    spec.payload_bytes = greeting.size();
    // Both are short, and a block is long: neither can fail.
    const Status written =
        proto::write_upgrade_response(out, worker.hasher().accept(key), Bytes(), cookie.field_line);
    if (!written) co_return;
    out.append(proto::write_frame_header(spec).view());
    out.append(greeting);
  }
  const Bytes bytes = out.view();
  Status sent = co_await visit.client.write_all(bytes, deadline);
  if (!sent) co_return;
  out.release();
  visit.arrived.consume(head_bytes);  // the request's head and the key are gone with it
  const MutableBytes arrived(visit.arrived.data(), visit.arrived.size());
  worker.park_websocket(visit.client.release(), visit.address, arrived);
}

}  // namespace

Task<void> serve_websocket(Worker& worker, io::Socket accepted, Address client) {
  Visit visit(worker, std::move(accepted), client);
  Duration patience = worker.rules().handshake_timeout;
  for (;;) {
    const TimePoint deadline = visit.in(patience);
    RequestHead request;
    const std::size_t head_bytes = co_await hear_request(visit, request, deadline);
    if (head_bytes == 0) co_return;
    ++worker.counts().requests;

    if (path_of(request) == kHealthPath) {
      const After after = co_await answer_health(visit, request);
      if (after == After::close) co_return;
      visit.arrived.consume(head_bytes);
      visit.arrived.compact();
      if (visit.arrived.empty()) visit.arrived.release();
      patience = Duration(limits::kGatewayIdleS);
      continue;
    }

    const proto::UpgradeVerdict verdict = proto::check_upgrade_request(request);
    Refusal refusal;
    refusal.method = request.method();
    if (!verdict.ok()) {
      refusal.status = verdict.status;
      refusal.why = verdict.reason;
      refusal.field_lines = verdict.field_lines;
      co_await refuse(visit, refusal);
    } else if (worker.draining()) {
      refusal.status = 503;
      refusal.why = "this gateway is going away";
      refusal.field_lines = "Retry-After: 1\r\n";
      co_await refuse(visit, refusal);
    } else {
      co_await open_link(visit, request, verdict.key, head_bytes, deadline);
    }
    co_return;
  }
}

void serve_tcp(Worker& worker, io::Socket accepted, const Address& client) {
  worker.park_tcp(std::move(accepted), client);
}

}  // namespace rejoin::gateway
