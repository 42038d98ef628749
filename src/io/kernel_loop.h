// What the two loops on the kernel share: EpollLoop (epoll_loop.h) and UringLoop (uring_loop.h). Programs
// that serve hold a KernelLoop and are told at start which one it is (make_kernel_loop()).
//
// A turn of either loop: coroutines that are ready run; the kernel is asked (no longer than the next timer);
// timers fire; sockets' owners are told; what they made ready runs. See docs/life-of-a-connection.md.
//
// Place: under Network, whose virtual calls are the only ones on a message's way. What is virtual here is for
// beginnings and ends.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/kernel_sockets.h"
#include "io/network.h"
#include "io/world.h"

namespace rejoin::io {

class KernelListener;
class KernelLoop;

/// A connection that no loop has: see KernelLoop::give_up().
struct LooseConnection {
  int descriptor = -1;  // the holder's
  /// What its loop had taken from the kernel and nobody has read: it comes before what the kernel still has.
  /// Empty with epoll.
  std::string unread;
  KernelLoop* from = nullptr;  // who gave it up; nullptr: not known
};

/// Owner of a worker's sockets, timers, ready queue and blocks. Everything but post() and stop() is for its
/// own thread: the one that calls turn() for the first time. Must outlive its Sockets and Listeners.
class KernelLoop : public Network, public Clock {
 public:
  ~KernelLoop() override;
  KernelLoop(const KernelLoop&) = delete;
  KernelLoop& operator=(const KernelLoop&) = delete;

  /// Runs until stop(). The calling thread becomes the loop's thread.
  void run();
  /// One turn, waiting at most `wait_max`. For tests and for programs with a loop of their own.
  virtual void turn(Duration wait_max) = 0;
  /// For a program that waits in a loop of its own: readable when turn() has something to do before
  /// next_wait() is over. It stays the loop's.
  virtual int descriptor() const = 0;
  /// How long from now until turn() has something to do of itself; Duration::max(): not of itself.
  virtual Duration next_wait() const;
  /// What was closed is closed for its peer, too, when this comes back. A turn does the same for the one
  /// before it, so it is for who takes no further one while the loop lives on: run() calls it at its end.
  virtual void settle() {}
  /// Ends run() after the present turn. Any thread.
  void stop();
  /// For a program's own timers, on the loop's thread.
  TimerWheel& timers() { return timers_; }
  /// Runs `work` on the loop's thread in its next turn. Any thread; the only way in from outside.
  void post(std::function<void()> work);
  /// No turn will be taken any more: what was posted is destroyed, and what will be is at once, by who posts.
  void refuse_posts();

  /// What a table of descriptors (own_table.h) must have for post() to work from there.
  int wake_descriptor() const { return wakers_.posted; }
  /// And for its turns.
  std::vector<int> own_descriptors() const { return {descriptor(), wakers_.posted, wakers_.alarm}; }

  /// What is handed to everything that runs on this loop.
  World world(Random& random, Log& log) { return {*this, *this, timers_, ready_, buffers_, random, log}; }

  TimePoint now() const override { return now_; }
  UnixSeconds unix_now() const override;
  std::size_t open_sockets() const override { return open_; }

  // --- connections of other loops and processes ---
  /// The connection of a KernelLoop leaves it, for take_over() by another loop of either kind. On the thread
  /// of the loop that has it.
  static LooseConnection give_up(Socket socket);
  /// An open connection that another loop gave up is this loop's from now on. May_read() is true.
  virtual Socket take_over(LooseConnection connection) = 0;
  Socket take_over(int descriptor) { return take_over(LooseConnection{descriptor, {}}); }
  /// Socket::read() and write() of a unix socket, with descriptors beside the bytes: those that came are the
  /// caller's (close-on-exec), and a copy of `descriptor`, unless it is -1, goes with the first byte. Who
  /// uses them never uses read() and write() on that socket.
  ReadResult read_passing(std::uint32_t id, std::vector<int>& descriptors);
  WriteResult write_passing(std::uint32_t id, Bytes bytes, int descriptor);

  Result<std::unique_ptr<Listener>> listen(const Address& at, const ListenOptions& options,
                                           AcceptEvents& events) final;

  // --- listening sockets that come from another process, or go to one ---
  /// A listening socket that is open already, and this loop's from now on: the next listen() at `as` (or at
  /// port 0 of its IP) takes it in the place of a new one. Several for one address become one Listener.
  void inherit(int descriptor, const Address& as);
  /// Those that no listen() has taken so far; they stay the loop's.
  std::vector<int> inherited() const;
  /// The same, and they are the caller's again.
  std::vector<int> not_taken();
  struct Listening {
    int descriptor;
    Address address;  // as listen() was asked for it, which may be a name's only; the real one for port 0
  };
  /// Where a socket is bound; none for what is no TCP socket.
  static Address address_of(int descriptor);
  /// All that listen on this loop, in the order in which they were opened.
  std::vector<Listening> listening() const;
  /// Another process has these sockets now: who waits in their queues is not accepted here any more, also not
  /// when their Listener closes.
  void leave_to_others(const std::vector<int>& descriptors);

