#include "apps/gateway/links.h"

#include <algorithm>
#include <array>
#include <limits>

#include "apps/gateway/live_session.h"
#include "apps/gateway/worker.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

std::uint32_t message_max(const Worker& worker) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(worker.rules().message_max, std::numeric_limits<std::uint32_t>::max()));
}

/// Of a frame of the resume protocol: its message, and what stands around that. Before a link has a session
/// nobody is known to be behind it, and it may make us hold no more than an opening frame.
std::uint32_t frame_max(const Worker& worker, LinkMode mode) {
  if (mode == LinkMode::plain) return message_max(worker);
  if (mode == LinkMode::opening || mode == LinkMode::waiting) return limits::kHelloBytesMax;
  const std::uint64_t most = std::max<std::uint64_t>(
      {message_max(worker), limits::kHelloBytesMax, worker.rules().session.window_bytes});
  return static_cast<std::uint32_t>(most) + proto::FrameHead::kBytes;
}

}  // namespace

// --- WebSocket ---

WebSocketLink::WebSocketLink(Worker& owner, io::Socket socket, const Address& from, LinkMode mode, Bytes head,
                             Compression agreed)
    : Link(owner, std::move(socket), from, mode),
      reader_(proto::WsRole::server, frame_max(owner, mode),
              agreed ? proto::Rsv1::allowed : proto::Rsv1::refused),
      compression_(std::move(agreed)) {
  put(head);
}

std::uint32_t WebSocketLink::message_max(const Worker& worker, LinkMode mode) {
  return frame_max(worker, mode);
}

void WebSocketLink::bound_messages(LinkMode mode) {
  const std::uint32_t most = frame_max(worker(), mode);
  reader_.set_message_max(most);
  if (compression_) compression_->set_message_max(most);
}

WebSocketLink::Compression WebSocketLink::give_away_compression() {
  if (compression_) compression_->leave();
  return std::move(compression_);
}

bool WebSocketLink::ping() {
  if (phase() != LinkPhase::open) return true;
  put(proto::write_control(proto::WsOpcode::ping, {}, {}).view());
  more();
  return true;
}

void WebSocketLink::put_message(upstream::MessageKind kind, Bytes head, Bytes payload) {
  if (phase() != LinkPhase::open) return;  // RFC 6455 5.5.1: nothing after our close frame
  proto::FrameSpec spec;
  spec.opcode = kind == upstream::MessageKind::text ? proto::WsOpcode::text : proto::WsOpcode::binary;
  if (compression_) {
    if (const auto deflated = compression_->pack(head, payload)) {
      spec.compressed = true;
      put_frame(spec, {}, *deflated);
      return;
    }
  }
  put_frame(spec, head, payload);
}

void WebSocketLink::put_frame(const proto::FrameSpec& of, Bytes head, Bytes payload) {
  proto::FrameSpec spec = of;
  spec.payload_bytes = head.size() + payload.size();
  const proto::FrameHeader frame = proto::write_frame_header(spec);
  // Both heads together are short: one piece less for the kernel.
  std::array<char, sizeof frame.bytes + proto::FrameHead::kBytes> heads;
  if (head.size() <= proto::FrameHead::kBytes) {
    std::copy_n(frame.bytes, frame.size, heads.data());
    std::copy_n(head.data(), head.size(), heads.data() + frame.size);
    put(Bytes(heads.data(), frame.size + head.size()), payload);
  } else {
    put(frame.view(), head);
    if (!payload.empty()) put(payload);
  }
}

void WebSocketLink::take(MutableBytes arrived) {
  while (phase() != LinkPhase::parting) {
    const proto::WsEvent event = reader_.feed(arrived);
    switch (event.kind) {
      case proto::WsEvent::Kind::more:
        assembler_.release();
        if (compression_) compression_->release();
        return;
      case proto::WsEvent::Kind::data: take_data(event); break;
      case proto::WsEvent::Kind::ping:
        if (phase() == LinkPhase::open)
          put(proto::write_control(proto::WsOpcode::pong, event.view(), {}).view());
        break;
      case proto::WsEvent::Kind::pong: break;
      case proto::WsEvent::Kind::close: take_close(event.code); break;
      case proto::WsEvent::Kind::refused: refuse(event.code, event.reason); break;
    }
  }
  assembler_.clear();
  if (compression_) compression_->clear();
}

