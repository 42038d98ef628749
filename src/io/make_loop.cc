#include "io/make_loop.h"

#include "io/epoll_loop.h"
#include "io/uring_loop.h"

namespace rejoin::io {
namespace {

Status probe_io_uring() {
#ifdef REJOIN_IO_URING
  return UringLoop::probe();
#else
  return Error{ErrorKind::unsupported, Side::ours, Retry::no, "this program was built without liburing"};
#endif
}

template <typename Loop>
Result<std::unique_ptr<KernelLoop>> make(Log& log) {
  auto loop = Loop::make(log);
  if (!loop) return loop.error();
  return std::unique_ptr<KernelLoop>(std::move(*loop));
}

}  // namespace

Result<LoopKind> choose_loop(LoopChoice choice) {
  if (choice == LoopChoice::epoll) return LoopKind{false, "io: epoll"};
  Status works = probe_io_uring();
  if (works) return LoopKind{true, "io: io_uring"};
  if (choice == LoopChoice::automatic)
    return LoopKind{false, "io: epoll, as io_uring cannot be had: " + works.error().detail};
  works.error().detail =
      "process.io: io_uring cannot be had: " + works.error().detail + "; write io = \"auto\" or \"epoll\"";
  return std::move(works.error());
}

Result<std::unique_ptr<KernelLoop>> make_loop(const LoopKind& kind, Log& log) {
#ifdef REJOIN_IO_URING
  if (kind.io_uring) return make<UringLoop>(log);
#endif
  (void)kind;
  return make<EpollLoop>(log);
}

}  // namespace rejoin::io
