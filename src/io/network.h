// The one door to the network. EpollLoop (epoll_loop.h) opens it to the kernel, SimNetwork (sim_network.h) to
// a simulation; nothing above src/io knows which.
//
// The interface lends bytes ("here is what arrived") instead of filling a caller's buffer: one block per loop
// serves every connection, and a back end with buffers of its own can come without a change in any caller.
//
// Readiness is told once (edge-triggered): `on_ready` says that something *became* possible, and the socket
// remembers what is possible until a read or a write finds the end of it. So an owner reads until
// `may_read()` is false, or parks and reads on later; a new owner of a socket looks at `may_read()` first.
//
// One thread: a Network and all its sockets belong to one loop. Nothing here blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace rejoin::io {

/// What became possible. Bits: several may come in one call.
struct Ready {
  bool readable : 1;
  bool writable : 1;
};

/// Told of a socket's readiness. Never called from inside a call on the same socket, so an owner may act
/// freely in it: read, write, close, or destroy itself.
class SocketEvents {
 public:
  virtual void on_ready(Ready ready) = 0;

 protected:
  ~SocketEvents() = default;
};

struct ReadResult {
  enum class State : std::uint8_t {
    got,  // `bytes` is what arrived: lent until the next read on this loop, or until the owner returns to the
          // loop
    would_block,  // nothing now; on_ready will tell
    ended,   // the peer will send no more (FIN); told again at each read. After `failed` it means nothing
    failed,  // the connection is broken, `errnum` says how
  };
  State state = State::would_block;
  int errnum = 0;
  /// May be changed in place (unmasking). Empty unless `got`.
  MutableBytes bytes;

  bool got() const { return state == State::got; }
  Bytes view() const { return {bytes.data(), bytes.size()}; }
};

struct WriteResult {
  /// How many bytes were taken, from the front. Fewer than given: the socket is full and on_ready will tell
  /// when it is not.
  std::size_t taken = 0;
  /// 0, or why the connection is broken.
  int errnum = 0;
};

class Network;

/// An open TCP connection (or one that is being opened). Move-only owner: closes when it dies. 16 bytes.
class Socket {
 public:
  Socket() = default;
  Socket(Network& network, std::uint32_t id) : network_(&network), id_(id) {}
  Socket(Socket&& other) noexcept : network_(std::exchange(other.network_, nullptr)), id_(other.id_) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      close();
      network_ = std::exchange(other.network_, nullptr);
      id_ = other.id_;
    }
    return *this;
  }
  ~Socket() { close(); }

  explicit operator bool() const { return network_ != nullptr; }
  std::uint32_t id() const { return id_; }

  /// Who is told from now on; nullptr: nobody. Readiness told before is not told again: look at may_read()
  /// and may_write().
  void set_events(SocketEvents* events);

  /// One read of at most `max` bytes (capped at limits::kBufferBytes).
  ReadResult read(std::size_t max = limits::kBufferBytes);
  /// Writes what the socket takes now. Never partial unless full.
  WriteResult write(Bytes bytes);
  /// The same from several pieces, in one call to the kernel (at most 8).
  WriteResult write(std::span<const Bytes> pieces);

  /// False only when the last read found the end of what has arrived.
  bool may_read() const;
  /// False while the connection is being opened, or after a write that found the socket full.
  bool may_write() const;
  /// Asks for one on_ready({readable}) in the loop's next turn: for who stopped reading to let others have
  /// their turn.
  void read_again();

  /// After the first `writable` of a connecting socket: did it open? Side::server in the error. Over TLS also
  /// why a connection failed later on, and of an accepted one (Side::client): see tls_network.h.
  Status connect_status();

  /// For one that was dialled and may be silent for hours: from now on TCP keep-alive finds a peer that
  /// vanished without a word (limits::kKeepAliveIdleS and what follows it), as it does from the start on
  /// accepted ones.
  void keep_alive();

  /// FIN: we will write no more. Reading goes on.
  void shutdown_write();
  /// Closes with a RST, so that the peer learns that the connection broke rather than ended.
  void reset();
  /// Closes. What was written is still sent, unless unread bytes are left in the socket (then the kernel
  /// sends RST).
  void close();

  Address local_address() const;
  Address peer_address() const;

  /// It is not ours to close any more. For a Network that gives a connection to somebody else; whose it was.
  Network* forget() { return std::exchange(network_, nullptr); }

 private:
  Network* network_ = nullptr;
  std::uint32_t id_ = 0;
};

