// What the serving programs (balancer, gateway) share: N workers, each a thread with its own loop and its own
// chance, and the signals that end them.
//
// Place on the path: around it. run_balancer and run_gateway read their configuration and call run_workers(),
// which returns when the program is over. Nothing of a worker is touched by another thread: a program is
// made, opened, told to drain, told to stop and destroyed on the thread of its loop; what comes from outside
// comes by KernelLoop::post.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "base/address.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "io/passing.h"
#include "io/world.h"

namespace rejoin::io {
class KernelLoop;
}

namespace rejoin::serve {

class Inheritance;

/// One worker's share of a program. Knows no thread and no kernel, so that a simulation can run it as well.
/// Every method is called on the worker's own thread.
class WorkerProgram {
 public:
  virtual ~WorkerProgram() = default;

  /// Binds the listeners and starts. `at` is empty in worker 0; in the others it holds the addresses() of
  /// worker 0, so that a configured port 0 becomes the same port in all. Called once. Error: the first
  /// listener that could not be opened; the program is then destroyed without drain() or stop(), so nothing
  /// may be running.
  virtual Status open(const std::vector<Address>& at) = 0;
  /// The real addresses of the listeners, in the configuration's order. After open().
  virtual std::vector<Address> addresses() const = 0;

  /// Takes no new clients; those that are there end in an orderly way. May be called more than once.
  virtual void drain() = 0;
  /// Takes no new clients, since another process does (an upgrade), and is in no hurry: who is connected may
  /// still ask once. Once, before drain(), which may follow.
  virtual void retire() { drain(); }
  /// Ends everything now. idle() becomes true within some turns of the loop. May come with or without drain()
  /// before it.
  virtual void stop() = 0;
  /// SIGHUP: reads again what can be read again, says on the log what came of it, and calls `done` then. Of
  /// worker 0 only.
  virtual void hang_up(std::function<void()> done) { done(); }

  // --- what the process in our place is to know, of worker 0 only ---
  /// Makes what its inherit() is told: on any thread, later, while this one serves on.
  using LegacyMaker = std::function<SecretBytes()>;
  /// A next process is to begin: `then` is called once, with nothing where it need know nothing. From then on
  /// nothing is changed here any more that the legacy tells of and that would be lost: until next_failed(),
  /// or for good.
  virtual void bequeath(std::function<void(LegacyMaker)> then) { then({}); }
  /// No next process serves, and we go on.
  virtual void next_failed() {}
  /// Before open(): what the process before us has left.
  virtual void inherit(Bytes legacy) { (void)legacy; }
  /// It has ended.
  virtual void predecessor_ended() {}

  // --- an upgrade: the next process takes the listeners, and what this program hands on ---
  /// Before open(): this process follows another, whose worker of the same number is at the other end.
  virtual void expect(std::unique_ptr<io::PassChannel>) {}
  /// May a next process begin now? Error: why not.
  virtual Status may_hand_on() const { return {}; }
  /// The next process serves. Only with WorkersOptions::identity, and in the place of drain().
  virtual void hand_on(std::unique_ptr<io::PassChannel>) {}
  /// After hand_on(): nothing is left that this process is needed for. It is drained then.
  virtual bool over() const { return false; }

  /// Nothing is left: no connection, task or parked record. Asked after each turn once drain() or retire()
  /// was called; the program is destroyed when it says true.
  virtual bool idle() const = 0;
};

/// The other workers of the process, as one of them sees them. Outlives every program. Called on the caller's
/// own thread; what it is given runs on the other's, in a later turn, and not at all if that worker has
/// ended.
class Colleagues {
 public:
  virtual ~Colleagues() = default;
  virtual unsigned count() const = 0;
  /// `work` with the program of `worker`, which may be the caller itself. From any thread of the process.
  virtual void ask(unsigned worker, std::function<void(WorkerProgram&)> work) = 0;
  /// A connection of the caller's loop becomes one of `worker`'s. `work` takes it over.
  virtual void hand_over(unsigned worker, io::Socket socket,
                         std::function<void(WorkerProgram&, io::Socket)> work) = 0;
  /// The caller's own loop, for what is no connection; nullptr in a simulation. `worker` is the caller.
  virtual io::KernelLoop* loop_of(unsigned worker) {
    (void)worker;
    return nullptr;
  }
  /// Threads that have a table of descriptors of their own, beside the one that the process began with. Of
  /// worker 0 only.
  virtual std::vector<pid_t> own_tables() const { return {}; }
  /// As SIGUSR2 does: see run_workers(). From any thread.
  virtual void upgrade() {}
  /// Files were read again otherwise than by SIGHUP: a next process that starts just now does the same. Of
  /// worker 0 only.
  virtual void has_reloaded() {}
};

/// In the environment: comes before `io` of [process]. For tests, and for who must change it without the
/// file.
inline constexpr const char* kIoVariable = "REJOIN_IO";
/// And before `descriptors`.
inline constexpr const char* kDescriptorsVariable = "REJOIN_DESCRIPTORS";

/// Called once per worker, on its thread. `world` outlives what it returns.
using WorkerFactory =
    std::function<std::unique_ptr<WorkerProgram>(io::World& world, unsigned number, Colleagues& colleagues)>;

struct WorkersOptions {
  unsigned count = 1;
  /// Names for the line "listener NAME: listening on ADDRESS:PORT", in the order of
  /// WorkerProgram::addresses().
  std::vector<std::string> listener_names;
  /// Where these listeners are configured to be, in the same order; port 0 is allowed, and so are fewer.
  std::vector<Address> listener_addresses = {};
  /// After SIGTERM the clients have this long; then stop().
  Duration drain_time{};
  /// At SIGUSR1, on the main thread: files that were moved away are to be opened anew. May be empty.
  std::function<void()> on_reopen{};
  /// Who we become once every worker is open.
  config::Process process{};
  /// The same after an upgrade, when a new process takes all who come.
  Duration upgrade_time = 24h;
  /// With it, an upgrade hands on what the programs have (WorkerProgram::hand_on()), to a process that says
  /// the same of itself: what has to be equal in both, in a line.
  std::string identity{};
};

/// Runs `options.count` workers until SIGTERM or SIGINT: worker 0 on the calling thread, the others on
/// threads of theirs.
///
/// Opens worker 0, then the others; says a line for each listener and then `ready` on the log, whatever its
/// level, since scripts wait for them. Sockets that systemd opened for us, or that the process before us
/// hands over, are taken in the place of new ones (inheritance.h); systemd is told of what happens
/// (service_manager.h).
///
/// The first SIGTERM or SIGINT drains, a second one stops at once. SIGHUP is WorkerProgram::hang_up().
/// SIGUSR2 starts the program anew, which takes the listening sockets over; when it serves, this one retires
/// for `upgrade_time` (upgrade.h), or hands on what it has and ends when its programs are over(). SIGPIPE is
/// ignored, and the soft limit of descriptors is raised to the hard one.
///
/// Returns the process's exit status: 0 when a signal ended it, 1 when a worker could not be opened (the log
/// says why). To be called once in a process, before other threads are started, since it blocks the signals
/// for all of them.
int run_workers(const WorkersOptions& options, Log& log, const WorkerFactory& factory);
/// The same, for a program that looks at what it inherits before it makes its workers.
int run_workers(const WorkersOptions& options, Inheritance inheritance, Log& log,
                const WorkerFactory& factory);

}  // namespace rejoin::serve
