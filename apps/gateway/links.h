// The two kinds of links: how messages stand in the stream, and how they part.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "apps/gateway/link.h"
#include "proto/length_framing.h"
#include "proto/ws_compression.h"
#include "proto/ws_frame.h"
#include "proto/ws_message.h"

namespace rejoin::gateway {

/// RFC 6455. Control frames are answered here; wrong frames end it with the close code that fits.
class WebSocketLink final : public Link {
 public:
  using Compression = std::unique_ptr<proto::MessageCompression>;

  /// `head`, the 101, is sent before anything else. `compression`: what the handshake agreed on; null: none.
  WebSocketLink(Worker& worker, io::Socket socket, const Address& client, LinkMode mode, Bytes head,
                Compression compression);
  /// A message of a client, after its fragments, and before that its bytes.
  static std::uint32_t message_max(const Worker& worker, LinkMode mode);
  bool ping() override;
  bool websocket() const override { return true; }
  const proto::MessageCompression* compression() const { return compression_.get(); }
  /// For a connection that another worker gets: its compression, without a share. The link is then of no use
  /// but to be given away.
  Compression give_away_compression();

 private:
  void take(MutableBytes arrived) override;
  bool take_end() override;
  void put_message(upstream::MessageKind kind, Bytes head, Bytes payload) override;
  void bound_messages(LinkMode mode) override;
  void say_goodbye(std::uint16_t code, Bytes reason, LinkEnd why) override;
  void give_back(LinkEnd how) override;
  void take_data(const proto::WsEvent& event);
  void take_close(proto::CloseCode code);
  void refuse(proto::CloseCode code, std::string_view reason);
  void put_frame(const proto::FrameSpec& spec, Bytes head, Bytes payload);

  proto::FrameReader reader_;          // 48
  proto::MessageAssembler assembler_;  // 16, idle where there is compression
  Compression compression_;            // 8
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
  void bound_messages(LinkMode mode) override;
  void say_goodbye(std::uint16_t code, Bytes reason, LinkEnd why) override;
  void give_back(LinkEnd how) override;

  proto::LengthReader reader_;         // 24
  proto::MessageAssembler assembler_;  // 16
};
static_assert(sizeof(TcpLink) <= 304, "an idle link is a record: look at what was added to it");

}  // namespace rejoin::gateway
