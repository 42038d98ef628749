// A server for simulations: answers each HTTP request with its own body, in one of the ways that a server
// may, and keeps the connection. Strict about what it gets: a request that it cannot read counts as `bad`,
// since a proxy must send none.
#pragma once

#include <memory>
#include <string>

#include "base/scope.h"
#include "io/stream.h"
#include "io/world.h"

namespace rejoin::sim_test {

class HttpEcho final : private io::AcceptEvents {
 public:
  /// Listens at once. `name` is told in each response as X-Server.
  HttpEcho(io::World& world, Address at, std::string name);
  ~HttpEcho();

  void stop();
  bool idle() const { return connections_.running() == 0; }
  std::uint64_t served() const { return served_; }
  std::uint64_t bad() const { return bad_; }

 private:
  void on_accept(io::Socket socket, const Address& peer) override;
  Task<void> serve(io::Socket accepted);
  Task<bool> answer_one(io::Stream& client, Buffer& arrived);

  io::World& world_;
  std::string name_;
  Stop stop_;
  Scope connections_;
  std::unique_ptr<io::Listener> listener_;
  std::uint64_t served_ = 0, bad_ = 0;
};

}  // namespace rejoin::sim_test
