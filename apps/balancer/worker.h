// One worker of the balancer: its listeners, the connections on them, and the tunnels that they become.
//
// Knows no kernel and no thread: it runs on the World that it is given, which may be a simulation's.
// serve_client.cc is the life of a connection; here is what such a life needs around it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "apps/balancer/books.h"
#include "apps/balancer/generation.h"
#include "apps/balancer/legacy.h"
#include "apps/balancer/plan.h"
#include "apps/balancer/probes.h"
#include "apps/balancer/seen.h"
#include "apps/serve/workers.h"
#include "base/record_pool.h"
#include "base/scope.h"
#include "io/network.h"
#include "io/stream.h"
#include "io/tls_network.h"
#include "io/world.h"
#include "proto/ws_handshake.h"
#include "route/router.h"
#include "route/seal.h"
#include "upstream/relay.h"
#include "upstream/relay_care.h"
#include "watch/access_log.h"
#include "watch/admin_server.h"

namespace rejoin::balancer {

class Operations;
class Admin;
class Worker;

/// What the access log says of a tunnel's client besides its address. Few tunnels have any.
struct ClientNotes {
  Address peer;
  std::string tls_version, sni;
};

/// What a tunnel begins with, besides its two sockets.
struct TunnelStart {
  route::Admission::Pass pass;
  bool websocket = false;
  route::Lease held;     // Router::hold()
  std::uint64_t id = 0;  // of its request
  Decision decision{};   // how its server was found
  std::unique_ptr<ClientNotes> notes;
  /// Read, and not passed on: only where the listener asks for care of this kind of tunnel.
  Buffer from_client, from_server;
};

/// A client's connection joined to a server's, for the rest of their lives: layer 4, and layer 7 after a 101.
/// It outlives generations, see generation.h.
struct Tunnel final : upstream::Relay {
  Tunnel(Worker& owner, ListenerPtr listener, io::Socket client_socket, io::Socket server_socket,
         const Address& client, route::ServerUse use, route::Lease lease, upstream::ClientFin client_fin,
         TunnelStart& start);
  ListenerPtr listener;
  route::Admission::Pass pass;
  route::ServerUse use;
  route::Lease lease;
  route::Lease held;  // Router::hold()
  std::uint64_t id;   // TunnelStart's
  Address client;
  Decision decision;
  bool noted;  // the worker keeps its ClientNotes
};
static_assert(sizeof(Tunnel) <= 368,
              "the record of an idle relayed connection; the aim for all of one is 600 bytes");

using serve::Entry;

/// What a worker has around it besides its World. All outlives it.
struct Surroundings {
  serve::Colleagues* colleagues = nullptr;   // nullptr: it is alone
  watch::AccessSink* access = nullptr;       // nullptr: there is no access log
  const watch::AdminDoor* admin = nullptr;   // of worker 0; nullptr: no admin port
  std::atomic<unsigned>* serving = nullptr;  // workers that are there, which it counts itself among
};

class Worker final : public serve::WorkerProgram, private upstream::RelayOwner {
 public:
  /// `number` from 0: worker 0 probes the servers. `world` outlives the worker, which must be idle() when it
  /// dies.
  Worker(io::World& world, std::shared_ptr<const Plan> plan, unsigned number,
         const Surroundings& around = {});
  ~Worker() override;

  /// Opens a listener for each of the plan, at `at[i]` where given (the real port that worker 0 was given for
  /// port 0). Error: the first that could not be opened.
  Status open(const std::vector<Address>& at) override;
  /// The real addresses, in the plan's order.
  std::vector<Address> addresses() const override;

  /// Takes no new connections; requests in progress end, and so do keep-alive connections after them. Tunnels
  /// stay.
  void drain() override;
  /// The same, but a client of a keep-alive connection gets one more answer, which says that it is the last,
  /// and no WebSocket is closed for it. (It cannot know that it is to go, and may just be asking.)
  void retire() override;
  /// Ends everything now: tunnels are reset, waits are cancelled. idle() is true some turns later.
  void stop() override;
  /// No connection, tunnel or task is left.
  bool idle() const override;
  /// Takes no new connections.
  bool draining() const { return draining_; }
  /// And waits for no further request.
  bool hurries() const { return hurries_; }

