#include "apps/gateway/enter_tls.h"

#include <string>

#include "apps/gateway/record.h"
#include "apps/gateway/serve_player.h"
#include "apps/gateway/worker.h"
#include "io/stream.h"

namespace rejoin::gateway {

Task<void> enter_tls(Worker& worker, io::Socket accepted, Caller caller,
                     const config::GatewayListener& listener, std::string said, route::Admission::Pass pass) {
  io::World& world = worker.world();
  Result<io::Socket> begun =
      worker.tls().accept_with(worker.tls_of(listener)->get(), std::move(accepted), said);
  if (!begun) {
    world.log.warn("accepting " + caller.client.text() + ": " + to_string(begun.error()));
    co_return;
  }
  io::Stream stream(world, std::move(*begun), Side::client, worker.stop_switch());
  Refused refused;
  refused.began = world.clock.now();
  const TimePoint deadline = refused.began + listener.tls->handshake_timeout;
  Status open = co_await stream.writable(deadline);
  if (open) open = stream.socket().connect_status();
  if (!open) {
    const bool late = open.error().kind == ErrorKind::timed_out;
    ++(late ? worker.counts().timed_out : worker.counts().tls_failed);
    refused.by = open.error().side;
    refused.phase = "tls";
    refused.reason = late ? "late" : "no_tls";
    refused.detail = to_string(open.error());
    worker.tell(caller.client, "no TLS: " + refused.detail);
    if (open.error().kind != ErrorKind::cancelled) record_refused(worker, caller, listener, refused);
    co_return;
  }
  ++worker.counts().tls_handshakes;
  io::TlsInfo info = worker.tls().info(stream.socket());
  if (info.resumed) ++worker.counts().tls_resumed;
  caller.tls_version = std::move(info.version);
  caller.sni = std::move(info.server_name);
  if (listener.kind == config::GatewayListenerKind::websocket) {
    worker.spawn(serve_websocket(worker, stream.release(), std::move(caller), listener, std::string(),
                                 std::move(pass)));
  } else {
    worker.park_tcp(stream.release(), caller, listener, std::move(pass), MutableBytes());
  }
}

}  // namespace rejoin::gateway
