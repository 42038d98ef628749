#include "apps/balancer/worker.h"

#include <algorithm>
#include <utility>

#include "apps/balancer/serve_client.h"

namespace rejoin::balancer {

namespace {

io::ListenOptions options_of(const Generation& generation, const ListenerPlan& listener) {
  io::ListenOptions options;
  options.client_speaks_first =
      listener.rules.mode == config::Mode::http || generation.pool(listener).router.wants_opening();
  return options;
}

bool same_options(const io::ListenOptions& a, const io::ListenOptions& b) {
  return a.reuse_port == b.reuse_port && a.client_speaks_first == b.client_speaks_first &&
         a.backlog == b.backlog;
}

}  // namespace

Tunnel::Tunnel(Worker& owner, ListenerPtr of, io::Socket client_socket, io::Socket server_socket,
               const Address& from, route::ServerUse counted, route::Lease pin,
               upstream::ClientFin client_fin, route::Lease hold)
    : Relay(owner.world(), owner.tunnel_owner(), std::move(client_socket), std::move(server_socket),
            {of->rules.tunnel_timeout, client_fin}),
      listener(std::move(of)),
      use(std::move(counted)),
      lease(std::move(pin)),
      held(std::move(hold)),
      client(from) {}

// One listener, and what it makes of a connection.
struct Worker::Entrance final : io::AcceptEvents {
  Entrance(Worker& w, GenerationPtr g, ListenerPtr p)
      : worker(w), generation(std::move(g)), plan(std::move(p)), options(options_of(*generation, *plan)) {}

  void on_accept(io::Socket socket, const Address& peer) override {
    ++worker.counts_.accepted;
    if (plan->rules.mode == config::Mode::http) {
      worker.connections_.spawn(serve_http(worker, generation, plan, std::move(socket), peer));
    } else {
      worker.connections_.spawn(serve_tcp(worker, generation, plan, std::move(socket), peer));
    }
  }

