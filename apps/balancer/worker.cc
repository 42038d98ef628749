#include "apps/balancer/worker.h"

#include <algorithm>
#include <utility>

#include "apps/balancer/admin.h"
#include "apps/balancer/greet_client.h"
#include "apps/balancer/operate.h"
#include "apps/balancer/record.h"
#include "apps/balancer/serve_client.h"
#include "apps/serve/access.h"
#include "watch/metrics_table.h"

namespace rejoin::balancer {

namespace {

constexpr Duration kTlsWarnEvery = 10s;  // of one pool, per worker
constexpr std::chrono::milliseconds kLastLookMs{100};

io::ListenOptions options_of(const Generation& generation, const ListenerPlan& listener) {
  io::ListenOptions options;
  options.mptcp = listener.rules.mptcp;
  const PoolUse* const pool = generation.pool_of(listener);
  options.client_speaks_first = listener.rules.mode == config::Mode::http || !listener.by_name.empty() ||
                                listener.tls || (pool != nullptr && pool->router.wants_opening()) ||
                                listener.rules.edge.proxy_protocol == config::ProxyIn::require;
  return options;
}

bool same_options(const io::ListenOptions& a, const io::ListenOptions& b) {
  return a.reuse_port == b.reuse_port && a.client_speaks_first == b.client_speaks_first &&
         a.mptcp == b.mptcp && a.backlog == b.backlog;
}

}  // namespace

Tunnel::Tunnel(Worker& owner, ListenerPtr of, io::Socket client_socket, io::Socket server_socket,
               const Address& from, route::ServerUse counted, route::Lease pin,
               upstream::ClientFin client_fin, TunnelStart& start)
    : Relay(owner.world(), owner.tunnel_owner(), std::move(client_socket), std::move(server_socket),
            {of->rules.tunnel_timeout, client_fin}),
      listener(std::move(of)),
      pass(std::move(start.pass)),
      use(std::move(counted)),
      lease(std::move(pin)),
      held(std::move(start.held)),
      id(start.id),
      client(from),
      decision(start.decision),
      noted(start.notes != nullptr) {}

// One listener, and what it makes of a connection.
struct Worker::Entrance final : io::AcceptEvents {
  Entrance(Worker& w, GenerationPtr g, ListenerPtr p)
      : worker(w), generation(std::move(g)), plan(std::move(p)), options(options_of(*generation, *plan)) {}

