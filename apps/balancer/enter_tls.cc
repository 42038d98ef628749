#include "apps/balancer/enter_tls.h"

#include <memory>
#include <string>

#include "apps/balancer/record.h"
#include "base/limits.h"

namespace rejoin::balancer {
namespace {

/// Longer names of clients are refused: cut, one could pass for another.
constexpr std::size_t kSubjectBytesMax = 1024;

/// The handshake, until its end or the listener's patience.
Task<Status> shake_hands(Visit& visit) {
  const Worker::Waiting waiting(visit.worker, visit.client);  // a drain ends this wait
  const TimePoint deadline = visit.in(visit.listener->rules.tls->handshake_timeout);
  Status open = co_await visit.client.writable(deadline);
  if (open) open = visit.client.socket().connect_status();
  co_return open;
}

Status know_client(Visit& visit) {
  io::TlsInfo info = visit.worker.tls().info(visit.client.socket());
  if (info.resumed) ++visit.counts().tls_resumed;
  visit.scheme = "https";
  visit.certificate = std::move(info.client_certificate);
  if (!visit.facts.tls) {  // no proxy in front has told of its own
    visit.facts.authority = std::move(info.server_name);
    visit.facts.alpn = std::move(info.alpn);
    visit.facts.tls = std::make_unique<serve::ClientFacts::Tls>();
    visit.facts.tls->version = std::move(info.version);
    visit.facts.tls->cipher = std::move(info.cipher);
    visit.facts.tls->certificate = visit.facts.tls->verified = visit.certificate.has_value();
  }
  if (!visit.certificate || (visit.certificate->subject.size() <= kSubjectBytesMax &&
                             visit.certificate->issuer.size() <= kSubjectBytesMax)) {
    return {};
  }
  return Error{
      ErrorKind::too_large, Side::client, Retry::no,
      "its certificate's subject or issuer has more than " + std::to_string(kSubjectBytesMax) + " bytes"};
}

}  // namespace

Task<bool> enter_tls(Visit& visit) {
  Worker& worker = visit.worker;
  Result<io::Socket> begun =
      worker.tls().accept_with(visit.listener->tls->get(), visit.client.release(), visit.arrived.view());
  visit.arrived.release();
  if (!begun) {
    worker.world().log.warn("accepting " + visit.address.text() + ": " + to_string(begun.error()));
    co_return false;
  }
  visit.client.adopt(std::move(*begun));
  Status open = co_await shake_hands(visit);
  if (open) open = know_client(visit);
  if (open) {
    ++visit.counts().tls_handshakes;
    co_return true;
  }
  if (open.error().kind == ErrorKind::timed_out) {
    ++visit.counts().timed_out;
  } else {
    ++visit.counts().tls_failed;
  }
  Refused refused{ending_of(open.error(), EndPhase::tls), "no_tls", to_string(open.error())};
  if (open.error().kind == ErrorKind::timed_out) refused.reason = kLate;
  if (open.error().kind == ErrorKind::cancelled) refused.reason = kGone;
  worker.tell(*visit.listener, visit.address, "no TLS: " + refused.detail);
  if (refused.reason != kGone) connection_refused(visit, refused);
  co_return false;
}

Task<Status> enter_tls_to_server(Visit& visit, route::ServerIndex index, io::Stream& server,
                                 TimePoint deadline) {
  const route::Server& to = visit.pool->router.pool().server(index);
  Result<io::Socket> begun =
      visit.worker.tls().dial_with(visit.pool->plan.tls->get(), server.release(), to.tls_name);
  if (!begun) co_return std::move(begun.error());
  server.adopt(std::move(*begun));
  Status open = co_await server.writable(deadline);
  if (open) open = server.socket().connect_status();
  if (open) co_return open;
  if (open.error().kind == ErrorKind::timed_out)
    open.error().detail = "no answer to the TLS handshake in time";
  server.close();
  if (open.error().side == Side::server) visit.worker.server_spoke_no_tls(*visit.pool, index, open.error());
  co_return open;
}

}  // namespace rejoin::balancer
