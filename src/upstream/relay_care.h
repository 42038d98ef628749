// Care for a relay, where a listener asks for it: bounds on its bytes and on silence, and on a WebSocket
// pings, limits on frames, and an end with a close frame. A relay without has none of this, and pays a null
// pointer.
//
// On a WebSocket the frames of both directions are followed (proto/ws_frame_walk.h), and nothing is gathered:
//
// - What we say to the client stands between two frames of its server: at once where the server is between
//   two, else as soon as the present frame has ended.
// - A client's header is passed on once it is whole (14 bytes at most are held), so that a frame that breaks
// a
//   limit has not begun for the server, who can then be told of the end in a frame of its own.
// - A pong that bears our own payload is ours, and ends here. While a ping of the server's is unanswered we
// send
//   none: a client may answer the latest one alone (RFC 6455 5.5.3), and the server's would be lost.
//
// Owner: its Relay. One worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/timers.h"
#include "proto/ws_frame_walk.h"
#include "upstream/pace.h"
#include "upstream/relay.h"

namespace rejoin::upstream {

inline constexpr std::size_t kPingTokenBytes = 8;
/// From our close frame to the FINs of both sides; then the relay ends without them.
inline constexpr std::chrono::seconds kCareCloseS{3};

/// What a listener asks for. Zero: nothing. Outlives the relays.
struct CareRules {
  std::uint64_t bytes_from_client = 0;  // a second
  std::uint64_t bytes_to_client = 0;
  Duration client_timeout{}, server_timeout{};  // silence of one side
  Duration half_closed_timeout{};               // from the first FIN on
  Duration write_timeout{};                     // a side takes nothing of what waits for it

  // on WebSockets
  Duration ping{};  // silence of the client, before it is asked
  Duration pong_timeout{};
  std::uint64_t message_max = 0, frame_max = 0;  // bytes, from the client
  std::uint32_t frames_per_second = 0;           // from the client
  bool closes_at_drain = false;
  std::array<char, kPingTokenBytes> token{};  // in our pings: chance, so that no other ping bears it

  /// Whether a relay needs care at all.
  bool any(bool websocket) const;
  /// Whether frames have to be followed.
  bool follows_frames() const {
    return ping != Duration() || message_max != 0 || frame_max != 0 || frames_per_second != 0 ||
           closes_at_drain;
  }
};

class RelayCare {
 public:
  RelayCare(Relay& relay, const CareRules& rules, bool websocket);

  // --- for its Relay; all of them answer whether the relay still exists ---
  [[nodiscard]] bool start(Buffer from_client, Buffer from_server);
  [[nodiscard]] bool move(Relay::Half& from, Relay::Half& to);
  /// The socket took of its backlog.
  void progressed(const Relay::Half& to);
  /// Its backlog is empty: a FIN may be due.
  [[nodiscard]] bool drained(Relay::Half& to);
  /// Ends a WebSocket in an orderly way: `code` for the client, a close frame and a FIN for both, and `end`
  /// when both have answered or kCareCloseS is over. On others: false in `possible`, and nothing happened.
  [[nodiscard]] bool close(proto::CloseCode code, RelayEnd end, bool& possible);
  bool may_close() const { return websocket_ && !closing_; }
  bool closing() const { return closing_; }
  /// What the relay ends as, while closing.
  RelayEnd end() const { return end_; }
  void cancel() { look_.cancel(); }

 private:
  using Half = Relay::Half;
  /// One direction, by its source.
  struct Way {
    Way(std::uint64_t bytes_per_second, proto::WsRole sender) : pace(bytes_per_second), walk(sender) {}
    Pace pace;
    proto::WsFrameWalk walk;
    TimePoint heard;          // its source said something
    TimePoint taken;          // its sink took something of what waited, or began to keep it waiting
    bool fin_is_due = false;  // its sink gets a FIN behind its backlog
  };

  bool is_client(const Relay::Half& half) const { return &half == &relay_.client_; }
  Way& way_from(const Relay::Half& half) { return is_client(half) ? up_ : down_; }
  Way& way_to(const Relay::Half& half) { return is_client(half) ? down_ : up_; }

  bool pass_up(MutableBytes bytes);
  bool pass_down(Bytes bytes);
  bool say_to_client(Bytes bytes, std::size_t border);
  /// Whether our pong ends here; else its bytes go on.
  bool is_our_pong() const;
  proto::CloseCode judge_frame();
  bool put(Relay::Half& to, std::span<const Bytes> pieces);
  bool put(Relay::Half& to, Bytes bytes) { return put(to, std::span<const Bytes>(&bytes, 1)); }
  void fin(Relay::Half& to);
  bool ended(Relay::Half& from, Relay::Half& to);
  bool absorb(Relay::Half& from);
  bool begin_close(proto::CloseCode to_client, RelayEnd end);
  bool done();

  void on_time();
  bool on_pace(TimePoint now);
  bool on_silence(TimePoint now);
  bool on_ping(TimePoint now);
  bool ask();
  TimePoint next_look() const;
  void look_by(TimePoint when);
  TimePoint sign_of_client() const { return std::max(up_.heard, down_.taken); }

  Relay& relay_;
  const CareRules& rules_;
  Timer look_;
  TimePoint look_at_ = kNever;
  Way up_, down_;
  Pace frames_;
  TimePoint asked_ = kNever;         // a ping waits for a sign of life since then
  TimePoint server_asked_ = kNever;  // a ping of the server's passed, and no pong since
  TimePoint half_closed_ = kNever;
  TimePoint deadline_ = kNever;  // of closing
  RelayEnd end_{};
  proto::CloseCode close_wanted_ = proto::CloseCode::none;  // for the client, at the next border
  bool websocket_;
  bool ping_wanted_ = false;  // at the next border
  bool closing_ = false;
  bool unbegun_ = false;        // the client's present frame was refused, and nothing of it passed on
  std::uint8_t pong_have_ = 0;  // bytes of what may be our pong, held behind its header
  bool pong_held_ = false;
  std::array<char, kPingTokenBytes> pong_{};
};

}  // namespace rejoin::upstream
