#include "apps/gateway/enter_tls.h"

#include <string>

#include "apps/gateway/serve_player.h"
#include "apps/gateway/worker.h"
#include "io/stream.h"

namespace rejoin::gateway {

Task<void> enter_tls(Worker& worker, io::Socket accepted, Address client,
                     const config::GatewayListener& listener, std::string said, route::Admission::Pass pass) {
  io::World& world = worker.world();
  Result<io::Socket> begun =
      worker.tls().accept_with(worker.tls_of(listener)->get(), std::move(accepted), said);
  if (!begun) {
    world.log.warn("accepting " + client.text() + ": " + to_string(begun.error()));
    co_return;
  }
  io::Stream stream(world, std::move(*begun), Side::client, worker.stop_switch());
  const TimePoint deadline = world.clock.now() + listener.tls->handshake_timeout;
  Status open = co_await stream.writable(deadline);
  if (open) open = stream.socket().connect_status();
  if (!open) {
    if (open.error().kind == ErrorKind::timed_out) {
      ++worker.counts().timed_out;
    } else {
      ++worker.counts().tls_failed;
    }
    worker.tell(client, "no TLS: " + to_string(open.error()));
    co_return;
  }
  ++worker.counts().tls_handshakes;
  if (worker.tls().info(stream.socket()).resumed) ++worker.counts().tls_resumed;
  if (listener.kind == config::GatewayListenerKind::websocket) {
    worker.spawn(serve_websocket(worker, stream.release(), client, listener, std::string(), std::move(pass)));
  } else {
    worker.park_tcp(stream.release(), client, listener.protocol, std::move(pass), MutableBytes());
  }
}

}  // namespace rejoin::gateway
