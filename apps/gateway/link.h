// A link: one open connection between a client and the gateway, after its handshake. The steady state of the
// gateway.
//
// A parked record: no buffer, no coroutine, no allocation while nothing is in flight. The loop calls
// on_ready; lent bytes become whole messages, and those go to the session that the link is attached to
// (live_session.h). What the session has to say stands in its replay window: the link fetches from there what
// the socket takes, so a message is copied once. WebSocketLink and TcpLink (links.h) differ in how messages
// stand in the stream and in how they part; the rest is Link.
//
// Owner: a worker's record pool (worker.h), on the worker's thread. A link ends by telling the worker, which
// destroys it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "apps/gateway/ending.h"
#include "apps/gateway/link_notes.h"
#include "base/address.h"
#include "base/intrusive_list.h"
#include "base/timers.h"
#include "io/network.h"
#include "io/outbox.h"
#include "proto/resume_frame.h"
#include "proto/ws_message.h"
#include "route/admission.h"
#include "session/conversation.h"
#include "upstream/message.h"

namespace rejoin::gateway {

class Link;
class LiveSession;
class Worker;

/// Where a link stands. Only grows.
enum class LinkPhase : std::uint8_t {
  open,
  closing,  // we began the closing handshake (WebSocket), and wait for the client's close frame
  parting,  // the last word is said: it goes out, then a FIN, and we wait a moment for the client's
};

/// What its client speaks.
enum class LinkMode : std::uint8_t {
  undecided,  // its first message will tell (TCP)
  opening,    // the resume protocol; HELLO or RESUME is to come
  waiting,    // it came, and was not answered yet
  framed,     // the resume protocol, attached
  plain,      // the game's own messages, attached
};

/// A link that may end while somebody works for it: `link` is null then. One per link at a time.
struct LinkWatch {
  explicit LinkWatch(Link& watched);
  ~LinkWatch();
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  Link* link;
};

/// Not movable: the loop and the timer wheel hold its address.
class Link : public ListNode, private io::SocketEvents {
 public:
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Takes the socket's events over and goes on with `arrived`, what was read behind the handshake, and with
  /// what came since. The link may have ended, and be destroyed, when it returns.
  void start(MutableBytes arrived);

  // --- its session (called by LiveSession and by who opens links) ---
  /// From now on messages go to `session`, and its window is sent from `from` on.
  void attach(LiveSession& session, const session::SendWindow::Cursor& from, LinkMode mode);
  LiveSession* session() const { return session_; }
  /// The session is not this link's any more; nothing is said by it.
  void forget_session();
  /// The session has something to say. It leaves at the end of this turn, with all else.
  void more();
  /// One whole frame of the resume protocol, behind what was said so far. Leaves as with more().
  void tell(Bytes frame);
  /// A sign of life is wanted from a plain client: a WebSocket ping. False: its protocol has none.
  virtual bool ping() { return false; }
  /// Everything that its session has to say is put behind what is unsent, whatever the socket takes.
  void fetch_all();
  /// The same before a goodbye, where the session ends with the link: otherwise what was not sent waits for
  /// the next one.
  void fetch_last();
  /// The client is read again, if it was not because its game server took nothing.
  void read_on();

  // --- how it ends ---
  /// For LinkWatch.
  void set_watch(LinkWatch* watch) { watch_ = watch; }
  LinkWatch* watch() const { return watch_; }
  /// Another gateway asks us in its client's stead: it is not passed on once more.
  void mark_relayed() { relayed_ = true; }
  bool relayed() const { return relayed_; }
  int openings() const { return openings_; }
  /// Its opening frame came in the handshake.
  void count_opening() { ++openings_; }
  /// What an opening frame is answered with when there is no session for it. After DETACH again without wait
  /// and address, and after login, the link takes one more opening frame; else it ends.
  void refuse_opening(const proto::Detach& detach);
  /// The link ends, the session (if it has one, it is forgotten) may live on. `detach` is told where the
  /// client knows the protocol; a plain client is told its code.
  void dismiss(const proto::Detach& detach, LinkEnd why = LinkEnd::dismissed);
  /// The session ends, and with it the link: CLOSE, then as dismiss(). `by`: whose doing that is.
  void close_session(std::uint16_t code, Bytes reason, Side by);
  /// Ends it now, with a RST. It is destroyed when this returns.
  void cancel(LinkEnd why = LinkEnd::cancelled);
  /// Gives its socket away; it is destroyed when this returns.
  io::Socket give_away();
  /// A flush follows in this turn, and its session is told turn_ended() then.
  bool turn_goes_on() const { return (receiving_ || flushing_) && phase_ == LinkPhase::open; }
  /// Sends what is waiting, now. False: the link is gone.
  bool flush();
  /// The same, by the worker's turn: more() may ask for the next one.
  void flush_queued() {
    flushing_ = false;
    (void)flush();
  }

