// A machine in the middle, for frames behind a 4-byte length: passes every frame on, and lets the test look
// at it, or change it, first. By it a bug is planted that the gateway does not have, and a RESUME is
// recorded.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/network.h"
#include "io/sim_network.h"

namespace rejoin::sim_test {

class Meddler final : private io::AcceptEvents {
 public:
  enum class From : std::uint8_t { client, gateway };
  /// `frame` without its length; `connection` counts from 0.
  using Hook = std::function<void(From from, std::size_t connection, std::string& frame)>;

  /// Listens on `host`, and dials `to` for each connection.
  Meddler(io::SimHost& host, std::uint16_t port, Address to, Hook hook);
  ~Meddler();

 private:
  struct Pair;
  void on_accept(io::Socket socket, const Address& peer) override;

  io::SimHost& host_;
  Address to_;
  Hook hook_;
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::unique_ptr<io::Listener> listener_;
};

}  // namespace rejoin::sim_test
