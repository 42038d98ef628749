// The kernel's network by io_uring: one ring per worker thread. The kernel receives by itself and tells what
// came; one call to it (io_uring_enter) per turn hands in what is asked and takes what has happened. What it
// shares with the other loop is kernel_loop.h. Only where REJOIN_IO_URING is defined.
//
// Receiving. A socket whose owner has read everything has one lasting receive in the kernel ("multishot"),
// which puts what arrives into one of the loop's shared blocks ("provided buffers") and tells which. The
// block is lent by read() and goes back to the kernel when the loan ends. A socket that has not been read to
// its end is read by recv(2), as with epoll: just accepted, or its receive has ended (no block was left, it
// was cancelled because its owner does not read, the completion queue was full). So a want of blocks costs
// time and never bytes.
//
// Accepting is by accept4(2), as many as with epoll in a turn. The lasting accept takes all who wait at once,
// and when descriptors are short none is left for the servers that these clients want; and it does not tell
// who they are.
//
// Sending. A small write is copied to the stage, counts as taken, and leaves with the turn's call beside
// those of other sockets: the kernel tries each once, in that call, so that nothing is on its way after it. A
// larger one, and what would go ahead of something staged, is sent by send(2) at once. Where the kernel does
// not take all of a staged write, the socket owes the rest (at most kStagedBytesMax): it is full for its
// owner until that has left. Who closes, ends, or gives away a socket sends first what it has staged; what it
// owes then is sent before the FIN (the kernel goes on with it, for UringSizes::linger), and a connection
// that is given away with a debt is cut by a RST, since its next owner's bytes must not come in the middle.
//
// Closing. A request in flight keeps the kernel's socket open whatever close(2) says, so each is cancelled,
// and the FIN leaves in the next turn's call. It does so even when the thread that asked has ended: a loop's
// last act is settle(). Requests carry descriptor and generation: what comes late for a
// socket that is gone finds nobody, and only its block is given back.
#pragma once

#ifdef REJOIN_IO_URING

#include <liburing.h>

#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "io/kernel_loop.h"

namespace rejoin::io {

/// Of one loop.
struct UringSizes {
  /// Requests handed in with one call, at least 2; more of them need another call.
  unsigned requests = 256;
  /// Completions that wait for us; the kernel keeps more in a list of its own, and ends what was lasting.
  unsigned completions = 4096;
  /// Blocks of limits::kBufferBytes for what arrives, at most 512, a power of two. Only those that have ever
  /// been used, and as far as they were, take memory.
  unsigned blocks = 128;
  /// For the peer of a connection that was closed to take the rest of a staged write.
  Duration linger = 10s;
};

class UringLoop final : public KernelLoop {
 public:
  /// Error: unsupported (this kernel has not what it takes, or forbids it: what and why), or exhausted.
  static Result<std::unique_ptr<UringLoop>> make(Log& log, const UringSizes& sizes = {});
  ~UringLoop() override;

  /// Does everything that this loop needs work here? Tries it, on a ring of its own: versions say nothing of
  /// what a sandbox forbids. Error: unsupported, with what does not.
  static Status probe();

  void turn(Duration wait_max) override;
  void settle() override;
  int descriptor() const override { return ring_.ring_fd; }
  Duration next_wait() const override;

  using KernelLoop::take_over;
  Socket take_over(LooseConnection connection) override;
  Result<Socket> connect(const Address& to, const ConnectOptions& options) override;

  /// What happened so far that is rare. For tests.
  struct Rare {
    std::size_t no_block = 0;   // a receive ended since no block was left
    std::size_t ended = 0;      // a receive ended otherwise, and had to be asked for again
    std::size_t cancelled = 0;  // a receive was cancelled because its owner did not read
    std::size_t late = 0;       // something came for a socket that was gone
    std::size_t owed = 0;       // the kernel did not take all of a staged write
    std::size_t cut = 0;        // a connection was given away that owed something
  };
  const Rare& rare() const { return rare_; }
  /// Blocks that are not with the kernel.
  std::size_t blocks_out() const { return blocks_out_; }

 private:
  /// What was asked of the kernel: 4 bits of each request's user data.
  enum class Kind : std::uint8_t { receive, readable, ended, writable, accept, watch, cancel, send, linger };
  struct Happened {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };
  // One per descriptor, by its number. 16 bytes, as an idle connection has nothing else here.
  struct Slot {
    SocketEvents* events = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t held : 10 = 0;    // the first block that came and was not read yet, + 1
    std::uint32_t errnum : 8 = 0;   // what the receive failed with
    std::uint32_t direct : 1 = 0;   // never staged: being connected, broken, or no more is written
    std::uint32_t opening : 1 = 0;  // being connected
    std::uint32_t may_read : 1 = 0;
    std::uint32_t may_write : 1 = 0;
    std::uint32_t broken : 1 = 0;      // the kernel told of an error while we waited to write
    std::uint32_t again : 1 = 0;       // in again_
    std::uint32_t unread : 1 = 0;      // bytes that came with it stand before all others
    std::uint32_t receiving : 1 = 0;   // Kind::receive (of a listener: accept) is in flight, or in asked_
    std::uint32_t cancelling : 1 = 0;  // and was cancelled
    std::uint32_t readable : 1 = 0;    // Kind::readable is in flight, or in asked_
    std::uint32_t ended : 1 = 0;       // and so on
    std::uint32_t writable : 1 = 0;
    std::uint32_t staged : 1 = 0;  // in staged_
    std::uint32_t owing : 1 = 0;   // in owed_
  };
  static_assert(sizeof(Slot) == 16);
  // What came in one block. Those of one socket are a list.
  struct Piece {
    std::uint32_t begin = 0, end = 0;
    std::uint16_t next = 0;   // block + 1; 0: the last one
    std::uint16_t last = 0;   // in the first of a list: the last one + 1
    std::uint16_t count = 0;  // in the first of a list
  };

