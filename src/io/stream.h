// A socket as a coroutine sees it: await until it can be read or written, with a deadline, then act.
//
// For the beginnings of connections, which are coroutines. The steady state is a parked record that takes the
// Socket over by release() and is told of readiness itself.
#pragma once

#include <optional>

#include "base/scope.h"
#include "io/network.h"
#include "io/world.h"

namespace rejoin::io {

/// Owns a Socket and the waits for it. One coroutine may wait for reading while another waits for writing.
/// Not movable: the loop holds its address. Every wait ends with an Error: timed_out at the deadline,
/// cancelled when `stop` is requested; `side` in errors is whose end of the connection it is.
class Stream final : private SocketEvents {
 public:
  /// An accepted connection (`side` client), or one to a server. Takes over an open or an opening socket.
  Stream(World& world, Socket socket, Side side, Stop& stop);
  /// Without a socket yet; see connect().
  Stream(World& world, Side side, Stop& stop);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Opens a connection. Errors: refused, unreachable, timed_out, ... with Side::server, or ours
  /// (descriptors, bind).
  Task<Status> connect(Address to, ConnectOptions options, TimePoint deadline);
  /// Takes over `socket`, in the place of the one it had.
  void adopt(Socket socket);

  struct Wait {
    const Stream& stream;
    Waiter::Awaiter waiting;
    bool at_once;  // possible already, or interrupted: nobody waits
    bool await_ready() const noexcept { return at_once || waiting.await_ready(); }
    void await_suspend(std::coroutine_handle<> handle) { waiting.await_suspend(handle); }
    Status await_resume() const { return stream.woken(at_once ? Woken::ready : waiting.await_resume()); }
  };
  /// `co_await stream.readable(deadline)`: Status, ok when a read may give something. Spurious success is
  /// possible: the read then says would_block. Lent bytes do not survive an await, so there is no awaitable
  /// read: wait, then socket().read() in the same coroutine.
  Wait readable(TimePoint deadline) {
    return {*this, reader_.until(deadline), interrupted_ || socket_.may_read()};
  }
  /// The same for writing.
  Wait writable(TimePoint deadline) {
    return {*this, writer_.until(deadline), interrupted_ || socket_.may_write()};
  }

  /// `co_await stream.next_turn()`: lets every other connection of the loop have its turn first. For who
  /// moves much from a peer that is always ready: readable() does not suspend then, and looks neither at its
  /// deadline nor at the Stop.
  Wait next_turn();

  /// What can be read without waiting, appended to `into`; nothing when there is nothing now. Errors as
  /// read_into().
  std::optional<Status> read_now(Buffer& into);
  /// Writes what the socket takes without waiting, and takes it off the front of `bytes`. Error: broken.
  Status write_now(Bytes& bytes);

  /// Appends what arrives, at least one byte, to `into`. Errors also: closed (FIN), reset; too_large when
  /// there is no room.
  Task<Status> read_into(Buffer& into, TimePoint deadline);
  /// Writes all of `bytes`, which must stay valid until it ends (they may not be lent ones).
  Task<Status> write_all(Bytes bytes, TimePoint deadline);

  /// Says FIN, then reads and forgets what the peer still sends, until it has ended, or until
  /// limits::kLingerMs or limits::kLingerBytesMax. For who has answered before it has heard all: closing over
  /// unread bytes would send a RST, which throws away the answer before the peer has read it.
  Task<void> linger();

  /// Without waiting. Only while the Stream has a socket, as everything above: not before connect() or
  /// adopt(), nor after close(), release() or a failed connect().
  Socket& socket() { return socket_; }
  explicit operator bool() const { return static_cast<bool>(socket_); }
  Side side() const { return side_; }
  /// The error that a failed read or write means.
  Error broken(int errnum, std::string_view what) const;

  /// Ends the waits of others for this stream with `cancelled`, and all later ones at once, until go_on().
  /// For who must end a coroutine that moves bytes from or to it; the socket stays open.
  void interrupt();
  void go_on() { interrupted_ = false; }

  /// Gives the socket away; the Stream has none then, and nobody is told of its readiness.
  Socket release();
  /// With nobody waiting: who waits would not be woken. See interrupt().
  void close();

 private:
  void on_ready(Ready ready) override;
  Status woken(Woken why) const;

  World& world_;
  Socket socket_;
  Waiter reader_, writer_;
  Side side_;
  bool interrupted_ = false;
};

/// Waits until `when`, or less if `stop` is requested.
Task<Woken> sleep_until(World& world, TimePoint when, Stop& stop);

}  // namespace rejoin::io
