// A session's connection to its game server: the end of the path. One per session; it lives as long as the
// session, whatever its links do, so the game server sees one steady connection per player.
//
// Kinds: echo (echo.h), tcp and ws (tcp_connection.h, ws_connection.h), made by a Connector (connector.h).
// Parked records: no buffer and no allocation while nothing is in flight.
//
// Owner: a session (apps/gateway/player.h), on its worker's thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "upstream/message.h"

namespace rejoin::upstream {

/// How the connection ended, for the code that the client sees.
enum class GameEnd : std::uint8_t {
  finished,  // the game server ended it in an orderly way (FIN between two messages, close 1000): 4410
  refused,   // it could not be opened: 4411
  broken,    // reset, FIN in the middle of a message, silence: 4411
  invalid,   // it broke its protocol's rule, or sent a message over the limit: 4411, 4413
  stopped,   // we ended it
};
std::string_view to_string(GameEnd end);

/// Told by a GameConnection. The owner may call any method of the connection inside these, but for destroying
/// it: that only in game_ended(), which is the last call.
class GameEvents {
 public:
  /// A whole message of the game server. Lent.
  virtual void game_said(const Message& message) = 0;
  /// `count` more of the messages given to say() were written whole to the game server's socket.
  virtual void game_took(std::size_t count) = 0;
  /// `why` is for the log, and may be told to the client where it is not ours alone.
  virtual void game_ended(GameEnd how, const Error& why) = 0;

 protected:
  ~GameEvents() = default;
};

class GameConnection {
 public:
  virtual ~GameConnection() = default;

  /// A message of the player. Always taken, in order; what the socket does not take is kept (the session's
  /// window bounds it). Before the connection is open, too.
  virtual void say(const Message& message) = 0;
  /// False: the game server is not read until true (its messages have no room). At most one message may still
  /// come from what was read already.
  virtual void set_reading(bool reading) = 0;
  /// The player is gone for good: what was said is still sent, then the connection ends as its protocol
  /// wants. game_ended() with `stopped` follows, within limits::kGameCloseS.
  virtual void finish() = 0;
  /// Ends it now. No event follows; it may be destroyed.
  virtual void cancel() = 0;

  /// Bytes kept that the game server has not taken.
  virtual std::size_t unsent_bytes() const = 0;
  /// For `rejoin ctl`: "10.0.0.7:7000", "echo".
  virtual std::string where() const = 0;
};

/// Who the player is, for a game server that wants to know.
struct Player {
  Address client;       // of the first link
  Address local;        // where that link was accepted
  std::string session;  // SessionId::text()
};

}  // namespace rejoin::upstream
