// A game server that speaks WebSocket (RFC 6455): we are its client, one connection per player, without
// extensions or sub-protocols.
//
// Place: the end of the path. Owner: a session, by a GamePtr; its memory is a Connector's. Its worker's
// thread.
#pragma once

#include "proto/ws_frame.h"
#include "proto/ws_message.h"
#include "upstream/dialled_connection.h"

namespace rejoin::upstream {

/// The handshake tells who the player is: X-Forwarded-For (the client's IP), and Rejoin-Session (the
/// session's id). A server that answers it with 5xx, breaks, or is silent for connect_timeout counts as one
/// that refused, and the next is tried; any other answer than a right 101 is the pool's own word, and ends
/// it: refused.
///
/// Text stays text and binary binary; pings are answered. Close codes 1000, 1001 and a close without code are
/// the game server's orderly end; others, and an end without a close, are `broken`, with the code in the
/// Error. Our own end is a close 1000 behind the last message; the game server then closes the connection.
class WsConnection final : public DialledConnection {
 public:
  WsConnection(Connector& connector, GameEvents& events);
  void say(const Message& message) override;

 private:
  bool connected() override;
  bool shake() override;
  bool take(MutableBytes& arrived) override;
  GameEnd fin_means(std::string& detail) const override;
  void say_goodbye() override;
  void save_reader(std::string& out) const override;
  bool restore_reader(Bytes from) override;
  bool ends_first() const override { return false; }
  void give_back() override;

  Status write_request();
  [[nodiscard]] bool judge_answer();
  void say_control(const proto::ControlFrame& frame);
  proto::MaskKey new_mask();
  [[nodiscard]] bool take_close(const proto::WsEvent& event);

  // Bytes on a 64-bit machine; DialledConnection before them has 192.
  proto::FrameReader reader_;          // 48
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(WsConnection) <= 256, "an idle connection is a record: look at what was added to it");

}  // namespace rejoin::upstream
