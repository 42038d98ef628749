#include "io/kernel_listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "io/sockaddr.h"

namespace rejoin::io {
namespace {

bool out_of_descriptors(int errnum) {
  return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

}  // namespace

KernelListener::KernelListener(KernelLoop& loop, int descriptor, const Address& asked, AcceptEvents& events)
    : loop_(loop),
      events_(events),
      retry_([](void* self) { static_cast<KernelListener*>(self)->resume(); }, this),
      asked_(asked),
      descriptor_(descriptor),
      generation_(loop.reserve(descriptor)) {
  loop_.listeners_.push_back(this);
  begin();
}

KernelListener::~KernelListener() {
  // Not by the close: where another process has the socket, too, it stays open.
  end();
  // With SO_REUSEPORT what waits in this queue would be reset by the close, though other workers listen on.
  if (!paused_ && !left_) {
    while (accept_one()) {
    }
  }
  if (paused_) --loop_.paused_listeners_;
  std::erase(loop_.listeners_, this);
  loop_.retire(descriptor_);
  ::close(descriptor_);
}

Address KernelListener::address() const { return bound_address(descriptor_); }

void KernelListener::begin() {
  if (accepting_) return;
  accepting_ = true;
  loop_.begin_accepting(*this);
}

void KernelListener::end() {
  if (!accepting_) return;
  accepting_ = false;
  loop_.end_accepting(*this);
}

void KernelListener::leave() {
  left_ = true;
  end();
}

// Level-triggered.
void KernelListener::on_readable() {
  for (int i = 0; accepting_ && i < batch_; ++i) {
    if (!accept_one()) {
      batch_ = std::max(1, i);
      return;
    }
  }
  batch_ = std::min(batch_ * 2, limits::kAcceptsPerTurnMax);
}

bool KernelListener::accept_one() {
  sockaddr_storage from;
  socklen_t length = sizeof from;
  const int descriptor =
      accept4(descriptor_, reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (descriptor < 0) {
    // ECONNABORTED and the network errors of accept(2) belong to one client that is gone already; there may
    // be others.
    if (errno == EAGAIN) return false;
    if (out_of_descriptors(errno)) {
      pause(errno);
      return false;
    }
    return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
  }
  events_.on_accept(loop_.take_over(descriptor), from_sockaddr(from));
  return true;
}

void KernelListener::pause(int errnum) {
  paused_ = true;
  ++loop_.paused_listeners_;
  end();
  loop_.timers_.arm(retry_, loop_.now_ + limits::kAcceptRetryMs);
  if (loop_.now_ < quiet_until_) return;
  quiet_until_ = loop_.now_ + 1s;
  loop_.log_.warn(to_string(Error::from_errno(errnum, "accepting on " + address().text() + " pauses")));
}

void KernelListener::resume() {
  if (!paused_ || left_) return;
  paused_ = false;
  --loop_.paused_listeners_;
  retry_.cancel();
  begin();
}

}  // namespace rejoin::io
