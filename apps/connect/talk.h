// An open connection to a server, as messages: what the client says waits in a queue, what it hears stands in
// an inbox.
//
// Place: after the handshake (call.cc). Nothing here waits: one coroutine calls pump(), looks at the inbox,
// and awaits news(). One thread; not movable, since the loop holds its address.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/scope.h"
#include "io/network.h"
#include "io/world.h"
#include "proto/length_framing.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"

namespace rejoin::connect {

enum class Transport : std::uint8_t { websocket, tcp };

/// What was heard.
struct Heard {
  enum class Kind : std::uint8_t {
    message,
    close,    // the server's close frame: `code`. It was answered, unless it is the answer
    refused,  // the server broke a rule: `text` says which, `code` is what we closed with (0 for tcp)
    ended,    // FIN: the server will say nothing more
  };
  Kind kind = Kind::message;
  std::uint16_t code = 0;
  std::string text;
};

class Talk final : private io::SocketEvents {
 public:
  /// Takes over an open socket. `stop` as for every wait.
  Talk(io::World& world, io::Socket socket, Transport transport, Stop& stop);
  ~Talk() { socket_.close(); }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  /// What arrived behind the handshake.
  void arrived(MutableBytes bytes) { take(bytes); }

  /// Queues one message: text where the transport knows the difference. Nothing after say_goodbye().
  void say(Bytes message);
  /// WebSocket: a close frame with `code`. TCP: FIN behind what is queued.
  void say_goodbye(proto::CloseCode code);

  /// Writes and reads what is possible now. Error (server): the connection is broken; what was heard before
  /// it is in the inbox.
  Status pump();
  std::optional<Heard> next();
  /// Bytes that the server has not taken.
  std::size_t unsent() const { return outgoing_.size() - sent_; }

  /// `co_await talk.news(deadline)`: until something can be read or written, or nudge(). After pump() only.
  Waiter::Awaiter news(TimePoint deadline) { return news_.until(deadline); }
  /// Wakes who awaits news(): somebody queued something, or changed what is waited for.
  void nudge() { news_.wake(); }

 private:
  void on_ready(io::Ready) override { news_.wake(); }
  void take(MutableBytes bytes);
  void take_frames(MutableBytes bytes);
  void take_lengths(Bytes bytes);
  void hear(Heard::Kind kind, std::uint16_t code = 0, std::string text = {});
  Status flush();

  io::World& world_;
  io::Socket socket_;
  Waiter news_;
  Transport transport_;
  proto::FrameReader frames_;
  proto::LengthReader lengths_;
  proto::MessageAssembler assembler_;
  std::deque<Heard> inbox_;
  std::string outgoing_;
  std::size_t sent_ = 0;
  bool goodbye_ = false;  // said
  bool said_fin_ = false;
  bool over_ = false;  // nothing more will be heard
};

}  // namespace rejoin::connect