  void on_accept(io::Socket socket, const Address& peer) override {
    ++plan->book->counts.accepted;
    Entry entry;
    if (plan->gate && !knock(worker, *plan, socket, peer, entry)) return;
    if (plan->rules.mode == config::Mode::http) {
      worker.connections_.spawn(
          serve_http(worker, generation, plan, std::move(socket), peer, std::move(entry)));
    } else {
      worker.connections_.spawn(
          serve_tcp(worker, generation, plan, std::move(socket), peer, std::move(entry)));
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
               const Surroundings& around)
    : world_(world),
      number_(number),
      tls_(world, {}),
      around_(around),
      colleagues_(around.colleagues),
      rooms_([this] {
        if (colleagues_ == nullptr) return;
        colleagues_->ask(
            number_, [](serve::WorkerProgram& program) { static_cast<Worker&>(program).look_for_room(); });
      }),
      seal_(plan->keys, world.random),
      generation_(
          make_local<const Generation>(world, std::move(plan), seal_, rooms_, books_, number, nullptr)),
      connections_(world.ready),
      second_([](void* self) { static_cast<Worker*>(self)->tick(); }, this),
      dismissal_([](void* self) { static_cast<Worker*>(self)->dismiss_next(); }, this),
      last_looks_([](void* self) { static_cast<Worker*>(self)->close_admin_when_alone(); }, this),
      ids_(world.random.u64()) {
  if (around.access != nullptr)
    access_log_.emplace(world, *around.access, serve::access_rules(generation_->plan->config.access_log));
  if (around.serving != nullptr) around.serving->fetch_add(1);
  for (const ListenerPtr& listener : generation_->listeners)
    entrances_.push_back(std::make_unique<Entrance>(*this, generation_, listener));
}

Worker::~Worker() {
  if (around_.serving != nullptr) around_.serving->fetch_sub(1);
}

Status Worker::open(const std::vector<Address>& at) {
  for (std::size_t i = 0; i < entrances_.size(); ++i) {
    Status opened = open(*entrances_[i], i < at.size() ? at[i] : entrances_[i]->plan->rules.listen);
    if (!opened) return opened;
  }
  if (number_ == 0 && around_.admin != nullptr) {
    admin_ = std::make_unique<Admin>(*this, colleagues_, operations_.get());
    Status admin = admin_->open(*around_.admin);
    if (!admin) {
      admin.error().detail = "admin port: " + admin.error().detail;
      return admin;
    }
  }
  if (number_ == 0) {
    const auto on_down = [this](const std::string& pool, const std::string& server) {
      PoolUse* const use = generation_->find_pool(pool);
      const auto index = use ? use->router.pool().index_of(server) : std::nullopt;
      if (index) tell_all_of_down(*use, *index);
    };
    probes_ = std::make_unique<Probes>(world_, tls_, connections_, on_down);
    probes_->follow(*generation_->plan);
  }
  if (operations_) operations_->begin();
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
  if (admin_) out.push_back(admin_->address());
  return out;
}

void Worker::be_operated_by(std::unique_ptr<Operations> operations) { operations_ = std::move(operations); }

void Worker::bequeath(std::function<void(LegacyMaker)> then) {
  if (operations_) return operations_->bequeath(std::move(then));
  then(legacy_of(generation_->plan, world_.clock.now(), {}));
}

void Worker::next_failed() {
  if (operations_) operations_->next_failed();
}

void Worker::inherit(Bytes legacy) {
  legacy_.emplace(sections_of(legacy).leases, *generation_->plan, world_.clock.now());
  if (legacy_->pins() > 0)
    world_.log.info(std::to_string(legacy_->pins()) + " pins of clients are known from the process before");
}

void Worker::hang_up(std::function<void()> done) {
  if (operations_ && !draining_) {
    operations_->hang_up(std::move(done));
  } else {
    done();
  }
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
  coming->generation = make_local<const Generation>(world_, std::move(plan), seal_, rooms_, books_, number_,
                                                    generation_.get());
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
  books_.forget_unused();
  if (probes_) probes_->follow(*generation_->plan);
  look_for_room();
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
    keep_tables(*old);
  }
}

void Worker::keep_tables(const PoolUse& pool) {
  const PoolUse* const now = generation_->find_pool(pool.plan.rules.name);
  const route::SharedRoute& old = *pool.plan.route;
  const auto keep = [this](const std::shared_ptr<route::LeaseTable>& table, const auto& present) {
    if (!table || table == present) return;
    if (std::ranges::find(old_leases_, table) == old_leases_.end()) old_leases_.push_back(table);
  };
  keep(old.leases, now == nullptr ? nullptr : now->plan.route->leases);
  keep(old.idle_leases, now == nullptr ? nullptr : now->plan.route->idle_leases);
}

void Worker::abandon() {
  if (!coming_) return;
  coming_.reset();
  seal_.use(generation_->plan->keys);
}

std::size_t Worker::close_tunnels(const route::ServerRef& server) {
  std::size_t closed = 0;
  for_each_tunnel([&](Tunnel& tunnel) {
    if (!(tunnel.use.server() == server)) return;
    ++closed;
    why_cancelled_ = EndHow::server_down;
    tunnel.cancel();
    why_cancelled_ = EndHow::stopped;
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
  if (seal_.wants_new_key() && !std::exchange(said_new_key_, true))
    world_.log.warn("keys.seal: the first key has sealed " + std::to_string(seal_.seals()) +
                    " cookies in this worker alone; put a new one in front of it and reload");
  said_new_key_ = seal_.wants_new_key();
  look_for_room();  // what time alone has changed: a server is out no longer, a drain was taken back
  world_.timers.arm(second_, now + 1s);
}

void Worker::retire() {
  draining_ = true;
  abandon();
  for (auto& entrance : entrances_) entrance->listener.reset();
  for (const auto& pool : generation_->pools) pool->idle.close_all();
  second_.cancel();
  if (probes_) probes_->stop();
  if (operations_) operations_->stop();
  close_admin_when_alone();
}

void Worker::drain() {
  if (!draining_) retire();
  hurries_ = true;
  waiting_.for_each([](Waiting& waiting) { waiting.client.interrupt(); });
  if (!dismissal_.armed()) dismiss_next();
}

// Operators watch a drain, so their port stays open as long as there is a client to watch, here or with a
// colleague.
void Worker::close_admin_when_alone() {
  if (!admin_) return;
  const bool alone = around_.serving == nullptr || around_.serving->load() <= 1;
  if (stop_.requested() || (clients_are_gone() && alone)) {
    admin_->close();
  } else {
    world_.timers.arm(last_looks_, world_.clock.now() + kLastLookMs);
  }
}

// So many a second in the whole process: each worker has its share, and closes one at a time.
void Worker::dismiss_next() {
  const config::Balancer& rules = generation_->plan->config.balancer;
  const config::Drain& drain = rules.drain;
  if (drain.per_second == 0 || stop_.requested()) return;
  bool dismissed = false;
  while (!dismissed && !dismissable_.empty()) {
    upstream::Relay& next = dismissable_.front();
    open_tunnels_.push_back(next);
    dismissed = next.dismiss(static_cast<std::uint16_t>(drain.code));  // it may be gone now
  }
  if (!dismissed) return;
  const auto share = Duration(1s) * rules.workers / drain.per_second;
  world_.timers.arm(dismissal_, world_.clock.now() + share);
}

void Worker::stop() {
  drain();
  stop_.request();
  dismissal_.cancel();
  if (admin_) admin_->close();
  for_each_tunnel([](Tunnel& tunnel) { tunnel.cancel(); });
}

bool Worker::idle() const {
  return clients_are_gone() && (!operations_ || operations_->idle()) &&
         (!admin_ || (admin_->closed() && admin_->idle()));
}

Counts Worker::counts() const {
  Counts out;
  for (const ListenerPtr& listener : generation_->listeners) watch::add_numbers(out, listener->book->counts);
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

void Worker::park(ListenerPtr listener, io::Socket client_socket, io::Socket server_socket,
                  const Address& client, route::ServerUse use, route::Lease lease,
                  upstream::ClientFin client_fin, TunnelStart start) {
  ++listener->book->counts.tunnels;
  ++listener->book->tunnels;
  if (ServerBook* const server = books_.find_server(use.server()->name)) ++server->counts.tunnels;
  Tunnel& tunnel =
      tunnels_.make(*this, std::move(listener), std::move(client_socket), std::move(server_socket), client,
                    std::move(use), std::move(lease), client_fin, start);
  if (start.notes) notes_.emplace(&tunnel, std::move(start.notes));
  const upstream::CareRules& care = tunnel.listener->care;
  tunnel.care_for(care, start.websocket);
  (care.closes_at_drain && tunnel.may_be_dismissed() ? dismissable_ : open_tunnels_).push_back(tunnel);
  if (hurries_ && !dismissal_.armed())
    world_.timers.arm(dismissal_, world_.clock.now());  // it came from a request that was under way
  tunnel.start(std::move(start.from_client), std::move(start.from_server));
}

void Worker::relay_ended(upstream::Relay& relay, upstream::RelayEnd end) {
  Tunnel& tunnel = static_cast<Tunnel&>(relay);
  tunnel.lease.close(world_.clock.now());
  tunnel.held.close(world_.clock.now());
  count_end(end);
  if (world_.log.wants(LogLevel::debug)) {
    tell(*tunnel.listener, tunnel.client,
         "tunnel to " + tunnel.use.server()->name + " ended: " + std::string(to_string(end.how)) + " (" +
             std::string(to_string(end.side)) + "), " + std::to_string(tunnel.bytes_from_client()) +
             " bytes in, " + std::to_string(tunnel.bytes_from_server()) + " out");
  }
  Ending ending = ending_of(end);
  if (end.how == upstream::RelayEnd::How::cancelled) ending.how = why_cancelled_;
  tunnel_ended(*this, tunnel, ending);
  if (tunnel.noted) notes_.erase(&tunnel);
  tunnels_.destroy(tunnel);
}

void Worker::count_end(const upstream::RelayEnd& end) {
  using How = upstream::RelayEnd::How;
  switch (end.how) {
    case How::stalled: ++edge_.stalled; break;
    case How::silent: ++edge_.silent; break;
    case How::dead: ++edge_.dead; break;
    case How::dismissed: ++edge_.dismissed; break;
    case How::refused:
      if (end.code == proto::number(proto::CloseCode::too_big)) {
        ++edge_.frame_too_big;
      } else if (end.code == proto::number(proto::CloseCode::policy)) {
        ++edge_.frames_too_many;
      } else {
        ++edge_.bad_frames;
      }
      break;
    default: break;
  }
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

void Worker::server_spoke_no_tls(PoolUse& pool, route::ServerIndex server, const Error& why) {
  const TimePoint now = world_.clock.now();
  if (pool.tls_warned != TimePoint() && now < pool.tls_warned + kTlsWarnEvery) return;
  pool.tls_warned = now;
  world_.log.warn("server " + pool.router.rules().name + "/" + pool.router.pool().server(server).name +
                  " cannot be spoken to: " + to_string(why));
}

void Worker::tell(const ListenerPlan& listener, const Address& client, std::string_view what) {
  if (!world_.log.wants(LogLevel::debug)) return;
  world_.log.debug(listener.rules.name + " " + client.text() + ": " + std::string(what));
}

}  // namespace rejoin::balancer