/// Told of new connections.
class AcceptEvents {
 public:
  /// `socket` has nobody who is told of its readiness yet, and may_read() is true: try a read first.
  /// The Listener must not be destroyed in the call.
  virtual void on_accept(Socket socket, const Address& peer) = 0;

 protected:
  ~AcceptEvents() = default;
};

struct ListenOptions {
  /// Several listeners of one process (one per worker) on one address; the kernel spreads connections over
  /// them.
  bool reuse_port = true;
  /// Only tell of connections whose first bytes have come (TCP_DEFER_ACCEPT): for protocols in which the
  /// client speaks first.
  bool client_speaks_first = false;
  /// Multipath TCP (RFC 8684) where the kernel has it; said in the log where it has not, and plain TCP then.
  /// Clients that do not speak it are served as ever, at no cost.
  bool mptcp = false;
  int backlog = 4096;
};

/// An open listener; closes when it dies, after accepting what still waits in its queue (closing would reset
/// those clients). When descriptors run out it stops accepting, says so once, and goes on as soon as a socket
/// of this loop closes or after limits::kAcceptRetryMs.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The real address, with the port that the system chose when 0 was asked.
  virtual Address address() const = 0;
  /// True while accepting is paused for want of descriptors.
  virtual bool paused() const = 0;
};

struct ConnectOptions {
  /// Dial from this address (port 0: any). Without one the system chooses.
  Address bind{};
  /// Whom we mean to reach: the name that a TLS certificate must be for. Empty: the address itself. Networks
  /// without TLS do not look at it.
  std::string server_name{};
};

class Network {
 public:
  virtual ~Network() = default;

  /// Error: exhausted, or os (address in use, not ours). `events` must outlive the Listener.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& at, const ListenOptions& options,
                                                   AcceptEvents& events) = 0;

  /// Begins to open a connection. An error now is one of our own (no descriptors, no such bind address);
  /// whether the server took it is told by `writable` and connect_status().
  virtual Result<Socket> connect(const Address& to, const ConnectOptions& options) = 0;

  /// Sockets open at this moment, listeners not counted.
  virtual std::size_t open_sockets() const = 0;

 private:
  friend class Socket;
  virtual void set_events(std::uint32_t id, SocketEvents* events) = 0;
  virtual ReadResult read(std::uint32_t id, std::size_t max) = 0;
  virtual WriteResult write(std::uint32_t id, std::span<const Bytes> pieces) = 0;
  virtual bool may_read(std::uint32_t id) const = 0;
  virtual bool may_write(std::uint32_t id) const = 0;
  virtual void read_again(std::uint32_t id) = 0;
  virtual Status connect_status(std::uint32_t id) = 0;
  virtual void keep_alive(std::uint32_t id) = 0;
  virtual void shutdown_write(std::uint32_t id) = 0;
  virtual void reset(std::uint32_t id) = 0;
  virtual void close(std::uint32_t id) = 0;
  virtual Address local_address(std::uint32_t id) const = 0;
  virtual Address peer_address(std::uint32_t id) const = 0;
};

inline void Socket::set_events(SocketEvents* events) { network_->set_events(id_, events); }
inline ReadResult Socket::read(std::size_t max) { return network_->read(id_, max); }
inline WriteResult Socket::write(Bytes bytes) {
  return network_->write(id_, std::span<const Bytes>(&bytes, 1));
}
inline WriteResult Socket::write(std::span<const Bytes> pieces) { return network_->write(id_, pieces); }
inline bool Socket::may_read() const { return network_->may_read(id_); }
inline bool Socket::may_write() const { return network_->may_write(id_); }
inline void Socket::read_again() { network_->read_again(id_); }
inline Status Socket::connect_status() { return network_->connect_status(id_); }
inline void Socket::keep_alive() { network_->keep_alive(id_); }
inline void Socket::shutdown_write() { network_->shutdown_write(id_); }
inline void Socket::reset() {
  if (network_ != nullptr) std::exchange(network_, nullptr)->reset(id_);
}
inline void Socket::close() {
  if (network_ != nullptr) std::exchange(network_, nullptr)->close(id_);
}
inline Address Socket::local_address() const { return network_->local_address(id_); }
inline Address Socket::peer_address() const { return network_->peer_address(id_); }

}  // namespace rejoin::io
