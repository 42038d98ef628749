// A session's connection to its game server: the end of the path. One per session; it lives as long as the
// session, whatever its links do, so the game server sees one steady connection per player.
//
// Kinds: echo, tcp and ws (echo_connection.h, tcp_connection.h, ws_connection.h), made by a Connector
// (connector.h). Parked records: no buffer and no allocation while nothing is in flight.
//
//   GamePtr game = connector.make(events);
//   game->start(player);                    // dials; what is said meanwhile is kept
//   game->say(message);                     // -> events.game_took(1) when the kernel has all of it
//   ...                                     // <- events.game_said(message)
//   game->finish();                         // -> events.game_ended(stopped), the last event
//
// When events are told:
//   game_said    from the loop; by an echo also inside start(), say() and set_reading(true)
//   game_took    from the loop; also inside say(), cork(false), finish(), and by an echo set_reading(true)
//   game_ended   from the loop only: never inside a call
// So who calls say() is ready to hear game_took, and from an echo game_said, before it returns: count the
// message as read first.
//
// Owner: a session (apps/gateway/player.h), on its worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "io/network.h"
#include "upstream/echo.h"
#include "upstream/message.h"

namespace rejoin::upstream {

/// How the connection ended, for the code that the client sees.
enum class GameEnd : std::uint8_t {
  finished,  // the game server ended it in an orderly way (FIN between two messages; close 1000, 1001 or
             // without a code): 4410
  refused,   // it could not be opened: 4411
  broken,    // reset, FIN in the middle of a message, silence, another close code: 4411
  invalid,   // it broke its protocol's rule (Error bad_input: 4411), or somebody's message is over the limit
             // (Error too_large: 4413; its side is whose message)
  stopped,   // we ended it
};
inline constexpr std::size_t kGameEnds = 5;
std::string_view to_string(GameEnd end);

/// Told by a GameConnection. The owner may call any method of the connection inside these, but for destroying
/// it: that only in game_ended(), which is the last call.
class GameEvents {
 public:
  /// A whole message of the game server. Lent.
  virtual void game_said(const Message& message) = 0;
  /// `count` more of the messages given to say() were written whole to the game server's socket: each byte of
  /// them is the kernel's. In order, each counted once; a message that was not taken when the connection ends
  /// is never counted.
  virtual void game_took(std::size_t count) = 0;
  /// `why` is for the log, and may be told to the client where it is not ours alone.
  virtual void game_ended(GameEnd how, const Error& why) = 0;

 protected:
  ~GameEvents() = default;
};

/// Who the player is, for a game server that wants to know.
struct Player {
  Address client;       // of the first link
  Address local;        // where that link was accepted
  std::string session;  // SessionId::text()
  /// For an echo's greeting: what a cookie-setting gateway was brought. Lent until start() returns.
  std::optional<Echo::SeenCookie> cookie = {};
};

class GameConnection {
 public:
  /// For GamePtr: gives the record back to where it came from, ended now if it still lived.
  struct GiveBack {
    void operator()(GameConnection* connection) const { connection->give_back(); }
  };

  virtual ~GameConnection() = default;

  /// Begins: dials the game server, or greets. Once, before everything but set_reading().
  virtual void start(const Player& player) = 0;
  /// A message of the player. Always taken, in order; what the socket does not take is kept (the session's
  /// window bounds it). Before the connection is open, too. After finish(), or when the connection has ended
  /// or is about to, it is dropped and never counted as taken.
  virtual void say(const Message& message) = 0;
  /// True: what is said is gathered until false, and leaves in one call to the kernel: for an owner that has
  /// several messages in one turn. What is large leaves at once all the same.
  virtual void cork(bool corked) = 0;
  /// False: no game_said() until true, and the game server is not read (its messages have no room). It may be
  /// said inside game_said(), in the middle of what was read. The end of a game server that is not read is
  /// not seen.
  virtual void set_reading(bool reading) = 0;
  /// The player is gone for good: what was said is still sent, then the connection ends as its protocol
  /// wants. No game_said() follows; game_ended() with `stopped` does, within limits::kGameCloseS.
  virtual void finish() = 0;
  /// Ends it now, with a reset. No event follows; it may be destroyed (not inside an event).
  virtual void cancel() = 0;

  // --- to another process (Connector::adopt() goes on from there) ---
  /// May it leave now? Not while it is being opened, or is ending: both are over soon.
  virtual bool may_leave() const = 0;
  /// It goes on elsewhere, at whatever byte it stands: its socket (an echo has none), and the rest appended
  /// to `state`. Only with may_leave(). Nothing is told of it any more, and the record may be destroyed (not
  /// inside an event).
  virtual io::Socket leave(std::string& state) = 0;

  /// Bytes kept that the game server has not taken.
  virtual std::size_t unsent_bytes() const = 0;
  /// For `rejoin ctl`: "10.0.0.7:7000", "echo"; "-" while no server is chosen.
  virtual std::string where() const = 0;

 private:
  virtual void give_back() { delete this; }
};

/// Owns a connection; destroying it is cancel() and the end of the record.
using GamePtr = std::unique_ptr<GameConnection, GameConnection::GiveBack>;

}  // namespace rejoin::upstream
