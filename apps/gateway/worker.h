// One worker of the gateway: its listeners, the connections that shake hands, the links that they become, and
// the sessions that outlive them.
//
// Knows no kernel and no thread: it runs on the World that it is given, which may be a simulation's.
// serve_player.cc is the life of a connection, opening.h what its first frame comes to; here is what such a
// life needs around it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/config/config.h"
#include "apps/gateway/arrivals.h"
#include "apps/gateway/caller.h"
#include "apps/gateway/departure.h"
#include "apps/gateway/links.h"
#include "apps/gateway/operator_drain.h"
#include "apps/gateway/plan.h"
#include "apps/gateway/session_table.h"
#include "apps/serve/gate.h"
#include "apps/serve/workers.h"
#include "base/record_pool.h"
#include "base/scope.h"
#include "io/network.h"
#include "io/tls_network.h"
#include "io/world.h"
#include "proto/ws_compression.h"
#include "proto/ws_handshake.h"
#include "upstream/connector.h"
#include "upstream/relay.h"
#include "watch/access_log.h"

namespace rejoin::gateway {

class Admin;

/// Plain integers that only grow.
struct Counts {
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;          // heads heard whole, /healthz included
  std::uint64_t links = 0;             // opened
  std::uint64_t compressed_links = 0;  // of these: permessage-deflate was agreed on
  std::uint64_t messages = 0;          // from clients, frames of the resume protocol included
  std::uint64_t refused_heads = 0;     // answered with an error
  std::uint64_t refused_origins = 0;   // of these: a page that may not
  std::uint64_t timed_out = 0;         // clients that did not send their head, or opening frame, in time
  std::uint64_t refused_frames = 0;    // links ended because their client broke a rule of its transport
  std::uint64_t bad_frames = 0;        // links ended because their client broke a rule of rejoin.v1 (4400)
  std::uint64_t over_limit = 0;        // links ended because their client sent more than it may (4413)
  std::uint64_t pauses = 0;            // a link was not read because its client did not read
  std::uint64_t handed_over = 0;       // links whose session is another worker's
  std::uint64_t tls_handshakes = 0;    // that succeeded
  std::uint64_t tls_resumed = 0;       // of these: with a TLS session of before
  std::uint64_t tls_failed = 0;        // those that did not, but for the timed out
};

/// Two connections joined: a client's, and one to the gateway that has its session.
struct OwnerRelay final : upstream::Relay {
  OwnerRelay(io::World& world, upstream::RelayOwner& owner, io::Socket client_socket,
             io::Socket server_socket, upstream::RelayRules rules, route::Admission::Pass right,
             std::unique_ptr<LinkNotes> of)
      : Relay(world, owner, std::move(client_socket), std::move(server_socket), rules),
        pass(std::move(right)),
        notes(std::move(of)) {}
  route::Admission::Pass pass;
  std::unique_ptr<LinkNotes> notes;  // with an access log
};

class Worker final : public serve::WorkerProgram, private upstream::RelayOwner {
 public:
  /// `plan` and `world` outlive the worker, which must be idle() when it dies. `number` from 0; worker 0
  /// probes the game servers. Without `colleagues` it is alone. `access`, which outlives it: where the access
  /// log goes; nullptr: there is none.
  Worker(io::World& world, const Plan& plan, unsigned number = 0, serve::Colleagues* colleagues = nullptr,
         watch::AccessSink* access = nullptr);
  ~Worker() override;

  Status open(const std::vector<Address>& at) override;
  std::vector<Address> addresses() const override;
  /// Stops listening. Links of the resume protocol are told to come again (DETACH 1012), plain WebSocket
  /// links get a close frame 1001, TCP links a FIN; their sessions end, and their game servers get what was
  /// said.
  void drain() override;
  /// Resets every link, ends every session.
  void stop() override;
  bool idle() const override;
  /// SIGHUP: certificates are read again.
  void hang_up(std::function<void()> done) override;

