#include "apps/serve/workers.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "apps/serve/crew.h"
#include "apps/serve/inheritance.h"
#include "apps/serve/privileges.h"
#include "apps/serve/service_manager.h"
#include "apps/serve/upgrade.h"
#include "io/make_loop.h"

namespace rejoin::serve {
namespace {

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

// As many tables of descriptors as the environment, or else the configuration, asks for. After make_loops().
Status make_tables(Crew& crew, io::Descriptors choice, Log& log) {
  if (const char* const asked = std::getenv(kDescriptorsVariable)) {
    const auto said = io::parse_descriptors(asked);
    if (!said)
      return Error{ErrorKind::config, Side::ours, Retry::no,
                   std::string(kDescriptorsVariable) + "=" + asked + ": write per_process or per_worker"};
    choice = *said;
  }
  if (choice == io::Descriptors::per_process) return {};
  Status made = crew.separate_tables();
  rlimit limit{};
  if (made && getrlimit(RLIMIT_NOFILE, &limit) == 0)
    log.info("descriptors: per_worker, each of " + std::to_string(crew.count()) + " may have " +
             std::to_string(limit.rlim_cur));
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
        upgrade_(
            crew.main().loop(), log, [this](const Upgrade::Successor& it) { on_served(it); },
            [this] { on_failed(); }) {
    crew.on_upgrade([this] { begin(); });
    crew.on_reload([this] { on_hang_up(); });
  }

  void begin() {
    if (replaced()) return log_.error("no upgrade: process " + std::to_string(process_) + " serves already");
    if (closed_ || writing_ || upgrade_.under_way())
      return log_.error("no upgrade: one is under way, or we are ending");
    crew_.gather_listening([this](const Crew::Sockets& sockets, const Status& may) {
      if (replaced() || closed_ || upgrade_.under_way()) return;
      if (!may) return log_.error("no upgrade: " + to_string(may.error()));
      given_ = sockets;
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
  void close() {
    closed_ = true;
    drop_copies();
    if (!replaced() && !upgrade_.under_way()) on_failed();
  }
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
  void write_legacy() {
    WorkerProgram* const program = crew_.main().program();
    if (program == nullptr) return;
    if (std::exchange(writing_, true)) return;  // asked twice before the workers answered
    program->bequeath([this](const WorkerProgram::LegacyMaker& make) { write_legacy(make); });
  }
  // On a thread of its own, as worker 0 has clients.
  void write_legacy(const WorkerProgram::LegacyMaker& make) {
    if (!make) return start({});
    if (writer_.joinable()) writer_.join();
    writer_ = std::thread(
        [this, make] { crew_.main().loop().post([this, legacy = make()] { start(view(legacy)); }); });
  }
  void start(Bytes legacy) {
    writing_ = false;
    if (replaced() || closed_ || upgrade_.under_way()) return;
    const Status begun = upgrade_.begin(given_, options_.identity, options_.count, legacy);
    drop_copies();
    if (begun) return;
    log_.error("no upgrade: " + to_string(begun.error()));
    on_failed();
  }
  void on_failed() {
    if (WorkerProgram* const program = crew_.main().program()) program->next_failed();
  }
  // A socket that listens must close with its worker.
  void drop_copies() {
    for (Upgrade::Given& it : given_) it.copy.reset();
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
  return run_workers(options, Inheritance::from_environment(log), log, factory);
}

int run_workers(const WorkersOptions& options, Inheritance inheritance, Log& log,
                const WorkerFactory& factory) {
  Signals signals;
  raise_descriptor_limit();
  const ServiceManager manager = ServiceManager::from_environment();
  Crew crew(options, log);
  Status open = inheritance.admits(options.identity, options.count);
  if (open) open = make_loops(crew, options.process.io, log);
  if (open) open = make_tables(crew, options.process.descriptors, log);
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
  inheritance.taken_over(crew.not_taken(), log);  // no other thread touches its loop's any more
  log.write(LogLevel::info, "ready");
  manager.ready("serving");
  crew.run();
  succession.reset();
  forget_predecessor();
  crew.main().loop().unwatch(signals.descriptor());
  return 0;
}

}  // namespace rejoin::serve
