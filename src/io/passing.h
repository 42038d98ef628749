// Open connections that go from one process to another, while their peers notice nothing.
//
// Place: between the old and the new process of a program that is upgraded (apps/gateway/departure.h and
// arrivals.h). The kernel's twin is KernelPassChannel (kernel_passing.h: a unix socket and SCM_RIGHTS), the
// simulation's Simulation::pass_channel().
//
// A connection that travels is a LooseSocket: it has left its loop, nobody reads or writes it, and it lives
// as long as one process holds a copy. So the sender keeps its own until it knows that the other end has
// taken it.
//
// Owner: one loop on each end, its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "io/network.h"

namespace rejoin::io {

class PassChannel;

/// A copy of an open connection that no loop tells of. Move-only; gives its copy back when it dies: the
/// connection is closed with the last one. Its channel outlives it. 16 bytes.
class LooseSocket {
 public:
  LooseSocket() = default;
  LooseSocket(PassChannel& channel, std::uint32_t token) : channel_(&channel), token_(token) {}
  LooseSocket(LooseSocket&& other) noexcept
      : channel_(std::exchange(other.channel_, nullptr)), token_(other.token_) {}
  LooseSocket& operator=(LooseSocket&& other) noexcept {
    if (this != &other) {
      drop();
      channel_ = std::exchange(other.channel_, nullptr);
      token_ = other.token_;
    }
    return *this;
  }
  ~LooseSocket() { drop(); }

  explicit operator bool() const { return channel_ != nullptr; }
  /// Gives this copy back now.
  void drop();

 private:
  friend class PassChannel;
  PassChannel* channel_ = nullptr;
  std::uint32_t token_ = 0;
};

/// Told by a PassChannel, from its loop and never inside a call of it.
class PassEvents {
 public:
  /// A message, and the connection that came with it, if one did. In order; `message` is lent.
  virtual void on_passed(Bytes message, LooseSocket with) = 0;
  /// The other process has closed its end, or is dead. All that it sent before was told. The last call.
  virtual void on_channel_end() = 0;

 protected:
  ~PassEvents() = default;
};

/// One end of a channel between two processes.
class PassChannel {
 public:
  PassChannel() = default;
  PassChannel(const PassChannel&) = delete;
  PassChannel& operator=(const PassChannel&) = delete;
  /// Closes this end. What was sent, and taken by the kernel, can still be read by the other.
  virtual ~PassChannel() = default;

  /// Who is told from now on, also of what has come already; nullptr: nobody.
  virtual void set_events(PassEvents* events) = 0;
  /// Everything is taken, in order; what the kernel does not take is kept. A copy of `with` goes along. After
  /// the channel's end nothing is sent, and nobody is told so.
  virtual void send(Bytes message, const LooseSocket* with = nullptr) = 0;
  /// Bytes that the kernel has not taken yet.
  virtual std::size_t unsent() const = 0;

  /// The connection leaves its loop, which is the channel's. Nothing is told of it any more.
  virtual LooseSocket loosen(Socket socket) = 0;
  /// It is a connection of the channel's loop from now on. Nobody is told of its readiness yet, and
  /// may_read() and may_write() are true: try.
  virtual Socket fasten(LooseSocket socket) = 0;

 protected:
  friend class LooseSocket;
  virtual void drop(std::uint32_t token) = 0;
  static std::uint32_t token_of(const LooseSocket& socket) { return socket.token_; }
  /// It is not this LooseSocket's to give back any more.
  static std::uint32_t release(LooseSocket& socket) {
    socket.channel_ = nullptr;
    return socket.token_;
  }
};

inline void LooseSocket::drop() {
  if (channel_ != nullptr) std::exchange(channel_, nullptr)->drop(token_);
}

}  // namespace rejoin::io