  // --- the upgrade of a gateway: sessions go from process to process (departure.h, arrivals.h) ---
  void expect(std::unique_ptr<io::PassChannel> before) override;
  Status may_hand_on() const override;
  void hand_on(std::unique_ptr<io::PassChannel> next) override;
  /// Everything has gone to the next process, or has ended.
  bool over() const override { return departure_ && departure_->phase() == Departure::Phase::over; }
  /// nullptr: there was no upgrade.
  const Departure* departure() const { return departure_.get(); }
  const Arrivals* arrivals() const { return arrivals_.get(); }
  /// Does the next process take whoever dials?
  bool moving_out() const { return departure_ && departure_->under_way(); }
  MoveCounts& moves() { return moves_; }
  const MoveCounts& moves() const { return moves_; }
  /// For the next hand_on(), instead of what the configuration says; nothing: as that says.
  void set_upgrade_over(std::optional<Duration> over) { upgrade_over_ = over; }
  void stop_accepting();
  /// After that: on the same addresses, again and again for some seconds while they are taken.
  void accept_again();
  /// A connection on a websocket listener that has said `said` is the next process's. Only while
  /// moving_out().
  void pass_on(io::Socket socket, const Address& client, const config::GatewayListener& listener, Bytes said);
  /// One that the process before this one passed on; `listener`: its place in the configuration.
  void serve_passed(io::Socket socket, const Address& client, std::size_t listener, Bytes said);
  /// Connections that shake hands, and what else belongs to openings.
  std::size_t shaking() const { return handshakes_.running(); }

  bool draining() const { return draining_; }
  /// May new sessions begin? Not once drain() was called, and not while an operator's drain is on. Those that
  /// live may be come back to in the second case.
  bool admits() const { return !draining_ && !operator_drain_.on(); }
  std::size_t links() const { return websocket_links_.live() + tcp_links_.live(); }
  const Counts& counts() const { return counts_; }
  const SessionTable& sessions() const { return sessions_; }
  template <typename Visit>
  void for_each_link(Visit visit) {
    open_links_.for_each(visit);
  }

  // --- for the coroutines that serve, and for links ---
  io::World& world() { return world_; }
  const config::Gateway& rules() const { return plan_.rules; }
  const Plan& plan() const { return plan_; }
  unsigned number() const { return number_; }
  unsigned colleagues_count() const { return colleagues_ != nullptr ? colleagues_->count() : 1; }
  Counts& counts() { return counts_; }
  serve::EdgeCounts& edge() { return edge_; }
  /// nullptr: there is none.
  watch::AccessLog* access_log() { return access_log_ ? &*access_log_ : nullptr; }
  /// For a connection that becomes a link; nullptr where there is no access log.
  std::unique_ptr<LinkNotes> notes_of(const Caller& caller, const config::GatewayListener& listener) const {
    return access_log_ ? std::make_unique<LinkNotes>(caller, listener.name) : nullptr;
  }
  SessionTable& sessions() { return sessions_; }
  upstream::Connector& games() { return games_; }
  OperatorDrain& operator_drain() { return operator_drain_; }
  /// The admin port; nullptr in all workers but the first, and where none is configured.
  Admin* admin() { return admin_.get(); }
  proto::AcceptHasher& hasher() { return hasher_; }
  /// Every TLS connection of players with this worker is one of it.
  io::TlsNetwork& tls() { return tls_; }
  /// Of one of the plan's listeners, which has TLS.
  const config::TlsInUse& tls_of(const config::GatewayListener& listener) const;
  const config::TlsInUse& tls_of(const config::PeerGateway& peer) const;
  /// What compresses messages; nullptr where that is off.
  proto::CompressionShare* compression() { return compression_.get(); }
  /// Thrown by drain() already: ends every wait of a handshake.
  Stop& stop_switch() { return stop_handshakes_; }
  /// Work that belongs to an opening.
  void spawn(Task<void> task) { handshakes_.spawn(std::move(task)); }

