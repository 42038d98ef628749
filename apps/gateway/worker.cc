#include "apps/gateway/worker.h"

#include <algorithm>
#include <string>

#include "apps/gateway/admin.h"
#include "apps/gateway/enter_tls.h"
#include "apps/gateway/opening.h"
#include "apps/gateway/record.h"
#include "apps/gateway/serve_player.h"
#include "apps/serve/access.h"
#include "base/limits.h"

namespace rejoin::gateway {

namespace {

constexpr std::chrono::milliseconds kReopenEvery{20};
constexpr std::chrono::seconds kReopenFor{5};

/// What goes over with a connection's socket, where it speaks TLS. A std::function has to be copyable.
using Parcel = std::shared_ptr<io::TlsParcel>;

Parcel pack(io::TlsNetwork& tls, io::Socket& socket) {
  if (!tls.has(socket)) return nullptr;
  return std::make_shared<io::TlsParcel>(tls.give_up(socket));
}

io::Socket unpack(io::TlsNetwork& tls, io::Socket taken, const Parcel& parcel) {
  if (!parcel) return taken;
  return tls.take_over(std::move(taken), std::move(*parcel));
}

Refused kept_out(const serve::KeptOut& by, TimePoint now) {
  Refused out;
  out.began = now;
  out.by = Side::ours;
  out.phase = "gate";
  out.reason = by.word;
  out.detail = by.why;
  return out;
}

}  // namespace

// One listener, and what it makes of a connection.
struct Worker::Entrance final : io::AcceptEvents {
  Entrance(Worker& w, const config::GatewayListener& r, serve::Gate* g) : worker(w), rules(r), gate(g) {}

  void on_accept(io::Socket socket, const Address& peer) override {
    ++worker.counts_.accepted;
    serve::Entry entry;
    if (gate != nullptr && !lets_in(socket, peer, entry)) return;
    if (entry.through_proxy) {
      worker.spawn(serve_proxied(worker, std::move(socket), peer, rules, *gate, std::move(entry.pass)));
    } else if (rules.tls) {
      worker.spawn(enter_tls(worker, std::move(socket), peer, rules, {}, std::move(entry.pass)));
    } else if (rules.kind == config::GatewayListenerKind::websocket) {
      worker.spawn(serve_websocket(worker, std::move(socket), peer, rules, {}, std::move(entry.pass)));
    } else {
      worker.park_tcp(std::move(socket), peer, rules, std::move(entry.pass), {});
    }
  }

  bool lets_in(io::Socket& socket, const Address& peer, serve::Entry& entry) {
    const serve::KeptOut out = gate->enter(peer, worker.world_.clock.now(), worker.edge_, entry);
    if (!out) return true;
    worker.tell(peer, "turned away: " + std::string(out.why));
    record_refused(worker, peer, rules, kept_out(out, worker.world_.clock.now()));
    socket.reset();
    return false;
  }

  Worker& worker;
  const config::GatewayListener& rules;
  serve::Gate* gate;  // the Plan's; nullptr: nothing is asked
  std::unique_ptr<io::Listener> listener;
};

// Links that have something to say, flushed once at the end of the turn: what a game server says in one read,
// and what a client is told beside it, leaves in one call to the kernel. A coroutine that is put into the
// loop's ready queue, which runs when all sockets were told of.
struct Worker::Flusher {
  struct Coroutine {
    struct promise_type {
      Coroutine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() noexcept { return {}; }
      std::suspend_always final_suspend() noexcept { return {}; }
      void return_void() {}
      [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
  };

  explicit Flusher(ReadyQueue& r) : ready(r), coroutine(run(*this)) {}
  ~Flusher() { coroutine.handle.destroy(); }
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  static Coroutine run(Flusher& self) {
    for (;;) {
      self.queued = false;
      // Those that are there now: who has more to say afterwards is asked in the next turn.
      const std::size_t count = self.links.size();
      for (std::size_t i = 0; i < count; ++i) {
        Link* const link = std::exchange(self.links[i], nullptr);
        if (link != nullptr) link->flush_queued();
      }
      self.links.erase(self.links.begin(), self.links.begin() + static_cast<std::ptrdiff_t>(count));
      self.first_ticket += static_cast<std::uint32_t>(count);
      co_await std::suspend_always();
    }
  }

  std::uint32_t add(Link& link) {
    const auto ticket = static_cast<std::uint32_t>(first_ticket + links.size());
    links.push_back(&link);
    if (!queued) {
      queued = true;
      ready.push(coroutine.handle);
    }
    return ticket;
  }
  void remove(std::uint32_t ticket) { links[ticket - first_ticket] = nullptr; }