  /// Tells `on_readable()` when `descriptor` (a terminal, a pipe, a signalfd), which stays the caller's, can
  /// be read. Level-triggered; at most one per descriptor. `unwatch` before it is closed. An ordinary file
  /// cannot be watched: false.
  bool watch(int descriptor, std::function<void()> on_readable);
  void unwatch(int descriptor);

 protected:
  friend class KernelListener;

  void keep_alive(std::uint32_t id) override { set_keep_alive(static_cast<int>(id)); }

  struct Watch {
    int descriptor;
    std::uint32_t generation;
    std::function<void()> on_readable;
  };

  /// What wakes a loop that sleeps, besides its sockets. The loop's from now on.
  struct Wakers {
    int posted;  // an eventfd, for post()
    int alarm;   // a timerfd, for its timers
  };
  explicit KernelLoop(Log& log, Wakers wakers);
  /// Error: exhausted (no descriptors).
  static Result<Wakers> make_wakers();
  /// The maker's constructor does, once watch() works.
  void watch_wakers();
  /// For the maker's destructor: what was posted and never ran may hold sockets of the loop.
  void discard_posted();

  /// May the kernel be waited for in this turn? Then without a time-out of the call's own: the alarm rings
  /// when the next timer is due or `wait_max` is over, or earlier. An alarm stays set over many turns, where
  /// a time-out would start and stop a timer of the kernel's whenever it sleeps (docs/decisions/0025).
  bool may_sleep(Duration wait_max);
  /// The listener with this descriptor and generation, or nullptr.
  KernelListener* listener_at(int descriptor, std::uint32_t generation) const;
  /// Tells who watches; false: nobody does any more.
  bool tell_watch(int descriptor, std::uint32_t generation);
  /// A socket of this loop has closed: is a listener waiting for its descriptor?
  void closed_one() {
    if (paused_listeners_ != 0) resume_listeners();
  }

  /// Bytes that came with a connection that was taken over: lent like those of a read. False: none are left.
  bool has_unread(std::uint32_t id) const { return unread_.contains(id); }
  ReadResult read_unread(std::uint32_t id, std::size_t max);
  void keep_unread(std::uint32_t id, std::string bytes) { unread_.emplace(id, std::move(bytes)); }
  std::string take_unread(std::uint32_t id);

  // --- what each maker does in its own way ---
  /// `descriptor` is in use for something other than a connection; the generation that it has now. retire()
  /// ends that.
  virtual std::uint32_t reserve(int descriptor) = 0;
  virtual void retire(int descriptor) = 0;
  /// From now on the listener is told of connections (on_readable()), level-triggered; or no longer.
  virtual void begin_accepting(KernelListener& listener) = 0;
  virtual void end_accepting(KernelListener& listener) = 0;
  /// False: it cannot be waited for.
  virtual bool begin_watching(int descriptor, std::uint32_t generation) = 0;
  virtual void end_watching(int descriptor, std::uint32_t generation) = 0;
  /// Of give_up(), for a socket that is ours.
  virtual LooseConnection release(std::uint32_t id) = 0;
  /// A read found nothing more (without having waited for bytes in the kernel), a write found no room.
  virtual void found_empty(std::uint32_t id) = 0;
  virtual void found_full(std::uint32_t id) = 0;

  Log& log_;
  TimePoint now_;
  TimerWheel timers_;
  ReadyQueue ready_;
  BufferPool buffers_;
  std::unique_ptr<char[]> read_block_;
  std::vector<std::uint64_t> again_;  // keys of sockets that asked for read_again()
  std::size_t open_ = 0;

 private:
  Result<int> open_listening(const Address& at, const ListenOptions& options);
  int take_inherited(const Address& at);
  void run_posted();
  void on_alarm();
  void set_alarm(TimePoint at);
  void resume_listeners();

  Wakers wakers_;
  TimePoint alarm_at_ = kNever;             // when it rings; kNever: it is not set
  std::vector<KernelListener*> listeners_;  // in the order in which they were opened
  std::size_t paused_listeners_ = 0;
  std::vector<Listening> inherited_;
  std::vector<Watch> watches_;
  std::unordered_map<std::uint32_t, std::string> unread_;  // few, and not for long

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  bool refusing_ = false;  // guarded by posted_mutex_
  bool stopping_ = false;  // guarded by posted_mutex_ when set from outside; read after run_posted()
};

}  // namespace rejoin::io