  Worker& worker;
  GenerationPtr generation;
  ListenerPtr plan;
  io::ListenOptions options;
  std::unique_ptr<io::Listener> listener;
};

// The generation that will be, and the doors that it has and the present one has not: one place for each of
// its listeners, empty where a door is kept.
struct Worker::Coming {
  GenerationPtr generation;
  std::vector<std::unique_ptr<Entrance>> opened;
};

Worker::Worker(io::World& world, std::shared_ptr<const Plan> plan, unsigned number,
               serve::Colleagues* colleagues)
    : world_(world),
      number_(number),
      colleagues_(colleagues),
      rooms_([this] {
        if (colleagues_ == nullptr) return;
        colleagues_->ask(
            number_, [](serve::WorkerProgram& program) { static_cast<Worker&>(program).look_for_room(); });
      }),
      seal_(plan->keys, world.random),
      generation_(make_local<const Generation>(world, std::move(plan), seal_, rooms_, number, nullptr)),
      connections_(world.ready),
      second_([](void* self) { static_cast<Worker*>(self)->tick(); }, this) {
  for (const ListenerPtr& listener : generation_->listeners)
    entrances_.push_back(std::make_unique<Entrance>(*this, generation_, listener));
}

Worker::~Worker() = default;

Status Worker::open(const std::vector<Address>& at) {
  for (std::size_t i = 0; i < entrances_.size(); ++i) {
    Status opened = open(*entrances_[i], i < at.size() ? at[i] : entrances_[i]->plan->rules.listen);
    if (!opened) return opened;
  }
  if (number_ == 0) {
    const auto on_down = [this](const std::string& pool, const std::string& server) {
      PoolUse* const use = generation_->find_pool(pool);
      const auto index = use ? use->router.pool().index_of(server) : std::nullopt;
      if (index) tell_all_of_down(*use, *index);
    };
    probes_ = std::make_unique<Probes>(world_, connections_, on_down);
    probes_->follow(*generation_->plan);
  }
  tick();
  return {};
}

Status Worker::open(Entrance& entrance, const Address& at) {
  auto listener = world_.network.listen(at, entrance.options, entrance);
  if (!listener) {
    listener.error().detail = "listener " + entrance.plan->rules.name + ": " + listener.error().detail;
    return std::move(listener.error());
  }
  entrance.listener = std::move(*listener);
  return {};
}

std::vector<Address> Worker::addresses() const {
  std::vector<Address> out;
  for (const auto& entrance : entrances_)
    out.push_back(entrance->listener ? entrance->listener->address() : Address());
  return out;
}

// --- another plan ---

/// The door that stays open for `listener` of `next`; nullptr: there must be a new one.
Worker::Entrance* Worker::kept_for(const Generation& next, const ListenerPlan& listener) {
  const io::ListenOptions options = options_of(next, listener);
  for (const auto& entrance : entrances_) {
    if (entrance->plan->same_door(listener) && same_options(entrance->options, options))
      return entrance.get();
  }
  return nullptr;
}

Status Worker::prepare(std::shared_ptr<const Plan> plan, const std::vector<Address>& at) {
  if (draining_) return Error{ErrorKind::cancelled, Side::ours, Retry::no, "it is draining"};
  if (coming_) return Error{ErrorKind::exhausted, Side::ours, Retry::yes, "another change is under way"};
  auto coming = std::make_unique<Coming>();
  coming->generation =
      make_local<const Generation>(world_, std::move(plan), seal_, rooms_, number_, generation_.get());
  for (std::size_t i = 0; i < coming->generation->listeners.size(); ++i) {
    const ListenerPtr& listener = coming->generation->listeners[i];
    coming->opened.emplace_back();
    if (kept_for(*coming->generation, *listener) != nullptr) continue;
    Address address = i < at.size() ? at[i] : listener->rules.listen;
    for (const auto& entrance : entrances_) {  // the same door with other options: beside the old one
      if (i >= at.size() && entrance->plan->same_door(*listener)) address = entrance->listener->address();
    }
    auto entrance = std::make_unique<Entrance>(*this, coming->generation, listener);
    Status opened = open(*entrance, address);
    if (!opened) return opened;
    coming->opened.back() = std::move(entrance);
  }
  // Between the first worker's commit and ours clients may come with cookies under the new keys.
  seal_.open_also(coming->generation->plan->keys);
  coming_ = std::move(coming);
  return {};
}

std::vector<Address> Worker::prepared_addresses() const {
  std::vector<Address> out;
  for (std::size_t i = 0; i < coming_->opened.size(); ++i) {
    const ListenerPlan& listener = *coming_->generation->listeners[i];
    out.push_back(listener.rules.listen);
    if (const auto& opened = coming_->opened[i]) {
      out.back() = opened->listener->address();
      continue;
    }
    for (const auto& entrance : entrances_) {
      if (entrance->plan->same_door(listener)) out.back() = entrance->listener->address();
    }
  }
  return out;
}

void Worker::commit() {
  const std::unique_ptr<Coming> coming = std::move(coming_);
  if (!coming || draining_) return;
  const GenerationPtr before = std::exchange(generation_, coming->generation);
  for (std::size_t i = 0; i < generation_->listeners.size(); ++i) {
    std::unique_ptr<Entrance>& place = coming->opened[i];
    if (place) continue;
    Entrance* const kept = kept_for(*generation_, *generation_->listeners[i]);
    kept->generation = generation_;
    kept->plan = generation_->listeners[i];
    const auto at = std::find_if(entrances_.begin(), entrances_.end(),
                                 [kept](const auto& entrance) { return entrance.get() == kept; });
    place = std::move(*at);
    entrances_.erase(at);
  }
  // What is left goes. Who waits in a queue of theirs came while they were open, and is served by their plan.
  for (auto& entrance : entrances_) entrance->listener.reset();
  entrances_ = std::move(coming->opened);
  seal_.use(generation_->plan->keys);
  pools_changed(*before);
  if (probes_) probes_->follow(*generation_->plan);
}

void Worker::pools_changed(const Generation& before) {
  for (const LocalPtr<PoolUse>& old : before.pools) {
    PoolUse* const now = generation_->find_pool(old->plan.rules.name);
    if (now == old.get()) continue;
    if (now != nullptr) {
      now->take_over(*old);
    } else {
      old->idle.retire();
    }
    const auto& leases = old->plan.route->leases;
    if (leases && (now == nullptr || now->plan.route->leases != leases)) old_leases_.push_back(leases);
    const auto& idle = old->plan.route->idle_leases;
    if (idle && (now == nullptr || now->plan.route->idle_leases != idle)) old_leases_.push_back(idle);
  }
}

void Worker::abandon() {
  if (!coming_) return;
  coming_.reset();
  seal_.use(generation_->plan->keys);
}

std::size_t Worker::close_tunnels(const route::ServerRef& server) {
  std::size_t closed = 0;
  open_tunnels_.for_each([&](upstream::Relay& relay) {
    if (!(static_cast<Tunnel&>(relay).use.server() == server)) return;
    ++closed;
    relay.cancel();
  });
  return closed;
}

void Worker::tick() {
  const TimePoint now = world_.clock.now();
  for (const auto& pool : generation_->plan->pools) {
    if (pool->route->leases) pool->route->leases->tick(now);
    if (pool->route->idle_leases) pool->route->idle_leases->tick(now);
  }
  for (const auto& leases : old_leases_) leases->tick(now);
  std::erase_if(old_leases_, [](const auto& leases) { return leases->size().open == 0; });
  if (probes_) probes_->tidy();
  look_for_room();  // what time alone has changed: a server is out no longer, a drain was taken back
  world_.timers.arm(second_, now + 1s);
}

void Worker::drain() {
  draining_ = true;
  abandon();
  for (auto& entrance : entrances_) entrance->listener.reset();
  for (const auto& pool : generation_->pools) pool->idle.close_all();
  second_.cancel();
  if (probes_) probes_->stop();
  waiting_.for_each([](Waiting& waiting) { waiting.client.interrupt(); });
}

void Worker::stop() {
  drain();
  stop_.request();
  open_tunnels_.for_each([](upstream::Relay& tunnel) { tunnel.cancel(); });
}

bool Worker::idle() const { return connections_.running() == 0 && tunnels_.live() == 0; }

void Worker::park(ListenerPtr listener, io::Socket client_socket, io::Socket server_socket,
                  const Address& client, route::ServerUse use, route::Lease lease,
                  upstream::ClientFin client_fin, route::Lease held) {
  ++counts_.tunnels;
  Tunnel& tunnel =
      tunnels_.make(*this, std::move(listener), std::move(client_socket), std::move(server_socket), client,
                    std::move(use), std::move(lease), client_fin, std::move(held));
  open_tunnels_.push_back(tunnel);
  tunnel.start();
}

void Worker::relay_ended(upstream::Relay& relay, upstream::RelayEnd end) {
  Tunnel& tunnel = static_cast<Tunnel&>(relay);
  tunnel.lease.close(world_.clock.now());
  tunnel.held.close(world_.clock.now());
  if (world_.log.wants(LogLevel::debug)) {
    tell(*tunnel.listener, tunnel.client,
         "tunnel to " + tunnel.use.server()->name + " ended: " + std::string(to_string(end.how)) + " (" +
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
  tell_all_of_down(pool, refused);
}

void Worker::server_answered_badly(PoolUse& pool, route::ServerIndex server, std::string_view why) {
  if (!pool.router.answered_badly(server, world_.clock.now())) return;
  const std::string name = pool.router.rules().name + "/" + pool.router.pool().server(server).name;
  world_.log.warn("server " + name + " is out, it failed too often: " + std::string(why));
  tell_all_of_down(pool, server);
}

/// What this worker has found is every worker's business.
void Worker::tell_all_of_down(const PoolUse& pool, route::ServerIndex server) {
  const bool close = pool.plan.close_on_down;
  const route::ServerRef ref = pool.plan.route->pool->ref(server);
  if (colleagues_ == nullptr) return server_went_down(ref, close);
  for (unsigned i = 0; i < colleagues_->count(); ++i) {
    colleagues_->ask(i, [ref, close](serve::WorkerProgram& program) {
      static_cast<Worker&>(program).server_went_down(ref, close);
    });
  }
}

void Worker::server_went_down(const route::ServerRef& server, bool close) {
  for (const auto& use : generation_->pools) {
    const route::Pool& pool = *use->plan.route->pool;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const auto index = static_cast<route::ServerIndex>(i);
      if (pool.ref(index) == server) use->idle.close(i);
    }
  }
  if (close) {
    close_tunnels(server);
    busy_.for_each([&](Busy& busy) {
      if (busy.server_ == server) busy.stream_.interrupt();
    });
  }
  look_for_room();
}

void Worker::tell(const ListenerPlan& listener, const Address& client, std::string_view what) {
  if (!world_.log.wants(LogLevel::debug)) return;
  world_.log.debug(listener.rules.name + " " + client.text() + ": " + std::string(what));
}

}  // namespace rejoin::balancer
