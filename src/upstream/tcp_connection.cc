#include "upstream/tcp_connection.h"

#include <array>
#include <limits>

#include "proto/proxy_header.h"
#include "upstream/connector.h"
#include "upstream/reader_state.h"

namespace rejoin::upstream {

TcpConnection::TcpConnection(Connector& of, GameEvents& events)
    : DialledConnection(of, events), reader_(of.rules().length) {}

void TcpConnection::prepare(const Player& player) {
  switch (connector().rules().proxy_protocol) {
    case ProxyProtocol::off: return;
    case ProxyProtocol::v1:
      say_framed(proto::write_proxy_v1(player.client, player.local).view(), {}, UnsentMessages::Kind::other);
      return;
    case ProxyProtocol::v2: break;
  }
  const std::array<proto::ProxyTlv, 2> tlvs{
      {{proto::ProxyTlvType::unique_id, player.session}, {proto::ProxyTlvType::session_id, player.session}}};
  auto header = proto::write_proxy_v2(player.client, player.local, tlvs);
  // A session's id is far shorter than what there is room for; the address alone is better than nothing.
  if (!header) header = proto::write_proxy_v2(player.client, player.local);
  say_framed(header->view(), {}, UnsentMessages::Kind::other);
}

void TcpConnection::say(const Message& message) {
  if (!takes()) return;
  // The limit of the configuration is for the game server's messages; the player's have the gateway's.
  proto::LengthFormat format = reader_.format();
  format.message_max = std::numeric_limits<std::uint32_t>::max();
  auto header = proto::write_length(format, message.bytes.size());
  if (!header) {
    header.error().side = Side::client;
    return doom(GameEnd::invalid, std::move(header.error()));
  }
  say_framed(header->view(), message.bytes, UnsentMessages::Kind::message);
}

bool TcpConnection::take(MutableBytes& arrived) {
  if (phase() == GamePhase::finishing) arrived = {};  // nobody wants it any more
  Bytes input(arrived.data(), arrived.size());
  while (hears()) {
    const proto::LengthEvent event = reader_.feed(input);
    arrived = arrived.last(input.size());
    if (event.kind == proto::LengthEvent::Kind::more) break;
    if (event.kind == proto::LengthEvent::Kind::refused) {
      const bool too_long = reader_.too_long();
      return end(GameEnd::invalid, {too_long ? ErrorKind::too_large : ErrorKind::bad_input, Side::server,
                                    Retry::no, std::string(event.reason)});
    }
    const auto message = assembler_.add(event);
    if (message && !tell({*message, MessageKind::binary})) return false;
  }
  assembler_.release();
  return true;
}

GameEnd TcpConnection::fin_means(std::string& detail) const {
  if (reader_.between_messages()) {
    detail = "it hung up";
    return GameEnd::finished;
  }
  detail = "it hung up in the middle of a message";
  return GameEnd::broken;
}

void TcpConnection::save_reader(std::string& out) const { save_reading(reader_, assembler_, out); }

bool TcpConnection::restore_reader(Bytes from) { return restore_reading(from, reader_, assembler_); }

void TcpConnection::give_back() {
  cancel();
  connector().give_back(*this);
}

}  // namespace rejoin::upstream
