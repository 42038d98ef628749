#include "apps/gateway/link.h"

#include <algorithm>
#include <limits>

#include "apps/gateway/worker.h"
#include "base/limits.h"

namespace rejoin::gateway {
namespace {

std::uint32_t message_max(const Worker& worker) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(worker.rules().message_max, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

std::string_view to_string(LinkEnd end) {
  switch (end) {
    case LinkEnd::finished: return "finished";
    case LinkEnd::refused: return "refused";
    case LinkEnd::went_away: return "went away";
    case LinkEnd::abandoned: return "abandoned";
    case LinkEnd::broken: return "broken";
    case LinkEnd::stalled: return "stalled";
    case LinkEnd::cancelled: return "cancelled";
  }
  return "?";
}

Link::Link(Worker& worker, io::Socket socket, const Address& client)
    : worker_(worker),
      socket_(std::move(socket)),
      timer_([](void* self) { static_cast<Link*>(self)->on_time(); }, this),
      client_(client) {}

void Link::start(MutableBytes arrived) {
  socket_.set_events(this);
  if (!arrived.empty()) take(arrived);
  if (!flush()) return;
  (void)receive();
}

void Link::on_ready(io::Ready ready) {
  if (ready.writable && !outbox_.empty()) {
    if (!flush()) return;
    if (paused_ && outbox_.size() <= limits::kLinkUnsentHighBytes / 2) {
      paused_ = false;
      if (!receive()) return;  // what was not read meanwhile is not told of again
    }
  }
  if (ready.readable) (void)receive();
}

bool Link::receive() {
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (paused_ || client_ended_ || !socket_.may_read()) return true;
    const io::ReadResult read = socket_.read();
    switch (read.state) {
      case io::ReadResult::State::got: break;
      case io::ReadResult::State::would_block: return true;
      case io::ReadResult::State::ended: return receive_end();
      case io::ReadResult::State::failed:
        end(phase_ == LinkPhase::parting ? why_ : LinkEnd::broken);
        return false;
    }
    if (phase_ != LinkPhase::parting) {
      take(read.bytes);
    } else {
      ignored_ += static_cast<std::uint32_t>(read.bytes.size());
      if (ignored_ > limits::kLingerBytesMax) {
        end(why_);
        return false;
      }
    }
    if (!flush()) return false;
  }
  // More may be there, and the loop will not tell of it again: let the others have their turn first.
  if (socket_.may_read()) socket_.read_again();
  return true;
}

bool Link::receive_end() {
  client_ended_ = true;
  if (phase_ != LinkPhase::parting && !take_end()) return false;
  return flush();
}

// All that one turn says leaves here, in one call to the kernel.
bool Link::flush() {
  const std::size_t before = outbox_.size();
  if (outbox_.flush(socket_) != 0) {
    end(phase_ == LinkPhase::parting ? why_ : LinkEnd::broken);
    return false;
  }
  if (phase_ == LinkPhase::open) {
    watch_progress(before);
    return true;
  }
  if (!outbox_.empty()) {
    if (outbox_.size() < before) arm(limits::kCloseReplyS);  // it takes its time, but it takes
    return true;
  }
  if (phase_ == LinkPhase::closing) return true;
  if (client_ended_) {
    end(why_);
    return false;
  }
  if (!said_fin_) {
    // Closing over bytes that we have not read would send a RST, which throws away our last word before it is
    // read.
    said_fin_ = true;
    socket_.shutdown_write();
    arm(limits::kLingerMs);
  }
  return true;
}

void Link::watch_progress(std::size_t before) {
  if (outbox_.empty()) {
    timer_.cancel();
    return;
  }
  if (!timer_.armed() || outbox_.size() < before) arm(limits::kLinkStallS);
  if (!paused_ && outbox_.size() > limits::kLinkUnsentHighBytes) {
    paused_ = true;
    ++worker_.counts().pauses;
  }
}

void Link::put(Bytes head, Bytes payload) { outbox_.put(worker_.world().buffers, socket_, head, payload); }

void Link::go_away() {
  if (phase_ != LinkPhase::open) return;
  say_goodbye();
  if (!flush()) return;
  (void)receive();  // it may have been paused
}

void Link::cancel() { end(LinkEnd::cancelled); }

void Link::await_close_frame() {
  phase_ = LinkPhase::closing;
  paused_ = false;  // nothing that is read makes us say more
  arm(limits::kCloseReplyS);
}

void Link::part(LinkEnd why) {
  phase_ = LinkPhase::parting;
  why_ = why;
  paused_ = false;
  arm(limits::kCloseReplyS);
}

void Link::on_time() {
  switch (phase_) {
    case LinkPhase::open: end(LinkEnd::stalled); break;
    case LinkPhase::closing: end(LinkEnd::went_away); break;
    case LinkPhase::parting: end(why_); break;
  }
}

void Link::arm(Duration time) { worker_.world().timers.arm(timer_, worker_.world().clock.now() + time); }

void Link::end(LinkEnd how) {
  timer_.cancel();
  const bool orderly =
      outbox_.empty() && how != LinkEnd::broken && how != LinkEnd::cancelled && how != LinkEnd::stalled;
  if (orderly) {
    socket_.close();
  } else {
    socket_.reset();
  }
  give_back(how);
}

// --- WebSocket ---

WebSocketLink::WebSocketLink(Worker& owner, io::Socket socket, const Address& from)
    : Link(owner, std::move(socket), from), reader_(proto::WsRole::server, message_max(owner)) {}

void WebSocketLink::send(const upstream::Message& message) {
  if (phase() != LinkPhase::open) return;  // RFC 6455 5.5.1: nothing after our close frame
  proto::FrameSpec spec;
  spec.opcode = message.kind == upstream::MessageKind::text ? proto::WsOpcode::text : proto::WsOpcode::binary;
  spec.payload_bytes = message.bytes.size();
  const proto::FrameHeader header = proto::write_frame_header(spec);
  put(header.view(), message.bytes);
}

void WebSocketLink::take(MutableBytes arrived) {
  while (phase() != LinkPhase::parting) {
    const proto::WsEvent event = reader_.feed(arrived);
    switch (event.kind) {
      case proto::WsEvent::Kind::more: assembler_.release(); return;
      case proto::WsEvent::Kind::data:
        if (const auto message = assembler_.add(event)) {
          ++worker().counts().messages;
          const bool text = event.opcode == proto::WsOpcode::text;
          worker().echo().take({*message, text ? upstream::MessageKind::text : upstream::MessageKind::binary},
                               *this);
        }
        break;
      case proto::WsEvent::Kind::ping:
        if (phase() == LinkPhase::open)
          put(proto::write_control(proto::WsOpcode::pong, event.view(), {}).view());
        break;
      case proto::WsEvent::Kind::pong: break;
      case proto::WsEvent::Kind::close:
      case proto::WsEvent::Kind::refused: take_close(event); break;
    }
  }
  assembler_.clear();
}

void WebSocketLink::take_close(const proto::WsEvent& event) {
  const bool refused = event.kind == proto::WsEvent::Kind::refused;
  if (refused) ++worker().counts().refused_frames;
  // To a close frame the answer is its own code (RFC 6455 5.5.1), to a broken rule the code that names it
  // (7.1.7).
  const bool first_word = phase() == LinkPhase::open;
  if (first_word) put(proto::write_close(event.code, refused ? Bytes(event.reason) : Bytes(), {}).view());
  if (refused) {
    worker().tell(*this, "close " + std::to_string(number(event.code)) + ": " + std::string(event.reason));
  }
  part(refused ? LinkEnd::refused : first_word ? LinkEnd::finished : LinkEnd::went_away);
}

bool WebSocketLink::take_end() {
  end(LinkEnd::abandoned);  // a WebSocket that ends without a close frame has broken (RFC 6455 7.1.5: code
                            // 1006)
  return false;
}

void WebSocketLink::say_goodbye() {
  put(proto::write_close(proto::CloseCode::going_away, "the server is going away", {}).view());
  await_close_frame();
}

void WebSocketLink::give_back(LinkEnd how) { worker().link_ended(*this, how); }

// --- length-framed TCP ---

TcpLink::TcpLink(Worker& owner, io::Socket socket, const Address& from)
    : Link(owner, std::move(socket), from), reader_(proto::LengthFormat{.message_max = message_max(owner)}) {}

void TcpLink::send(const upstream::Message& message) {
  if (phase() != LinkPhase::open) return;
  const Result<proto::LengthHeader> header = proto::write_length(reader_.format(), message.bytes.size());
  if (!header) {  // only a greeting could be longer than a very small message_max
    worker().tell(*this, to_string(header.error()));
    return;
  }
  put(header->view(), message.bytes);
}

void TcpLink::take(MutableBytes arrived) {
  Bytes input(arrived.data(), arrived.size());
  while (phase() == LinkPhase::open) {
    const proto::LengthEvent event = reader_.feed(input);
    switch (event.kind) {
      case proto::LengthEvent::Kind::more: assembler_.release(); return;
      case proto::LengthEvent::Kind::piece:
        if (const auto message = assembler_.add(event)) {
          ++worker().counts().messages;
          worker().echo().take({*message, upstream::MessageKind::binary}, *this);
        }
        break;
      case proto::LengthEvent::Kind::refused:
        ++worker().counts().refused_frames;
        worker().tell(*this, std::string(event.reason));
        part(LinkEnd::refused);
        break;
    }
  }
  assembler_.clear();
}

bool TcpLink::take_end() {
  // A client may say FIN behind its last message and still wait for the answers: they go out, then it ends.
  part(reader_.between_messages() ? LinkEnd::finished : LinkEnd::abandoned);
  return true;
}

void TcpLink::say_goodbye() { part(LinkEnd::went_away); }

void TcpLink::give_back(LinkEnd how) { worker().link_ended(*this, how); }

}  // namespace rejoin::gateway
