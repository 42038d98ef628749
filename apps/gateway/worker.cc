#include "apps/gateway/worker.h"

#include <string>

#include "apps/gateway/serve_player.h"

namespace rejoin::gateway {

// One listener, and what it makes of a connection.
struct Worker::Entrance final : io::AcceptEvents {
  Entrance(Worker& w, const config::GatewayListener& r) : worker(w), rules(r) {}

  void on_accept(io::Socket socket, const Address& peer) override {
    ++worker.counts_.accepted;
    if (rules.kind == config::GatewayListenerKind::websocket) {
      worker.handshakes_.spawn(serve_websocket(worker, std::move(socket), peer));
    } else {
      serve_tcp(worker, std::move(socket), peer);
    }
  }

  Worker& worker;
  const config::GatewayListener& rules;
  std::unique_ptr<io::Listener> listener;
};

Worker::Worker(io::World& world, const config::Gateway& rules)
    : world_(world), rules_(rules), echo_(rules.name), handshakes_(world.ready) {
  for (const config::GatewayListener& listener : rules.listeners) {
    entrances_.push_back(std::make_unique<Entrance>(*this, listener));
  }
}

Worker::~Worker() = default;

Status Worker::open(const std::vector<Address>& at) {
  for (std::size_t i = 0; i < entrances_.size(); ++i) {
    Entrance& entrance = *entrances_[i];
    io::ListenOptions options;
    options.client_speaks_first = entrance.rules.kind == config::GatewayListenerKind::websocket;
    // One worker has no need to share its address, and without sharing a second gateway on it is an error.
    options.reuse_port = rules_.workers > 1;
    const Address& address = i < at.size() ? at[i] : entrance.rules.listen;
    auto listener = world_.network.listen(address, options, entrance);
    if (!listener) {
      listener.error().detail = "listener " + entrance.rules.name + ": " + listener.error().detail;
      return std::move(listener.error());
    }
    entrance.listener = std::move(*listener);
  }
  return {};
}

std::vector<Address> Worker::addresses() const {
  std::vector<Address> out;
  for (const auto& entrance : entrances_)
    out.push_back(entrance->listener ? entrance->listener->address() : Address());
  return out;
}

void Worker::drain() {
  if (draining_) return;
  draining_ = true;
  for (auto& entrance : entrances_) entrance->listener.reset();
  stop_handshakes_.request();
  open_links_.for_each([](Link& link) { link.go_away(); });
}

void Worker::stop() {
  drain();
  open_links_.for_each([](Link& link) { link.cancel(); });
}

bool Worker::idle() const { return handshakes_.running() == 0 && links() == 0; }

void Worker::park_websocket(io::Socket socket, const Address& client, MutableBytes arrived) {
  begin(websocket_links_.make(*this, std::move(socket), client), arrived);
}

void Worker::park_tcp(io::Socket socket, const Address& client) {
  TcpLink& link = tcp_links_.make(*this, std::move(socket), client);
  const std::string greeting = echo_.greeting(client, {});
  link.send({greeting, upstream::MessageKind::text});
  begin(link, {});
}

void Worker::begin(Link& link, MutableBytes arrived) {
  ++counts_.links;
  open_links_.push_back(link);
  // One that was accepted from the queue of a closing listener is told at once; what it sent is not for us
  // any more.
  if (draining_) {
    link.start({});
    open_links_.for_each([](Link& open) { open.go_away(); });
    return;
  }
  link.start(arrived);
}

void Worker::link_ended(WebSocketLink& link, LinkEnd how) {
  tell(link, "WebSocket " + std::string(to_string(how)));
  websocket_links_.destroy(link);
}

void Worker::link_ended(TcpLink& link, LinkEnd how) {
  tell(link, "TCP " + std::string(to_string(how)));
  tcp_links_.destroy(link);
}

void Worker::tell(const Address& client, std::string_view what) {
  if (!world_.log.wants(LogLevel::debug)) return;
  world_.log.debug(client.text() + ": " + std::string(what));
}

}  // namespace rejoin::gateway