  virtual bool websocket() const = 0;
  const Address& client() const { return client_; }
  Address local() const { return socket_.local_address(); }
  /// Its right to be there; it goes with the connection when that is given away.
  void keep_pass(route::Admission::Pass pass) { pass_ = std::move(pass); }
  route::Admission::Pass take_pass() { return std::move(pass_); }
  LinkPhase phase() const { return phase_; }
  LinkMode mode() const { return mode_; }
  /// Bytes that the client has not taken yet, besides those in its session's window.
  std::size_t unsent() const { return outbox_.size(); }
  /// True while a plain client is not read, because it, or its game server, takes nothing.
  bool paused() const { return paused_; }
  TimePoint opened() const { return opened_; }
  /// For the access log; nullptr where there is none.
  void keep_notes(std::unique_ptr<LinkNotes> notes) { notes_ = std::move(notes); }
  std::unique_ptr<LinkNotes> take_notes() { return std::move(notes_); }
  const LinkNotes* notes() const { return notes_.get(); }

 protected:
  Link(Worker& worker, io::Socket socket, const Address& client, LinkMode mode);
  ~Link();

  // --- what the two kinds of links do in their own way ---
  /// Messages, and whatever else stands in `arrived`. Called while open or closing, never by itself ends the
  /// link.
  virtual void take(MutableBytes arrived) = 0;
  /// The client sent FIN while we were open or closing: ours to say what that means. part(), or end(): then
  /// false.
  [[nodiscard]] virtual bool take_end() = 0;
  /// Puts one message behind what is unsent.
  virtual void put_message(upstream::MessageKind kind, Bytes head, Bytes payload) = 0;
  /// From the client's next message on: it is attached, and may say more than an opening frame.
  virtual void bound_messages(LinkMode mode) = 0;
  /// Says that no more will come, in the way of its protocol, and parts.
  virtual void say_goodbye(std::uint16_t code, Bytes reason, LinkEnd why) = 0;
  /// Tells the worker, which destroys the record.
  virtual void give_back(LinkEnd how) = 0;

  // --- for them ---
  Worker& worker() { return worker_; }
  /// A whole message of the client. The link may be parting when it returns, but it is still there.
  void on_message(const upstream::Message& message);
  void put(Bytes head, Bytes payload = {}) { outbox_.put(blocks(), socket_, head, payload); }
  /// A frame of the resume protocol that is longer than it may be.
  void refuse_long_frame(Bytes why);
  /// Its client is told so at the end, or has said it.
  void note_told(std::uint16_t code, Bytes why) {
    if (notes_) notes_->told(code, why);
  }
  void await_close_frame(LinkEnd why);
  void part(LinkEnd why);
  void end(LinkEnd how);

 private:
  void on_ready(io::Ready ready) override;
  // These answer whether the link still exists.
  [[nodiscard]] bool receive();
  [[nodiscard]] bool receive_end();
  void on_opening(Bytes frame);
  bool fetch(std::size_t outbox_max);
  void judge_reading();
  void watch_progress(std::size_t before);
  void on_time();
  void arm(Duration time);
  void disarm();
  BufferPool& blocks();

  // Bytes on a 64-bit machine; the ListNode before them has 16, the table of virtual functions 8. What no
  // message touches comes first, the rest lies together with what WebSocketLink and TcpLink have: with
  // thousands of links each line of cache comes from memory.
  LinkWatch* watch_ = nullptr;         // 8
  route::Admission::Pass pass_;        // 8
  TimePoint opened_;                   // 8
  std::unique_ptr<LinkNotes> notes_;   // 8, with an access log
  Address client_;                     // 20
  std::uint32_t ignored_ = 0;          // 4, bytes thrown away while parting
  Timer timer_;                        // 40, by phase: stalled, no close frame in answer, no FIN in answer
  Worker& worker_;                     // 8
  LiveSession* session_ = nullptr;     // 8
  io::Socket socket_;                  // 16
  io::Outbox outbox_;                  // 48
  session::SendWindow::Cursor next_;   // 16, what of the session's window is to be sent
  std::uint32_t flush_ticket_ = 0;     // 4, its place in the worker's queue while flushing_
  LinkPhase phase_ = LinkPhase::open;  // 1
  LinkMode mode_;                      // 1
  LinkEnd why_ = LinkEnd::finished;    // 1, once parting
  std::uint8_t openings_ = 0;          // 1, opening frames that came
  bool paused_ : 1 = false;            // 1 with the six below
  bool receiving_ : 1 = false;         // its bytes are being taken: a flush follows
  bool client_ended_ : 1 = false;      // FIN came
  bool said_fin_ : 1 = false;
  bool flushing_ : 1 = false;    // its worker flushes it at the end of this turn
  bool said_close_ : 1 = false;  // CLOSE went out on this link
  bool relayed_ : 1 = false;     // another gateway asks in its client's stead
  bool timed_ : 1 = false;       // timer_ may be armed: false says so without a look at it
};

/// Is this the beginning of a client of the resume protocol? A HELLO or RESUME, whole, with the zeros that
/// stand in their heads: no other protocol's first message looks so by chance.
bool begins_with_opening_frame(Bytes message);

}  // namespace rejoin::gateway
