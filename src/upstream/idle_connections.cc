#include "upstream/idle_connections.h"

#include <algorithm>

namespace rejoin::upstream {

IdleConnections::Record::Record(IdleConnections& owner, io::Socket s, std::size_t of)
    : home(owner),
      socket(std::move(s)),
      expiry([](void* self) { static_cast<Record*>(self)->home.drop(*static_cast<Record*>(self)); }, this),
      since(owner.world_.clock.now()),
      server(of) {}

// A FIN, a reset, or bytes that no request asked for: the connection cannot be used again. Nothing at all is
// what a message of TLS itself looks like (a session ticket).
void IdleConnections::Record::on_ready(io::Ready ready) {
  if (ready.readable && socket.read(1).state != io::ReadResult::State::would_block) home.drop(*this);
}

IdleConnections::IdleConnections(io::World& world, std::size_t servers, Duration keep, std::size_t most)
    : world_(world), keep_(keep), most_(most) {
  servers_.reserve(servers);
  for (std::size_t i = 0; i < servers; ++i) servers_.push_back(std::make_unique<Server>());
}

IdleConnections::~IdleConnections() { close_all(); }

io::Socket IdleConnections::take(std::size_t server, Duration used_within) {
  Server& of = *servers_[server];
  if (of.records.empty()) return {};
  Record& record = of.records.back();
  if (world_.clock.now() - record.since > used_within) return {};
  io::Socket socket = std::move(record.socket);
  socket.set_events(nullptr);
  drop(record);
  return socket;
}

void IdleConnections::put(std::size_t server, io::Socket socket, Duration told) {
  Server& of = *servers_[server];
  const Duration keep = std::min(keep_, told);
  if (retired_ || of.count >= most_ || keep <= Duration(0)) return;
  // A read that finds nothing arms the socket's readiness; one that finds anything says that it is of no use.
  if (socket.may_read() && socket.read(1).state != io::ReadResult::State::would_block) return;
  Record& record = records_.make(*this, std::move(socket), server);
  record.socket.set_events(&record);
  world_.timers.arm(record.expiry, world_.clock.now() + keep);
  of.records.push_back(record);
  ++of.count;
}

void IdleConnections::drop(Record& record) {
  --servers_[record.server]->count;
  records_.destroy(record);
}

void IdleConnections::close(std::size_t server) {
  Server& of = *servers_[server];
  while (!of.records.empty()) drop(of.records.front());
}

void IdleConnections::close_all() {
  for (std::size_t i = 0; i < servers_.size(); ++i) close(i);
}

void IdleConnections::take_over(std::size_t to, IdleConnections& other, std::size_t from) {
  Server& theirs = *other.servers_[from];
  while (!theirs.records.empty()) {
    Record& oldest = theirs.records.front();
    io::Socket socket = std::move(oldest.socket);
    socket.set_events(nullptr);
    other.drop(oldest);
    put(to, std::move(socket));
  }
}

void IdleConnections::retire() {
  retired_ = true;
  close_all();
}

}  // namespace rejoin::upstream
