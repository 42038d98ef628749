// rejoin::Client: a Driver on a loop of its own, and what lets other threads speak to it.
//
// Only one thread touches loop and driver: the client's own, or the caller's in process(). Others leave what
// they want under a mutex and wake it. So that send() can answer at once, the loop's thread publishes how
// much room the window has; what waits in the queue is counted against that.
#include "rejoin/client.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/limits.h"
#include "clients/cpp/src/driver.h"
#include "clients/cpp/src/system_resolver.h"
#include "io/epoll_loop.h"
#include "io/tls_network.h"
#include "proto/utf8.h"

namespace rejoin {

class Client::Machine final : private client::DriverEvents {
 public:
  static Made make(const Options& options, Handlers handlers);
  ~Machine();

  void start();
  Sent send(std::string_view message, Kind kind);
  void close(std::uint16_t code, std::string_view reason);
  void network_changed(Network what);
  std::string snapshot() const {
    return driver_->snapshot(whole_ ? session::Snapshot::whole : session::Snapshot::light);
  }
  std::string cookies() const {
    const std::lock_guard lock(mutex_);
    return cookies_;
  }
  Statistics statistics() const {
    const std::lock_guard lock(mutex_);
    Statistics out = statistics_;
    out.unacknowledged += queue_.size();
    return out;
  }
  int descriptor() const { return loop_->descriptor(); }
  int timeout_ms() const;
  void process() {
    if (!on_loop()) turn(0us);
  }

 private:
  struct Queued {
    std::string bytes;
    bool text;
  };

  Machine() = default;
  Status build(const Options& options);
  void turn(Duration wait_max);
  bool take_queued();
  void drain();
  void publish();
  bool on_loop() const { return turning_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }
  Sent send_here(std::string_view message, bool text);

  void on_message(Bytes message, bool text) override;
  void on_state(const client::State& state) override;
  void on_room() override;
  void on_save(const std::string& snapshot) override;

  Handlers handlers_;
  bool own_thread_ = true, whole_ = false;
  NullLog log_;
  SystemRandom random_;
  std::unique_ptr<io::EpollLoop> loop_;
  std::optional<io::World> world_;
  std::unique_ptr<io::TlsNetwork> tls_;
  std::unique_ptr<client::SystemResolver> resolver_;
  std::unique_ptr<client::Driver> driver_;
  std::thread thread_;
  std::atomic<std::thread::id> turning_{};  // who is inside turn()
  bool stopping_ = false;                   // the loop's thread

