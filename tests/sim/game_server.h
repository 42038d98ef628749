// A game server for simulations: messages behind a 4-byte length, and nothing else. It knows nothing of
// Rejoin. Per connection it takes the player's numbered messages, says its own, and behaves by chance.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/timers.h"
#include "io/network.h"
#include "io/sim_network.h"
#include "proto/length_framing.h"
#include "tests/sim/ledger.h"

namespace rejoin::sim_test {

struct GameManner {
  Duration every = 200ms;         // it says something so often, about
  int messages = 25;              // that it says on each connection
  std::size_t message_max = 800;  // bytes
  bool speaks_first = false;      // before it has heard of the player
  // Chances, per connection; the moment is by chance within the first seconds.
  double slow = 0;             // reads nothing for up to `slow_max`
  Duration slow_max = 1500ms;  //
  double gone = 0;             // resets the connection
  double flood = 0;            // then says `flood_messages` at once
  int flood_messages = 400;
};

class GameServer final : private io::AcceptEvents {
 public:
  GameServer(io::SimHost& host, std::uint16_t port, Ledger& ledger, const GameManner& manner);
  ~GameServer();

  /// Nothing more is said, and who is slow reads on.
  void calm_down();
  /// Resets the connection of this session.
  void reset(const Account& account);
  /// Stops reading it, until calm_down().
  void stop_reading(const Account& account);
  /// Says so many messages on it, now, whatever the manner is.
  void say(const Account& account, int messages);

  std::size_t connections() const;
  std::uint64_t met() const { return next_number_; }
  /// Every message that is to be said was, on every connection.
  bool has_said_all() const;

 private:
  struct Connection;
  void on_accept(io::Socket socket, const Address& peer) override;
  Connection* find(const Account& account);

  io::SimHost& host_;
  Ledger& ledger_;
  GameManner manner_;
  bool calm_ = false;
  std::uint64_t next_number_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<io::Listener> listener_;
};

}  // namespace rejoin::sim_test