void WebSocketLink::take_data(const proto::WsEvent& event) {
  std::optional<Bytes> message;
  if (compression_) {
    const proto::MessageCompression::Taken taken = compression_->take(event);
    if (taken.kind == proto::MessageCompression::Taken::Kind::refused)
      return refuse(taken.code, taken.reason);
    if (taken.kind == proto::MessageCompression::Taken::Kind::message) message = taken.message;
  } else {
    message = assembler_.add(event);
  }
  if (!message) return;
  const bool text = event.opcode == proto::WsOpcode::text;
  on_message({*message, text ? upstream::MessageKind::text : upstream::MessageKind::binary});
}

// To a close frame the answer is its own code (RFC 6455 5.5.1).
void WebSocketLink::take_close(proto::CloseCode code) {
  const bool first_word = phase() == LinkPhase::open;
  if (first_word) {
    fetch_last();
    put(proto::write_close(code, {}, {}).view());
    note_told(number(code), {});
  }
  part(first_word ? LinkEnd::finished : LinkEnd::dismissed);
}

// To a broken rule the answer is the code that names it (RFC 6455 7.1.7); to a frame of the resume protocol
// that is too long, what that says.
void WebSocketLink::refuse(proto::CloseCode code, std::string_view reason) {
  if (code == proto::CloseCode::too_big && mode() != LinkMode::plain && phase() == LinkPhase::open) {
    refuse_long_frame(reason);
    part(LinkEnd::refused);  // what follows cannot be read
    return;
  }
  ++worker().counts().refused_frames;
  if (phase() == LinkPhase::open) {
    fetch_last();
    put(proto::write_close(code, reason, {}).view());
    note_told(number(code), reason);
  }
  worker().tell(*this, "close " + std::to_string(number(code)) + ": " + std::string(reason));
  part(LinkEnd::refused);
}

bool WebSocketLink::take_end() {
  end(LinkEnd::abandoned);  // a WebSocket that ends without a close frame has broken (RFC 6455 7.1.5: code
                            // 1006)
  return false;
}

void WebSocketLink::say_goodbye(std::uint16_t code, Bytes reason, LinkEnd why) {
  if (phase() != LinkPhase::open) return;
  put(proto::write_close(static_cast<proto::CloseCode>(code), reason, {}).view());
  await_close_frame(why);
}

void WebSocketLink::give_back(LinkEnd how) { worker().link_ended(*this, how); }

// --- length-framed TCP ---

TcpLink::TcpLink(Worker& owner, io::Socket socket, const Address& from, LinkMode mode)
    : Link(owner, std::move(socket), from, mode),
      reader_(proto::LengthFormat{.message_max = frame_max(owner, mode)}) {}

void TcpLink::bound_messages(LinkMode mode) { reader_.set_message_max(frame_max(worker(), mode)); }

void TcpLink::put_message(upstream::MessageKind, Bytes head, Bytes payload) {
  if (phase() != LinkPhase::open) return;
  char length[4];
  store_u32(length, static_cast<std::uint32_t>(head.size() + payload.size()));
  put(Bytes(length, sizeof length), head);
  if (!payload.empty()) put(payload);
}

void TcpLink::take(MutableBytes arrived) {
  Bytes input(arrived.data(), arrived.size());
  while (phase() == LinkPhase::open) {
    const proto::LengthEvent event = reader_.feed(input);
    switch (event.kind) {
      case proto::LengthEvent::Kind::more: assembler_.release(); return;
      case proto::LengthEvent::Kind::piece:
        if (const auto message = assembler_.add(event)) {
          on_message({*message, upstream::MessageKind::binary});
        }
        break;
      case proto::LengthEvent::Kind::refused:
        if (mode() != LinkMode::plain && mode() != LinkMode::undecided) {
          if (reader_.too_long()) {
            refuse_long_frame(event.reason);
          } else {
            worker().bad_frame(*this, event.reason);
          }
        } else {
          ++worker().counts().refused_frames;
          worker().tell(*this, std::string(event.reason));
          note_told(0, event.reason);
          fetch_last();
          part(LinkEnd::refused);
        }
        break;
    }
  }
  assembler_.clear();
}

bool TcpLink::take_end() {
  const bool whole = reader_.between_messages();
  if (mode() != LinkMode::plain) {
    end(whole ? LinkEnd::finished : LinkEnd::abandoned);
    return false;
  }
  // A client may say FIN behind its last message and still wait for the answers: they go out, then it ends.
  fetch_last();
  part(whole ? LinkEnd::finished : LinkEnd::abandoned);
  return true;
}

void TcpLink::say_goodbye(std::uint16_t, Bytes, LinkEnd why) {
  if (phase() == LinkPhase::open) part(why);
}

void TcpLink::give_back(LinkEnd how) { worker().link_ended(*this, how); }

}  // namespace rejoin::gateway
