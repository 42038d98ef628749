#include "apps/serve/workers.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "apps/serve/inheritance.h"
#include "apps/serve/privileges.h"
#include "apps/serve/service_manager.h"
#include "apps/serve/upgrade.h"
#include "base/limits.h"
#include "base/random.h"
#include "io/kernel_passing.h"
#include "io/make_loop.h"

namespace rejoin::serve {
namespace {

// How far the end of a worker has come. Only grows.
enum class Phase : std::uint8_t { serving, retiring, draining, stopping };

// One worker: its loop, its chance, its program. Made and destroyed by the main thread; open(), turn() and
// advance() are called on the worker's own thread alone.
class Seat {
 public:
  Seat(unsigned number, Log& log, Duration drain_time)
      : log_(log), drain_time_(drain_time), number_(number) {}

  // On the main thread, for all before any serves: colleagues post to each other's loops.
  Status make_loop(const io::LoopKind& kind) {
    Result<std::unique_ptr<io::KernelLoop>> loop = io::make_loop(kind, log_);
    if (!loop) return std::move(loop.error());
    loop_ = std::move(*loop);
    return {};
  }

  // `channel` to the worker of the same number in the process before us; -1: there is none.
  Status open(const WorkerFactory& factory, const std::vector<Address>& at, int channel,
              Colleagues& colleagues, std::string_view legacy = {}) {
    world_.emplace(loop_->world(random_, log_));
    deadline_.emplace([](void* self) { static_cast<Seat*>(self)->on_deadline(); }, this);
    program_ = factory(*world_, number_, colleagues);
    if (channel >= 0) program_->expect(std::make_unique<io::KernelPassChannel>(*loop_, channel));
    if (!legacy.empty()) program_->inherit(legacy);
    Status open = program_->open(at);
    if (!open) close();
    return open;
  }

  // One turn of the loop, which goes on turning when the program has ended (for worker 0, who has the
  // signals).
  void turn() {
    loop_->turn(1h);
    if (phase_ == Phase::serving && program_ && program_->over()) advance(Phase::draining, drain_time_);
    if (phase_ != Phase::serving && program_ && program_->idle()) close();
  }
  bool ended() const { return program_ == nullptr; }

  // `time` is for retiring and draining.
  void advance(Phase to, Duration time) {
    if (to <= phase_ || ended()) return;
    phase_ = to;
    if (to == Phase::retiring) program_->retire();
    if (to == Phase::draining) program_->drain();
    if (to == Phase::stopping) program_->stop();
    world_->timers.arm(*deadline_, loop_->now() + (to == Phase::stopping ? Duration(limits::kStopS) : time));
  }

  std::vector<Address> addresses() const { return program_->addresses(); }
  // Any thread, once open() has come back: the loop lives as long as the seat, also after its thread has
  // ended.
  void order(Phase to, Duration time = {}) {
    loop_->post([this, to, time] { advance(to, time); });
  }
  // Its sessions go to the next process, by this channel. Any thread.
  void order_to_hand_on(int channel) {
    loop_->post([this, channel] {
      auto to_next = std::make_unique<io::KernelPassChannel>(*loop_, channel);
      if (phase_ == Phase::serving && program_) program_->hand_on(std::move(to_next));
    });
  }
  io::KernelLoop& loop() { return *loop_; }
  // On its own thread.
  WorkerProgram* program() { return program_.get(); }

 private:
  void on_deadline() {
    if (phase_ != Phase::stopping) {
      log_.info("worker " + std::to_string(number_) + ": the time to drain is over, ending what is left");
      advance(Phase::stopping, {});
      return;
    }
    log_.error("worker " + std::to_string(number_) + " does not end, which is a bug: leaving without it");
    std::_Exit(1);
  }

  void close() {
    program_.reset();
    deadline_.reset();
    loop_->settle();  // other workers may have clients for long, and our thread ends now
  }

