// One connection of a client to a gateway, from the connect to its last byte: TCP or TLS (whatever the
// Network makes of it), over it a WebSocket or frames behind a 4-byte length. Whole frames of rejoin.v1 come
// out of it and go into it; what they mean is not its business.
//
// Place: between io::Network and driver.h. A record told by the loop; no coroutine, so that a client can be
// destroyed at any moment. Owned by the Driver; one thread. Not movable: the loop holds its address.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "io/network.h"
#include "io/world.h"
#include "proto/cookie_jar.h"
#include "proto/http_head.h"
#include "proto/length_framing.h"
#include "proto/url.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"
#include "proto/ws_message.h"
#include "session/client_session.h"
#include "session/redial.h"

namespace rejoin::client {

/// What all links of a client have in common. Outlives them.
struct LinkRules {
  Address bind;  // dial from here, if it is an address
  std::string origin;
  std::vector<std::pair<std::string, std::string>> headers;  // more fields of the WebSocket handshake
};

/// How a link ended.
struct LinkEnd {
  session::DialFailure stage = session::DialFailure::unreachable;  // how far it had come
  std::uint16_t close_code = 0;  // of the WebSocket's close frame; 0: none came
  int http_status = 0;           // of a refused handshake
  Duration retry_after{0};       // and what it said of when to come again
  std::string why;
};
inline LinkEnd link_end(session::DialFailure stage, std::string why, std::uint16_t close_code = 0) {
  LinkEnd end;
  end.stage = stage;
  end.why = std::move(why);
  end.close_code = close_code;
  return end;
}

class Link;

/// Told by a Link, never from inside a call of one of its methods. It may be told to drop() itself, and is
/// destroyed only after links_settled().
class LinkEvents {
 public:
  /// Connected: call begin().
  virtual void link_connected(Link& link) = 0;
  /// A whole frame. Lent.
  virtual void link_frame(Link& link, Bytes frame) = 0;
  /// It is over, by itself or by the other end. The last that is heard of it.
  virtual void link_over(Link& link, const LinkEnd& end) = 0;
  /// The loop's call is at its end: write what is to be written, destroy what is over.
  virtual void links_settled() = 0;

 protected:
  ~LinkEvents() = default;
};

class Link final : private io::SocketEvents {
 public:
  /// Of a frame, whatever the window is: WELCOME must have room.
  static constexpr std::uint64_t kFrameBytesFirst = 65'536;

  /// `network`: the one for the url's scheme.
  Link(io::World& world, io::Network& network, const LinkRules& rules, proto::CookieJar& jar,
       session::LinkNumber number, proto::Url url, LinkEvents& events);
  ~Link() { drop(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  session::LinkNumber number() const { return number_; }
  const proto::Url& url() const { return url_; }
  /// Of the connection, while there is one.
  Address local() const { return local_; }
  Address peer() const { return peer_; }

  /// Tries `addresses` one after the other. Error: none of them could even be tried; the link is over.
  Status connect(std::vector<Address> addresses);
  /// In link_connected(): `opening` goes out, in the list of sub-protocols if `item` is the one that bears
  /// it, else as the first message. `ticket` (may be empty) goes into a header for the balancer, if not in
  /// the item. Error: the handshake's head cannot be written.
  Status begin(const std::string& opening, const std::optional<std::string>& item, const std::string& ticket);
  /// Frames longer than this (bytes) end it, with 4413 where that can be said. At first kFrameBytesFirst.
  void set_frame_max(std::uint64_t bytes) { frame_max_ = bytes; }
  /// Puts a frame into what is to be written.
  void put(Bytes frame);
  /// May more be put? Not while much waits for the socket.
  bool has_room() const;
  /// Writes what the socket takes. link_over() is told later if it is broken.
  void flush();

  /// Ends it in an orderly way: what was put is written, then a close frame (WebSocket) and FIN. It is heard
  /// no more.
  void part(std::uint16_t code, Bytes reason);
  /// Ends it now. Unread bytes stay unread.
  void drop();

  /// How far it has come.
  session::DialFailure stage() const;
  bool over() const { return phase_ == Phase::over; }
  bool parting() const { return phase_ == Phase::parting; }
  /// What was put and not taken.
  std::size_t unsent() const { return out_.size() - sent_; }

 private:
  enum class Phase : std::uint8_t { idle, connecting, connected, asked, open, parting, over };

  bool websocket() const { return url_.scheme == proto::Scheme::ws || url_.scheme == proto::Scheme::wss; }
  void on_ready(io::Ready ready) override;
  Status connect_next();
  void connected();
  void receive();
  void take(MutableBytes bytes);
  void take_answer(MutableBytes bytes);
  void take_cookies(const proto::ResponseHead& head);
  void take_websocket(MutableBytes bytes);
  void take_lengths(Bytes bytes);
  bool too_long(std::uint64_t bytes);
  void end(LinkEnd end);
  void end(session::DialFailure how_far, std::string why) { end(link_end(how_far, std::move(why))); }
  void refused_handshake();
  void tell_failed_write();

  io::World& world_;
  io::Network& network_;
  const LinkRules& rules_;
  proto::CookieJar& jar_;
  LinkEvents& events_;
  session::LinkNumber number_;
  proto::Url url_;
  Phase phase_ = Phase::idle;
  io::Socket socket_;
  Address local_, peer_;
  std::vector<Address> addresses_;
  std::string last_error_;

  // The handshake.
  struct Handshake {
    proto::HandshakeKey key;
    std::string item;
    std::string first_message;
    std::string answer;
    proto::ResponseHead head;
  };
  std::unique_ptr<Handshake> handshake_;

  std::uint64_t frame_max_ = kFrameBytesFirst;
  proto::FrameReader frames_;
  proto::LengthReader lengths_;
  proto::MessageAssembler assembler_;
  std::string out_;
  std::size_t sent_ = 0;
  int broken_ = 0;  // errno of a write that failed
  std::uint16_t heard_close_ = 0;
  bool said_fin_ = false;
  Timer parting_timer_;
};

}  // namespace rejoin::client
