#include "apps/serve/workers.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <optional>
#include <thread>

#include "apps/serve/upgrade.h"
#include "base/limits.h"
#include "base/random.h"
#include "io/epoll_loop.h"
#include "io/epoll_passing.h"

namespace rejoin::serve {
namespace {

// How far the end of a worker has come. Only grows.
enum class Phase : std::uint8_t { serving, draining, stopping };

// One worker: its loop, its chance, its program. Made and destroyed by the main thread; open(), turn() and
// advance() are called on the worker's own thread alone.
class Seat {
 public:
  Seat(unsigned number, Log& log, Duration drain_time)
      : log_(log), drain_time_(drain_time), number_(number) {}

  // On the main thread, for all before any serves: colleagues post to each other's loops.
  Status make_loop() {
    Result<std::unique_ptr<io::EpollLoop>> loop = io::EpollLoop::make(log_);
    if (!loop) return std::move(loop.error());
    loop_ = std::move(*loop);
    return {};
  }

  Status open(const WorkerFactory& factory, const std::vector<Address>& at, Colleagues& colleagues) {
    world_.emplace(loop_->world(random_, log_));
    deadline_.emplace([](void* self) { static_cast<Seat*>(self)->on_deadline(); }, this);
    program_ = factory(*world_, number_, colleagues);
    if (inherited_) {
      for (const InheritedWorker::Listener& listener : inherited_->listeners)
        loop_->inherit_listener(listener.at, listener.descriptor);
      program_->expect(std::make_unique<io::EpollPassChannel>(*loop_, inherited_->channel));
    }
    Status open = program_->open(at);
    loop_->forget_inherited();
    if (!open) close();
    return open;
  }

  // One turn of the loop, which goes on turning when the program has ended (for worker 0, who has the
  // signals).
  void turn() {
    loop_->turn(1h);
    if (phase_ == Phase::serving && program_ && program_->over()) advance(Phase::draining);
    if (phase_ != Phase::serving && program_ && program_->idle()) close();
  }
  bool ended() const { return program_ == nullptr; }

  void advance(Phase to) {
    if (to <= phase_ || ended()) return;
    phase_ = to;
    if (to == Phase::draining) {
      program_->drain();
      world_->timers.arm(*deadline_, loop_->now() + drain_time_);
    } else {
      program_->stop();
      world_->timers.arm(*deadline_, loop_->now() + Duration(limits::kStopS));
    }
  }

  std::vector<Address> addresses() const { return program_->addresses(); }
  // Any thread, once open() has come back: the loop lives as long as the seat, also after its thread has
  // ended.
  void order(Phase to) {
    loop_->post([this, to] { advance(to); });
  }
  io::EpollLoop& loop() { return *loop_; }
  // Before open().
  void inherit(const InheritedWorker& share) { inherited_ = share; }
  // On its own thread.
  WorkerProgram* program() { return program_.get(); }

 private:
  void on_deadline() {
    if (phase_ == Phase::draining) {
      log_.info("worker " + std::to_string(number_) + ": the time to drain is over, ending what is left");
      advance(Phase::stopping);
      return;
    }
    log_.error("worker " + std::to_string(number_) + " does not end, which is a bug: leaving without it");
    std::_Exit(1);
  }

  void close() {
    program_.reset();
    deadline_.reset();
  }

