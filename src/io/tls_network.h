// TLS as a Network over another Network: what is written against network.h speaks TLS by being given this
// one, and tests of it run in a simulation as well as on the kernel. Place on the path: between a loop and
// whoever serves the connection.
//
//   TlsNetwork tls(world, {.client = *TlsContext::make(TlsClientOptions{})});
//   auto socket = tls.connect(address, {.server_name = "play.example"});     // or: Stream(tls.world(), ...)
//
// What a Socket of it promises beyond network.h:
//
// - A dial is open (`writable` is told) when the handshake is over and the certificate is good for
// server_name, or
//   without one for the address that was dialled. connect_status() says what is wrong: which name was meant,
//   and which names, dates or issuer the certificate has. Retry::yes: nothing of the application's was sent.
// - An accepted socket is told of at once, before its handshake, so that its owner's deadlines and limits
// cover that
//   too. It is as any socket then: reads say would_block, the first write finds it full. How a handshake
//   failed, the failing read or write does not say: connect_status() does (Side::client).
// - A failure of TLS is EPROTO; one of the connection below keeps its errnum. connect_status() has the words
// for both.
// - A FIN without close_notify is `failed` with ECONNRESET, never `ended`: it may be an attacker who cuts the
// stream
//   short (RFC 8446 6.1). Peers that end so in good faith are told apart by the protocol above (a WebSocket
//   close frame, Content-Length), to which a failure behind the last message is as good as an end.
// - shutdown_write() is close_notify and FIN, and reading goes on. Peers with TLS 1.2 may answer it with a
// full close
//   (RFC 5246 7.2.1).
// - taken bytes are encrypted and with the inner socket, or, at most one record of them, in a Buffer of ours
// that follows
//   as soon as that takes it. While it does, may_write() is false.
// - Plaintext is lent in a block of this Network's; it dies at the next read on this Network or on the inner
// one. Only
//   read() reads: every other call leaves lent bytes alone.
// - close() may let the connection linger, up to limits::kLingerMs, without its owner: to send what is
// unsent, to see
//   whether something lies unread (then it resets, as the kernel does), and, in a client that has heard
//   nothing yet, to take the server's tickets, since answering them with a RST could throw away what was just
//   written.
//
// Sessions are resumed: TLS tickets of servers are kept per name and port (limits::kTlsSessionPeersMax), also
// those of connections that broke.
//
// Memory: an idle connection holds OpenSSL's 14.0 kB and a record of ours of 0.2 kB, and no buffer; one in
// flight borrows from the loop's BufferPool. Owner: the worker, beside its loop, which it must not outlive;
// it must outlive its Sockets and Listeners. One thread.
#pragma once

#include <memory>
#include <vector>

#include "io/network.h"
#include "io/tls_connection.h"
#include "io/tls_context.h"
#include "io/world.h"

namespace rejoin::io {

/// Who dials and who accepts. Without the one that is needed connect() or listen() is an error.
struct TlsContexts {
  std::shared_ptr<const TlsContext> client{};
  std::shared_ptr<const TlsContext> server{};
};

class TlsNetwork final : public Network {
 public:
  /// `inner` must outlive it: its network carries the ciphertext.
  TlsNetwork(World& inner, TlsContexts contexts);
  ~TlsNetwork() override;

  /// For connections that begin from now on, those of open listeners too (a reload). Sessions of another
  /// client context are forgotten.
  void use(TlsContexts contexts);

  /// The inner World with this as its network: for everything that is to speak TLS.
  World& world() { return world_; }

  Result<std::unique_ptr<Listener>> listen(const Address& at, const ListenOptions& options,
                                           AcceptEvents& events) override;
  /// Error also: bad_input (a server_name that cannot be one), config (no client context).
  Result<Socket> connect(const Address& to, const ConnectOptions& options) override;
  /// Without those that linger.
  std::size_t open_sockets() const override { return connections_.size() - free_ids_.size(); }
  std::size_t lingering() const { return shared_.lingering_count; }

  /// TLS from here on, on an open connection of the inner network: what came before (a PROXY header) was read
  /// and written in the clear. `arrived` was read already and belongs to TLS, at most limits::kBufferBytes.
  /// Its owner is told as that of a dialled, or of an accepted, socket; its handshake begins in the loop's
  /// next turn.
  Result<Socket> begin_client(Socket inner, const ConnectOptions& options, Bytes arrived = {});
  Result<Socket> begin_server(Socket inner, Bytes arrived = {});

  /// The same with a context of its own, and told as a dial is: the owner hears nothing before the handshake
  /// is over, and then that it may write; connect_status() has the outcome. Error: exhausted, or bad_input (a
  /// server_name that cannot be one).
  Result<Socket> accept_with(std::shared_ptr<const TlsContext> context, Socket inner, Bytes arrived = {});
  Result<Socket> dial_with(std::shared_ptr<const TlsContext> context, Socket inner,
                           std::string_view server_name);

  /// Is this socket, which is open, one of this network?
  bool has(Socket& socket) const;
  /// A connection whose handshake is over goes to another thread: `socket`, one of this network, becomes the
  /// inner one, which its loop can give away. There take_over() of that loop's TlsNetwork makes both one
  /// again.
  TlsParcel give_up(Socket& socket);
  Socket take_over(Socket inner, TlsParcel parcel);

  /// Of a socket of this network.
  TlsInfo info(const Socket& socket) const { return at(socket.id()).info(); }
  /// Peers of whom a session is kept.
  std::size_t resumable_peers() const { return shared_.sessions.peers(); }

 private:
  class TlsListener;

  Result<Socket> begin(std::shared_ptr<const TlsContext> context, Socket inner, bool opening,
                       const Address& peer, std::string_view name, Bytes arrived,
                       TlsTold told = TlsTold::when_accepted);
  Socket keep(std::unique_ptr<TlsConnection> connection);
  TlsConnection& at(std::uint32_t id) const { return *connections_[id]; }
  std::unique_ptr<TlsConnection> give_up(std::uint32_t id);

  void set_events(std::uint32_t id, SocketEvents* events) override { at(id).set_events(events); }
  ReadResult read(std::uint32_t id, std::size_t max) override { return at(id).read(max); }
  WriteResult write(std::uint32_t id, std::span<const Bytes> pieces) override { return at(id).write(pieces); }
  bool may_read(std::uint32_t id) const override { return at(id).may_read(); }
  bool may_write(std::uint32_t id) const override { return at(id).may_write(); }
  void read_again(std::uint32_t id) override { at(id).read_again(); }
  Status connect_status(std::uint32_t id) override { return at(id).connect_status(); }
  void keep_alive(std::uint32_t id) override { at(id).keep_alive(); }
  void shutdown_write(std::uint32_t id) override { at(id).shutdown_write(); }
  void reset(std::uint32_t id) override;
  void close(std::uint32_t id) override;
  Address local_address(std::uint32_t id) const override { return at(id).local_address(); }
  Address peer_address(std::uint32_t id) const override { return at(id).peer_address(); }

  World& inner_;
  World world_;
  TlsContexts contexts_;
  TlsShared shared_;
  std::vector<std::unique_ptr<TlsConnection>> connections_;  // by id; nullptr: free
  std::vector<std::uint32_t> free_ids_;
};

}  // namespace rejoin::io
