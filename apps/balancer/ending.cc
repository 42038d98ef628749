#include "apps/balancer/ending.h"

namespace rejoin::balancer {
namespace {

EndHow how_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::bad_input: return EndHow::bad_input;
    case ErrorKind::too_large: return EndHow::limit;
    case ErrorKind::unsupported: return EndHow::unsupported;
    case ErrorKind::timed_out: return EndHow::timeout;
    case ErrorKind::closed: return EndHow::closed;
    case ErrorKind::reset: return EndHow::reset;
    case ErrorKind::refused:
    case ErrorKind::unreachable: return EndHow::refused;
    case ErrorKind::exhausted: return EndHow::exhausted;
    case ErrorKind::cancelled: return EndHow::stopped;
    case ErrorKind::os: return EndHow::reset;
    case ErrorKind::config: break;
  }
  return EndHow::unsupported;
}

}  // namespace

std::string_view to_string(EndHow how) {
  switch (how) {
    case EndHow::done: return "done";
    case EndHow::closed: return "closed";
    case EndHow::reset: return "reset";
    case EndHow::timeout: return "timeout";
    case EndHow::bad_input: return "bad_input";
    case EndHow::limit: return "limit";
    case EndHow::unsupported: return "unsupported";
    case EndHow::refused: return "refused";
    case EndHow::come_again: return "come_again";
    case EndHow::exhausted: return "exhausted";
    case EndHow::stopped: return "stopped";
    case EndHow::by_operator: return "operator";
    case EndHow::server_down: return "server_down";
  }
  return "?";
}

std::string_view to_string(EndPhase phase) {
  switch (phase) {
    case EndPhase::gate: return "gate";
    case EndPhase::proxy: return "proxy";
    case EndPhase::hello: return "hello";
    case EndPhase::tls: return "tls";
    case EndPhase::head: return "head";
    case EndPhase::queue: return "queue";
    case EndPhase::connect: return "connect";
    case EndPhase::upload: return "upload";
    case EndPhase::response: return "response";
    case EndPhase::download: return "download";
    case EndPhase::tunnel: return "tunnel";
  }
  return "?";
}

Ending ending_of(const Error& error, EndPhase phase) { return {error.side, how_of(error.kind), phase}; }

Ending ending_of(const upstream::RelayEnd& end) {
  EndHow how = EndHow::done;
  switch (end.how) {
    case upstream::RelayEnd::How::finished: how = EndHow::done; break;
    case upstream::RelayEnd::How::broken: how = EndHow::reset; break;
    case upstream::RelayEnd::How::idle: how = EndHow::timeout; break;
    case upstream::RelayEnd::How::cancelled:
    case upstream::RelayEnd::How::dismissed: how = EndHow::stopped; break;
    case upstream::RelayEnd::How::silent:
    case upstream::RelayEnd::How::stalled:
    case upstream::RelayEnd::How::dead: how = EndHow::timeout; break;
    case upstream::RelayEnd::How::refused: how = EndHow::bad_input; break;
  }
  return {end.side, how, EndPhase::tunnel};
}

Ending ending_of_head(int status) {
  EndHow how = EndHow::bad_input;
  if (status == 414 || status == 431) how = EndHow::limit;
  if (status == 501 || status == 505) how = EndHow::unsupported;
  return {Side::client, how, EndPhase::head};
}

}  // namespace rejoin::balancer