  Log& log_;
  SystemRandom random_;
  std::unique_ptr<io::KernelLoop> loop_;
  std::optional<io::World> world_;
  std::optional<Timer> deadline_;  // of the phase
  std::unique_ptr<WorkerProgram> program_;
  Duration drain_time_;
  unsigned number_;
  Phase phase_ = Phase::serving;
};

// All workers of the process. Lives on the main thread, whose loop is worker 0's.
class Crew final : public Colleagues {
 public:
  Crew(const WorkersOptions& options, Log& log) {
    for (unsigned i = 0; i < options.count; ++i)
      seats_.push_back(std::make_unique<Seat>(i, log, options.drain_time));
  }
  ~Crew() override {
    for (std::thread& thread : threads_) thread.join();
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  Status make_loops(const io::LoopKind& kind) {
    for (const auto& seat : seats_) {
      Status made = seat->make_loop(kind);
      if (!made) return made;
    }
    return {};
  }
  std::vector<io::KernelLoop*> loops() {
    std::vector<io::KernelLoop*> out;
    for (const auto& seat : seats_) out.push_back(&seat->loop());
    return out;
  }

  Status open(const WorkerFactory& factory, Inheritance& inheritance) {
    Status first_open = main().open(factory, {}, inheritance.take_channel(0), *this, inheritance.legacy());
    if (!first_open) return first_open;
    const std::vector<Address> at = main().addresses();
    std::vector<std::future<Status>> opening;
    for (std::size_t i = 1; i < seats_.size(); ++i) {
      std::promise<Status> opened;
      opening.push_back(opened.get_future());
      threads_.emplace_back([this, &factory, at, seat = seats_[i].get(),
                             channel = inheritance.take_channel(static_cast<unsigned>(i)),
                             opened = std::move(opened)]() mutable {
        Status open = seat->open(factory, at, channel, *this);
        const bool ok = open.ok();
        opened.set_value(std::move(open));
        if (!ok) return;
        while (!seat->ended()) seat->turn();
        main().loop().post([this] { --others_; });  // the last thing that this thread does
      });
    }
    Status all;
    for (std::size_t i = 0; i < opening.size(); ++i) {
      Status open = opening[i].get();
      if (open) {
        ++others_;
        opened_.push_back(seats_[i + 1].get());
      } else if (all) {
        all = std::move(open);
      }
    }
    opened_.push_back(&main());
    return all;
  }

  void end(Phase how, Duration time = {}) {
    for (Seat* seat : opened_) seat->order(how, time);
  }

  using Sockets = std::vector<Upgrade::Given>;
  // Asks all workers for their listening sockets, and whether a next process may begin; calls `then` with the
  // answers on the main thread.
  void gather_listening(std::function<void(const Sockets&, const Status& may)> then) {
    struct Answers {
      Sockets sockets;
      Status may;
      std::size_t missing;
    };
    auto all = std::make_shared<Answers>();
    all->missing = seats_.size();
    for (unsigned i = 0; i < seats_.size(); ++i) {
      seats_[i]->loop().post([this, i, all, then] {
        Seat& seat = *seats_[i];
        Status may = seat.program() != nullptr ? seat.program()->may_hand_on() : this_process_ends();
        main().loop().post([i, found = seat.loop().listening(), may = std::move(may), all, then]() mutable {
          for (const io::KernelLoop::Listening& it : found)
            all->sockets.push_back({i, it.descriptor, it.address});
          if (!may && all->may) all->may = std::move(may);
          if (--all->missing == 0) then(all->sockets, all->may);
        });
      });
    }
  }
  // The new process has them, but for `left`.
  void leave(const Sockets& sockets, const std::vector<int>& left) {
    for (unsigned i = 0; i < seats_.size(); ++i) {
      std::vector<int> theirs;
      for (const Upgrade::Given& it : sockets) {
        if (it.worker == i && std::find(left.begin(), left.end(), it.descriptor) == left.end())
          theirs.push_back(it.descriptor);
      }
      io::KernelLoop& loop = seats_[i]->loop();
      loop.post([&loop, theirs] { loop.leave_to_others(theirs); });
    }
  }

  // One channel for each worker, which are theirs now.
  void hand_on(const std::vector<int>& channels) {
    for (std::size_t i = 0; i < seats_.size(); ++i) seats_[i]->order_to_hand_on(channels[i]);
  }

  // Until every worker that was opened has ended, which end() begins.
  void run() {
    while (!main().ended() || others_ != 0) main().turn();
  }

  Seat& main() { return *seats_.front(); }

  // --- Colleagues ---
  unsigned count() const override { return static_cast<unsigned>(seats_.size()); }

  void ask(unsigned worker, std::function<void(WorkerProgram&)> work) override {
    Seat& seat = *seats_[worker];
    seat.loop().post([&seat, work = std::move(work)] {
      if (WorkerProgram* program = seat.program()) work(*program);
    });
  }

  void hand_over(unsigned worker, io::Socket socket,
                 std::function<void(WorkerProgram&, io::Socket)> work) override {
    Seat& seat = *seats_[worker];
    io::LooseConnection loose = io::KernelLoop::give_up(std::move(socket));
    seat.loop().post([&seat, loose = std::move(loose), work = std::move(work)] {
      io::Socket taken = seat.loop().take_over(loose);
      if (WorkerProgram* program = seat.program()) work(*program, std::move(taken));
    });
  }

  void on_upgrade(std::function<void()> begin) { begin_upgrade_ = std::move(begin); }
  io::KernelLoop* loop_of(unsigned worker) override { return &seats_[worker]->loop(); }
  void upgrade() override {
    main().loop().post([this] {
      if (begin_upgrade_) begin_upgrade_();
    });
  }

 private:
  static Status this_process_ends() {
    return Error{ErrorKind::unsupported, Side::ours, Retry::no, "this process is ending"};
  }

  std::function<void()> begin_upgrade_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<Seat*> opened_;
  std::vector<std::thread> threads_;
  std::size_t others_ = 0;  // workers on other threads that have not ended. Touched by the main thread only
};

// SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGCHLD as something to read, on the main worker's loop.
class Signals {
 public:
  // Blocks them for this thread and all that it starts.
  Signals() {
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGUSR2);
    sigaddset(&ours, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &ours, nullptr);
    descriptor_ = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
  }
  ~Signals() { ::close(descriptor_); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int descriptor() const { return descriptor_; }
  // The number of the next one that came, or 0.
  int next() {
    signalfd_siginfo info;
    return ::read(descriptor_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  int descriptor_;
};

// Loops of the kind that the environment, or else the configuration, asks for.
Status make_loops(Crew& crew, io::LoopChoice choice, Log& log) {
  const char* const asked = std::getenv(kIoVariable);
  if (asked != nullptr) {
    const auto said = io::parse_loop_choice(asked);
    if (!said)
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   std::string(kIoVariable) + "=" + asked + ": write auto, epoll or io_uring"};
    choice = *said;
  }
  Result<io::LoopKind> kind = io::choose_loop(choice);
  if (!kind) return std::move(kind.error());
  Status made = crew.make_loops(*kind);
  if (!made && kind->io_uring && choice == io::LoopChoice::automatic) {
    // One ring worked, and so many do not: the limit of locked memory, most likely.
    kind = io::LoopKind{false, "io: epoll, as io_uring cannot be had: " + made.error().detail};
    made = crew.make_loops(*kind);
  }
  if (made) log.info(kind->said);
  return made;
}

void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // with fewer we serve fewer
}

std::vector<ListenerPlace> places_of(const WorkersOptions& options) {
  std::vector<ListenerPlace> out;
  for (std::size_t i = 0; i < options.listener_names.size() && i < options.listener_addresses.size(); ++i)
    out.push_back({options.listener_names[i], options.listener_addresses[i]});
  return out;
}

// The process that comes in the place of this one, from SIGUSR2 on. On the main thread.
class Succession {
 public:
  Succession(Crew& crew, const WorkersOptions& options, const ServiceManager& manager, Log& log)
      : crew_(crew),
        options_(options),
        manager_(manager),
        log_(log),
        upgrade_(crew.main().loop(), log, [this](const Upgrade::Successor& it) { on_served(it); }) {
    crew.on_upgrade([this] { begin(); });
  }

