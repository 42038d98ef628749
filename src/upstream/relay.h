// The steady state of a connection: two sockets, and bytes that go from each to the other. Layer 4 is this
// from the start, layer 7 after its 101.
//
// A parked record: no buffer, no frame, no allocation while it is idle. Bytes lent by the loop are written on
// at once; what the other side does not take is kept in a borrowed Buffer, and the sender is not read until
// that has drained.
#pragma once

#include <cstdint>
#include <memory>

#include "base/intrusive_list.h"
#include "base/timers.h"
#include "io/network.h"
#include "io/world.h"

namespace rejoin::upstream {

/// How a relay ended, for the log and the counters: which side did it first, and how.
struct RelayEnd {
  enum class How : std::uint8_t {
    finished,   // both sides said FIN; `side` said it first
    broken,     // `side` broke: reset, or a write failed; the other side was reset as well
    idle,       // silent for the time-out, both ways; both were reset
    cancelled,  // we stopped
    // where it had care (relay_care.h)
    silent,     // `side` alone, for its own time-out
    stalled,    // `side` took nothing for write_timeout
    dead,       // the client answered no ping; its server was told with 1001
    refused,    // `side` broke a rule of WebSocket, or a limit: `code` was told
    dismissed,  // we closed it with `code`
  };
  How how;
  Side side;
  std::uint16_t code = 0;  // of a close frame of ours
};

std::string_view to_string(RelayEnd::How how);

class Relay;

/// Told when a relay has ended: its sockets are closed, its buffers are back. May destroy the Relay in the
/// call.
class RelayOwner {
 public:
  virtual void relay_ended(Relay& relay, RelayEnd end) = 0;

 protected:
  ~RelayOwner() = default;
};

/// What a client's FIN means.
enum class ClientFin : std::uint8_t {
  /// It is passed on, and the server may still speak (half-close): TCP's own meaning, for layer 4 and unknown
  /// protocols.
  passes_on,
  /// The end of both: for WebSocket, where all that may be said after it is nothing (RFC 6455 7.1: a client
  /// that has ended in
  /// an orderly way has exchanged close frames before), and a server that does not look would keep a dead
  /// half open.
  ends_both,
};

struct RelayRules {
  Duration idle_timeout{};
  ClientFin client_fin = ClientFin::passes_on;
};

class RelayCare;
struct CareRules;

/// One thread. Not movable: the loop and the timer wheel hold its address. `world` and `owner` outlive it.
class Relay : public ListNode {
 public:
  /// Takes over two open sockets. Nothing happens before start().
  Relay(io::World& world, RelayOwner& owner, io::Socket client, io::Socket server, RelayRules rules);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Before start(): what relay_care.h offers, as far as `rules` ask for it. They outlive the relay.
  void care_for(const CareRules& rules, bool websocket);
  bool has_care() const { return care_ != nullptr; }
  /// Takes the sockets' events over and moves what is there already. relay_ended() may come before it
  /// returns. With care also what was read, and not passed on, before.
  void start(Buffer from_client = {}, Buffer from_server = {});
  /// Ends a WebSocket whose frames are followed with a close frame of `code` for the client and an orderly
  /// end of both; relay_ended() comes with `dismissed`. False: there is no such care, and nothing happened.
  bool dismiss(std::uint16_t code);
  /// Whether dismiss() would do anything.
  bool may_be_dismissed() const;
  /// Ends it now, both sides reset; relay_ended() is called with `cancelled`.
  void cancel();

  std::uint64_t bytes_from_client() const { return client_.received; }
  std::uint64_t bytes_from_server() const { return server_.received; }
  TimePoint opened() const { return opened_; }
  TimePoint last_active() const { return last_active_; }
  /// How often a side was not read because the other was full.
  std::uint32_t pauses() const { return pauses_; }

 private:
  friend class RelayCare;
  // One direction's source, and the sink of the other direction. 72 bytes: vptr 8, relay 8, socket 16,
  // backlog 32, count 8.
  struct Half final : io::SocketEvents {
    Half(Relay& owner, io::Socket s) : relay(owner), socket(std::move(s)) {}
    void on_ready(io::Ready ready) override { relay.on_ready(*this, ready); }
    Relay& relay;
    io::Socket socket;
    Buffer backlog;  // came from the other half, and this socket has not taken it yet
    std::uint64_t received = 0;
    bool ended = false;  // said FIN
  };

  void on_ready(Half& half, io::Ready ready);
  void on_timer();
  // Both answer whether the relay still exists.
  [[nodiscard]] bool move(Half& from, Half& to);
  [[nodiscard]] bool drain(Half& to);
  void finish(RelayEnd end);
  Half& other(Half& half) { return &half == &client_ ? server_ : client_; }
  Side side_of(const Half& half) const { return &half == &client_ ? Side::client : Side::server; }

  io::World& world_;
  RelayOwner& owner_;
  Half client_, server_;
  Timer timer_;
  TimePoint opened_, last_active_;
  std::unique_ptr<RelayCare> care_;  // nullptr: none is asked for
  RelayRules rules_;
  std::uint32_t pauses_ = 0;
  Side first_ended_ = Side::ours;
  bool kept_alive_ = false;  // the server's side
};

static_assert(sizeof(Relay) <= 288, "an idle relayed connection is a record: look at what was added to it");

}  // namespace rejoin::upstream