  /// A write is staged up to this length, and those of a turn together are; then they are sent meanwhile.
  static constexpr std::size_t kStagedBytesMax = 4096, kStageBytes = std::size_t{64} * 1024, kStagedMax = 64;
  /// For peers of connections that were closed, when the loop's thread ends.
  static constexpr Duration kSettleMax = 1s;
  static constexpr std::uint32_t kDescriptorMask = (1u << 28) - 1;
  struct StagedSend {
    std::uint32_t id, at, bytes;  // where in stage_
  };
  struct Owed {
    std::string bytes;
    bool end = false;  // a FIN follows
  };

  UringLoop(Log& log, Wakers wakers, const UringSizes& sizes);
  Status open_ring(const UringSizes& sizes);
  Status open_blocks(unsigned count);
  void enable();

  static std::uint64_t request(Kind kind, int descriptor, std::uint32_t generation) {
    return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint32_t>(kind) << 28 |
           static_cast<std::uint32_t>(descriptor);
  }
  static Kind kind_of(std::uint64_t user_data) {
    return static_cast<Kind>(static_cast<std::uint32_t>(user_data) >> 28);
  }
  std::uint64_t request(Kind kind, std::uint32_t id) const {
    return request(kind, static_cast<int>(id), slot(id).generation);
  }
  static int descriptor_of(std::uint64_t user_data) {
    return static_cast<int>(static_cast<std::uint32_t>(user_data) & kDescriptorMask);
  }
  Slot& slot(std::uint32_t id) { return slots_[id]; }
  const Slot& slot(std::uint32_t id) const { return slots_[id]; }
  Slot& open_slot(int descriptor);

  // --- the ring ---
  void ask(Kind kind, std::uint32_t id) { asked_.push_back(request(kind, id)); }
  void ask_to_receive(std::uint32_t id);
  void ask_to_read(std::uint32_t id);
  void ask_of_end(std::uint32_t id);
  io_uring_sqe& next_request();
  void hand_in();
  void hand_in_one(std::uint64_t user_data);
  void enter(bool sleeping);
  void take_happened();
  void dispatch(Happened it);
  void on_receive(std::uint32_t id, Happened it);
  void on_readable(std::uint32_t id, Kind kind, std::int32_t result);
  void on_writable(std::uint32_t id, std::int32_t result);
  void on_acceptable(std::uint64_t key);
  void on_watched(std::uint64_t key, std::int32_t result);
  void on_late(Happened it);
  void finish_receive(std::uint32_t id, std::string& unread);

  // --- sending ---
  bool may_append(std::uint32_t id, std::size_t bytes) const;
  void stage(std::uint32_t id, std::span<const Bytes> pieces, std::size_t total);
  void hand_in_staged();
  void send_staged();
  bool clear_stage();
  void on_not_sent(const Happened& it);
  void fail(std::uint32_t id, int errnum);
  bool send_owed(std::uint32_t id);
  void forget_owed(std::uint32_t id);
  void settle_sends(std::uint32_t id);
  void linger(std::uint32_t id);

  // --- blocks ---
  char* block(unsigned number) { return blocks_.get() + std::size_t{number} * limits::kBufferBytes; }
  void give_back(unsigned number);
  void end_loan();
  void hold(Slot& at, unsigned number, std::uint32_t bytes);
  ReadResult read_held(Slot& at, std::size_t max);
  std::string take_held(Slot& at);

  void tell_again();
  void forget(std::uint32_t id);
  void drop(std::uint32_t id);

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

  struct Unmap {
    void operator()(void* at) const;
    std::size_t bytes = 0;
  };

  io_uring ring_{};
  bool ring_open_ = false;
  bool enabled_ = false;  // by the first turn, whose thread is the ring's only one:
  std::thread::id thread_;
  std::unique_ptr<io_uring_buf_ring, Unmap> block_ring_{nullptr, Unmap{}};
  std::unique_ptr<char, Unmap> blocks_{nullptr, Unmap{}};
  unsigned blocks_mask_ = 0;
  std::vector<Piece> pieces_;  // by block
  unsigned lent_ = 0;          // the block that the last read lent and that is read to its end, + 1
  std::vector<std::uint16_t> returning_;  // with the next call
  std::size_t blocks_out_ = 0;

  std::vector<Slot> slots_;
  // Requests wait here for the turn's call, as descriptors: by then the socket may be gone, and another have
  // its number.
  std::vector<std::uint64_t> asked_;
  std::vector<std::uint64_t> cancels_;
  std::unique_ptr<char[]> stage_{new char[kStageBytes]};
  std::size_t stage_used_ = 0;
  std::vector<StagedSend> staged_;                // at most one of a socket
  std::size_t handed_in_ = 0;                     // of staged_
  std::unordered_map<std::uint32_t, Owed> owed_;  // few: peers that take nothing
  std::unordered_map<std::uint32_t, std::string> lingering_;
  std::uint32_t lingered_ = 0;
  Duration linger_;
  std::vector<Happened> happened_;
  std::size_t told_ = 0;  // of happened_
  Rare rare_;
};

}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
