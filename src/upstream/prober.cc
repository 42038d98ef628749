#include "upstream/prober.h"

#include "io/stream.h"
#include "proto/http_head.h"

namespace rejoin::upstream {
namespace {

Error ill(std::string detail) { return {ErrorKind::bad_input, Side::server, Retry::no, std::move(detail)}; }

std::string probe_request(const route::HealthRules& rules, const Address& server) {
  const std::string& host = rules.host.empty() ? server.text() : rules.host;
  return "GET " + rules.path + " HTTP/1.1\r\nHost: " + host +
         "\r\nUser-Agent: rejoin-probe\r\nConnection: close\r\n\r\n";
}

Task<Status> ask_http(io::World& world, const route::HealthRules& rules, io::Stream& stream,
                      std::string request, TimePoint deadline, ProbeAnswer& answer) {
  Status sent = co_await stream.write_all(request, deadline);
  if (!sent) co_return sent;
  Buffer bytes = world.buffers.borrow();
  proto::ResponseHead head;
  for (;;) {
    Status more = co_await stream.read_into(bytes, deadline);
    if (!more) co_return more;
    const proto::HeadVerdict verdict = head.feed(bytes.view());
    if (verdict.state == proto::HeadState::refused) co_return ill(verdict.reason);
    if (verdict.state == proto::HeadState::complete) break;
  }
  if (!rules.weight_field.empty()) {
    const proto::Field* const share = head.find(rules.weight_field);
    if (share != nullptr) answer.share_percent = route::read_percentage(head.value(*share));
  }
  if (route::contains(rules.expect, head.status())) co_return Status{};
  const proto::Field* const state = head.find(kStateField);
  answer.draining = head.status() == 503 && state != nullptr && head.value(*state) == "draining";
  if (answer.draining) co_return Status{};
  co_return ill("status " + std::to_string(head.status()) + ", expected " + to_string(rules.expect));
}

Task<Status> shake_hands(io::Stream& stream, ProbeTls tls, std::string name, TimePoint deadline) {
  Result<io::Socket> begun = tls.network->dial_with(tls.context->get(), stream.release(), name);
  if (!begun) co_return std::move(begun.error());
  stream.adopt(std::move(*begun));
  Status open = co_await stream.writable(deadline);
  if (open) open = stream.socket().connect_status();
  co_return open;
}

}  // namespace

Task<Status> probe(io::World& world, const route::HealthRules& rules, Address server, Stop& stop,
                   ProbeAnswer* answer, ProbeTls tls, std::string name) {
  const TimePoint deadline = world.clock.now() + rules.timeout;
  io::Stream stream(world, Side::server, stop);
  const io::ConnectOptions options;
  Status open = co_await stream.connect(server, options, deadline);
  if (!open || rules.kind == route::HealthKind::tcp) {
    // Nothing was said on it: a reset spares the server a TIME_WAIT and an empty request in its log.
    if (open) stream.socket().reset();
    co_return open;
  }
  if (tls.context) {
    open = co_await shake_hands(stream, std::move(tls), std::move(name), deadline);
    if (!open || rules.kind == route::HealthKind::tls) co_return open;
  }
  std::string request = probe_request(rules, server);
  ProbeAnswer heard;
  Status answered = co_await ask_http(world, rules, stream, std::move(request), deadline, heard);
  if (answer != nullptr) *answer = heard;
  co_return answered;
}

namespace {

/// Of a server that is well: keeps what it says of itself.
void keep_answer(io::World& world, route::Pool& pool, route::ServerIndex server, const ProbeAnswer& answer) {
  const std::string name = pool.name() + "/" + pool.server(server).name;
  if (answer.draining != pool.draining(server)) {
    const Duration time = pool.health_rules().drain_time;
    const TimePoint deadline = time == Duration(0) ? kNever : world.clock.now() + time;
    pool.set_draining(server, answer.draining, deadline);
    world.log.info("server " + name +
                   (answer.draining ? " drains: no new clients" : " takes new clients again"));
  }
  if (answer.draining) return;  // its answer is about that alone
  const std::uint8_t share = answer.share_percent.value_or(100);
  if (share == pool.share_percent(server)) return;
  pool.set_share_percent(server, share);
  world.log.info("server " + name + " asks for " + std::to_string(share) + "% of its weight");
}

}  // namespace

Task<void> probe_for_ever(io::World& world, route::Pool& pool, route::ServerIndex server, OnHealth on_health,
                          Stop& stop, ProbeTls tls) {
  const route::HealthRules& rules = pool.health_rules();
  route::ProbeSchedule schedule(rules, world.clock.now(), world.random);
  while (schedule.next_probe_at() != kNever) {
    const Woken woken = co_await io::sleep_until(world, schedule.next_probe_at(), stop);
    if (woken == Woken::stopped) co_return;
    schedule.probe_began(world.clock.now(), world.random);
    ProbeAnswer answer;
    const Address to = pool.server(server).address;
    std::string name_in_certificate = pool.server(server).tls_name;
    Status well = co_await probe(world, rules, to, stop, &answer, tls, std::move(name_in_certificate));
    if (!well && well.error().kind == ErrorKind::cancelled) co_return;
    // Our own want of descriptors says nothing about the server.
    if (!well && well.error().side == Side::ours) continue;
    const route::ProbeResult result = well ? route::ProbeResult::well : route::ProbeResult::ill;
    const route::HealthChange change = pool.observe(server, result, world.clock.now());
    const std::string name = pool.name() + "/" + pool.server(server).name;
    if (rules.kind == route::HealthKind::http && well) keep_answer(world, pool, server, answer);
    if (change == route::HealthChange::none) continue;
    if (change == route::HealthChange::went_up) world.log.info("server " + name + " is up");
    if (change == route::HealthChange::went_down)
      world.log.warn("server " + name + " is down: " + to_string(well.error()));
    if (on_health) on_health(server, change);
  }
}

}  // namespace rejoin::upstream
