// One worker of the gateway: its listeners, the connections that shake hands, and the links that they become.
//
// Knows no kernel and no thread: it runs on the World that it is given, which may be a simulation's.
// serve_player.cc is the life of a connection; here is what such a life needs around it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "apps/config/config.h"
#include "apps/gateway/link.h"
#include "apps/serve/workers.h"
#include "base/record_pool.h"
#include "base/scope.h"
#include "io/network.h"
#include "io/world.h"
#include "proto/ws_handshake.h"
#include "upstream/echo.h"

namespace rejoin::gateway {

/// Plain integers that only grow.
struct Counts {
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;        // heads heard whole, /healthz included
  std::uint64_t links = 0;           // opened
  std::uint64_t messages = 0;        // from clients
  std::uint64_t refused_heads = 0;   // answered with an error
  std::uint64_t timed_out = 0;       // clients that did not send their head in time
  std::uint64_t refused_frames = 0;  // links ended because their client broke a rule
  std::uint64_t pauses = 0;          // a link was not read because its client did not read
};

class Worker final : public serve::WorkerProgram {
 public:
  /// `rules` and `world` outlive the worker, which must be idle() when it dies.
  Worker(io::World& world, const config::Gateway& rules);
  ~Worker() override;

  Status open(const std::vector<Address>& at) override;
  std::vector<Address> addresses() const override;
  /// Stops listening. Handshakes in progress end, WebSocket links get a close frame 1001, TCP links a FIN.
  /// All of them have ended after limits::kCloseReplyS and limits::kLingerMs, if their clients take what is
  /// sent to them.
  void drain() override;
  /// Resets every link.
  void stop() override;
  bool idle() const override;

  bool draining() const { return draining_; }
  std::size_t links() const { return websocket_links_.live() + tcp_links_.live(); }
  const Counts& counts() const { return counts_; }

  // --- for the coroutines that serve, and for links ---
  io::World& world() { return world_; }
  const config::Gateway& rules() const { return rules_; }
  Counts& counts() { return counts_; }
  const upstream::Echo& echo() const { return echo_; }
  proto::AcceptHasher& hasher() { return hasher_; }
  /// Thrown by drain() already: ends every wait of a handshake.
  Stop& stop_switch() { return stop_handshakes_; }

  /// A WebSocket is open: its handshake was answered and it was greeted. `arrived` came behind the request.
  void park_websocket(io::Socket socket, const Address& client, MutableBytes arrived);
  /// The same for TCP, where nothing was said yet.
  void park_tcp(io::Socket socket, const Address& client);
  void link_ended(WebSocketLink& link, LinkEnd how);
  void link_ended(TcpLink& link, LinkEnd how);

  /// For a line about one client's connection in the log, if anybody reads such.
  void tell(const Address& client, std::string_view what);
  void tell(const Link& link, std::string_view what) { tell(link.client(), what); }

 private:
  struct Entrance;
  void begin(Link& link, MutableBytes arrived);

  io::World& world_;
  const config::Gateway& rules_;
  upstream::Echo echo_;
  proto::AcceptHasher hasher_;
  std::vector<std::unique_ptr<Entrance>> entrances_;
  RecordPool<WebSocketLink> websocket_links_;
  RecordPool<TcpLink> tcp_links_;
  List<Link> open_links_;
  Stop stop_handshakes_;
  Scope handshakes_;
  Counts counts_;
  bool draining_ = false;
};

}  // namespace rejoin::gateway