  Log& log_;
  SystemRandom random_;
  std::unique_ptr<io::EpollLoop> loop_;
  std::optional<io::World> world_;
  std::optional<Timer> deadline_;  // of draining, then of stopping
  std::unique_ptr<WorkerProgram> program_;
  Duration drain_time_;
  std::optional<InheritedWorker> inherited_;
  unsigned number_;
  Phase phase_ = Phase::serving;
};

// All workers of the process. Lives on the main thread, whose loop is worker 0's.
class Crew final : public Colleagues {
 public:
  Crew(const WorkersOptions& options, Log& log) : options_(options), log_(log) {
    if (Result<CommandLine> command = present_command_line()) command_ = std::move(*command);
    for (unsigned i = 0; i < options.count; ++i)
      seats_.push_back(std::make_unique<Seat>(i, log, options.drain_time));
  }
  ~Crew() override {
    for (std::thread& thread : threads_) thread.join();
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // `before`: what the process before this one hands on, if there is one.
  Status open(const WorkerFactory& factory, const Inheritance* before) {
    for (std::size_t i = 0; i < seats_.size(); ++i) {
      Status made = seats_[i]->make_loop();
      if (!made) return made;
      if (before != nullptr) seats_[i]->inherit(before->workers[i]);
    }
    Status first_open =
        main().open(factory, before != nullptr ? addresses_of(*before) : std::vector<Address>(), *this);
    if (!first_open) return first_open;
    const std::vector<Address> at = main().addresses();
    std::vector<std::future<Status>> opening;
    for (std::size_t i = 1; i < seats_.size(); ++i) {
      std::promise<Status> opened;
      opening.push_back(opened.get_future());
      threads_.emplace_back(
          [this, &factory, at, seat = seats_[i].get(), opened = std::move(opened)]() mutable {
            Status open = seat->open(factory, at, *this);
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

  void end(Phase how) {
    for (Seat* seat : opened_) seat->order(how);
  }

  // Until every worker that was opened has ended, which end() begins.
  void run() {
    while (!main().ended() || others_ != 0) main().turn();
  }

  Seat& main() { return *seats_.front(); }

  // --- the next process ---
  // What it needs is asked of every worker, then it is started, then every worker hands on.
  Status upgrade() override {
    if (options_.identity.empty()) return not_now("the next process could not read what this one has sealed; configure [keys]");
    if (upgrade_) return not_now("an upgrade begins already");
    const WorkerProgram* const first = main().program();
    Status may = first != nullptr ? first->may_hand_on() : not_now("this process is ending");
    if (!may) return may;
    upgrade_ = std::make_unique<Upgrade>();
    Upgrade& plan = *upgrade_;
    plan.inheritance.identity = options_.identity;
    plan.inheritance.names = options_.listener_names;
    plan.inheritance.addresses = main().addresses();
    plan.inheritance.workers.resize(seats_.size());
    plan.missing = seats_.size();
    for (std::size_t i = 0; i < seats_.size(); ++i) {
      Seat* const seat = seats_[i].get();
      seat->loop().post([this, i, seat] {
        const WorkerProgram* const program = seat->program();
        Status ready = program != nullptr ? program->may_hand_on() : not_now("a worker has ended");
        InheritedWorker share;
        for (const auto& [at, descriptor] : seat->loop().listening())
          share.listeners.push_back({at, descriptor});
        main().loop().post([this, i, share = std::move(share), ready = std::move(ready)]() mutable {
          worker_is_ready(i, std::move(share), std::move(ready));
        });
      });
    }
    return {};
  }

  // SIGCHLD.
  void look_after_child() {
    int status = 0;
    if (child_ <= 0 || waitpid(child_, &status, WNOHANG) != child_) return;
    log_.warn("the new process (" + std::to_string(child_) + ") has ended" +
              (WIFSIGNALED(status) ? " by signal " + std::to_string(WTERMSIG(status))
                                   : " with status " + std::to_string(WEXITSTATUS(status))));
    child_ = -1;
  }

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
    const int descriptor = io::EpollLoop::give_up(std::move(socket));
    seat.loop().post([&seat, descriptor, work = std::move(work)] {
      io::Socket taken = seat.loop().take_over(descriptor);
      if (WorkerProgram* program = seat.program()) work(*program, std::move(taken));
    });
  }

 private:
  struct Upgrade {
    Inheritance inheritance;
    std::size_t missing = 0;
    Status why_not;
  };
  static Error not_now(std::string why) {
    return {ErrorKind::unsupported, Side::ours, Retry::yes, std::move(why)};
  }

  std::vector<Address> addresses_of(const Inheritance& before) const {
    std::vector<Address> out;
    for (const std::string& name : options_.listener_names) {
      const auto at = std::find(before.names.begin(), before.names.end(), name);
      out.push_back(at == before.names.end()
                        ? Address()
                        : before.addresses[static_cast<std::size_t>(at - before.names.begin())]);
    }
    return out;
  }

  void worker_is_ready(std::size_t number, InheritedWorker share, Status ready) {
    upgrade_->inheritance.workers[number] = std::move(share);
    if (!ready && upgrade_->why_not) upgrade_->why_not = std::move(ready);
    if (--upgrade_->missing != 0) return;
    const std::unique_ptr<Upgrade> plan = std::move(upgrade_);
    const Status started = plan->why_not ? start_next(plan->inheritance) : std::move(plan->why_not);
    if (!started) log_.error("no upgrade: " + to_string(started.error()));
  }

  Status start_next(Inheritance& inheritance) {
    std::vector<int> ours;
    Status made;
    for (InheritedWorker& worker : inheritance.workers) {
      const auto ends = io::EpollPassChannel::make_pair();
      if (!ends) {
        made = ends.error();
        break;
      }
      ours.push_back(ends->first);
      worker.channel = ends->second;
    }
    if (made) {
      const Result<pid_t> child = start_next_process(command_, inheritance);
      if (child) {
        child_ = *child;
        log_.info("upgrade: the new process is " + std::to_string(child_));
      } else {
        made = child.error();
      }
    }
    for (const InheritedWorker& worker : inheritance.workers) {
      if (worker.channel >= 0) ::close(worker.channel);
    }
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (!made) {
        ::close(ours[i]);
        continue;
      }
      Seat* const seat = seats_[i].get();
      seat->loop().post([seat, channel = ours[i]] {
        auto end = std::make_unique<io::EpollPassChannel>(seat->loop(), channel);
        if (WorkerProgram* program = seat->program()) program->hand_on(std::move(end));
      });
    }
    return made;
  }

  const WorkersOptions& options_;
  Log& log_;
  CommandLine command_;
  std::unique_ptr<Upgrade> upgrade_;
  pid_t child_ = -1;  // the next process, while it lives
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<Seat*> opened_;
  std::vector<std::thread> threads_;
  std::size_t others_ = 0;  // workers on other threads that have not ended. Touched by the main thread only
};

// SIGTERM, SIGINT, SIGUSR2 and SIGCHLD as something to read, on the main worker's loop.
class Signals {
 public:
  // Blocks them for this thread and all that it starts.
  Signals() {
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
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

void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // with fewer we serve fewer
}

/// May this process take over from the one before, if there is one?
Status follows(const std::optional<Result<Inheritance>>& before, const WorkersOptions& options) {
  if (!before) return {};
  if (!*before) return before->error();
  const Inheritance& inheritance = **before;
  if (inheritance.identity != options.identity || inheritance.workers.size() != options.count) {
    return Error{ErrorKind::config, Side::ours, Retry::no,
                 "the process before this one is \"" + inheritance.identity + "\" with " +
                     std::to_string(inheritance.workers.size()) + " workers, and this configuration says \"" +
                     options.identity + "\" with " + std::to_string(options.count) +
                     "; start it anew, or change that back"};
  }
  return {};
}

}  // namespace

Status WorkerProgram::may_hand_on() const {
  return Error{ErrorKind::unsupported, Side::ours, Retry::no, "this program cannot hand on what it has"};
}

Status Colleagues::upgrade() {
  return Error{ErrorKind::unsupported, Side::ours, Retry::no, "this program cannot be upgraded"};
}

int run_workers(const WorkersOptions& options, Log& log, const WorkerFactory& factory) {
  Signals signals;
  raise_descriptor_limit();
  std::optional<Result<Inheritance>> before = take_inheritance();
  const Status may_follow = follows(before, options);
  if (!may_follow) {
    log.error("cannot take over: " + to_string(may_follow.error()));
    return 1;
  }
  Crew crew(options, log);
  Status open = crew.open(factory, before ? &**before : nullptr);
  if (!open) {
    log.error(to_string(open.error()));
    crew.end(Phase::stopping);
    crew.run();
    return 1;
  }

  Phase next = Phase::draining;
  crew.main().loop().watch(signals.descriptor(), [&] {
    while (const int number = signals.next()) {
      if (number == SIGCHLD) {
        crew.look_after_child();
        continue;
      }
      if (number == SIGUSR2) {
        log.info("SIGUSR2: upgrading");
        const Status begun = crew.upgrade();
        if (!begun) log.error("no upgrade: " + to_string(begun.error()));
        continue;
      }
      const bool first = next == Phase::draining;
      log.info(std::string(number == SIGINT ? "SIGINT" : "SIGTERM") +
               (first ? ": draining" : ": ending at once"));
      crew.end(next);
      next = Phase::stopping;
    }
  });
  const std::vector<Address> addresses = crew.main().addresses();
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    log.write(LogLevel::info,
              "listener " + options.listener_names[i] + ": listening on " + addresses[i].text());
  }
  log.write(LogLevel::info, "ready");
  crew.run();
  crew.main().loop().unwatch(signals.descriptor());
  return 0;
}

}  // namespace rejoin::serve
