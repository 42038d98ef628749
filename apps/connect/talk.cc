#include "apps/connect/talk.h"

#include <utility>

#include "base/limits.h"

namespace rejoin::connect {
namespace {

constexpr proto::LengthFormat kLengths{.message_max = limits::kConnectMessageBytesMax,
                                       .length = proto::LengthBytes::four,
                                       .endian = proto::Endian::big,
                                       .counts = proto::LengthCounts::payload};

}  // namespace

Talk::Talk(io::World& world, io::Socket socket, Transport transport, Stop& stop)
    : world_(world),
      socket_(std::move(socket)),
      news_(world.ready, world.timers, stop),
      transport_(transport),
      frames_(proto::WsRole::client, limits::kConnectMessageBytesMax),
      lengths_(kLengths) {
  socket_.set_events(this);
}

// --- saying ---

void Talk::say(Bytes message) {
  if (goodbye_) return;
  if (transport_ == Transport::websocket) {
    // A byte that is not UTF-8 cannot be text (RFC 6455 5.6); a person who types it still wants it sent.
    const proto::WsOpcode opcode = proto::is_utf8(message) ? proto::WsOpcode::text : proto::WsOpcode::binary;
    proto::append_frame(outgoing_, opcode, message, proto::make_mask_key(world_.random));
    return;
  }
  const Result<proto::LengthHeader> header = proto::write_length(kLengths, message.size());
  if (!header) return;  // lines are bounded below it
  outgoing_ += header->view();
  outgoing_ += message;
}

void Talk::say_goodbye(proto::CloseCode code) {
  if (std::exchange(goodbye_, true)) return;
  if (transport_ == Transport::websocket) {
    outgoing_ += proto::write_close(code, Bytes(), proto::make_mask_key(world_.random)).view();
  }
}

Status Talk::flush() {
  while (unsent() != 0 && socket_.may_write()) {
    const io::WriteResult written = socket_.write(Bytes(outgoing_).substr(sent_));
    if (written.errnum != 0) return Error::from_errno(written.errnum, "write", Side::server);
    sent_ += written.taken;
  }
  if (unsent() == 0) {
    outgoing_.clear();
    sent_ = 0;
    if (goodbye_ && transport_ == Transport::tcp && !std::exchange(said_fin_, true)) socket_.shutdown_write();
  }
  return {};
}

// --- hearing ---

Status Talk::pump() {
  Status flushed = flush();
  for (int reads = 0; !over_ && socket_.may_read(); ++reads) {
    if (reads == limits::kReadsPerTurnMax) {
      socket_.read_again();
      break;
    }
    const io::ReadResult read = socket_.read();
    if (read.state == io::ReadResult::State::would_block) break;
    if (read.state == io::ReadResult::State::failed)
      return Error::from_errno(read.errnum, "read", Side::server);
    if (read.state == io::ReadResult::State::ended) {
      hear(Heard::Kind::ended);
    } else {
      take(read.bytes);
    }
  }
  if (!flushed) return flushed;  // after reading: a close frame may stand before the RST
  return flush();                // pongs, and the answer to a close
}

std::optional<Heard> Talk::next() {
  if (inbox_.empty()) return std::nullopt;
  Heard first = std::move(inbox_.front());
  inbox_.pop_front();
  return first;
}

void Talk::hear(Heard::Kind kind, std::uint16_t code, std::string text) {
  if (kind == Heard::Kind::ended || (kind == Heard::Kind::refused && transport_ == Transport::tcp))
    over_ = true;
  inbox_.push_back({kind, code, std::move(text)});
}

void Talk::take(MutableBytes bytes) {
  if (transport_ == Transport::websocket) {
    take_frames(bytes);
  } else {
    take_lengths(Bytes(bytes.data(), bytes.size()));
  }
}

void Talk::take_frames(MutableBytes bytes) {
  for (;;) {
    const proto::WsEvent event = frames_.feed(bytes);
    switch (event.kind) {
      case proto::WsEvent::Kind::more: assembler_.release(); return;
      case proto::WsEvent::Kind::data:
        if (const auto message = assembler_.add(event)) hear(Heard::Kind::message, 0, std::string(*message));
        break;
      case proto::WsEvent::Kind::ping:
        if (!goodbye_) {
          outgoing_ +=
              proto::write_control(proto::WsOpcode::pong, event.view(), proto::make_mask_key(world_.random))
                  .view();
        }
        break;
      case proto::WsEvent::Kind::pong: break;
      case proto::WsEvent::Kind::close:
        say_goodbye(event.code);  // the answer, unless ours came first
        hear(Heard::Kind::close, number(event.code), std::string(event.view()));
        return;
      case proto::WsEvent::Kind::refused:
        say_goodbye(event.code);
        hear(Heard::Kind::refused, number(event.code), std::string(event.reason));
        return;
    }
  }
}

void Talk::take_lengths(Bytes bytes) {
  for (;;) {
    const proto::LengthEvent event = lengths_.feed(bytes);
    switch (event.kind) {
      case proto::LengthEvent::Kind::more: assembler_.release(); return;
      case proto::LengthEvent::Kind::piece:
        if (const auto message = assembler_.add(event)) hear(Heard::Kind::message, 0, std::string(*message));
        break;
      case proto::LengthEvent::Kind::refused:
        hear(Heard::Kind::refused, 0, std::string(event.reason));
        return;
    }
  }
}

}  // namespace rejoin::connect
