#include "upstream/ws_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "upstream/connector.h"
#include "upstream/reader_state.h"

namespace rejoin::upstream {
namespace {

Error of_server(ErrorKind kind, std::string detail) {
  return {kind, Side::server, Retry::no, std::move(detail)};
}

}  // namespace

WsConnection::WsConnection(Connector& of, GameEvents& events)
    : DialledConnection(of, events), reader_(proto::WsRole::client, of.rules().message_max) {}

// --- the handshake ---

bool WsConnection::connected() {
  Opening& now = opening();
  const Status written = write_request();
  if (!written) return attempt_failed(written.error(), false);
  now.answer = connector().world().buffers.borrow();
  now.head = std::make_unique<proto::ResponseHead>();
  begin_shaking();
  return shake();
}

Status WsConnection::write_request() {
  Opening& now = opening();
  const GameRules& rules = connector().rules();
  now.key = proto::make_handshake_key(connector().world().random);
  now.request = connector().world().buffers.borrow();
  const std::string host = rules.host.empty() ? where() : rules.host;
  const std::string client = now.player.client.ip_text();
  const std::array<proto::HeaderLine, 2> lines{
      {{"X-Forwarded-For", client}, {"Rejoin-Session", now.player.session}}};
  proto::UpgradeRequest request;
  request.target = rules.path;
  request.host = host;
  request.headers = lines;
  return proto::write_upgrade_request(now.request, request, now.key);
}

bool WsConnection::shake() {
  Opening& now = opening();
  while (!now.request.empty() && socket().may_write()) {
    const io::WriteResult written = socket().write(now.request.view());
    if (written.errnum != 0)
      return attempt_failed(Error::from_errno(written.errnum, "handshake", Side::server), true);
    now.request.consume(written.taken);
  }
  while (socket().may_read()) {
    const std::size_t room = std::min(now.answer.room(), limits::kHeadBytesMax);
    const io::ReadResult read = socket().read(room);
    switch (read.state) {
      case io::ReadResult::State::got: break;
      case io::ReadResult::State::would_block: return true;
      case io::ReadResult::State::ended:
        return attempt_failed(of_server(ErrorKind::closed, "it hung up in the handshake"), true);
      case io::ReadResult::State::failed:
        return attempt_failed(Error::from_errno(read.errnum, "handshake", Side::server), true);
    }
    now.answer.append(read.view());
    const proto::HeadVerdict verdict = now.head->feed(now.answer.view());
    if (verdict.state == proto::HeadState::refused)
      return attempt_failed(of_server(ErrorKind::bad_input, "handshake: " + std::string(verdict.reason)),
                            false);
    if (verdict.state == proto::HeadState::complete) return judge_answer();
  }
  return true;
}

bool WsConnection::judge_answer() {
  Opening& now = opening();
  const auto right = proto::check_upgrade_response(*now.head, now.key, {}, connector().hasher());
  if (!right) return attempt_failed(right.error(), now.head->status() >= 500);
  now.answer.consume(now.head->bytes().size());
  return opened(std::move(now.answer));
}

// --- messages of the player ---

proto::MaskKey WsConnection::new_mask() { return proto::make_mask_key(connector().world().random); }

void WsConnection::say(const Message& message) {
  if (!takes()) return;
  const proto::MaskKey mask = new_mask();
  proto::FrameSpec spec;
  spec.opcode = message.kind == MessageKind::text ? proto::WsOpcode::text : proto::WsOpcode::binary;
  spec.payload_bytes = message.bytes.size();
  spec.mask = mask;
  const proto::FrameHeader header = proto::write_frame_header(spec);
  // The message is lent and not ours to change: it is masked in a copy, a block at a time.
  Buffer block = connector().world().buffers.borrow();
  block.append(header.view());
  std::size_t done = 0;
  do {
    const std::size_t begin = block.size();
    const std::size_t count = block.append(message.bytes.substr(done));
    proto::apply_mask({block.data() + begin, count}, mask, done);
    done += count;
    if (done == message.bytes.size() && done == count)  // all of it in one block, as nearly always
      return say_framed(block.view(), {}, UnsentMessages::Kind::message);
    put(block.view());
    block.clear();
  } while (done < message.bytes.size());
  put_all(header.size + message.bytes.size(), UnsentMessages::Kind::message);
}

void WsConnection::say_control(const proto::ControlFrame& frame) {
  say_framed(frame.view(), {}, UnsentMessages::Kind::other);
}

// --- messages of the game server ---

bool WsConnection::take(MutableBytes& arrived) {
  while (hears()) {
    const proto::WsEvent event = reader_.feed(arrived);
    switch (event.kind) {
      case proto::WsEvent::Kind::more: assembler_.release(); return true;
      case proto::WsEvent::Kind::data:
        if (const auto message = assembler_.add(event)) {
          const bool text = event.opcode == proto::WsOpcode::text;
          if (!tell({*message, text ? MessageKind::text : MessageKind::binary})) return false;
        }
        break;
      case proto::WsEvent::Kind::ping:
        // Of several pings it is enough to answer one (RFC 6455 5.5.3): who does not read us gets no more.
        if (phase() == GamePhase::open && unsent_bytes() < limits::kLinkUnsentHighBytes)
          say_control(proto::write_control(proto::WsOpcode::pong, event.view(), new_mask()));
        if (phase() == GamePhase::ended) return false;  // somebody heard in it that a message was taken
        break;
      case proto::WsEvent::Kind::pong: break;
      case proto::WsEvent::Kind::close:
        // In answer to ours: the game server closes the connection, and nothing else follows (RFC
        // 6455 7.1.1).
        if (phase() == GamePhase::finishing) break;
        return take_close(event);
      case proto::WsEvent::Kind::refused:
        if (phase() != GamePhase::finishing) return take_close(event);
        arrived = {};  // whatever it says, what the player said still goes out
        return true;
    }
  }
  assembler_.release();
  return true;
}

bool WsConnection::take_close(const proto::WsEvent& event) {
  const bool refused = event.kind == proto::WsEvent::Kind::refused;
  const std::string code = std::to_string(number(event.code));
  std::string detail = refused ? "it broke a rule, closed with " + code : "close " + code;
  if (refused || !event.payload.empty())
    detail += ": " + std::string(refused ? Bytes(event.reason) : event.view());
  // To a close the answer is its own code, to a broken rule the code that names it (RFC 6455 5.5.1, 7.1.7).
  if (phase() == GamePhase::open) {
    last_word();
    say_control(proto::write_close(event.code, refused ? Bytes(event.reason) : Bytes(), new_mask()));
    if (phase() == GamePhase::ended) return false;
  }
  if (refused) {
    const bool too_long = event.code == proto::CloseCode::too_big;
    return end(GameEnd::invalid,
               of_server(too_long ? ErrorKind::too_large : ErrorKind::bad_input, std::move(detail)));
  }
  const bool orderly = event.code == proto::CloseCode::normal || event.code == proto::CloseCode::going_away ||
                       event.code == proto::CloseCode::none;
  return end(orderly ? GameEnd::finished : GameEnd::broken, of_server(ErrorKind::closed, std::move(detail)));
}

GameEnd WsConnection::fin_means(std::string& detail) const {
  detail = "it hung up without a close frame";  // RFC 6455 7.1.5: code 1006
  return GameEnd::broken;
}

void WsConnection::say_goodbye() {
  say_control(proto::write_close(proto::CloseCode::normal, {}, new_mask()));
}

void WsConnection::save_reader(std::string& out) const { save_reading(reader_, assembler_, out); }

bool WsConnection::restore_reader(Bytes from) { return restore_reading(from, reader_, assembler_); }

void WsConnection::give_back() {
  cancel();
  connector().give_back(*this);
}

}  // namespace rejoin::upstream
