#include "io/tls_network.h"

#include <cassert>

namespace rejoin::io {

/// An inner listener whose connections are handed on as TLS ones.
class TlsNetwork::TlsListener final : public Listener, public AcceptEvents {
 public:
  TlsListener(TlsNetwork& network, AcceptEvents& events) : network_(network), events_(events) {}
  // While this is whole: what waits in the inner queue is accepted now.
  ~TlsListener() override { inner_.reset(); }

  Status open(const Address& at, const ListenOptions& options) {
    auto made = network_.inner_.network.listen(at, options, *this);
    if (!made) return std::move(made.error());
    inner_ = std::move(*made);
    return {};
  }
  Address address() const override { return inner_->address(); }
  bool paused() const override { return inner_->paused(); }

  void on_accept(Socket socket, const Address& peer) override {
    auto begun = network_.begin(network_.contexts_.server, std::move(socket), false, Address(), {}, {});
    if (!begun) {  // no memory: this client is lost, the next may be luckier
      network_.inner_.log.warn("accepting " + peer.text() + ": " + to_string(begun.error()));
      return;
    }
    // The client speaks first, so its first message is usually there. Nobody is told yet.
    network_.at(begun->id()).on_ready({.readable = true, .writable = false});
    events_.on_accept(std::move(*begun), peer);
  }

 private:
  TlsNetwork& network_;
  AcceptEvents& events_;
  std::unique_ptr<Listener> inner_;
};

TlsNetwork::TlsNetwork(World& inner, TlsContexts contexts)
    : inner_(inner),
      world_{inner.clock, *this, inner.timers, inner.ready, inner.buffers, inner.random, inner.log},
      shared_(inner) {
  use(std::move(contexts));
}

TlsNetwork::~TlsNetwork() { assert(open_sockets() == 0 && "a TlsNetwork must outlive its Sockets"); }

void TlsNetwork::use(TlsContexts contexts) {
  assert((!contexts.client || contexts.client->role() == TlsContext::Role::client) &&
         (!contexts.server || contexts.server->role() == TlsContext::Role::server));
  if (contexts.client != contexts_.client) shared_.sessions.clear();
  contexts_ = std::move(contexts);
}

// --- opening ---

Result<Socket> TlsNetwork::begin(std::shared_ptr<const TlsContext> context, Socket inner, bool opening,
                                 const Address& peer, std::string_view name, Bytes arrived, TlsTold told) {
  assert(arrived.size() <= limits::kBufferBytes);
  if (!context) return Error{ErrorKind::config, Side::ours, Retry::no, "TLS is not configured for this"};
  auto made =
      TlsConnection::make(shared_, std::move(context), std::move(inner), opening, peer, name, arrived, told);
  if (!made) return std::move(made.error());
  return keep(std::move(*made));
}

Socket TlsNetwork::keep(std::unique_ptr<TlsConnection> connection) {
  std::uint32_t id;
  if (free_ids_.empty()) {
    id = static_cast<std::uint32_t>(connections_.size());
    connections_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  connections_[id] = std::move(connection);
  return Socket(*this, id);
}

Result<Socket> TlsNetwork::connect(const Address& to, const ConnectOptions& options) {
  Result<Socket> inner = inner_.network.connect(to, options);
  if (!inner) return inner;
  return begin(contexts_.client, std::move(*inner), true, to, options.server_name, {});
}

Result<Socket> TlsNetwork::begin_client(Socket inner, const ConnectOptions& options, Bytes arrived) {
  const Address peer = inner.peer_address();
  auto begun = begin(contexts_.client, std::move(inner), false, peer, options.server_name, arrived);
  if (begun) at(begun->id()).begin_soon();
  return begun;
}

Result<Socket> TlsNetwork::begin_server(Socket inner, Bytes arrived) {
  auto begun = begin(contexts_.server, std::move(inner), false, Address(), {}, arrived);
  if (begun) at(begun->id()).begin_soon();
  return begun;
}

Result<Socket> TlsNetwork::accept_with(std::shared_ptr<const TlsContext> context, Socket inner,
                                       Bytes arrived) {
  auto begun = begin(std::move(context), std::move(inner), false, Address(), {}, arrived, TlsTold::when_open);
  if (begun) at(begun->id()).begin_soon();
  return begun;
}

Result<Socket> TlsNetwork::dial_with(std::shared_ptr<const TlsContext> context, Socket inner,
                                     std::string_view server_name) {
  const Address peer = inner.peer_address();
  auto begun = begin(std::move(context), std::move(inner), false, peer, server_name, {});
  if (begun) at(begun->id()).begin_soon();
  return begun;
}

// --- to another thread ---

bool TlsNetwork::has(Socket& socket) const {
  const std::uint32_t id = socket.id();
  Network* const network = socket.forget();
  socket = Socket(*network, id);
  return network == this;
}

TlsParcel TlsNetwork::give_up(Socket& socket) {
  const std::uint32_t id = socket.id();
  socket.forget();
  return TlsConnection::pack(give_up(id), socket);
}

Socket TlsNetwork::take_over(Socket inner, TlsParcel parcel) {
  return keep(TlsConnection::unpack(shared_, std::move(inner), std::move(parcel)));
}

Result<std::unique_ptr<Listener>> TlsNetwork::listen(const Address& at, const ListenOptions& options,
                                                     AcceptEvents& events) {
  if (!contexts_.server) {
    return Error{ErrorKind::config, Side::ours, Retry::no, "TLS is not configured for this"};
  }
  auto listener = std::make_unique<TlsListener>(*this, events);
  const Status open = listener->open(at, options);
  if (!open) return open.error();
  return std::unique_ptr<Listener>(std::move(listener));
}

// --- the end ---

/// The id is free from here on, also for who is told of something in what follows.
std::unique_ptr<TlsConnection> TlsNetwork::give_up(std::uint32_t id) {
  assert(connections_[id] && "a Socket is closed twice");
  free_ids_.push_back(id);
  return std::move(connections_[id]);
}

void TlsNetwork::reset(std::uint32_t id) { give_up(id)->reset(); }

void TlsNetwork::close(std::uint32_t id) { TlsConnection::close(give_up(id)); }

}  // namespace rejoin::io
