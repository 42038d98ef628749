// The network between a player's browser and the balancer, played by a process of ours, so that it can be
// broken on purpose: cut, left dead, frozen, or exchanged for one that gives the player another address.
//
// What a browser opens here is carried to the balancer byte by byte, from the player's present address
// (loopback has millions of them). A player is who says `?p=ID` in the URL of their WebSocket; what has no ID
// (the page) is carried, too, one request per connection. Requests below /network/ are for the network
// itself:
//   GET /network/ID                 -> {"address":"127.1.0.1","connections":2,"frozen_ms":0}
//   GET /network/ID/cut                both ends of every connection are reset
//   GET /network/ID/dead               the balancer's end is reset, the browser hears nothing of it
//   GET /network/ID/address            another address: the browser's end is reset, the balancer hears
//   nothing of it GET /network/ID/freeze?ms=10000    nothing is carried for so long, and dials wait
// Each answers as the first one, afterwards.
//
// Place: a child process of `rejoin demo --web`, one thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "base/scope.h"
#include "io/network.h"
#include "io/stream.h"
#include "io/world.h"

namespace rejoin::demo {

inline constexpr std::size_t kPathsMax = 1024;      // players at once
inline constexpr std::size_t kPathIdBytesMax = 32;  // of a-z and 0-9
inline constexpr std::size_t kCarriedMax = 4096;    // connections at once
inline constexpr Duration kFreezeMax = 60s;

class AccessNetwork final : private io::AcceptEvents {
 public:
  /// `balancer` is where everything is carried to. `world` outlives it. idle() when it dies.
  AccessNetwork(io::World& world, const Address& balancer);
  ~AccessNetwork();

  /// Error: the address cannot be listened on.
  Status open(const Address& at);
  Address address() const { return listener_->address(); }
  void close();
  bool idle() const { return connections_.running() == 0; }

 private:
  struct Path;
  struct Carried;
  void on_accept(io::Socket socket, const Address& peer) override;
  Task<void> carry(io::Socket socket);
  Task<bool> hear_head(Carried& carried);
  Task<void> answer(Carried& carried, std::string target);
  Task<void> pump(Carried& carried, io::Stream& from, io::Stream& to);
  Task<void> swallow(io::Stream& from);
  Task<void> thaw(const Carried& carried);
  Path* path_of(const std::string& id);
  void command(Path& path, std::string_view what, Duration freeze);
  std::string state_of(Path& path) const;

  io::World& world_;
  Address balancer_;
  std::unique_ptr<io::Listener> listener_;
  std::map<std::string, Path> paths_;
  unsigned paths_so_far_ = 0;
  Stop stop_;
  Scope connections_;
};

/// Runs one until SIGTERM: prints "listening on IP:PORT" and "ready" on stderr. The process's exit status.
int run_access_network(const Address& at, const Address& balancer);

}  // namespace rejoin::demo
