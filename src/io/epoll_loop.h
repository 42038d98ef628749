// The kernel's network by epoll: one instance per worker thread, edge-triggered, nothing shared with other
// workers. What it shares with the other loop is kernel_loop.h.
#pragma once

#include <memory>
#include <vector>

#include "io/kernel_loop.h"

namespace rejoin::io {

class EpollLoop final : public KernelLoop {
 public:
  /// Error: exhausted (no descriptors).
  static Result<std::unique_ptr<EpollLoop>> make(Log& log);
  ~EpollLoop() override;

  void turn(Duration wait_max) override;
  int descriptor() const override { return epoll_fd_; }

  using KernelLoop::take_over;
  Socket take_over(LooseConnection connection) override;
  Result<Socket> connect(const Address& to, const ConnectOptions& options) override;

 private:
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
    bool unread : 1 = false;       // bytes that came with it stand before the kernel's
  };

  EpollLoop(Log& log, int epoll_fd, Wakers wakers);
  Slot& slot(std::uint32_t id) { return slots_[id]; }
  const Slot& slot(std::uint32_t id) const { return slots_[id]; }
  Slot& open_slot(int descriptor);
  void register_for(std::uint32_t id, bool writing);
  void dispatch(std::uint64_t key, std::uint32_t happened);
  void tell_again();
  void drop(std::uint32_t id);
  ReadResult read_what_came_along(std::uint32_t id, std::size_t max);

  // --- KernelLoop ---
  std::uint32_t reserve(int descriptor) override;
  void retire(int descriptor) override { ++slots_[static_cast<std::size_t>(descriptor)].generation; }
  void begin_accepting(KernelListener& listener) override;
  void end_accepting(KernelListener& listener) override;
  bool begin_watching(int descriptor, std::uint32_t generation) override;
  void end_watching(int descriptor, std::uint32_t generation) override;
  LooseConnection release(std::uint32_t id) override;
  void found_empty(std::uint32_t id) override;
  void found_full(std::uint32_t id) override;

  // --- Network ---
  void set_events(std::uint32_t id, SocketEvents* events) override { slot(id).events = events; }
  ReadResult read(std::uint32_t id, std::size_t max) override;
  WriteResult write(std::uint32_t id, std::span<const Bytes> pieces) override;
  bool may_read(std::uint32_t id) const override { return slot(id).may_read; }
  bool may_write(std::uint32_t id) const override { return slot(id).may_write; }
  void read_again(std::uint32_t id) override;
  Status connect_status(std::uint32_t id) override;
  void shutdown_write(std::uint32_t id) override;
  void reset(std::uint32_t id) override;
  void close(std::uint32_t id) override { drop(id); }
  Address local_address(std::uint32_t id) const override;
  Address peer_address(std::uint32_t id) const override;

  int epoll_fd_;
  std::vector<Slot> slots_;
};

}  // namespace rejoin::io
