// Makes sessions' connections to game servers, and knows the servers: one address, or a pool with the
// balancer's schedulers and health checks.
//
// Place: between a session and its GameConnection; asked once per session. One connection lives as long as
// its session, so no affinity is needed. Owner: a gateway's worker, one each; its loop's thread. What workers
// share of a pool is a route::SharedRoute.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/record_pool.h"
#include "base/scope.h"
#include "base/timers.h"
#include "io/tls_network.h"
#include "io/world.h"
#include "proto/length_framing.h"
#include "proto/ws_handshake.h"
#include "route/router.h"
#include "upstream/echo.h"
#include "upstream/echo_connection.h"
#include "upstream/game_connection.h"
#include "upstream/tcp_connection.h"
#include "upstream/ws_connection.h"

namespace rejoin::upstream {

enum class GameKind : std::uint8_t { echo, tcp, ws };

/// Whether a header tells a tcp game server who the player is, before the first message
/// (proto/proxy_header.h).
enum class ProxyProtocol : std::uint8_t {
  off,
  v1,  // one line of text: addresses
  v2,  // binary: addresses, and the session's id
};

/// What [gateway] upstream says. A value; outlives its Connectors.
struct GameRules {
  GameKind kind = GameKind::echo;
  Address address;                // of the one game server; none: a pool
  Duration connect_timeout = 3s;  // of one server; and once more for a WebSocket's handshake
  // --- tcp ---
  proto::LengthFormat length;  // its message_max bounds messages of the game server
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  // --- ws ---
  std::uint32_t message_max = limits::kMessageBytesMax;  // of the game server
  std::string path = "/";                                // and query
  std::string host;                                      // the Host field; empty: the server's IP:PORT
  // --- TLS ---
  std::shared_ptr<io::TlsContextInUse> tls{};  // nullptr: none
  std::string tls_name{};                      // of the one game server; empty: its address
};

/// Plain integers that only grow.
struct GameCounts {
  std::uint64_t opened = 0;                      // connections that came to be
  std::uint64_t failed = 0;                      // servers that could not be reached, each attempt
  std::array<std::uint64_t, kGameEnds> ended{};  // per GameEnd; cancelled ones are `stopped`
};

class Connector {
 public:
  /// `name` is the gateway's, for an echo's greeting. `pool` is given exactly when a server is needed and
  /// `rules` have no address. World, rules and pool outlive the Connector. `worker`: its number, from 0.
  Connector(io::World& world, const GameRules& rules, std::string name, route::SharedRoute* pool = nullptr,
            unsigned worker = 0);
  /// idle(), by then.
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  /// A connection that has not begun: GameConnection::start(). `events` outlives it. Before it goes the
  /// Connector must.
  GamePtr make(GameEvents& events);

  /// A connection that left another process (GameConnection::leave()), of the kind that the rules say; it is
  /// read and written from the next turn on. nullptr: it does not fit here, and `socket` is untouched.
  GamePtr adopt(GameEvents& events, Bytes state, io::Socket& socket);
  /// Could adopt() take this? `has_socket`: one came along.
  bool fits(Bytes state, bool has_socket) const;
  /// What stands before the state: of which kind the connection is.
  void save_kind(std::string& state) const;

  /// Probes the pool's servers from now on, if its health checks are on, over TLS with `tls`. For one worker
  /// of a process: the results are shared.
  void probe_servers(std::shared_ptr<io::TlsContextInUse> tls = nullptr);
  /// Ends the probes; idle() follows some turns later. Connections stay, they are their sessions'.
  void stop();
  /// No connection and no probe is left.
  bool idle() const { return connections() == 0 && probes_.running() == 0; }
  std::size_t connections() const;
  const GameCounts& counts() const { return counts_; }

  // --- for connections ---
  io::World& world() { return world_; }
  const GameRules& rules() const { return rules_; }
  const Echo& echo() const { return echo_; }
  proto::AcceptHasher& hasher() { return hasher_; }
  /// The first server for a player. With one address: a choice without a server.
  route::Choice choose(const Player& player);
  /// The chosen server could not be reached: says so to the pool, and makes `choice` name the next one.
  /// False: there is none. A server whose TLS fails is said aloud, though not each time.
  bool next_server(route::Choice& choice, const Error& why);
  /// Where a server is; the one address without one. None when there is neither.
  Address address_of(std::optional<route::ServerIndex> server);
  route::ServerUse use(const route::Choice& choice);
  route::ServerUse use(route::ServerIndex server) { return {servers_->router.pool(), server}; }
  /// The pool's server at `address`; nothing: there is none, or no pool.
  std::optional<route::ServerIndex> server_at(Bytes address);
  /// Begins to connect, with TLS where the rules have it: the socket is open when both are.
  Result<io::Socket> dial(const Address& to, std::optional<route::ServerIndex> server);
  void opened() { ++counts_.opened; }
  void ended(GameEnd how) { ++counts_.ended[static_cast<std::size_t>(how)]; }
  /// Tells `events` in the next turn that the echo was stopped; forget() takes that back.
  void end_soon(EchoConnection& echo, GameEvents& events);
  void forget(EchoConnection& echo);
  void give_back(EchoConnection& record) { echoes_.destroy(record); }
  void give_back(TcpConnection& record) { tcp_.destroy(record); }
  void give_back(WsConnection& record) { ws_.destroy(record); }

 private:
  /// What is needed with a pool only.
  struct Servers {
    Servers(route::SharedRoute& pool, Random& random, unsigned worker);
    route::Seal seal;  // of nothing: the pool has no affinities
    route::Router router;
  };
  void end_echoes();

  io::World& world_;
  const GameRules& rules_;
  io::TlsNetwork tls_;
  Echo echo_;
  proto::AcceptHasher hasher_;
  std::optional<Servers> servers_;
  RecordPool<EchoConnection> echoes_;
  RecordPool<TcpConnection> tcp_;
  RecordPool<WsConnection> ws_;
  std::vector<std::pair<EchoConnection*, GameEvents*>> ending_;
  Timer end_timer_;
  Stop stop_;
  Scope probes_;
  GameCounts counts_;
  TimePoint tls_warned_{};
};

}  // namespace rejoin::upstream