  mutable std::mutex mutex_;  // guards what follows
  std::deque<Queued> queue_;
  std::size_t queue_bytes_ = 0;
  std::size_t free_bytes_ = 0, free_messages_ = 0;  // of the window, without what is queued
  std::size_t window_bytes_ = 0;                    // 0: not known yet
  std::optional<std::size_t> wanted_;               // somebody was refused so many bytes
  bool live_ = false, ended_ = false;
  std::string cookies_;
  Statistics statistics_;
};

// --- making ---

Client::Made Client::Machine::make(const Options& options, Handlers handlers) {
  std::unique_ptr<Machine> machine(new Machine);
  machine->handlers_ = std::move(handlers);
  machine->own_thread_ = options.own_thread;
  machine->whole_ = options.save_whole;
  Made made;
  const Status built = machine->build(options);
  if (!built) {
    made.error = built.error().detail;
    return made;
  }
  made.client.reset(new Client(std::move(machine)));
  return made;
}

Status Client::Machine::build(const Options& options) {
  client::DriverOptions driver;
  Result<proto::Url> url = proto::Url::parse(options.url);
  if (!url) return url.error();
  driver.url = std::move(*url);
  if (!options.bind.empty()) {
    const Result<Address> bind = Address::parse_ip(options.bind);
    if (!bind) return bind.error();
    driver.link.bind = *bind;
  }
  driver.link.origin = options.origin;
  driver.link.headers = options.headers;
  driver.identity = options.identity;
  driver.application = options.application;
  driver.saved = options.saved;
  driver.save = whole_ ? session::Snapshot::whole : session::Snapshot::light;
  driver.advertised = options.use_advertised_addresses ? session::Advertised::yes : session::Advertised::no;
  driver.login_again = options.login_again;
  driver.give_up = std::chrono::milliseconds(options.give_up_ms);

  Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(log_);
  if (!loop) return loop.error();
  loop_ = std::move(*loop);
  world_.emplace(loop_->world(random_, log_));
  if (driver.url.secure() || options.use_advertised_addresses) {
    auto context = io::TlsContext::make(io::TlsClientOptions{options.ca_pem, options.ca_file, {}});
    if (!context) return context.error();
    tls_ = std::make_unique<io::TlsNetwork>(*world_, io::TlsContexts{.client = std::move(*context)});
  }
  resolver_ = std::make_unique<client::SystemResolver>(*loop_);
  auto made = client::Driver::make(*world_, tls_.get(), *resolver_, std::move(driver), *this);
  if (!made) return made.error();
  driver_ = std::move(*made);
  if (!options.cookies.empty()) {
    const Status loaded = driver_->jar().load(options.cookies, loop_->unix_now());
    if (!loaded) return loaded.error();
    cookies_ = options.cookies;
  }
  return {};
}

Client::Machine::~Machine() {
  if (thread_.joinable()) {
    loop_->post([this] { stopping_ = true; });
    thread_.join();
  }
}

// --- the loop's thread ---

void Client::Machine::start() {
  loop_->post([this] { driver_->start(); });
  if (!own_thread_) return;
  thread_ = std::thread([this] {
    while (!stopping_) turn(1h);
  });
}

void Client::Machine::turn(Duration wait_max) {
  turning_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  loop_->turn(wait_max);
  drain();
  publish();
  turning_.store(std::thread::id(), std::memory_order_relaxed);
}

int Client::Machine::timeout_ms() const {
  const Duration wait = loop_->next_wait();
  if (wait == Duration::max()) return -1;
  return static_cast<int>(std::min<std::int64_t>((wait.count() + 999) / 1000, 3'600'000));
}

/// What other threads sent goes into the window. True when there was something.
bool Client::Machine::take_queued() {
  std::deque<Queued> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(queue_);
    free_bytes_ -= std::min(free_bytes_, queue_bytes_);
    free_messages_ -= std::min(free_messages_, taken.size());
    queue_bytes_ = 0;
  }
  for (const Queued& message : taken) (void)driver_->send(message.bytes, message.text);
  return !taken.empty();
}

/// At the end of a turn: what was sent leaves, and who waits for room is told of it.
void Client::Machine::drain() {
  const bool queued = take_queued();
  std::optional<std::size_t> wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted.swap(wanted_);
  }
  if (wanted) driver_->want_room(*wanted);
  if (queued || wanted) driver_->flush();
  // There may be room by now, of which nobody would tell.
  if (wanted && driver_->has_room(*wanted)) on_room();
}

void Client::Machine::publish() {
  const session::SendWindow& window = driver_->session().window();
  const client::Stats stats = driver_->stats();
  const bool open = driver_->has_room(0);
  const std::lock_guard lock(mutex_);
  free_bytes_ = open ? window.limits().bytes - window.held_bytes() : 0;
  free_messages_ = open ? window.limits().messages - window.held_messages() : 0;
  window_bytes_ = open ? window.limits().bytes : window_bytes_;
  live_ = driver_->live();
  ended_ = ended_ || driver_->ended() || driver_->session().phase() == session::ClientSession::Phase::closing;
  statistics_ = {stats.dials, stats.failed_dials, stats.logins,     stats.resumes,         stats.received,
                 stats.sent,  stats.sent_again,   stats.duplicates, window.held_messages()};
}

// --- what applications call ---

Client::Sent Client::Machine::send(std::string_view message, Kind kind) {
  const bool text = kind == Kind::text;
  if (text && !proto::is_utf8(message)) return Sent::not_text;
  if (on_loop()) {
    (void)take_queued();  // what others sent before comes before; room is told when nobody is in a send()
    return send_here(message, text);
  }
  bool wake = false;
  Sent sent = Sent::sent;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return Sent::ended;
    if (window_bytes_ != 0 && message.size() > window_bytes_) return Sent::too_large;
    if (queue_bytes_ + message.size() > free_bytes_ || queue_.size() >= free_messages_) {
      wake = !wanted_;
      wanted_ = std::min(wanted_.value_or(message.size()), message.size());
      sent = Sent::window_full;
    } else {
      wake = queue_.empty();
      queue_.push_back({std::string(message), text});
      queue_bytes_ += message.size();
      sent = live_ ? Sent::sent : Sent::queued;
    }
  }
  if (wake) loop_->post([] {});  // its turn ends with drain()
  return sent;
}