  void begin() {
    if (replaced()) return log_.error("no upgrade: process " + std::to_string(process_) + " serves already");
    if (closed_ || writing_ || upgrade_.under_way())
      return log_.error("no upgrade: one is under way, or we are ending");
    crew_.gather_listening([this](const Crew::Sockets& sockets, const Status& may) {
      if (replaced() || closed_ || upgrade_.under_way()) return;
      given_ = sockets;
      if (!may) return log_.error("no upgrade: " + to_string(may.error()));
      write_legacy();
    });
  }
  ~Succession() {
    if (writer_.joinable()) writer_.join();
  }
  Succession(const Succession&) = delete;
  Succession& operator=(const Succession&) = delete;

  // SIGHUP. A process that starts just now may have read its files before they were changed.
  void on_hang_up() { told_to_reload_ = upgrade_.under_way(); }
  // No new one begins any more.
  void close() { closed_ = true; }
  bool replaced() const { return process_ != 0; }

  // SIGCHLD.
  void look_after_it() {
    int status = 0;
    upgrade_.look_after_child();
    if (process_ == 0 || waitpid(process_, &status, WNOHANG) != process_) return;
    const std::string who = "upgrade: process " + std::to_string(process_) + ' ';
    // As it does when it was replaced itself, while we still have clients of before.
    if (options_.identity.empty() && status == 0) return log_.info(who + Upgrade::end_of(status));
    log_.error(who + Upgrade::end_of(status) +
               (options_.identity.empty() ? "; nobody takes new clients any more" : "; this one goes on"));
    if (options_.identity.empty()) return;
    process_ = 0;
    manager_.main_process(getpid());
  }