  /// In worker 0: how it is changed while it runs. Once, before open().
  void be_operated_by(std::unique_ptr<Operations> operations);
  /// nullptr where there is none.
  Operations* operations() { return operations_.get(); }
  void hang_up(std::function<void()> done) override;
  void bequeath(std::function<void(LegacyMaker)> then) override;
  void next_failed() override;
  /// The leases in it; the rest is run_balancer's.
  void inherit(Bytes legacy) override;
  void predecessor_ended() override { legacy_.reset(); }
  // --- for operators: admin.cc, metrics.cc ---
  unsigned number() const { return number_; }
  /// Ends it at once, both sides reset, as an operator asked.
  void end_by_operator(Tunnel& tunnel);
  /// The admin port; nullptr in all workers but the first, and where none is configured.
  Admin* admin() { return admin_.get(); }
  Books& books() { return books_; }
  /// Of all listeners of the present plan together, for tests.
  Counts counts() const;

  // --- another Plan, in two halves: what can fail, and what cannot ---
  /// Makes ready to go over to `plan`: opens the listeners that are new, at `at[i]` where that is given (see
  /// open()). Error: the first that could not be opened, and nothing has changed. Not while draining, nor
  /// twice.
  Status prepare(std::shared_ptr<const Plan> plan, const std::vector<Address>& at);
  /// The real addresses of the listeners that there will be, in the new plan's order.
  std::vector<Address> prepared_addresses() const;
  /// Goes over: new connections and requests are served by the new plan, doors that it does not have are
  /// closed after their queues were accepted. No connection is touched. After take_effect() (plan.h).
  void commit();
  /// Forgets what was prepared; harmless when nothing was.
  void abandon();

  /// Ends the tunnels to one server, both sides reset. Returns how many.
  std::size_t close_tunnels(const route::ServerRef& server);

  // --- for the coroutines that serve ---
  io::World& world() { return world_; }
  /// By which clients that come now are served.
  const GenerationPtr& generation() const { return generation_; }
  /// Thrown by stop(): ends every wait of a connection.
  Stop& stop_switch() { return stop_; }
  /// One client that may be between two requests: as long as it lives, a drain interrupts the client's waits.
  class Waiting : private ListNode {
   public:
    Waiting(Worker& worker, io::Stream& stream) : client(stream) { worker.waiting_.push_back(*this); }

   private:
    friend class Worker;
    friend class List<Waiting>;
    io::Stream& client;
  };
  /// One exchange with a server that may have to end when the server goes down.
  class Busy : private ListNode {
   public:
    Busy(Worker& worker, io::Stream& stream) : stream_(stream) { worker.busy_.push_back(*this); }
    /// It is with this server from now on.
    void at(const route::ServerRef& server) { server_ = server; }

