// How a UringLoop begins and ends, and what of the kernel it needs.
#ifdef REJOIN_IO_URING

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "io/uring_loop.h"

namespace rejoin::io {
namespace {

constexpr int kBlockGroup = 0;

/// One thread hands in, and nothing runs behind its back: what has happened is worked off in its own calls.
constexpr unsigned kRingFlags =
    IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
/// Nothing that happened is lost, one call takes a time-out, and waiting for a socket takes no thread.
constexpr unsigned kFeatures = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL;

Error cannot(const std::string& what, int errnum) {
  const bool short_of = errnum == ENOMEM || errnum == EMFILE || errnum == ENFILE;
  std::string why = what + ": " + std::strerror(errnum);
  if (errnum == EPERM || errnum == EACCES) why += " (forbidden here: kernel.io_uring_disabled, or a sandbox)";
  if (errnum == EINVAL || errnum == ENOSYS) why += " (the kernel is older than 6.1, or made without it)";
  if (errnum == ENOMEM) why += " (the limit of locked memory, ulimit -l, may be too low)";
  return Error{short_of ? ErrorKind::exhausted : ErrorKind::unsupported, Side::ours, Retry::no, why};
}

/// A small ring, and what is tried on it.
class Trial {
 public:
  ~Trial() {
    if (open_) io_uring_queue_exit(&ring_);
    for (const int descriptor : descriptors_) {
      if (descriptor >= 0) ::close(descriptor);
    }
    std::free(blocks_);
  }

  Status run() {
    io_uring_params params{};
    params.flags = kRingFlags;
    const int opened = io_uring_queue_init_params(8, &ring_, &params);
    if (opened < 0) return cannot("io_uring_setup", -opened);
    open_ = true;
    if ((params.features & kFeatures) != kFeatures) return cannot("features of io_uring", ENOSYS);
    Status status = operations();
    if (status) status = receive();
    if (status) status = send();
    return status;
  }

 private:
  Status operations() {
    io_uring_probe* const known = io_uring_get_probe_ring(&ring_);
    bool all = known != nullptr;
    for (const int operation :
         {IORING_OP_RECV, IORING_OP_SEND, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_LINK_TIMEOUT})
      all = all && io_uring_opcode_supported(known, operation) != 0;
    if (known != nullptr) io_uring_free_probe(known);
    if (!all) return cannot("operations of io_uring", ENOSYS);
    return {};
  }

  Status receive() {
    if (posix_memalign(&blocks_, 4096, 2 * 4096) != 0) return cannot("memory for a trial", ENOMEM);
    auto* const blocks = static_cast<io_uring_buf_ring*>(blocks_);
    io_uring_buf_reg reg{};
    reg.ring_addr = reinterpret_cast<std::uintptr_t>(blocks_);
    reg.ring_entries = 2;
    reg.bgid = kBlockGroup;
    if (const int failed = io_uring_register_buf_ring(&ring_, &reg, 0); failed != 0)
      return cannot("a ring of blocks", -failed);
    io_uring_buf_ring_init(blocks);
    for (std::uint16_t i = 0; i < 2; ++i)
      io_uring_buf_ring_add(blocks, static_cast<char*>(blocks_) + 4096 + i * 64, 64, i, 1, i);
    io_uring_buf_ring_advance(blocks, 2);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, &descriptors_[0]) != 0)
      return cannot("socketpair", errno);
    io_uring_sqe* const request = io_uring_get_sqe(&ring_);
    io_uring_prep_recv_multishot(request, descriptors_[0], nullptr, 0, 0);
    request->ioprio |= IORING_RECVSEND_POLL_FIRST;
    request->flags |= IOSQE_BUFFER_SELECT;
    request->buf_group = kBlockGroup;
    for (int i = 0; i < 2; ++i) {
      if (::write(descriptors_[1], "trial", 5) != 5) return cannot("a lasting receive", EIO);
      std::uint32_t flags = 0;
      const int got = next(flags);
      if (got != 5 || (flags & IORING_CQE_F_BUFFER) == 0 || (flags & IORING_CQE_F_MORE) == 0)
        return cannot("a lasting receive", got < 0 ? -got : ENOSYS);
    }
    return {};
  }

