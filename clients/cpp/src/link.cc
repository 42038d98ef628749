#include "clients/cpp/src/link.h"

#include <charconv>
#include <utility>

#include "base/limits.h"
#include "proto/http_head.h"
#include "proto/resume_frame.h"

namespace rejoin::client {
namespace {

using session::DialFailure;

// What a server may ask us to wait; longer is taken for nonsense.
constexpr unsigned kRetryAfterMaxS = 3600;
// The window bounds frames, and is told on the link: too_long() looks at them.
constexpr std::uint32_t kNoBound = 0xffffffff;
constexpr proto::LengthFormat kLengths{.message_max = kNoBound,
                                       .length = proto::LengthBytes::four,
                                       .endian = proto::Endian::big,
                                       .counts = proto::LengthCounts::payload};

}  // namespace

Link::Link(io::World& world, io::Network& network, const LinkRules& rules, proto::CookieJar& jar,
           session::LinkNumber number, proto::Url url, LinkEvents& events)
    : world_(world),
      network_(network),
      rules_(rules),
      jar_(jar),
      events_(events),
      number_(number),
      url_(std::move(url)),
      frames_(proto::WsRole::client, kNoBound),
      lengths_(kLengths),
      parting_timer_(
          [](void* self) {
            auto& link = *static_cast<Link*>(self);
            link.drop();
            link.events_.links_settled();
          },
          this) {}

// --- opening ---

Status Link::connect(std::vector<Address> addresses) {
  addresses_ = std::move(addresses);
  if (rules_.bind) {
    std::erase_if(addresses_, [&](const Address& to) { return to.family != rules_.bind.family; });
  }
  last_error_ = "no address that can be dialled";
  return connect_next();
}

Status Link::connect_next() {
  io::ConnectOptions options;
  options.bind = rules_.bind;
  options.server_name = url_.host;
  while (!addresses_.empty()) {
    const Address to = addresses_.front();
    addresses_.erase(addresses_.begin());
    Result<io::Socket> socket = network_.connect(to, options);
    if (socket) {
      socket_ = std::move(*socket);
      phase_ = Phase::connecting;
      socket_.set_events(this);
      return {};
    }
    last_error_ = to_string(socket.error());
  }
  phase_ = Phase::over;
  return Error{ErrorKind::unreachable, Side::server, Retry::yes, last_error_};
}

void Link::connected() {
  const Status open = socket_.connect_status();
  if (!open) {
    socket_.close();
    last_error_ = to_string(open.error());
    if (!connect_next()) {
      phase_ = Phase::connecting;  // end() tells once
      end(DialFailure::unreachable, last_error_);
    }
    return;
  }
  local_ = socket_.local_address();
  peer_ = socket_.peer_address();
  phase_ = Phase::connected;
  events_.link_connected(*this);
}

Status Link::begin(const std::string& opening, const std::optional<std::string>& item,
                   const std::string& ticket) {
  if (!websocket()) {
    phase_ = Phase::open;
    put(opening);
    return {};
  }
  handshake_ = std::make_unique<Handshake>();
  handshake_->key = proto::make_handshake_key(world_.random);
  if (item) {
    handshake_->item = *item;
  } else {
    handshake_->first_message = opening;
  }
  const std::string authority = url_.authority();
  const std::string cookies = jar_.header_for(url_, world_.clock.unix_now());
  std::vector<Bytes> protocols{proto::kResumeProtocol};
  if (item) protocols.push_back(handshake_->item);
  std::vector<proto::HeaderLine> headers;
  if (!rules_.origin.empty()) headers.push_back({"Origin", rules_.origin});
  if (!item && !ticket.empty()) headers.push_back({proto::kTicketHeader, ticket});
  for (const auto& [name, value] : rules_.headers) headers.push_back({name, value});
  proto::UpgradeRequest request;
  request.target = url_.target;
  request.host = authority;
  request.cookies = cookies;
  request.protocols = protocols;
  request.headers = headers;
  Buffer head = world_.buffers.borrow();
  Status written = proto::write_upgrade_request(head, request, handshake_->key);
  if (!written) return written;
  out_.append(head.view());
  phase_ = Phase::asked;
  return {};
}

void Link::take_answer(MutableBytes bytes) {
  Handshake& shake = *handshake_;
  shake.answer.append(bytes.data(), bytes.size());
  for (;;) {
    const proto::HeadVerdict verdict = shake.head.feed(shake.answer);
    if (verdict.state == proto::HeadState::refused) {
      return end(DialFailure::before_open, "the answer is no HTTP: " + std::string(verdict.reason));
    }
    if (verdict.state != proto::HeadState::complete) return;
    if (!shake.head.interim()) {
      take_cookies(shake.head);
      if (shake.head.status() != 101) {
        return refused_handshake();
      }
      std::vector<Bytes> offered{proto::kResumeProtocol};
      if (!shake.item.empty()) offered.push_back(shake.item);
      proto::AcceptHasher hasher;
      const Result<Bytes> chosen = proto::check_upgrade_response(shake.head, shake.key, offered, hasher);
      if (!chosen) return end(DialFailure::before_open, to_string(chosen.error()));
      if (*chosen != proto::kResumeProtocol) {
        return end(DialFailure::before_open, "the server does not speak rejoin.v1");
      }
      std::string behind = shake.answer.substr(verdict.consumed);
      const std::string first = std::move(shake.first_message);
      phase_ = Phase::open;
      handshake_.reset();
      if (!first.empty()) put(first);
      return take(behind);
    }
    shake.answer.erase(0, verdict.consumed);
    shake.head = proto::ResponseHead();
  }
}

void Link::refused_handshake() {
  const proto::ResponseHead& head = handshake_->head;
  LinkEnd how = link_end(DialFailure::before_open, "the server answered " + std::to_string(head.status()) +
                                                       " " + std::string(head.reason()));
  how.http_status = head.status();
  // Seconds; the other form of RFC 9110 10.2.3, a date, is for caches.
  if (const proto::Field* field = head.find("Retry-After")) {
    const Bytes text = head.value(*field);
    unsigned seconds = 0;
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (wrong == std::errc() && rest == text.data() + text.size() && seconds <= kRetryAfterMaxS) {
      how.retry_after = std::chrono::seconds(seconds);
    }
  }
  end(std::move(how));
}

void Link::take_cookies(const proto::ResponseHead& head) {
  for (const proto::Field& field : head.all(proto::KnownField::set_cookie)) {
    jar_.store(url_, head.value(field), world_.clock.unix_now());
  }
}

// --- reading ---

void Link::on_ready(io::Ready ready) {
  if (phase_ == Phase::connecting && ready.writable) connected();
  if (phase_ != Phase::connecting && phase_ != Phase::over) {
    receive();
    flush();
    tell_failed_write();
  }
  events_.links_settled();  // we may be gone after this
}

void Link::receive() {
  for (int reads = 0; phase_ != Phase::over && phase_ != Phase::connected && socket_.may_read(); ++reads) {
    if (reads == limits::kReadsPerTurnMax) {
      socket_.read_again();
      return;
    }
    const io::ReadResult read = socket_.read();
    switch (read.state) {
      case io::ReadResult::State::would_block: return;
      case io::ReadResult::State::got: take(read.bytes); break;
      case io::ReadResult::State::ended:
        if (phase_ == Phase::parting) return drop();
        return end(link_end(stage(), "the connection ended", heard_close_));
      case io::ReadResult::State::failed:
        if (phase_ == Phase::parting) return drop();
        return end(
            link_end(stage(), to_string(Error::from_errno(read.errnum, "read", Side::server)), heard_close_));
    }
  }
}

DialFailure Link::stage() const {
  if (phase_ == Phase::connecting) return DialFailure::unreachable;
  return phase_ == Phase::connected || phase_ == Phase::asked ? DialFailure::before_open : DialFailure::later;
}

void Link::take(MutableBytes bytes) {
  if (bytes.empty()) return;
  if (phase_ == Phase::asked) return take_answer(bytes);
  if (phase_ != Phase::open) return;
  if (websocket()) {
    take_websocket(bytes);
  } else {
    take_lengths(Bytes(bytes.data(), bytes.size()));
  }
}

void Link::take_websocket(MutableBytes bytes) {
  while (phase_ == Phase::open) {
    const proto::WsEvent event = frames_.feed(bytes);
    switch (event.kind) {
      case proto::WsEvent::Kind::more: assembler_.release(); return;
      case proto::WsEvent::Kind::data: {
        if (event.opcode != proto::WsOpcode::binary) {
          part(proto::number(proto::LinkCode::bad_frame), "frames travel in binary messages");
          events_.link_over(*this, link_end(DialFailure::later, "a text message",
                                            proto::number(proto::LinkCode::bad_frame)));
          return;
        }
        if (too_long(assembler_.held_bytes() + event.payload.size() + frames_.frame_left())) return;
        const auto message = assembler_.add(event);
        if (message) events_.link_frame(*this, *message);
        break;
      }
      case proto::WsEvent::Kind::ping:
        out_ += proto::write_control(proto::WsOpcode::pong, event.view(), proto::make_mask_key(world_.random))
                    .view();
        break;
      case proto::WsEvent::Kind::pong: break;
      case proto::WsEvent::Kind::close: {
        heard_close_ = event.code == proto::CloseCode::none ? std::uint16_t{0} : proto::number(event.code);
        LinkEnd how = link_end(DialFailure::later, std::string(event.view()), heard_close_);
        if (how.why.empty()) how.why = "closed with " + std::to_string(proto::number(event.code));
        out_ += proto::write_close(event.code, {}, proto::make_mask_key(world_.random)).view();
        flush();
        return end(std::move(how));
      }
      case proto::WsEvent::Kind::refused:
        out_ += proto::write_close(event.code, event.reason, proto::make_mask_key(world_.random)).view();
        flush();
        return end(DialFailure::later, std::string(event.reason));
    }
  }
}

void Link::take_lengths(Bytes bytes) {
  while (phase_ == Phase::open) {
    const proto::LengthEvent event = lengths_.feed(bytes);
    switch (event.kind) {
      case proto::LengthEvent::Kind::more: assembler_.release(); return;
      case proto::LengthEvent::Kind::piece: {
        if (event.first && too_long(event.payload.size() + std::uint64_t{event.left})) return;
        const auto message = assembler_.add(event);
        if (message) events_.link_frame(*this, *message);
        break;
      }
      case proto::LengthEvent::Kind::refused: return end(DialFailure::later, std::string(event.reason));
    }
  }
}

/// True: it was, and the link is on its way out.
bool Link::too_long(std::uint64_t bytes) {
  if (bytes <= frame_max_) return false;
  part(proto::number(proto::LinkCode::over_limit), "a frame above the window");
  events_.link_over(*this, link_end(DialFailure::later, "a frame above the window"));
  return true;
}

// --- writing ---

void Link::put(Bytes frame) {
  if (phase_ != Phase::open) return;
  if (websocket()) {
    proto::append_frame(out_, proto::WsOpcode::binary, frame, proto::make_mask_key(world_.random));
    return;
  }
  char length[4];
  store_u32(length, static_cast<std::uint32_t>(frame.size()));
  out_.append(length, sizeof length);
  out_ += frame;
}

bool Link::has_room() const { return phase_ == Phase::open && unsent() < limits::kConnectUnsentHighBytes; }

void Link::flush() {
  if (phase_ != Phase::asked && phase_ != Phase::open && phase_ != Phase::parting) return;
  while (broken_ == 0 && unsent() != 0 && socket_.may_write()) {
    const io::WriteResult written = socket_.write(Bytes(out_).substr(sent_));
    broken_ = written.errnum;
    sent_ += written.taken;
  }
  if (unsent() == 0) {
    out_.clear();
    sent_ = 0;
    if (phase_ == Phase::parting && broken_ == 0 && !std::exchange(said_fin_, true)) socket_.shutdown_write();
  }
  // What came before the connection broke is still to be read, so the owner is not told from here.
  if (broken_ != 0) socket_.read_again();
}

void Link::tell_failed_write() {
  if (broken_ == 0 || phase_ == Phase::over || socket_.may_read()) return;
  if (phase_ == Phase::parting) return drop();
  end(link_end(stage(), to_string(Error::from_errno(broken_, "write", Side::server)), heard_close_));
}

// --- ending ---

void Link::end(LinkEnd how) {
  if (phase_ == Phase::over) return;
  drop();
  events_.link_over(*this, how);
}

void Link::part(std::uint16_t code, Bytes reason) {
  if (phase_ == Phase::over || phase_ == Phase::parting) return;
  if (phase_ != Phase::open) return drop();
  if (websocket()) {
    out_ +=
        proto::write_close(static_cast<proto::CloseCode>(code), reason, proto::make_mask_key(world_.random))
            .view();
  }
  phase_ = Phase::parting;
  world_.timers.arm(parting_timer_, world_.clock.now() + limits::kCloseReplyS);
  flush();
}

void Link::drop() {
  phase_ = Phase::over;
  parting_timer_.cancel();
  socket_.close();
}

}  // namespace rejoin::client