   private:
    friend class Worker;
    friend class List<Busy>;
    io::Stream& stream_;
    route::ServerRef server_;
  };
  /// A server did not take a client: marks it, makes `choice` name the next one, and logs.
  void server_refused(PoolUse& pool, route::Choice& choice, const Error& why);
  /// TLS with a server did not come to be: says so aloud, though not at each connection.
  void server_spoke_no_tls(PoolUse& pool, route::ServerIndex server, const Error& why);
  /// A server took a client and then answered badly, or not at all: counts against it (PassiveRules).
  void server_answered_badly(PoolUse& pool, route::ServerIndex server, std::string_view why);
  /// Somebody on any worker has found that a server is down: kept connections to it end, and where `close`
  /// says so all others too; who waits for it looks again.
  void server_went_down(const route::ServerRef& server, bool close);
  /// Who waits for room, in any pool, looks again.
  void look_for_room() { rooms_.look(world_.clock.now()); }
  upstream::RelayOwner& tunnel_owner() { return *this; }
  /// Every TLS connection of this worker is one of it, to clients and to servers.
  io::TlsNetwork& tls() { return tls_; }
  /// nullptr: there is none.
  watch::AccessLog* access_log() { return access_log_ ? &*access_log_ : nullptr; }
  /// For a request or a connection: unique in the process, and in practice for ever. The first byte is the
  /// worker's number.
  std::uint64_t next_id();
  serve::EdgeCounts& edge() { return edge_; }
  proto::AcceptHasher& accept_hasher() { return accept_hasher_; }
  /// The pool's tables of leases live on as long as one is open, though the pool may be gone or another: for
  /// a tunnel, which holds no Generation.
  void keep_tables(const PoolUse& pool);
  /// Joins the two and forgets them until they end.
  void park(ListenerPtr listener, io::Socket client_socket, io::Socket server_socket, const Address& client,
            route::ServerUse use, route::Lease lease, upstream::ClientFin client_fin, TunnelStart start);
  /// Calls `visit(Tunnel&)` for each.
  template <typename Visit>
  void for_each_tunnel(Visit visit) {
    const auto as_tunnel = [&visit](upstream::Relay& tunnel) { visit(static_cast<Tunnel&>(tunnel)); };
    dismissable_.for_each(as_tunnel);
    open_tunnels_.for_each(as_tunnel);
  }
  std::size_t tunnels() const { return tunnels_.live(); }
  /// nullptr: it has none.
  const ClientNotes* notes_of(const Tunnel& tunnel) const {
    return tunnel.noted ? notes_.at(&tunnel).get() : nullptr;
  }
  /// For a line about one client's connection in the log, if anybody reads such.
  void tell(const ListenerPlan& listener, const Address& client, std::string_view what);

 private:
  struct Entrance;
  struct Coming;
  Status open(Entrance& entrance, const Address& at);
  Entrance* kept_for(const Generation& next, const ListenerPlan& listener);
  void pools_changed(const Generation& before);
  void relay_ended(upstream::Relay& relay, upstream::RelayEnd end) override;
  void count_end(const upstream::RelayEnd& end);
  void tick();
  bool clients_are_gone() const { return connections_.running() == 0 && tunnels_.live() == 0; }
  void close_admin_when_alone();
  void tell_all_of_down(const PoolUse& pool, route::ServerIndex server);
  /// Closes the next tunnel of a drain, and comes again after its share of a second.
  void dismiss_next();

  io::World& world_;
  unsigned number_;
  io::TlsNetwork tls_;
  Surroundings around_;
  serve::Colleagues* colleagues_;
  std::optional<watch::AccessLog> access_log_;
  Books books_;
  Rooms rooms_;
  route::Seal seal_;
  bool said_new_key_ = false;
  proto::AcceptHasher accept_hasher_;
  GenerationPtr generation_;
  std::vector<std::unique_ptr<Entrance>> entrances_;  // in the plan's order
  std::unique_ptr<Coming> coming_;                    // between prepare() and commit()
  /// Of plans that are gone, while one of their leases is open.
  std::vector<std::shared_ptr<route::LeaseTable>> old_leases_;
  std::optional<Legacy> legacy_;  // while the process in whose place we came is there
  RecordPool<Tunnel> tunnels_;
  /// Beside the records, which stay as small as they are.
  std::unordered_map<const Tunnel*, std::unique_ptr<ClientNotes>> notes_;
  List<upstream::Relay> open_tunnels_;
  List<upstream::Relay> dismissable_;  // of tunnels: a drain closes them one by one
  List<Waiting> waiting_;
  List<Busy> busy_;
  Stop stop_;
  Scope connections_;
  std::unique_ptr<Probes> probes_;  // of worker 0
  std::unique_ptr<Operations> operations_;
  Timer second_;  // leases expire by it
  Timer dismissal_;
  Timer last_looks_;  // while draining: is everybody gone?
  std::unique_ptr<Admin> admin_;
  std::uint64_t ids_;
  EndHow why_cancelled_ = EndHow::stopped;  // of the tunnel that is being cancelled
  serve::EdgeCounts edge_;
  bool draining_ = false;
  bool hurries_ = false;
};

}  // namespace rejoin::balancer
