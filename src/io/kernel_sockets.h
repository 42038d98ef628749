// The calls to the kernel that both loops make in the same way.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "io/network.h"

namespace rejoin::io {

/// What epoll and io_uring give back with an event: a descriptor below, and the generation above that tells a
/// late event of a closed socket from one of its successor.
inline std::uint64_t make_key(int descriptor, std::uint32_t generation) {
  return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint32_t>(descriptor);
}

/// None of the options used is essential to correctness; a kernel without one serves on.
void set_option(int descriptor, int level, int name, int value);
/// Finds peers that vanished without a word.
void set_keep_alive(int descriptor);
/// The next close() sends a RST.
void reset_at_close(int descriptor);
/// Of a socket whose opening has failed.
Status error_of_connect(int descriptor);
Address peer_of(int descriptor);

struct Dialling {
  int descriptor;
  bool open;  // already
};
/// A non-blocking connection that begins to open. Errors as those of Network::connect().
Result<Dialling> begin_to_dial(const Address& to, const ConnectOptions& options);

struct Sent {
  std::size_t taken;
  std::size_t total;
  int errnum;
};
/// One call to the kernel with at most 8 pieces. A socket that is full took fewer bytes than `total`.
inline Sent send_now(int descriptor, std::span<const Bytes> pieces) {
  std::array<iovec, 8> vectors;
  std::size_t count = 0, total = 0;
  for (const Bytes piece : pieces.first(std::min(pieces.size(), vectors.size()))) {
    if (piece.empty()) continue;  // one piece goes by send(2), which costs less
    vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
    total += piece.size();
  }
  if (total == 0) return {0, 0, 0};
  for (;;) {
    ssize_t sent;
    if (count == 1) {
      sent = send(descriptor, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = vectors.data();
      message.msg_iovlen = count;
      sent = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) return {static_cast<std::size_t>(sent), total, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {0, total, 0};
    return {0, total, errno};
  }
}

}  // namespace rejoin::io