Client::Sent Client::Machine::send_here(std::string_view message, bool text) {
  switch (driver_->send(message, text)) {
    case client::Driver::Sent::taken: return driver_->live() ? Sent::sent : Sent::queued;
    case client::Driver::Sent::no_room: return Sent::window_full;
    case client::Driver::Sent::too_large: return Sent::too_large;
    case client::Driver::Sent::not_text: return Sent::not_text;
    case client::Driver::Sent::ended: break;
  }
  return Sent::ended;
}

void Client::Machine::close(std::uint16_t code, std::string_view reason) {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;  // nothing is taken behind it, from nobody
  }
  loop_->post([this, code, why = std::string(reason)] {
    drain();
    driver_->close(code, why);
  });
}

void Client::Machine::network_changed(Network what) {
  loop_->post([this, what] {
    driver_->network_changed(what == Network::gone ? client::Driver::Change::path_gone
                                                   : client::Driver::Change::doubt);
  });
}

// --- what the driver tells ---

void Client::Machine::on_message(Bytes message, bool text) {
  publish();
  if (handlers_.message) handlers_.message(message, text ? Kind::text : Kind::binary);
}

void Client::Machine::on_state(const client::State& state) {
  publish();
  if (state.kind == client::State::Kind::open || state.kind == client::State::Kind::resumed) {
    const std::string cookies = driver_->jar().save(loop_->unix_now());
    const std::lock_guard lock(mutex_);
    cookies_ = cookies;
  }
  if (state.kind == client::State::Kind::lost) {
    const std::lock_guard lock(mutex_);
    queue_.clear();  // it was sent in the session that is gone
    queue_bytes_ = 0;
  }
  if (!handlers_.state) return;
  State told;
  told.kind = static_cast<State::Kind>(state.kind);
  told.code = state.code;
  told.reason = state.reason;
  told.url = state.url;
  if (state.local) told.local = state.local.text();
  if (state.peer) told.peer = state.peer.text();
  told.epoch = state.epoch;
  told.dials = state.dials;
  told.round_trips = state.round_trips;
  told.took_ms = static_cast<std::uint32_t>(state.took / 1ms);
  told.whole = state.whole;
  told.to_come = state.to_come;
  told.sent_again = state.sent_again;
  handlers_.state(told);
}

void Client::Machine::on_room() {
  publish();
  if (handlers_.writable) handlers_.writable();
}

void Client::Machine::on_save(const std::string& snapshot) {
  if (handlers_.save) handlers_.save(snapshot);
}

// --- the public face ---

static_assert(static_cast<int>(Client::State::Kind::connecting) ==
              static_cast<int>(client::State::Kind::connecting));
static_assert(static_cast<int>(Client::State::Kind::ended) == static_cast<int>(client::State::Kind::ended));

Client::Client(std::unique_ptr<Machine> machine) : machine_(std::move(machine)) {}
Client::~Client() = default;
Client::Made Client::make(const Options& options, Handlers handlers) {
  return Machine::make(options, std::move(handlers));
}
void Client::start() { machine_->start(); }
Client::Sent Client::send(std::string_view message, Kind kind) { return machine_->send(message, kind); }
void Client::close(std::uint16_t code, std::string_view reason) { machine_->close(code, reason); }
void Client::network_changed(Network what) { machine_->network_changed(what); }
std::string Client::snapshot() const { return machine_->snapshot(); }
std::string Client::cookies() const { return machine_->cookies(); }
Client::Statistics Client::statistics() const { return machine_->statistics(); }
int Client::descriptor() const { return machine_->descriptor(); }
int Client::timeout_ms() const { return machine_->timeout_ms(); }
void Client::process() { machine_->process(); }

const char* Client::name(State::Kind kind) {
  switch (kind) {
    case State::Kind::connecting: return "connecting";
    case State::Kind::open: return "open";
    case State::Kind::reconnecting: return "reconnecting";
    case State::Kind::resumed: return "resumed";
    case State::Kind::lost: return "lost";
    case State::Kind::ended: return "ended";
  }
  return "?";
}

}  // namespace rejoin
