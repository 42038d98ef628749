// The two kinds of links: how messages stand in the stream, and how they part.
#pragma once

#include <cstdint>

#include "apps/gateway/link.h"
#include "proto/length_framing.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"

namespace rejoin::gateway {

/// RFC 6455. Control frames are answered here; wrong frames end it with the close code that fits.
class WebSocketLink final : public Link {
 public:
  /// `head`, the 101, is sent before anything else.
  WebSocketLink(Worker& worker, io::Socket socket, const Address& client, LinkMode mode, Bytes head);
  bool ping() override;
  bool websocket() const override { return true; }

 private:
  void take(MutableBytes arrived) override;
  bool take_end() override;
  void put_message(upstream::MessageKind kind, Bytes head, Bytes payload) override;
  void say_goodbye(std::uint16_t code, Bytes reason, LinkEnd why) override;
  void give_back(LinkEnd how) override;
  void take_close(const proto::WsEvent& event);

  proto::FrameReader reader_;          // 48
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(WebSocketLink) <= 304, "an idle link is a record: look at what was added to it");

/// Messages behind a 4-byte big-endian length. Text and binary are the same here.
class TcpLink final : public Link {
 public:
  TcpLink(Worker& worker, io::Socket socket, const Address& client, LinkMode mode);
  bool websocket() const override { return false; }

 private:
  void take(MutableBytes arrived) override;
  bool take_end() override;
  void put_message(upstream::MessageKind kind, Bytes head, Bytes payload) override;
  void say_goodbye(std::uint16_t code, Bytes reason, LinkEnd why) override;
  void give_back(LinkEnd how) override;

  proto::LengthReader reader_;         // 24
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(TcpLink) <= 304, "an idle link is a record: look at what was added to it");

}  // namespace rejoin::gateway
