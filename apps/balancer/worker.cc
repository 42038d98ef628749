#include "apps/balancer/worker.h"

#include "apps/balancer/admin.h"
#include "apps/balancer/record.h"
#include "apps/balancer/serve_client.h"
#include "upstream/prober.h"
#include "watch/metrics_table.h"

namespace rejoin::balancer {
namespace {

constexpr std::chrono::milliseconds kLastLookMs{100};

}  // namespace

PoolUse::PoolUse(io::World& world, const PoolPlan& of, route::Seal& seal, unsigned worker)
    : plan(of),
      router(*of.route, seal, worker),
      idle(world, of.route->pool->size(), Duration(limits::kIdleServerConnectionS)),
      servers(of.route->pool->size()) {}

Tunnel::Tunnel(Worker& owner, const ListenerPlan& of, io::Socket client_socket, io::Socket server_socket,
               const Address& from, route::ServerIndex to, route::ServerUse counted, route::Lease pin,
               upstream::ClientFin client_fin, const Origin& origin)
    : Relay(owner.world(), owner.tunnel_owner(), std::move(client_socket), std::move(server_socket),
            {of.rules.tunnel_timeout, client_fin}),
      listener(of),
      use(std::move(counted)),
      lease(std::move(pin)),
      id(origin.id),
      client(from),
      server(to),
      decision(origin.decision) {}

// One listener, and what it makes of a connection.
struct Worker::Entrance final : io::AcceptEvents {
  Entrance(Worker& w, const ListenerPlan& p) : worker(w), plan(p) {}

  void on_accept(io::Socket socket, const Address& peer) override {
    ++worker.counts(plan).accepted;
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

Worker::Worker(io::World& world, const Plan& plan, unsigned number, serve::Colleagues* colleagues,
               watch::AccessSink* access)
    : world_(world),
      plan_(plan),
      number_(number),
      seal_(plan.keys, world.random),
      colleagues_(colleagues),
      connections_(world.ready),
      second_([](void* self) { static_cast<Worker*>(self)->tick(); }, this),
      last_looks_([](void* self) { static_cast<Worker*>(self)->close_admin_when_alone(); }, this),
      ids_(world.random.u64()) {
  if (access != nullptr) access_log_.emplace(world, *access, plan.access);
  for (const PoolPlan& pool : plan.pools)
    pools_.push_back(std::make_unique<PoolUse>(world, pool, seal_, number));
  for (const ListenerPlan& listener : plan.listeners) {
    listener_uses_.push_back(std::make_unique<ListenerUse>(listener));
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
  if (number_ == 0 && plan_.admin) {
    admin_ = std::make_unique<Admin>(*this, colleagues_);
    Status admin = admin_->open(*plan_.admin);
    if (!admin) {
      admin.error().detail = "admin port: " + admin.error().detail;
      return admin;
    }
  }
  if (number_ == 0) {
    for (auto& use : pools_) {
      route::Pool& pool = use->router.pool();
      upstream::IdleConnections& idle = use->idle;
      const upstream::OnHealth on_health = [&idle](route::ServerIndex server, route::HealthChange change) {
        if (change == route::HealthChange::went_down) idle.close(server);
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
  if (admin_) out.push_back(admin_->address());
  return out;
}

void Worker::tick() {
  for (const PoolPlan& pool : plan_.pools) {
    if (pool.route->leases) pool.route->leases->tick(world_.clock.now());
  }
  world_.timers.arm(second_, world_.clock.now() + 1s);
}

void Worker::drain() {
  draining_ = true;
  for (auto& entrance : entrances_) entrance->listener.reset();
  for (auto& pool : pools_) pool->idle.close_all();
  second_.cancel();
  stop_probing_.request();
  waiting_.for_each([](Waiting& waiting) { waiting.client.interrupt(); });
  close_admin_when_alone();
}

// Operators watch a drain, so their port stays open as long as there is a client to watch.
void Worker::close_admin_when_alone() {
  if (!admin_) return;
  if (clients_are_gone() || stop_.requested()) {
    admin_->close();
  } else {
    world_.timers.arm(last_looks_, world_.clock.now() + kLastLookMs);
  }
}

void Worker::stop() {
  drain();
  if (admin_) admin_->close();
  stop_.request();
  open_tunnels_.for_each([](upstream::Relay& tunnel) { tunnel.cancel(); });
}

bool Worker::idle() const { return clients_are_gone() && (!admin_ || admin_->idle()); }

Counts Worker::counts() const {
  Counts out;
  for (const auto& use : listener_uses_) watch::add_numbers(out, use->counts);
  return out;
}

std::uint64_t Worker::next_id() {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << 56) - 1;
  return (std::uint64_t{number_} << 56) | (++ids_ & kMask);
}

void Worker::end_by_operator(Tunnel& tunnel) {
  why_cancelled_ = EndHow::by_operator;
  tunnel.cancel();
  why_cancelled_ = EndHow::stopped;
}

void Worker::park(const ListenerPlan& listener, io::Socket client_socket, io::Socket server_socket,
                  const Address& client, route::ServerIndex server, route::ServerUse use, route::Lease lease,
                  upstream::ClientFin client_fin, const Origin& origin) {
  ListenerUse& of = this->use(listener);
  ++of.counts.tunnels;
  ++of.tunnels;
  ++pool(listener).servers[server].tunnels;
  Tunnel& tunnel = tunnels_.make(*this, listener, std::move(client_socket), std::move(server_socket), client,
                                 server, std::move(use), std::move(lease), client_fin, origin);
  open_tunnels_.push_back(tunnel);
  tunnel.start();
}

void Worker::relay_ended(upstream::Relay& relay, upstream::RelayEnd end) {
  Tunnel& tunnel = static_cast<Tunnel&>(relay);
  tunnel.lease.close(world_.clock.now());
  if (world_.log.wants(LogLevel::debug)) {
    const auto& server = pool(tunnel.listener).router.pool().server(tunnel.server);
    tell(tunnel.listener, tunnel.client,
         "tunnel to " + server.name + " ended: " + std::string(to_string(end.how)) + " (" +
             std::string(to_string(end.side)) + "), " + std::to_string(tunnel.bytes_from_client()) +
             " bytes in, " + std::to_string(tunnel.bytes_from_server()) + " out");
  }
  Ending ending = ending_of(end);
  if (ending.how == EndHow::stopped) ending.how = why_cancelled_;
  tunnel_ended(*this, tunnel, ending);
  tunnels_.destroy(tunnel);
}

void Worker::server_refused(PoolUse& pool, route::Choice& choice, const Error& why) {
  const route::ServerIndex refused = *choice.server;
  const std::string name = pool.router.rules().name + "/" + pool.router.pool().server(refused).name;
  const route::HealthChange change = pool.router.failed(choice, world_.clock.now());
  world_.log.debug("server " + name + " did not take a client: " + to_string(why));
  if (change != route::HealthChange::went_down) return;
  pool.idle.close(refused);
  world_.log.warn("server " + name + " is down: " + to_string(why));
}

void Worker::tell(const ListenerPlan& listener, const Address& client, std::string_view what) {
  if (!world_.log.wants(LogLevel::debug)) return;
  world_.log.debug(listener.rules.name + " " + client.text() + ": " + std::string(what));
}

}  // namespace rejoin::balancer
