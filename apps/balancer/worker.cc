#include "apps/balancer/worker.h"

#include "apps/balancer/serve_client.h"
#include "upstream/prober.h"

namespace rejoin::balancer {

PoolUse::PoolUse(io::World& world, const PoolPlan& of, route::Seal& seal, unsigned worker,
                 std::function<void()> look_soon)
    : plan(of),
      router(*of.route, seal, worker),
      idle(world, of.route->pool->size(), Duration(limits::kIdleServerConnectionS)),
      room(*of.route, std::move(look_soon)) {}

Tunnel::Tunnel(Worker& owner, const ListenerPlan& of, io::Socket client_socket, io::Socket server_socket,
               const Address& from, route::ServerIndex to, route::ServerUse counted, route::Lease pin,
               upstream::ClientFin client_fin, route::Lease hold)
    : Relay(owner.world(), owner.tunnel_owner(), std::move(client_socket), std::move(server_socket),
            {of.rules.tunnel_timeout, client_fin}),
      listener(of),
      use(std::move(counted)),
      lease(std::move(pin)),
      held(std::move(hold)),
      client(from),
      server(to) {}

// One listener, and what it makes of a connection.
struct Worker::Entrance final : io::AcceptEvents {
  Entrance(Worker& w, const ListenerPlan& p) : worker(w), plan(p) {}

  void on_accept(io::Socket socket, const Address& peer) override {
    ++worker.counts_.accepted;
    if (plan.rules.mode == config::Mode::http) {
      worker.connections_.spawn(serve_http(worker, plan, std::move(socket), peer));
    } else {
      worker.connections_.spawn(serve_tcp(worker, plan, std::move(socket), peer));
    }
  }

