#include "io/kernel_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/sockaddr.h"

namespace rejoin::io {

void set_option(int descriptor, int level, int name, int value) {
  (void)setsockopt(descriptor, level, name, &value, sizeof value);
}

void set_keep_alive(int descriptor) {
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, limits::kKeepAliveIdleS);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, limits::kKeepAliveIntervalS);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, limits::kKeepAliveProbesMax);
}

void reset_at_close(int descriptor) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

Status error_of_connect(int descriptor) {
  int errnum = 0;
  socklen_t length = sizeof errnum;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &errnum, &length) != 0) errnum = errno;
  if (errnum != 0) return Error::from_errno(errnum, "connect", Side::server);
  return {};
}

Address peer_of(int descriptor) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return from_sockaddr(storage);
}

Result<Dialling> begin_to_dial(const Address& to, const ConnectOptions& options) {
  const SocketAddress address = to_sockaddr(to);
  const int descriptor = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return Error::from_errno(errno, "socket");
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.bind) {
    // The port is chosen at connect, by the whole four-tuple: one address can dial more than 64,000 times.
    set_option(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const SocketAddress from = to_sockaddr(options.bind);
    if (bind(descriptor, reinterpret_cast<const sockaddr*>(&from.storage), from.length) != 0) {
      Error error = Error::from_errno(errno, "bind to " + options.bind.text());
      ::close(descriptor);
      return error;
    }
  }
  int failed = 0;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
    failed = errno;
  if (failed != 0 && failed != EINPROGRESS) {
    Error error = Error::from_errno(failed, "connect " + to.text());
    if (error.kind != ErrorKind::exhausted) error.side = Side::server;
    ::close(descriptor);
    return error;
  }
  return Dialling{descriptor, failed == 0};
}

}  // namespace rejoin::io
