// A link: one open connection between a client and the gateway, after its handshake. The steady state of the
// gateway.
//
// A parked record: no buffer, no coroutine, no allocation while nothing is in flight. The loop calls
// on_ready; lent bytes become whole messages, which go to the upstream, and what the upstream says goes out
// through send(). WebSocketLink and TcpLink differ in how messages stand in the stream and in how they part;
// the rest is Link.
//
// Owner: a worker's record pool (worker.h), on the worker's thread. A link ends by telling the worker, which
// destroys it.
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/intrusive_list.h"
#include "base/timers.h"
#include "io/network.h"
#include "io/outbox.h"
#include "proto/length_framing.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"
#include "upstream/echo.h"

namespace rejoin::gateway {

class Worker;

/// Where a link stands. Only grows.
enum class LinkPhase : std::uint8_t {
  open,
  closing,  // we began the closing handshake (WebSocket), and wait for the client's close frame
  parting,  // the last word is said: it goes out, then a FIN, and we wait a moment for the client's
};

/// How a link ended, for the log and the counters.
enum class LinkEnd : std::uint8_t {
  finished,   // by the client's wish: close frame, or FIN between two messages
  refused,    // the client broke a rule of its protocol and was told so
  went_away,  // by ours: draining
  abandoned,  // FIN in the middle of something
  broken,     // reset, or a write failed
  stalled,    // the client took nothing for limits::kLinkStallS
  cancelled,  // we stopped
};
std::string_view to_string(LinkEnd end);

/// Not movable: the loop and the timer wheel hold its address.
class Link : public ListNode, private io::SocketEvents, public upstream::MessageSink {
 public:
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Takes the socket's events over and goes on with `arrived`, what was read behind the handshake, and with
  /// what came since. The link may have ended, and be destroyed, when it returns.
  void start(MutableBytes arrived);
  /// We drain: parts in the way of its protocol. May end it.
  void go_away();
  /// Ends it now, with a RST. It is destroyed when this returns.
  void cancel();

  const Address& client() const { return client_; }
  LinkPhase phase() const { return phase_; }
  /// Bytes that the client has not taken yet.
  std::size_t unsent() const { return outbox_.size(); }
  /// True while the client is not read, because it does not read us.
  bool paused() const { return paused_; }

 protected:
  Link(Worker& worker, io::Socket socket, const Address& client);
  ~Link() = default;

  // --- what the two kinds of links do in their own way ---
  /// Messages, and whatever else stands in `arrived`. Called while open or closing, never by itself ends the
  /// link.
  virtual void take(MutableBytes arrived) = 0;
  /// The client sent FIN while we were open or closing: ours to say what that means. part(), or end(): then
  /// false.
  [[nodiscard]] virtual bool take_end() = 0;
  virtual void say_goodbye() = 0;
  /// Tells the worker, which destroys the record.
  virtual void give_back(LinkEnd how) = 0;

  // --- for them ---
  Worker& worker() { return worker_; }
  void put(Bytes head, Bytes payload = {});
  void await_close_frame();
  void part(LinkEnd why);
  void end(LinkEnd how);

 private:
  void on_ready(io::Ready ready) override;
  // These answer whether the link still exists.
  [[nodiscard]] bool receive();
  [[nodiscard]] bool receive_end();
  [[nodiscard]] bool flush();
  void watch_progress(std::size_t before);
  void on_time();
  void arm(Duration time);

  // Bytes on a 64-bit machine; the ListNode before them has 16, the two tables of virtual functions 16.
  Worker& worker_;                     // 8
  io::Socket socket_;                  // 16
  io::Outbox outbox_;                  // 48
  Timer timer_;                        // 40, by phase: stalled, no close frame in answer, no FIN in answer
  Address client_;                     // 20
  std::uint32_t ignored_ = 0;          // 4, bytes thrown away while parting
  LinkPhase phase_ = LinkPhase::open;  // 1
  LinkEnd why_ = LinkEnd::finished;    // 1, once parting
  bool paused_ : 1 = false;            // 1 with the two below
  bool client_ended_ : 1 = false;      // FIN came
  bool said_fin_ : 1 = false;
};

/// RFC 6455. Whole messages come back with their kind; control frames are answered; wrong frames end it with
/// the close code that fits.
class WebSocketLink final : public Link {
 public:
  WebSocketLink(Worker& worker, io::Socket socket, const Address& client);
  void send(const upstream::Message& message) override;

 private:
  void take(MutableBytes arrived) override;
  bool take_end() override;
  void say_goodbye() override;
  void give_back(LinkEnd how) override;
  void take_close(const proto::WsEvent& event);

  proto::FrameReader reader_;          // 48
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(WebSocketLink) <= 256, "an idle link is a record: look at what was added to it");

/// Messages behind a 4-byte big-endian length. Text and binary are the same here.
class TcpLink final : public Link {
 public:
  TcpLink(Worker& worker, io::Socket socket, const Address& client);
  void send(const upstream::Message& message) override;

 private:
  void take(MutableBytes arrived) override;
  bool take_end() override;
  void say_goodbye() override;
  void give_back(LinkEnd how) override;

  proto::LengthReader reader_;         // 24
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(TcpLink) <= 256, "an idle link is a record: look at what was added to it");

}  // namespace rejoin::gateway
