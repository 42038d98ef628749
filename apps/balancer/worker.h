// One worker of the balancer: its listeners, the connections on them, and the tunnels that they become.
//
// Knows no kernel and no thread: it runs on the World that it is given, which may be a simulation's.
// serve_client.cc is the life of a connection; here is what such a life needs around it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/balancer/generation.h"
#include "apps/balancer/plan.h"
#include "apps/balancer/probes.h"
#include "apps/serve/workers.h"
#include "base/record_pool.h"
#include "base/scope.h"
#include "io/network.h"
#include "io/stream.h"
#include "io/world.h"
#include "proto/ws_handshake.h"
#include "route/router.h"
#include "route/seal.h"
#include "upstream/relay.h"

namespace rejoin::balancer {

class Worker;

/// A client's connection joined to a server's, for the rest of their lives: layer 4, and layer 7 after a 101.
/// It outlives generations, see generation.h.
struct Tunnel final : upstream::Relay {
  Tunnel(Worker& owner, ListenerPtr listener, io::Socket client_socket, io::Socket server_socket,
         const Address& client, route::ServerUse use, route::Lease lease, upstream::ClientFin client_fin,
         route::Lease held);
  ListenerPtr listener;
  route::ServerUse use;
  route::Lease lease;
  route::Lease held;  // Router::hold()
  Address client;
};
static_assert(sizeof(Tunnel) <= 368,
              "the record of an idle relayed connection; the aim for all of one is 600 bytes");

/// Plain integers that only grow.
struct Counts {
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;
  std::uint64_t tunnels = 0;
  std::uint64_t refused_heads = 0;  // answered 400, 414, 431, 501, 505
  std::uint64_t timed_out = 0;      // clients that did not send their head, or their first frame, in time
  std::uint64_t no_server = 0;      // answered 503
  std::uint64_t come_again = 0;     // told to come again, since the server of their ticket is away
  std::uint64_t server_failed = 0;  // answered 502, 504
  std::uint64_t retried = 0;        // requests sent to another server after one had taken the connection
};

class Worker final : public serve::WorkerProgram, private upstream::RelayOwner {
 public:
  /// `number` from 0: worker 0 probes the servers. `world` outlives the worker, which must be idle() when it
  /// dies.
  /// `colleagues`: the other workers of the process; none in a simulation, which has one worker.
  Worker(io::World& world, std::shared_ptr<const Plan> plan, unsigned number,
         serve::Colleagues* colleagues = nullptr);
  ~Worker() override;

  /// Opens a listener for each of the plan, at `at[i]` where given (the real port that worker 0 was given for
  /// port 0). Error: the first that could not be opened.
  Status open(const std::vector<Address>& at) override;
  /// The real addresses, in the plan's order.
  std::vector<Address> addresses() const override;

  /// Takes no new connections; requests in progress end, and so do keep-alive connections after them. Tunnels
  /// stay.
  void drain() override;
  /// Ends everything now: tunnels are reset, waits are cancelled. idle() is true some turns later.
  void stop() override;
  /// No connection, tunnel or task is left.
  bool idle() const override;
  bool draining() const { return draining_; }

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
  /// A server took a client and then answered badly, or not at all: counts against it (PassiveRules).
  void server_answered_badly(PoolUse& pool, route::ServerIndex server, std::string_view why);
  /// Somebody on any worker has found that a server is down: kept connections to it end, and where `close`
  /// says so all others too; who waits for it looks again.
  void server_went_down(const route::ServerRef& server, bool close);
  /// Who waits for room, in any pool, looks again.
  void look_for_room() { rooms_.look(world_.clock.now()); }
  upstream::RelayOwner& tunnel_owner() { return *this; }
  Counts& counts() { return counts_; }
  proto::AcceptHasher& accept_hasher() { return accept_hasher_; }
  /// Joins the two and forgets them until they end.
  void park(ListenerPtr listener, io::Socket client_socket, io::Socket server_socket, const Address& client,
            route::ServerUse use, route::Lease lease, upstream::ClientFin client_fin, route::Lease held = {});
  std::size_t tunnels() const { return tunnels_.live(); }
  /// For a line about one client's connection in the log, if anybody reads such.
  void tell(const ListenerPlan& listener, const Address& client, std::string_view what);

 private:
  struct Entrance;
  struct Coming;
  Status open(Entrance& entrance, const Address& at);
  Entrance* kept_for(const Generation& next, const ListenerPlan& listener);
  void pools_changed(const Generation& before);
  void relay_ended(upstream::Relay& relay, upstream::RelayEnd end) override;
  void tick();
  void tell_all_of_down(const PoolUse& pool, route::ServerIndex server);

  io::World& world_;
  unsigned number_;
  serve::Colleagues* colleagues_;
  Rooms rooms_;
  route::Seal seal_;
  proto::AcceptHasher accept_hasher_;
  GenerationPtr generation_;
  std::vector<std::unique_ptr<Entrance>> entrances_;  // in the plan's order
  std::unique_ptr<Coming> coming_;                    // between prepare() and commit()
  /// Of plans that are gone, while one of their leases is open.
  std::vector<std::shared_ptr<route::LeaseTable>> old_leases_;
  RecordPool<Tunnel> tunnels_;
  List<upstream::Relay> open_tunnels_;
  List<Waiting> waiting_;
  List<Busy> busy_;
  Stop stop_;
  Scope connections_;
  std::unique_ptr<Probes> probes_;  // of worker 0
  Timer second_;                    // leases expire by it
  Counts counts_;
  bool draining_ = false;
};

}  // namespace rejoin::balancer