 private:
  // On a thread of its own, as worker 0 has clients.
  void write_legacy() {
    std::function<std::string()> make;
    if (WorkerProgram* const program = crew_.main().program()) make = program->legacy();
    if (!make) return start({});
    if (std::exchange(writing_, true)) return;  // asked twice before the workers answered
    if (writer_.joinable()) writer_.join();
    writer_ = std::thread([this, make = std::move(make)] {
      crew_.main().loop().post([this, legacy = make()] {
        writing_ = false;
        start(legacy);
      });
    });
  }
  void start(const std::string& legacy) {
    if (replaced() || closed_ || upgrade_.under_way()) return;
    const Status begun = upgrade_.begin(given_, options_.identity, options_.count, legacy);
    if (!begun) log_.error("no upgrade: " + to_string(begun.error()));
  }

  void on_served(const Upgrade::Successor& it) {
    process_ = it.process;
    manager_.main_process(process_);
    if (told_to_reload_) kill(process_, SIGHUP);
    told_to_reload_ = false;
    crew_.leave(given_, it.left);
    const std::string who = "upgrade: process " + std::to_string(process_) + " serves; ";
    if (it.channels.empty()) {
      log_.info(who + "this one ends with its last client");
      crew_.end(Phase::retiring, options_.upgrade_time);
    } else {
      log_.info(who + "this one hands on what it has");
      crew_.hand_on(it.channels);
    }
    look_after_it();  // it may have died before we knew its number
  }

  Crew& crew_;
  const WorkersOptions& options_;
  const ServiceManager& manager_;
  Log& log_;
  Upgrade upgrade_;
  Crew::Sockets given_;
  pid_t process_ = 0;  // which serves in our place
  bool closed_ = false;
  std::thread writer_;  // of what the next process is to know
  bool writing_ = false;
  bool told_to_reload_ = false;  // while the next process starts
};

}  // namespace

int run_workers(const WorkersOptions& options, Log& log, const WorkerFactory& factory) {
  Signals signals;
  raise_descriptor_limit();
  const ServiceManager manager = ServiceManager::from_environment();
  Inheritance inheritance = Inheritance::from_environment(log);
  Crew crew(options, log);
  Status open = inheritance.admits(options.identity, options.count);
  if (open) open = make_loops(crew, options.process.io, log);
  if (open) {
    inheritance.share_out(crew.loops(), places_of(options));
    open = crew.open(factory, inheritance);
  }
  if (open) open = drop_privileges(options.process);
  if (!open) {
    log.error(to_string(open.error()));
    crew.end(Phase::stopping);
    crew.run();
    return 1;
  }

  Phase next = Phase::draining;
  std::optional<Succession> succession;
  succession.emplace(crew, options, manager, log);
  crew.main().loop().watch(signals.descriptor(), [&] {
    while (const int number = signals.next()) {
      if (number == SIGUSR2) {
        succession->begin();
        continue;
      }
      if (number == SIGCHLD) {
        succession->look_after_it();
        continue;
      }
      if (number == SIGHUP) {
        WorkerProgram* const program = crew.main().program();
        if (program == nullptr || succession->replaced() || next != Phase::draining) continue;
        succession->on_hang_up();
        manager.reloading();
        program->hang_up([&manager] { manager.ready("serving"); });
        continue;
      }
      if (number == SIGUSR1) {
        if (options.on_reopen) options.on_reopen();
        continue;
      }
      const bool first = next == Phase::draining;
      log.info(std::string(number == SIGINT ? "SIGINT" : "SIGTERM") +
               (first ? ": draining" : ": ending at once"));
      if (!succession->replaced()) manager.stopping(first ? "draining" : "ending");
      succession->close();
      crew.end(next, options.drain_time);
      next = Phase::stopping;
    }
  });
  const int predecessor = inheritance.predecessor();
  auto forget_predecessor = [&, watched = predecessor >= 0]() mutable {
    if (std::exchange(watched, false)) crew.main().loop().unwatch(predecessor);
  };
  if (predecessor >= 0) {
    crew.main().loop().watch(predecessor, [&] {
      forget_predecessor();
      if (WorkerProgram* const program = crew.main().program()) program->predecessor_ended();
    });
  }
  const std::vector<Address> addresses = crew.main().addresses();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    log.write(LogLevel::info,
              "listener " + options.listener_names[i] + ": listening on " + addresses[i].text());
  }
  // No other thread touches its loop's inheritance any more.
  std::vector<int> not_taken;
  for (io::KernelLoop* loop : crew.loops()) {
    for (const int descriptor : loop->not_taken()) not_taken.push_back(descriptor);
  }
  inheritance.taken_over(not_taken, log);
  log.write(LogLevel::info, "ready");
  manager.ready("serving");
  crew.run();
  succession.reset();
  forget_predecessor();
  crew.main().loop().unwatch(signals.descriptor());
  return 0;
}

}  // namespace rejoin::serve