  ReadyQueue& ready;
  std::vector<Link*> links;
  std::uint32_t first_ticket = 0;  // of links.front(); tickets wrap around, differences do not
  bool queued = false;
  Coroutine coroutine;
};

namespace {

/// What the configuration says, for one of `workers`; nothing: no compression.
std::unique_ptr<proto::CompressionShare> make_compression(const config::Gateway& rules) {
  const config::Compression& said = rules.compression;
  if (said.kind == config::CompressionKind::off) return nullptr;
  proto::CompressionSettings settings;
  settings.window_bits = static_cast<std::uint8_t>(said.window_bits);
  settings.memory_level = static_cast<std::uint8_t>(said.memory_level);
  const bool dedicated = said.kind == config::CompressionKind::dedicated;
  settings.takeover = dedicated ? proto::Takeover::yes : proto::Takeover::no;
  settings.message_min = said.min_bytes;
  settings.memory_max = said.memory_max / static_cast<std::uint64_t>(rules.workers);
  return std::make_unique<proto::CompressionShare>(settings);
}

}  // namespace

Worker::Worker(io::World& world, const Plan& plan, unsigned number, serve::Colleagues* colleagues,
               watch::AccessSink* access)
    : world_(world),
      plan_(plan),
      number_(number),
      colleagues_(colleagues),
      tls_(world, {}),
      games_(world, plan.game.rules, plan.rules.name, plan.game.pool.get(), number),
      sessions_(*this, world, plan.rules, plan.keys, number),
      flusher_(std::make_unique<Flusher>(world.ready)),
      compression_(make_compression(plan.rules)),
      handshakes_(world.ready),
      operator_drain_(*this),
      reopening_([](void* self) { static_cast<Worker*>(self)->reopen(); }, this) {
  if (access != nullptr) access_log_.emplace(world, *access, serve::access_rules(plan.config.access_log));
  for (std::size_t i = 0; i < plan.rules.listeners.size(); ++i) {
    serve::Gate* const gate = i < plan.gates.size() ? plan.gates[i].get() : nullptr;
    entrances_.push_back(std::make_unique<Entrance>(*this, plan.rules.listeners[i], gate));
  }
}

Worker::~Worker() = default;

Status Worker::open(const std::vector<Address>& at) {
  for (std::size_t i = 0; i < entrances_.size(); ++i) {
    Status open = open_listener(*entrances_[i], i < at.size() ? at[i] : entrances_[i]->rules.listen);
    if (!open) return open;
  }
  if (number_ == 0 && plan_.admin) {
    Status admin = open_admin(plan_.admin->listen);
    if (!admin) return admin;
  }
  opened_at_ = addresses();
  if (number_ == 0) games_.probe_servers(plan_.game.probes);
  if (arrivals_) arrivals_->ready();
  return {};
}

Status Worker::open_listener(Entrance& entrance, const Address& at) {
  io::ListenOptions options;
  options.client_speaks_first = entrance.rules.tls ||
                                entrance.rules.kind == config::GatewayListenerKind::websocket ||
                                entrance.rules.edge.proxy_protocol == config::ProxyIn::require;
  options.mptcp = entrance.rules.mptcp;
  // One worker has no need to share its address, and without sharing a second gateway on it is an error.
  options.reuse_port = rules().workers > 1;
  auto listener = world_.network.listen(at, options, entrance);
  if (!listener) {
    listener.error().detail = "listener " + entrance.rules.name + ": " + listener.error().detail;
    return std::move(listener.error());
  }
  entrance.listener = std::move(*listener);
  return {};
}

Status Worker::open_admin(const Address& at) {
  admin_ = std::make_unique<Admin>(*this, colleagues_);
  watch::AdminDoor door = *plan_.admin;
  door.listen = at;
  Status admin = admin_->open(door);
  if (admin) return admin;
  admin_.reset();
  admin.error().detail = "admin port: " + admin.error().detail;
  return admin;
}

std::vector<Address> Worker::addresses() const {
  std::vector<Address> out;
  for (const auto& entrance : entrances_)
    out.push_back(entrance->listener ? entrance->listener->address() : Address());
  if (admin_) out.push_back(admin_->address());
  return out;
}

// --- from process to process ---

void Worker::expect(std::unique_ptr<io::PassChannel> before) {
  arrivals_ = std::make_unique<Arrivals>(*this, std::move(before));
  sessions_.set_store(*arrivals_);
}

Status Worker::may_hand_on() const {
  const auto not_now = [](std::string why) {
    return Error{ErrorKind::unsupported, Side::ours, Retry::yes, std::move(why)};
  };
  if (draining_) return not_now("this process is ending");
  if (arrivals_ && arrivals_->coming())
    return not_now("sessions are still coming from the process before this one");
  if (departure_ && departure_->phase() != Departure::Phase::failed)
    return not_now("an upgrade is under way");
  return {};
}

void Worker::hand_on(std::unique_ptr<io::PassChannel> next) {
  if (departure_) failed_departures_.push_back(std::move(departure_));
  config::Upgrade order = rules().upgrade;
  order.over = std::exchange(upgrade_over_, std::nullopt).value_or(order.over);
  departure_ = std::make_unique<Departure>(*this, std::move(next), order);
}

void Worker::stop_accepting() {
  for (auto& entrance : entrances_) entrance->listener.reset();
  reopening_.cancel();
  std::erase_if(last_admins_, [](const auto& one) { return one->idle(); });
  if (!admin_) return;
  admin_->close();
  last_admins_.push_back(std::move(admin_));
}

void Worker::accept_again() {
  reopen_until_ = world_.clock.now() + kReopenFor;
  reopen();
}

// A process that dies closes what it had one after the other, so its listening sockets, which are ours, may
// be there for a moment after its channel to us has ended.
void Worker::reopen() {
  if (draining_) return;
  Status all;
  const auto note = [&all](Status open) {
    if (!open && all) all = std::move(open);
  };
  for (std::size_t i = 0; i < entrances_.size(); ++i) {
    if (!entrances_[i]->listener) note(open_listener(*entrances_[i], opened_at_[i]));
  }
  if (opened_at_.size() != entrances_.size() && !admin_) note(open_admin(opened_at_.back()));
  if (all) return;
  if (world_.clock.now() >= reopen_until_) return world_.log.error(to_string(all.error()));
  world_.timers.arm(reopening_, world_.clock.now() + kReopenEvery);
}

void Worker::pass_on(io::Socket socket, const Address& client, const config::GatewayListener& listener,
                     Bytes said) {
  const auto place = static_cast<std::size_t>(&listener - plan_.rules.listeners.data());
  departure_->pass_on(std::move(socket), client, place, said);
}

void Worker::serve_passed(io::Socket socket, const Address& client, std::size_t listener, Bytes said) {
  const auto& listeners = plan_.rules.listeners;
  if (listener >= listeners.size() || listeners[listener].kind != config::GatewayListenerKind::websocket)
    return;
  // The gate of the process before let it in, whose limits it still counts towards there until that is gone.
  spawn(serve_websocket(*this, std::move(socket), client, listeners[listener], std::string(said), {}));
}

void Worker::drain() {
  if (draining_) return;
  // What can go to the next process does so first; it calls again.
  if (departure_ && departure_->under_way()) return departure_->hurry();
  draining_ = true;
  reopening_.cancel();
  for (auto& entrance : entrances_) entrance->listener.reset();
  stop_handshakes_.request();
  operator_drain_.take_back();
  if (admin_) admin_->close();
  games_.stop();
  open_relays_.for_each([](upstream::Relay& relay) { relay.cancel(); });
  end_sessions();
  open_links_.for_each([this](Link& link) {
    if (link.session() == nullptr)
      dismiss(link, proto::LinkCode::restart, "this gateway is going away", LinkEnd::dismissed);
  });
}

// Nobody else can take a session that is in our memory alone: clients are told to come again, and will hear
// then that they have to log in; game servers get all that was said, and an orderly end.
void Worker::end_sessions() {
  sessions_.for_each([this](LiveSession& session) {
    Link* const link = session.link();
    if (link != nullptr) {
      session.end_by_drain();
    } else {
      session.end(proto::LinkCode::restart, "");
    }
  });
}

void Worker::stop() {
  drain();
  if (!draining_) {  // what was offered to the next process is that one's; the rest ends here
    departure_->let_be();
    drain();
  }
  open_links_.for_each([](Link& link) { link.cancel(); });
  sessions_.cancel_all();
}

void Worker::hang_up(std::function<void()> done) {
  renew_certificates(plan_, world_.log);
  done();
}

const config::TlsInUse& Worker::tls_of(const config::GatewayListener& listener) const {
  return plan_.listener_tls[static_cast<std::size_t>(&listener - plan_.rules.listeners.data())];
}
const config::TlsInUse& Worker::tls_of(const config::PeerGateway& peer) const {
  return plan_.peer_tls[static_cast<std::size_t>(&peer - plan_.rules.peers.data())];
}

bool Worker::idle() const {
  return !flusher_->queued && handshakes_.running() == 0 && links() == 0 && relays_.live() == 0 &&
         sessions_.empty() && games_.idle() && (!admin_ || admin_->idle()) &&
         std::ranges::all_of(last_admins_, [](const auto& one) { return one->idle(); });
}

// --- connections become links ---

WebSocketLink& Worker::make_websocket(io::Socket socket, const Address& client, LinkMode mode, Bytes head,
                                      const std::optional<proto::DeflateTerms>& terms) {
  WebSocketLink::Compression compression;
  if (terms) {
    compression = std::make_unique<proto::MessageCompression>(*compression_, *terms,
                                                              WebSocketLink::message_max(*this, mode));
  }
  return add_websocket(std::move(socket), client, mode, head, std::move(compression));
}

WebSocketLink& Worker::add_websocket(io::Socket socket, const Address& client, LinkMode mode, Bytes head,
                                     WebSocketLink::Compression compression) {
  ++counts_.links;
  if (compression) ++counts_.compressed_links;
  WebSocketLink& link =
      websocket_links_.make(*this, std::move(socket), client, mode, head, std::move(compression));
  open_links_.push_back(link);
  return link;
}

void Worker::park_tcp(io::Socket socket, const Caller& caller, const config::GatewayListener& listener,
                      route::Admission::Pass pass, MutableBytes arrived) {
  const config::LinkProtocol protocol = listener.protocol;
  ++counts_.links;
  LinkMode mode = LinkMode::undecided;
  if (protocol == config::LinkProtocol::rejoin) mode = LinkMode::opening;
  if (protocol == config::LinkProtocol::plain) mode = LinkMode::plain;
  TcpLink& link = tcp_links_.make(*this, std::move(socket), caller.client, mode);
  link.keep_pass(std::move(pass));
  link.keep_notes(notes_of(caller, listener));
  open_links_.push_back(link);
  if (protocol == config::LinkProtocol::plain && !draining_) open_plain(link);
  begin(link, arrived);
}

void Worker::begin(Link& link, MutableBytes arrived) {
  // One that was accepted from the queue of a closing listener is told at once; what it sent is not for us
  // any more.
  if (draining_) {
    dismiss(link, proto::LinkCode::going_away, "this gateway is going away", LinkEnd::dismissed);
    link.start({});
    return;
  }
  link.start(arrived);
}

void Worker::open_plain(Link& link) {
  if (!admits()) {
    ++sessions_.counts().draining;
    dismiss(link, proto::LinkCode::restart, "this gateway is going away", LinkEnd::refused);
    return;
  }
  if (sessions_.full()) {
    dismiss(link, proto::LinkCode::too_fast, "no room for more sessions", LinkEnd::refused);
    return;
  }
  LiveSession& session = sessions_.make(route::TicketKind::cookie, link.client(), Lasting::ends_with_link);
  session.attach_plain(link, session.state().window().end(), {});
}

void Worker::park_relay(io::Socket client_socket, io::Socket server_socket, const Address& client,
                        std::string_view owner, route::Admission::Pass pass,
                        std::unique_ptr<LinkNotes> notes) {
  if (notes) notes->detail = "to gateway " + std::string(owner);
  ++sessions_.counts().relayed;
  tell(client, "relayed to " + std::string(owner));
  upstream::RelayRules rules;
  rules.idle_timeout = plan_.rules.heartbeat.dead * 2;  // its owner notices first
  OwnerRelay& relay = relays_.make(world_, relay_owner(), std::move(client_socket), std::move(server_socket),
                                   rules, std::move(pass), std::move(notes));
  open_relays_.push_back(relay);
  relay.start();
}

void Worker::relay_ended(upstream::Relay& relay, upstream::RelayEnd end) {
  auto& ended = static_cast<OwnerRelay&>(relay);
  record_relay(*this, ended, end);
  relays_.destroy(ended);
}

void Worker::hand_over(Link& link, unsigned worker, std::string frame) {
  if (link.unsent() != 0) {  // half a frame may have left: what follows it cannot come from elsewhere
    dismiss(link, proto::LinkCode::owner_unreachable, "come again", LinkEnd::refused);
    return;
  }
  ++counts_.handed_over;
  const int openings = link.openings();
  const bool websocket = link.websocket();
  const Address client = link.client();
  // A std::function has to be copyable, and what goes over is not: its windows hold what was said so far.
  auto compression = std::make_shared<WebSocketLink::Compression>();
  if (websocket) *compression = static_cast<WebSocketLink&>(link).give_away_compression();
  const auto pass = std::make_shared<route::Admission::Pass>(link.take_pass());
  const auto notes = std::make_shared<std::unique_ptr<LinkNotes>>(link.take_notes());
  io::Socket socket = link.give_away();
  const Parcel parcel = pack(tls_, socket);
  colleagues_->hand_over(worker, std::move(socket),
                         [client, websocket, openings, compression, pass, notes, parcel,
                          frame = std::move(frame)](serve::WorkerProgram& program, io::Socket from_loop) {
                           auto& other = static_cast<Worker&>(program);
                           io::Socket taken = unpack(other.tls_, std::move(from_loop), parcel);
                           if (websocket) {
                             if (*compression) (*compression)->join(*other.compression_);
                             WebSocketLink& there = other.add_websocket(
                                 std::move(taken), client, LinkMode::waiting, {}, std::move(*compression));
                             there.keep_pass(std::move(*pass));
                             there.keep_notes(std::move(*notes));
                             for (int i = 0; i < openings; ++i) there.count_opening();
                             rejoin::gateway::open_session(other, there, frame);
                             other.begin(there, {});
                           } else {
                             ++other.counts_.links;
                             TcpLink& there =
                                 other.tcp_links_.make(other, std::move(taken), client, LinkMode::waiting);
                             there.keep_pass(std::move(*pass));
                             there.keep_notes(std::move(*notes));
                             other.open_links_.push_back(there);
                             for (int i = 0; i < openings; ++i) there.count_opening();
                             rejoin::gateway::open_session(other, there, frame);
                             other.begin(there, {});
                           }
                         });
}

void Worker::hand_over(io::Socket socket, const Caller& caller, unsigned worker,
                       const config::GatewayListener& listener, std::string said,
                       route::Admission::Pass pass) {
  ++counts_.handed_over;
  const Parcel parcel = pack(tls_, socket);
  const auto right = std::make_shared<route::Admission::Pass>(std::move(pass));
  colleagues_->hand_over(
      worker, std::move(socket),
      [caller, &listener, parcel, right, said = std::move(said)](serve::WorkerProgram& program,
                                                                 io::Socket from_loop) {
        auto& other = static_cast<Worker&>(program);
        io::Socket taken = unpack(other.tls_, std::move(from_loop), parcel);
        other.spawn(serve_websocket(other, std::move(taken), caller, listener, said, std::move(*right)));
      });
}

template <typename Pool, typename LinkKind>
void Worker::ended(Pool& pool, LinkKind& link, LinkEnd how, std::string_view kind) {
  if (world_.log.wants(LogLevel::debug)) tell(link, std::string(kind) + " " + std::string(to_string(how)));
  LiveSession* const session = link.session();
  if (session != nullptr) {
    link.forget_session();
    session->link_lost(link, how);
  }
  record_link(*this, link, how);
  pool.destroy(link);
}

void Worker::link_ended(WebSocketLink& link, LinkEnd how) { ended(websocket_links_, link, how, "WebSocket"); }
void Worker::link_ended(TcpLink& link, LinkEnd how) { ended(tcp_links_, link, how, "TCP"); }

// --- links have something to say ---

std::uint32_t Worker::flush_soon(Link& link) { return flusher_->add(link); }
void Worker::no_flush(std::uint32_t ticket) { flusher_->remove(ticket); }

// --- clients that break a rule ---

void Worker::dismiss(Link& link, proto::LinkCode code, Bytes why, LinkEnd end) {
  proto::Detach detach;
  detach.code = proto::number(code);
  detach.wait_ms = limits::kTooFastWaitMs;
  detach.reason = why;
  LiveSession* const session = link.session();
  link.dismiss(detach, end);
  if (session != nullptr) session->link_lost(link, end);
}

void Worker::bad_frame(Link& link, Bytes why) {
  ++counts_.bad_frames;
  tell(link, "bad frame: " + std::string(why));
  dismiss(link, proto::LinkCode::bad_frame, why, LinkEnd::refused);
}

void Worker::too_much(Link& link, Bytes why) {
  ++counts_.over_limit;
  tell(link, "over a limit: " + std::string(why));
  dismiss(link, proto::LinkCode::over_limit, why, LinkEnd::refused);
}

void Worker::silent(Link& link) {
  tell(link, "silent");
  dismiss(link, proto::LinkCode::silent, "nothing was heard", LinkEnd::silent);
}

void Worker::opening_late(Link& link) {
  ++counts_.timed_out;
  dismiss(link, proto::LinkCode::silent, "the opening frame did not come in time", LinkEnd::refused);
}

void Worker::tell(const Address& client, std::string_view what) {
  if (!world_.log.wants(LogLevel::debug)) return;
  world_.log.debug(client.text() + ": " + std::string(what));
}

}  // namespace rejoin::gateway
