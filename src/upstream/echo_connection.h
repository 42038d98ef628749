// The game server that is none: it greets, and says every message back (echo.h). For demonstrations, and for
// tests of the path without a socket.
//
// Place: the end of the path, in a game server's stead. Owner: a session; its memory is a Connector's. Its
// worker's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "upstream/game_connection.h"

namespace rejoin::upstream {

class Connector;

/// The greeting is the first message, inside start(). A message is taken and comes back inside say(); while
/// the owner does not read it is neither, and waits in memory.
class EchoConnection final : public GameConnection {
 public:
  EchoConnection(Connector& connector, GameEvents& events) : connector_(connector), events_(&events) {}

  void start(const Player& player) override;
  void say(const Message& message) override;
  void cork(bool) override {}
  void set_reading(bool reading) override;
  void finish() override;
  void cancel() override;
  std::size_t unsent_bytes() const override;
  std::string where() const override { return "echo"; }
  bool may_leave() const override { return events_ != nullptr && !(backlog_ && backlog_->telling); }
  io::Socket leave(std::string& state) override;
  /// Instead of start(): goes on with what leave() gave. False: it is not of this form.
  bool arrive(Bytes state);

 private:
  struct Kept {
    std::string bytes;
    MessageKind kind;
    bool said;  // by the player: it is taken when it comes back. Else it is the greeting
  };
  struct Backlog {
    std::deque<Kept> messages;
    std::size_t bytes = 0;
    bool reading = false;
    bool telling = false;  // somebody is at work on it further up
  };
  void give_back() override;
  void keep(const Message& message, bool said);
  void tell_backlog();

  // Bytes on a 64-bit machine; before them stands the table of virtual functions, 8.
  Connector& connector_;              // 8
  GameEvents* events_;                // 8, none once it has ended
  std::unique_ptr<Backlog> backlog_;  // 8, while the owner does not read
};
static_assert(sizeof(EchoConnection) <= 32, "an idle echo is a record: look at what was added to it");

}  // namespace rejoin::upstream
