// What a tcp and a ws connection to a game server have in common: dialling with failover, a socket that is
// read and written without blocking, back-pressure both ways, and the ways in which it ends. TcpConnection
// and WsConnection differ in how messages stand in the stream, and in how they begin and part.
//
// A parked record: while nothing is in flight it has no buffer and no other memory. Opening is a phase of it;
// what only that phase needs stands in an Opening, which goes when the connection is open.
//
// Owner: a session, by a GamePtr; its memory is a Connector's. Its worker's thread. Not movable: the loop and
// the timer wheel hold its address.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/timers.h"
#include "io/network.h"
#include "io/outbox.h"
#include "proto/http_head.h"
#include "proto/ws_handshake.h"
#include "route/router.h"
#include "upstream/game_connection.h"
#include "upstream/unsent_messages.h"

namespace rejoin::upstream {

class Connector;

/// Where a connection to a game server stands. Only grows, but for failover: from shaking back to dialling.
enum class GamePhase : std::uint8_t {
  fresh,      // start() has not been called
  dialling,   // a connect is under way, or waits for a descriptor
  shaking,    // ws: the HTTP upgrade is under way
  open,       // messages go both ways
  finishing,  // the player is gone: what was said goes out, then we part
  doomed,     // it ends in the next turn; why is in the Opening
  ended,
};

class DialledConnection : public GameConnection, private io::SocketEvents {
 public:
  DialledConnection(const DialledConnection&) = delete;
  DialledConnection& operator=(const DialledConnection&) = delete;

  void start(const Player& player) final;
  void cork(bool corked) final;
  void set_reading(bool reading) final;
  void finish() final;
  void cancel() final;
  std::size_t unsent_bytes() const final { return outbox_.size(); }
  std::string where() const final;
  bool may_leave() const final;
  io::Socket leave(std::string& state) final;
  /// Instead of start(): goes on with what leave() gave, from the next turn on. False: `state` is not of this
  /// form; nothing was done with `socket`, and the record is to be destroyed.
  bool arrive(Bytes state, io::Socket& socket);

  GamePhase phase() const { return phase_; }

 protected:
  /// What is needed until the connection is open.
  struct Opening {
    Player player;
    route::Choice choice;
    TimePoint deadline;            // of the present step
    TimePoint patience;            // until when a descriptor is waited for
    TimePoint finish_by = kNever;  // finish() was called
    // ws:
    proto::HandshakeKey key;
    Buffer request;  // what of it was not sent
    Buffer answer;
    std::unique_ptr<proto::ResponseHead> head;
    // doomed:
    GameEnd how = GameEnd::refused;
    std::optional<Error> why;
  };

  DialledConnection(Connector& connector, GameEvents& events);
  ~DialledConnection() override = default;

  // --- what the kinds do in their own way. Those that answer say whether the connection goes on: after false
  // it has ended, and may be destroyed ---
  /// Before the first dial: queues what stands in front of all messages.
  virtual void prepare(const Player&) {}
  /// The socket is open: begins the handshake, or calls opened().
  [[nodiscard]] virtual bool connected() = 0;
  [[nodiscard]] virtual bool shake() { return true; }
  /// Whole messages from the front of `arrived`, told by tell(); it shrinks. Stops as soon as hears() is
  /// false, and the rest is kept for it.
  [[nodiscard]] virtual bool take(MutableBytes& arrived) = 0;
  /// What the game server's FIN means now: `detail` says it in words.
  virtual GameEnd fin_means(std::string& detail) const = 0;
  /// finish() was called, everything was said: the last word, if there is one.
  virtual void say_goodbye() {}
  /// Where it stands in what the game server says, and back.
  virtual void save_reader(std::string& out) const = 0;
  [[nodiscard]] virtual bool restore_reader(Bytes from) = 0;
  /// Whether a FIN of ours follows the last byte (else the game server closes first).
  virtual bool ends_first() const = 0;

  // --- for the kinds ---
  Connector& connector() { return connector_; }
  io::Socket& socket() { return socket_; }
  Opening& opening() { return *opening_; }
  /// May a message be queued? Not after finish() or once something is wrong.
  bool takes() const { return phase_ < GamePhase::finishing && !all_said_ && outbox_.error() == 0; }
  /// Is what arrives wanted now?
  bool hears() const { return (phase_ == GamePhase::open && reading_) || phase_ == GamePhase::finishing; }
  /// A whole message of the game server. False: the connection has ended in it.
  [[nodiscard]] bool tell(const Message& message);
  /// Queues one message (or what a protocol says for itself) of a header and a payload, and sends.
  void say_framed(Bytes header, Bytes payload, UnsentMessages::Kind kind);
  /// The same in several pieces: put() each, then put_all() with the sum of their bytes.
  void put(Bytes piece);
  void put_all(std::size_t bytes, UnsentMessages::Kind kind);
  /// The socket is open, and a handshake begins that has connect_timeout of its own.
  void begin_shaking();
  /// This server does not do. `next`: another may.
  [[nodiscard]] bool attempt_failed(Error why, bool next);
  /// Messages may go. `behind`: what came behind the handshake.
  [[nodiscard]] bool opened(Buffer behind);
  /// What is said next is our last word: if it leaves, the socket is closed and not reset.
  void last_word() {
    all_said_ = true;
    corked_ = false;
  }
  /// The last thing that happens. Always false.
  bool end(GameEnd how, Error why);
  /// Ends it in the next turn: for what is found inside a call of the owner's.
  void doom(GameEnd how, Error why);

 private:
  void on_ready(io::Ready ready) override;
  void on_time();
  void arm(TimePoint when);
  /// For a step of the opening: its deadline, but not beyond what finish() allows.
  void arm_step(TimePoint deadline);
  TimePoint now() const;
  // Those that answer say whether the connection goes on.
  [[nodiscard]] std::optional<Error> dial();
  [[nodiscard]] bool connect_came_out();
  [[nodiscard]] bool move();
  [[nodiscard]] bool receive();
  [[nodiscard]] bool take_kept();
  [[nodiscard]] bool receive_end();
  void part(TimePoint by);
  void after_write(std::size_t had);
  void leave(bool orderly);
  bool finish_wanted() const {
    return phase_ == GamePhase::finishing || (opening_ && opening_->finish_by != kNever);
  }

  // Bytes on a 64-bit machine; the two tables of virtual functions before them have 16.
  Connector& connector_;                // 8
  GameEvents& events_;                  // 8
  io::Socket socket_;                   // 16
  io::Outbox outbox_;                   // 48
  UnsentMessages unsent_;               // 24, where messages end in the outbox
  Timer timer_;                         // 40, by phase: deadline of a step, nothing taken, no FIN in answer
  std::unique_ptr<Opening> opening_;    // 8, none once open
  std::unique_ptr<Buffer> kept_;        // 8, arrived and not wanted yet
  route::ServerUse use_;                // 8
  route::ServerIndex server_ = 0;       // 2, if has_server_
  GamePhase phase_ = GamePhase::fresh;  // 1
  bool has_server_ : 1 = false;         // 1 with those below
  bool reading_ : 1 = true;
  bool corked_ : 1 = false;
  bool all_said_ : 1 = false;    // nothing more of ours follows
  bool peer_ended_ : 1 = false;  // its FIN came while we still send
  bool write_failed_ : 1 = false;
};
static_assert(sizeof(DialledConnection) <= 200);

}  // namespace rejoin::upstream