  /// A send that takes all says nothing, and one that takes less says how much, in the call that asked.
  Status send() {
    const std::string much(std::size_t{4} << 20, 's');
    for (const std::size_t bytes : {std::size_t{5}, much.size()}) {
      io_uring_sqe* const request = io_uring_get_sqe(&ring_);
      io_uring_prep_send(request, descriptors_[0], much.data(), bytes,
                         MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL);
      request->flags |= IOSQE_CQE_SKIP_SUCCESS;
      (void)io_uring_submit_and_get_events(&ring_);
      io_uring_cqe* it = nullptr;
      const bool said = io_uring_peek_cqe(&ring_, &it) == 0;
      const int sent = said ? it->res : static_cast<int>(bytes);
      if (said) io_uring_cqe_seen(&ring_, it);
      if (said == (bytes == 5) || sent <= 0 || (said && sent >= static_cast<int>(bytes)))
        return cannot("a send that says what it took", sent < 0 ? -sent : ENOSYS);
    }
    return {};
  }

  /// What happened next, within a second.
  int next(std::uint32_t& flags) {
    __kernel_timespec wait{.tv_sec = 1, .tv_nsec = 0};
    io_uring_cqe* it = nullptr;
    const int entered = io_uring_submit_and_wait_timeout(&ring_, &it, 1, &wait, nullptr);
    if (entered < 0 || it == nullptr) return entered < 0 ? entered : -ETIME;
    const int result = it->res;
    flags = it->flags;
    io_uring_cqe_seen(&ring_, it);
    return result;
  }

  io_uring ring_{};
  bool open_ = false;
  void* blocks_ = nullptr;
  std::array<int, 2> descriptors_{-1, -1};
};

void* map(std::size_t bytes) {
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

}  // namespace

Status UringLoop::probe() { return Trial().run(); }

Result<std::unique_ptr<UringLoop>> UringLoop::make(Log& log, const UringSizes& sizes) {
  const Result<Wakers> wakers = make_wakers();
  if (!wakers) return wakers.error();
  std::unique_ptr<UringLoop> loop(new UringLoop(log, *wakers, sizes));
  const Status open = loop->open_ring(sizes);
  if (!open) return open.error();
  loop->watch_wakers();
  return loop;
}

UringLoop::UringLoop(Log& log, Wakers wakers, const UringSizes& sizes)
    : KernelLoop(log, wakers), linger_(sizes.linger) {
  pieces_.resize(sizes.blocks);
}

Status UringLoop::open_ring(const UringSizes& sizes) {
  io_uring_params params{};
  // Not in use yet: the thread that takes the first turn will be its only one.
  params.flags = kRingFlags | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
  params.cq_entries = sizes.completions;
  const int opened = io_uring_queue_init_params(sizes.requests, &ring_, &params);
  if (opened < 0) return cannot("io_uring_setup", -opened);
  ring_open_ = true;
  return open_blocks(sizes.blocks);
}

Status UringLoop::open_blocks(unsigned count) {
  const std::size_t ring_bytes = count * sizeof(io_uring_buf);
  const std::size_t bytes = std::size_t{count} * limits::kBufferBytes;
  void* const ring = map(ring_bytes);
  if (ring == nullptr) return cannot("memory for blocks", ENOMEM);
  block_ring_ = decltype(block_ring_)(static_cast<io_uring_buf_ring*>(ring), Unmap{ring_bytes});
  void* const blocks = map(bytes);
  if (blocks == nullptr) return cannot("memory for blocks", ENOMEM);
  blocks_ = decltype(blocks_)(static_cast<char*>(blocks), Unmap{bytes});
  io_uring_buf_reg reg{};
  reg.ring_addr = reinterpret_cast<std::uintptr_t>(ring);
  reg.ring_entries = count;
  reg.bgid = kBlockGroup;
  if (const int failed = io_uring_register_buf_ring(&ring_, &reg, 0); failed != 0)
    return cannot("a ring of blocks", -failed);
  io_uring_buf_ring_init(block_ring_.get());
  blocks_mask_ = count - 1;
  blocks_out_ = count;
  for (unsigned number = 0; number < count; ++number) give_back(number);
  return {};
}

void UringLoop::enable() {
  enabled_ = true;
  thread_ = std::this_thread::get_id();
  // liburing 2.3 declares io_uring_enable_rings() and does not export it.
  (void)syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  (void)io_uring_register_ring_fd(&ring_);  // saves each call the descriptor's look-up; goes with the thread
}

UringLoop::~UringLoop() {
  discard_posted();
  if (!ring_open_) return;
  if (enabled_ && thread_ == std::this_thread::get_id()) {
    settle();  // not some time after the ring has ended
  } else {
    // The registration belongs to the loop's thread; here its number may be another ring's.
    ring_.int_flags = 0;
    ring_.enter_ring_fd = ring_.ring_fd;
  }
  io_uring_queue_exit(&ring_);
}

}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
