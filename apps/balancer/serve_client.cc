// The life of a client's connection: serve_http() at layer 7, serve_tcp() at layer 4.
//
// At layer 7 each request is heard, a server is chosen and reached, the request is sent on, the answer is
// sent back (serve_request.cc), and either the next request follows or the two connections become a tunnel (a
// parked record, worker.h) and the coroutine is gone. Layer 4 is the same without a head; at most a first
// frame is heard, for its ticket.
#include "apps/balancer/serve_client.h"

#include <string>

#include "apps/balancer/come_again.h"
#include "apps/balancer/dial_server.h"
#include "apps/balancer/enter_tls.h"
#include "apps/balancer/greet_client.h"
#include "apps/balancer/record.h"
#include "apps/balancer/serve_request.h"
#include "apps/balancer/visit.h"
#include "base/limits.h"
#include "io/stream.h"
#include "proto/client_hello.h"
#include "proto/resume_opening.h"

namespace rejoin::balancer {
namespace {

// --- layer 4 ---

/// Waits for a client's first bytes; one that says nothing holds no buffer meanwhile.
Task<Status> hear_first_bytes(Visit& visit, TimePoint deadline) {
  const Worker::Waiting waiting(visit.worker, visit.client);  // a drain ends this wait
  while (visit.arrived.empty()) {
    Status come = co_await visit.client.readable(deadline);
    if (!come) co_return come;
    const io::ReadResult read = visit.client.socket().read();
    if (read.state == io::ReadResult::State::failed) co_return visit.client.broken(read.errnum, "read");
    if (read.state == io::ReadResult::State::ended)
      co_return Error{ErrorKind::closed, Side::client, Retry::no, "it said nothing"};
    if (!read.got()) continue;  // a new connection is taken for readable until a read shows that it is not
    visit.arrived = visit.worker.world().buffers.borrow();
    visit.arrived.append(read.view());
  }
  co_return Status{};
}

/// Where tickets are looked for: reads until the first frame is no RESUME, or is there whole. An error: it
/// did not come in time, and the connection ends.
Task<Status> hear_opening(Visit& visit) {
  const TimePoint deadline = visit.in(limits::kOpeningFrameS);
  Status come = co_await hear_first_bytes(visit, deadline);
  while (come && proto::opening_of(visit.arrived.view()).state == proto::Opening::State::need_more) {
    come = co_await visit.client.read_into(visit.arrived, deadline);
  }
  co_return come;
}

/// On a listener that goes by TLS names: reads the ClientHello, without answering it, and chooses the pool.
/// False: there is none for it, and it was reset.
Task<bool> find_pool_by_name(Visit& visit) {
  const TimePoint deadline = visit.accepted + visit.listener->rules.head_timeout;
  proto::ClientHello hello;
  proto::HelloVerdict verdict;
  Status come = co_await hear_first_bytes(visit, deadline);
  while (come) {
    verdict = proto::read_client_hello(visit.arrived.view(), hello);
    if (verdict.state != proto::HelloState::need_more) break;
    come = co_await visit.client.read_into(visit.arrived, deadline);
  }
  serve::EdgeCounts& counts = visit.worker.edge();
  std::string why;
  Refused refused{.ending = {Side::client, EndHow::bad_input, EndPhase::hello}, .reason = "bad_hello"};
  const bool said_nothing = visit.arrived.empty();
  if (!come) {
    const bool late = come.error().kind == ErrorKind::timed_out;
    if (late) ++counts.late;
    refused.ending = ending_of(come.error(), EndPhase::hello);
    refused.reason = late ? kLate : kGone;
    why = "no ClientHello: " + to_string(come.error());
  } else if (verdict.state == proto::HelloState::refused) {
    ++counts.bad_hello;
    why = "no ClientHello: " + std::string(verdict.reason);
  } else {
    const std::size_t* const pool = visit.listener->by_name.find(hello.name);
    visit.facts.authority = hello.name;
    if (pool != nullptr) visit.pool = visit.generation->pools[*pool].get();
    if (visit.pool != nullptr) co_return true;
    ++counts.no_name;
    refused.ending = {Side::ours, EndHow::refused, EndPhase::hello};
    refused.reason = "no_name";
    why = hello.name.empty() ? "it asks for no name" : "it asks for " + hello.name + ", which is not served";
  }
  visit.worker.tell(*visit.listener, visit.address, "turned away: " + why);
  refused.detail = why;
  if (refused.reason != kGone || !said_nothing) connection_refused(visit, refused);
  visit.client.socket().reset();
  co_return false;
}

/// What the client said before it had a server.
Task<Status> pass_opening(Visit& visit, io::Stream& server) {
  Status sent;
  if (!visit.arrived.empty())
    sent = co_await server.write_all(visit.arrived.view(), visit.in(visit.pool->plan.connect_timeout));
  visit.arrived.release();
  co_return sent;
}

/// There is no server for it: a client of the resume protocol hears when to come again.
Task<void> turn_away(Visit& visit, const route::Choice& choice) {
  if (choice.how != route::Chosen::come_again) {
    ++visit.counts().no_server;
    visit.worker.tell(*visit.listener, visit.address, "no server could be reached");
    visit.client.socket().reset();
    co_return;
  }
  ++visit.counts().come_again;
  visit.seen.end({Side::ours, EndHow::come_again, EndPhase::queue});
  visit.worker.tell(*visit.listener, visit.address, "told to come again: the server of its ticket is away");
  const std::string frame = come_again_on_tcp(choice.wait);
  Status written = co_await visit.client.write_all(frame, visit.in(limits::kOpeningFrameS));
  if (written) visit.seen.bytes_out += frame.size();
  visit.seen.over = visit.in(Duration(0));
  if (written) co_await visit.client.linger();
}

/// Until the connection has a server and becomes a tunnel; or why it does not.
Task<Status> bring_to_server(Visit& visit, route::Choice& choice) {
  Worker& worker = visit.worker;
  io::World& world = worker.world();
  if (visit.pool->router.wants_opening()) {
    Status heard = co_await hear_opening(visit);
    visit.seen.bytes_in = visit.arrived.size();
    if (!heard && heard.error().kind == ErrorKind::timed_out) ++visit.counts().timed_out;
    if (!heard) visit.seen.end(ending_of(heard.error(), EndPhase::head));
    if (!heard) co_return heard;
    visit.seen.heard = visit.in(Duration(0));
  }
  choice = visit.pool->router.choose(
      {visit.address, nullptr, world.clock.now(), world.clock.unix_now(), visit.arrived.view()});
  io::Stream server(world, Side::server, worker.stop_switch());
  route::ServerUse use;
  Status open = co_await dial_server(visit, choice, use, server);
  if (!open && choice.how != route::Chosen::come_again)
    visit.seen.end(ending_of(open.error(), EndPhase::connect));
  if (!open && open.error().side == Side::client) co_return open;
  if (!open) {
    co_await turn_away(visit, choice);
    co_return open;
  }
  Status passed = co_await pass_opening(visit, server);
  if (!passed) {
    ++visit.counts().server_failed;
    visit.seen.end(ending_of(passed.error(), EndPhase::connect));
    worker.tell(*visit.listener, visit.address,
                "the server did not take the first bytes: " + to_string(passed.error()));
    visit.client.socket().reset();
    co_return passed;
  }
  visit.keep_lease(choice);
  TunnelStart start;
  start.pass = std::move(visit.pass);
  start.id = visit.seen.id;
  start.decision = decision_of(choice, visit.pool->router.rules());
  start.notes = visit.notes();
  worker.park(visit.listener, visit.client.release(), server.release(), visit.address, std::move(use),
              visit.take_lease(), upstream::ClientFin::passes_on, std::move(start));
  co_return Status{};
}

}  // namespace

Task<void> serve_http(Worker& worker, GenerationPtr generation, ListenerPtr listener, io::Socket accepted,
                      Address client, Entry entry) {
  const bool through_proxy = entry.through_proxy;
  Visit visit(worker, std::move(generation), std::move(listener), std::move(accepted), client,
              std::move(entry));
  if (through_proxy) {
    const bool welcome = co_await greet(visit);
    if (!welcome) co_return;
  }
  if (visit.listener->tls) {
    const bool entered = co_await enter_tls(visit);
    if (!entered) co_return;
  }
  for (;;) {
    const After after = co_await serve_request(visit);
    if (after != After::next_request) co_return;
  }
}

Task<void> serve_tcp(Worker& worker, GenerationPtr generation, ListenerPtr listener, io::Socket accepted,
                     Address client, Entry entry) {
  const bool through_proxy = entry.through_proxy;
  Visit visit(worker, std::move(generation), std::move(listener), std::move(accepted), client,
              std::move(entry));
  if (through_proxy) {
    const bool welcome = co_await greet(visit);
    if (!welcome) co_return;
  }
  if (!visit.listener->by_name.empty()) {
    const bool found = co_await find_pool_by_name(visit);
    if (!found) co_return;
  }
  if (visit.listener->tls) {
    const bool entered = co_await enter_tls(visit);
    if (!entered) co_return;
  }
  visit.seen.id = worker.next_id();
  visit.seen.began = visit.accepted;
  route::Choice choice;
  Status brought = co_await bring_to_server(visit, choice);
  if (!brought) connection_ended(visit, choice);
}

}  // namespace rejoin::balancer