  Worker& worker;
  const ListenerPlan& plan;
  std::unique_ptr<io::Listener> listener;
};

Worker::Worker(io::World& world, const Plan& plan, unsigned number, serve::Colleagues* colleagues)
    : world_(world),
      plan_(plan),
      number_(number),
      colleagues_(colleagues),
      seal_(plan.keys, world.random),
      connections_(world.ready),
      second_([](void* self) { static_cast<Worker*>(self)->tick(); }, this) {
  for (const PoolPlan& pool : plan.pools) {
    const auto look_soon = [this, route = pool.route->pool.get()] {
      if (colleagues_ == nullptr) return;
      colleagues_->ask(number_, [route](serve::WorkerProgram& program) {
        static_cast<Worker&>(program).look_for_room(*route);
      });
    };
    pools_.push_back(std::make_unique<PoolUse>(world, pool, seal_, number, look_soon));
  }
  for (const ListenerPlan& listener : plan.listeners) {
    entrances_.push_back(std::make_unique<Entrance>(*this, listener));
  }
}

Worker::~Worker() = default;

Status Worker::open(const std::vector<Address>& at) {
  for (std::size_t i = 0; i < entrances_.size(); ++i) {
    Entrance& entrance = *entrances_[i];
    io::ListenOptions options;
    options.client_speaks_first =
        entrance.plan.rules.mode == config::Mode::http || pool(entrance.plan).router.wants_opening();
    const Address& address = i < at.size() ? at[i] : entrance.plan.rules.listen;
    auto listener = world_.network.listen(address, options, entrance);
    if (!listener) {
      listener.error().detail = "listener " + entrance.plan.rules.name + ": " + listener.error().detail;
      return std::move(listener.error());
    }
    entrance.listener = std::move(*listener);
  }
  if (number_ == 0) {
    for (auto& use : pools_) {
      route::Pool& pool = use->router.pool();
      const upstream::OnHealth on_health = [this, of = use.get()](route::ServerIndex server,
                                                                  route::HealthChange change) {
        tell_all(*of, server, change);
      };
      for (std::size_t i = 0; i < pool.size(); ++i) {
        connections_.spawn(upstream::probe_for_ever(world_, pool, static_cast<route::ServerIndex>(i),
                                                    on_health, stop_probing_));
      }
    }
  }
  tick();
  return {};
}

std::vector<Address> Worker::addresses() const {
  std::vector<Address> out;
  for (const auto& entrance : entrances_)
    out.push_back(entrance->listener ? entrance->listener->address() : Address());
  return out;
}

void Worker::tick() {
  for (const PoolPlan& pool : plan_.pools) {
    if (pool.route->leases) pool.route->leases->tick(world_.clock.now());
    if (pool.route->idle_leases) pool.route->idle_leases->tick(world_.clock.now());
  }
  // Times that pass of themselves may have made room: a server is out no longer, a drain was taken back.
  for (const auto& pool : pools_) pool->room.look(world_.clock.now());
  world_.timers.arm(second_, world_.clock.now() + 1s);
}

void Worker::drain() {
  draining_ = true;
  for (auto& entrance : entrances_) entrance->listener.reset();
  for (auto& pool : pools_) pool->idle.close_all();
  second_.cancel();
  stop_probing_.request();
  waiting_.for_each([](Waiting& waiting) { waiting.client.interrupt(); });
}

void Worker::stop() {
  drain();
  stop_.request();
  open_tunnels_.for_each([](upstream::Relay& tunnel) { tunnel.cancel(); });
}

bool Worker::idle() const { return connections_.running() == 0 && tunnels_.live() == 0; }

void Worker::park(const ListenerPlan& listener, io::Socket client_socket, io::Socket server_socket,
                  const Address& client, route::ServerIndex server, route::ServerUse use, route::Lease lease,
                  upstream::ClientFin client_fin, route::Lease held) {
  ++counts_.tunnels;
  Tunnel& tunnel = tunnels_.make(*this, listener, std::move(client_socket), std::move(server_socket), client,
                                 server, std::move(use), std::move(lease), client_fin, std::move(held));
  open_tunnels_.push_back(tunnel);
  tunnel.start();
}

void Worker::relay_ended(upstream::Relay& relay, upstream::RelayEnd end) {
  Tunnel& tunnel = static_cast<Tunnel&>(relay);
  tunnel.lease.close(world_.clock.now());
  tunnel.held.close(world_.clock.now());
  if (world_.log.wants(LogLevel::debug)) {
    const auto& server = pool(tunnel.listener).router.pool().server(tunnel.server);
    tell(tunnel.listener, tunnel.client,
         "tunnel to " + server.name + " ended: " + std::string(to_string(end.how)) + " (" +
             std::string(to_string(end.side)) + "), " + std::to_string(tunnel.bytes_from_client()) +
             " bytes in, " + std::to_string(tunnel.bytes_from_server()) + " out");
  }
  tunnels_.destroy(tunnel);
}

void Worker::server_refused(PoolUse& pool, route::Choice& choice, const Error& why) {
  const route::ServerIndex refused = *choice.server;
  const std::string name = pool.router.rules().name + "/" + pool.router.pool().server(refused).name;
  const route::HealthChange change = pool.router.failed(choice, world_.clock.now());
  world_.log.debug("server " + name + " did not take a client: " + to_string(why));
  if (change != route::HealthChange::went_down) return;
  const bool is_out = pool.router.pool().up(refused);
  world_.log.warn("server " + name + (is_out ? " is out, it failed too often: " : " is down: ") +
                  to_string(why));
  tell_all(pool, refused, change);
}

void Worker::server_answered_badly(PoolUse& pool, route::ServerIndex server, std::string_view why) {
  if (!pool.router.answered_badly(server, world_.clock.now())) return;
  const std::string name = pool.router.rules().name + "/" + pool.router.pool().server(server).name;
  world_.log.warn("server " + name + " is out, it failed too often: " + std::string(why));
  tell_all(pool, server, route::HealthChange::went_down);
}

/// A change that this worker has found is every worker's business.
void Worker::tell_all(PoolUse& pool, route::ServerIndex server, route::HealthChange change) {
  const route::Pool& of = pool.router.pool();
  if (colleagues_ == nullptr) return server_changed(of, server, change);
  for (unsigned i = 0; i < colleagues_->count(); ++i) {
    colleagues_->ask(i, [&of, server, change](serve::WorkerProgram& program) {
      static_cast<Worker&>(program).server_changed(of, server, change);
    });
  }
}

PoolUse* Worker::find_pool(const route::Pool& pool) {
  for (const auto& use : pools_) {
    if (&use->router.pool() == &pool) return use.get();
  }
  return nullptr;
}

void Worker::server_changed(const route::Pool& pool, route::ServerIndex server, route::HealthChange change) {
  PoolUse* const use = find_pool(pool);
  if (use == nullptr) return;
  if (change == route::HealthChange::went_down) close_connections(*use, server);
  use->room.look(world_.clock.now());
}

void Worker::close_connections(PoolUse& pool, route::ServerIndex server) {
  pool.idle.close(server);
  if (!pool.plan.close_on_down) return;
  open_tunnels_.for_each([&](upstream::Relay& relay) {
    const Tunnel& tunnel = static_cast<Tunnel&>(relay);
    if (tunnel.server == server && pools_[tunnel.listener.pool].get() == &pool) relay.cancel();
  });
  busy_.for_each([&](Busy& busy) {
    if (&busy.pool_ == &pool && busy.server_ == server) busy.stream_.interrupt();
  });
}

void Worker::look_for_room(const route::Pool& pool) {
  if (PoolUse* const use = find_pool(pool)) use->room.look(world_.clock.now());
}

void Worker::tell(const ListenerPlan& listener, const Address& client, std::string_view what) {
  if (!world_.log.wants(LogLevel::debug)) return;
  world_.log.debug(listener.rules.name + " " + client.text() + ": " + std::string(what));
}

}  // namespace rejoin::balancer