  // --- connections become links ---
  /// A request for a WebSocket was accepted; `head` is the 101, and nothing else was sent. `terms`: of
  /// permessage-deflate, where they were agreed on (only with compression()). Not started yet.
  WebSocketLink& make_websocket(io::Socket socket, const Address& client, LinkMode mode, Bytes head,
                                const std::optional<proto::DeflateTerms>& terms);
  /// With the protocol that its listener has.
  void park_tcp(io::Socket socket, const Caller& caller, const config::GatewayListener& listener,
                route::Admission::Pass pass, MutableBytes arrived);
  /// Starts a link: `arrived` came behind its handshake.
  void begin(Link& link, MutableBytes arrived);
  /// The session of a plain client, and the game server's connection with it. `link` is not attached yet.
  void open_plain(Link& link);
  void park_relay(io::Socket client_socket, io::Socket server_socket, const Address& client,
                  std::string_view owner, route::Admission::Pass pass, std::unique_ptr<LinkNotes> notes);
  /// The link, whose opening frame was `frame`, goes to another worker. It is destroyed when this returns.
  void hand_over(Link& link, unsigned worker, std::string frame);
  /// A connection that has said `said` goes to another worker, which serves it from the beginning.
  void hand_over(io::Socket socket, const Caller& caller, unsigned worker,
                 const config::GatewayListener& listener, std::string said, route::Admission::Pass pass);
  void link_ended(WebSocketLink& link, LinkEnd how);
  void link_ended(TcpLink& link, LinkEnd how);

  // --- links have something to say ---
  /// At the end of this turn. A ticket, for no_flush().
  std::uint32_t flush_soon(Link& link);
  void no_flush(std::uint32_t ticket);

  // --- clients that break a rule; the session, if any, waits for their next link ---
  void bad_frame(Link& link, Bytes why);
  void too_much(Link& link, Bytes why);
  void silent(Link& link);
  void opening_late(Link& link);

  /// For a line about one client's connection in the log, if anybody reads such.
  void tell(const Address& client, std::string_view what);
  void tell(const Link& link, std::string_view what) { tell(link.client(), what); }

 private:
  struct Entrance;
  struct Flusher;
  void dismiss(Link& link, proto::LinkCode code, Bytes why, LinkEnd end);
  upstream::RelayOwner& relay_owner() { return *this; }
  void relay_ended(upstream::Relay& relay, upstream::RelayEnd end) override;
  WebSocketLink& add_websocket(io::Socket socket, const Address& client, LinkMode mode, Bytes head,
                               WebSocketLink::Compression compression);
  template <typename Pool, typename LinkKind>
  void ended(Pool& pool, LinkKind& link, LinkEnd how, std::string_view kind);
  void end_sessions();
  Status open_listener(Entrance& entrance, const Address& at);
  Status open_admin(const Address& at);
  void reopen();

  io::World& world_;
  const Plan& plan_;
  unsigned number_;
  serve::Colleagues* colleagues_;
  std::optional<watch::AccessLog> access_log_;
  io::TlsNetwork tls_;
  proto::AcceptHasher hasher_;
  upstream::Connector games_;
  SessionTable sessions_;
  std::vector<std::unique_ptr<Entrance>> entrances_;
  std::unique_ptr<Flusher> flusher_;
  std::unique_ptr<proto::CompressionShare> compression_;  // outlives the links
  RecordPool<WebSocketLink> websocket_links_;
  RecordPool<TcpLink> tcp_links_;
  RecordPool<OwnerRelay> relays_;
  List<Link> open_links_;
  List<upstream::Relay> open_relays_;
  Stop stop_handshakes_;
  Scope handshakes_;
  OperatorDrain operator_drain_;
  std::unique_ptr<Admin> admin_;
  std::vector<std::unique_ptr<Admin>> last_admins_;  // those before, while their replies go out
  std::unique_ptr<Arrivals> arrivals_;
  std::unique_ptr<Departure> departure_;
  std::vector<std::unique_ptr<Departure>> failed_departures_;  // their tasks may still be there
  std::vector<Address> opened_at_;                             // the listeners' real addresses
  Timer reopening_;
  TimePoint reopen_until_{};
  std::optional<Duration> upgrade_over_;
  MoveCounts moves_;
  Counts counts_;
  serve::EdgeCounts edge_;
  bool draining_ = false;
};

}  // namespace rejoin::gateway
