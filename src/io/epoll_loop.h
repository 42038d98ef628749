// The kernel's network: one epoll instance per worker thread, edge-triggered, nothing shared with other
// workers.
//
// A turn of the loop: coroutines that are ready run; the kernel is asked (no longer than the next timer);
// timers fire; sockets' owners are told; what they made ready runs. See docs/life-of-a-connection.md.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "io/network.h"
#include "io/world.h"

namespace rejoin::io {

/// Owner of a worker's sockets, timers, ready queue and read block. Everything but post() and stop() is for
/// its own thread. Must outlive its Sockets and Listeners.
class EpollLoop final : public Network, public Clock {
 public:
  /// Error: exhausted (no descriptors).
  static Result<std::unique_ptr<EpollLoop>> make(Log& log);
  ~EpollLoop() override;

  /// Runs until stop(). The calling thread becomes the loop's thread.
  void run();
  /// One turn, waiting at most `wait_max`. For tests and for programs with a loop of their own.
  void turn(Duration wait_max);
  /// For a program that waits in a loop of its own: readable when turn() has something to do before
  /// next_wait() is over. It stays the loop's.
  int descriptor() const { return epoll_fd_; }
  /// How long from now until turn() has something to do of itself; Duration::max(): not of itself.
  Duration next_wait() const;
  /// Ends run() after the present turn. Any thread.
  void stop();
  /// For a program's own timers, on the loop's thread.
  TimerWheel& timers() { return timers_; }
  /// Runs `work` on the loop's thread in its next turn. Any thread; the only way in from outside.
  void post(std::function<void()> work);

  /// What is handed to everything that runs on this loop.
  World world(Random& random, Log& log) { return {*this, *this, timers_, ready_, buffers_, random, log}; }

  TimePoint now() const override { return now_; }
  UnixSeconds unix_now() const override;

  /// The connection of an EpollLoop leaves it: its descriptor, which is the caller's now, for take_over() by
  /// another loop. On the thread of the loop that has it.
  static int give_up(Socket socket);
  /// An open connection that another loop gave up is this loop's from now on. May_read() is true.
  Socket take_over(int descriptor);
  /// Socket::read() and write() of a unix socket, with descriptors beside the bytes: those that came are the
  /// caller's (close-on-exec), and a copy of `descriptor`, unless it is -1, goes with the first byte.
  ReadResult read_passing(std::uint32_t id, std::vector<int>& descriptors);
  WriteResult write_passing(std::uint32_t id, Bytes bytes, int descriptor);

  Result<std::unique_ptr<Listener>> listen(const Address& at, const ListenOptions& options,
                                           AcceptEvents& events) override;
  Result<Socket> connect(const Address& to, const ConnectOptions& options) override;
  std::size_t open_sockets() const override { return open_; }

  // --- listening sockets that come from another process, or go to one ---
  /// A listening socket that is open already, and this loop's from now on: the next listen() at `as` (or at
  /// port 0 of its IP) takes it in the place of a new one. Several for one address become one Listener.
  void inherit(int descriptor, const Address& as);
  /// Inherited, and not wanted by any listen() so far: the caller's again.
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

 private:
  class TcpListener;
  friend class TcpListener;

  // One per descriptor, by its number. `generation` tells a late event of a closed socket from one of its
  // successor.
  struct Slot {
    SocketEvents* events = nullptr;
    std::uint32_t generation = 0;
    bool open : 1 = false;
    bool may_read : 1 = false;
    bool may_write : 1 = false;
    bool peer_ended : 1 = false;   // FIN or an error is known to be behind what can be read
    bool registered : 1 = false;   // with epoll, for reading
    bool wants_write : 1 = false;  // with epoll, for writing as well
    bool again : 1 = false;        // in again_
  };
  struct Watch {
    int descriptor;
    std::uint32_t generation;
    std::function<void()> on_readable;
  };

  explicit EpollLoop(Log& log, int epoll_fd, int wake_fd);
  Result<int> open_listening(const Address& at, const ListenOptions& options);
  int take_inherited(const Address& at);
  std::unique_ptr<TcpListener> listener_of(int descriptor, const Address& asked, AcceptEvents& events);
  Slot& slot(std::uint32_t id) { return slots_[id]; }
  const Slot& slot(std::uint32_t id) const { return slots_[id]; }
  Slot& open_slot(int descriptor);
  void register_for(std::uint32_t id, bool writing);
  void dispatch(std::uint64_t key, std::uint32_t happened);
  void tell_again();
  void run_posted();
  void closed_one();
  void drop(std::uint32_t id);

  void set_events(std::uint32_t id, SocketEvents* events) override { slot(id).events = events; }
  ReadResult read(std::uint32_t id, std::size_t max) override;
  WriteResult write(std::uint32_t id, std::span<const Bytes> pieces) override;
  bool may_read(std::uint32_t id) const override { return slot(id).may_read; }
  bool may_write(std::uint32_t id) const override { return slot(id).may_write; }
  void read_again(std::uint32_t id) override;
  Status connect_status(std::uint32_t id) override;
  void shutdown_write(std::uint32_t id) override;
  void reset(std::uint32_t id) override;
  void close(std::uint32_t id) override;
  Address local_address(std::uint32_t id) const override;
  Address peer_address(std::uint32_t id) const override;

  Log& log_;
  int epoll_fd_;
  int wake_fd_;
  TimePoint now_;
  TimerWheel timers_;
  ReadyQueue ready_;
  BufferPool buffers_;
  std::vector<Slot> slots_;
  std::vector<TcpListener*> listeners_;  // by descriptor, nullptr elsewhere
  std::vector<Watch> watches_;
  std::vector<std::uint64_t> again_;
  std::unique_ptr<char[]> read_block_;
  std::size_t open_ = 0;
  std::size_t paused_listeners_ = 0;
  std::vector<Listening> inherited_;
  std::uint64_t listeners_opened_ = 0;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;  // guarded by posted_mutex_ when set from outside; read after run_posted()
};

}  // namespace rejoin::io
