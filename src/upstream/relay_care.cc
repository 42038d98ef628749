#include "upstream/relay_care.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"

namespace rejoin::upstream {
namespace {

using proto::CloseCode;
using proto::WsFrameWalk;
using proto::WsOpcode;

/// What is put between other bytes, or held back before them, has to fit into one backlog with one read.
constexpr std::size_t kReadMax = limits::kBufferBytes - 256;
/// Frames that may come at once after a pause, as a time.
constexpr Duration kFramesBurst = 2s;

TimePoint plus(TimePoint from, Duration time) {
  return from == kNever || time == Duration() ? kNever : from + time;
}

}  // namespace

bool CareRules::any(bool websocket) const {
  return bytes_from_client != 0 || bytes_to_client != 0 || client_timeout != Duration() ||
         server_timeout != Duration() || half_closed_timeout != Duration() || write_timeout != Duration() ||
         (websocket && follows_frames());
}

RelayCare::RelayCare(Relay& relay, const CareRules& rules, bool websocket)
    : relay_(relay),
      rules_(rules),
      look_([](void* self) { static_cast<RelayCare*>(self)->on_time(); }, this),
      up_(rules.bytes_from_client, proto::WsRole::client),
      down_(rules.bytes_to_client, proto::WsRole::server),
      frames_(rules.frames_per_second, kFramesBurst),
      websocket_(websocket && rules.follows_frames()) {
  up_.heard = up_.taken = down_.heard = down_.taken = relay.world_.clock.now();
}

// --- bytes on their way ---

bool RelayCare::start(Buffer from_client, Buffer from_server) {
  look_by(next_look());
  if (from_server && !from_server.empty()) {
    relay_.server_.received += from_server.size();
    if (!pass_down(from_server.view())) return false;
    from_server.release();
  }
  if (from_client && !from_client.empty()) {
    relay_.client_.received += from_client.size();
    if (!pass_up({from_client.data(), from_client.size()})) return false;
  }
  return true;
}

bool RelayCare::move(Half& from, Half& to) {
  const TimePoint now = relay_.world_.clock.now();
  Way& way = way_from(from);
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (closing_ && (is_client(from) || close_wanted_ == CloseCode::none)) return absorb(from);
    if (from.ended || !to.backlog.empty() || !from.socket.may_read()) return true;
    if (!way.pace.open(now)) {
      look_by(way.pace.opens());
      return true;
    }
    const io::ReadResult read = from.socket.read(way.pace.piece(kReadMax));
    switch (read.state) {
      case io::ReadResult::State::got: break;
      case io::ReadResult::State::would_block: return true;
      case io::ReadResult::State::ended: return ended(from, to);
      case io::ReadResult::State::failed:
        relay_.finish({RelayEnd::How::broken, relay_.side_of(from)});
        return false;
    }
    way.heard = now;
    way.pace.passed(read.bytes.size(), now);
    from.received += read.bytes.size();
    const bool goes_on = is_client(from) ? pass_up(read.bytes) : pass_down(read.view());
    if (!goes_on) return false;
  }
  if (!from.ended && from.socket.may_read()) from.socket.read_again();
  return true;
}

// From the client. What is passed on is moved together where something was taken out of it.
bool RelayCare::pass_up(MutableBytes bytes) {
  if (!websocket_) return put(relay_.server_, {bytes.data(), bytes.size()});
  char held[14 + kPingTokenBytes];  // what was held back before these bytes, and goes on now
  std::size_t held_bytes = 0;
  std::size_t read = 0, kept = 0, frame = 0;
  bool from_before = !up_.walk.at_boundary() || pong_held_;  // the frame began in an earlier piece
  const auto pass = [&](std::size_t begin, std::size_t end) {
    if (begin != kept) std::memmove(bytes.data() + kept, bytes.data() + begin, end - begin);
    kept += end - begin;
  };
  const auto pass_header = [&](Bytes payload_held) {
    if (!from_before) return pass(frame, read);
    const Bytes header = up_.walk.header();
    std::copy_n(payload_held.data(), payload_held.size(), std::copy_n(header.data(), header.size(), held));
    held_bytes = header.size() + payload_held.size();
  };
  CloseCode refused = CloseCode::none;
  while (read < bytes.size() && refused == CloseCode::none) {
    if (up_.walk.at_boundary()) {
      frame = read;
      from_before = false;
    }
    const WsFrameWalk::Step step = up_.walk.step({bytes.data() + read, bytes.size() - read});
    const std::size_t begin = read;
    read += step.bytes;
    switch (step.is) {
      case WsFrameWalk::Is::header_part: break;  // the walk has it
      case WsFrameWalk::Is::refused: refused = CloseCode::protocol_error; break;
      case WsFrameWalk::Is::header:
        refused = judge_frame();
        unbegun_ = refused != CloseCode::none;
        if (unbegun_) break;
        pong_held_ = rules_.ping != Duration() && up_.walk.opcode() == WsOpcode::pong &&
                     up_.walk.length() == kPingTokenBytes;
        pong_have_ = 0;
        if (pong_held_) break;
        if (up_.walk.opcode() == WsOpcode::pong) server_asked_ = kNever;
        pass_header({});
        break;
      case WsFrameWalk::Is::payload:
        if (!pong_held_) {
          pass(begin, read);
          break;
        }
        std::memcpy(pong_.data() + pong_have_, bytes.data() + begin, step.bytes);
        pong_have_ = static_cast<std::uint8_t>(pong_have_ + step.bytes);
        if (pong_have_ < kPingTokenBytes) break;
        pong_held_ = false;
        if (is_our_pong()) break;
        server_asked_ = kNever;
        pass_header({pong_.data(), pong_.size()});
        break;
    }
  }
  const Bytes pieces[] = {{held, held_bytes}, {bytes.data(), kept}};
  if (held_bytes + kept != 0 && !put(relay_.server_, pieces)) return false;
  if (refused == CloseCode::none) return true;
  RelayEnd end{RelayEnd::How::refused, Side::client};
  end.code = proto::number(refused);
  return begin_close(refused, end);
}

bool RelayCare::is_our_pong() const {
  std::array<char, kPingTokenBytes> said = pong_;
  proto::apply_mask(said, up_.walk.mask());
  return said == rules_.token;
}

/// Of the header that has just come from the client.
CloseCode RelayCare::judge_frame() {
  const WsFrameWalk& walk = up_.walk;
  if (rules_.frame_max != 0 && walk.length() > rules_.frame_max) return CloseCode::too_big;
  if (rules_.message_max != 0 && !walk.control() && walk.message_bytes() > rules_.message_max)
    return CloseCode::too_big;
  const TimePoint now = relay_.world_.clock.now();
  if (!frames_.open(now)) return CloseCode::policy;
  frames_.passed(1, now);
  return CloseCode::none;
}

// From the server. Finds the first border between two frames where something of ours can stand.
bool RelayCare::pass_down(Bytes bytes) {
  if (!websocket_) return put(relay_.client_, bytes);
  constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t border = down_.walk.at_boundary() ? 0 : kNone;
  std::size_t read = 0, frame = border;
  while (read < bytes.size()) {
    if (down_.walk.at_boundary()) frame = read;
    const WsFrameWalk::Step step = down_.walk.step(bytes.substr(read));
    if (step.is == WsFrameWalk::Is::refused) break;
    read += step.bytes;
    if (step.is == WsFrameWalk::Is::header && down_.walk.opcode() == WsOpcode::ping)
      server_asked_ = relay_.world_.clock.now();
    if (border == kNone && down_.walk.at_boundary()) border = read;
  }
  if (down_.walk.refused() && close_wanted_ == CloseCode::none) {
    // It says what is no WebSocket, and the client could not be told between two frames but before this one.
    if (frame != kNone && frame != 0 && !put(relay_.client_, bytes.substr(0, frame))) return false;
    RelayEnd end{RelayEnd::How::refused, Side::server};
    end.code = proto::number(CloseCode::protocol_error);
    return begin_close(frame != kNone ? CloseCode::bad_gateway : CloseCode::none, end);
  }
  const bool ours = ping_wanted_ || close_wanted_ != CloseCode::none;
  if (ours && border != kNone) return say_to_client(bytes, border);
  return put(relay_.client_, bytes);
}

/// Puts what is wanted at `border` of `bytes`. Behind a close frame nothing follows.
bool RelayCare::say_to_client(Bytes bytes, std::size_t border) {
  if (close_wanted_ != CloseCode::none) {
    const proto::ControlFrame close = proto::write_close(close_wanted_, {}, std::nullopt);
    close_wanted_ = CloseCode::none;
    const Bytes pieces[] = {bytes.substr(0, border), close.view()};
    if (!put(relay_.client_, pieces)) return false;
    fin(relay_.client_);
    return done();
  }
  ping_wanted_ = false;
  const proto::ControlFrame ping =
      proto::write_control(WsOpcode::ping, {rules_.token.data(), rules_.token.size()}, std::nullopt);
  const Bytes pieces[] = {bytes.substr(0, border), ping.view(), bytes.substr(border)};
  return put(relay_.client_, pieces);
}

/// Writes, and keeps the rest in the backlog, which is empty unless we close.
bool RelayCare::put(Half& to, std::span<const Bytes> pieces) {
  std::size_t taken = 0;
  if (to.backlog.empty()) {
    const io::WriteResult written = to.socket.write(pieces);
    if (written.errnum != 0) {
      relay_.finish({RelayEnd::How::broken, relay_.side_of(to)});
      return false;
    }
    taken = written.taken;
  }
  for (Bytes piece : pieces) {
    const std::size_t gone = std::min(taken, piece.size());
    taken -= gone;
    piece.remove_prefix(gone);
    if (piece.empty()) continue;
    if (!to.backlog || to.backlog.empty()) {
      if (!to.backlog) to.backlog = relay_.world_.buffers.borrow();
      ++relay_.pauses_;
      Way& way = way_to(to);
      way.taken = relay_.world_.clock.now();
      look_by(plus(way.taken, rules_.write_timeout));
    }
    to.backlog.append(piece);
  }
  return true;
}

void RelayCare::progressed(const Half& to) { way_to(to).taken = relay_.world_.clock.now(); }

bool RelayCare::drained(Half& to) {
  Way& way = way_to(to);
  if (way.fin_is_due) {
    way.fin_is_due = false;
    to.socket.shutdown_write();
  }
  if (closing_) return done();
  if (is_client(to) && ping_wanted_ && down_.walk.at_boundary()) return say_to_client({}, 0);
  return true;
}

// --- ends ---

bool RelayCare::ended(Half& from, Half& to) {
  from.ended = true;
  if (relay_.first_ended_ == Side::ours) relay_.first_ended_ = relay_.side_of(from);
  if (to.ended || (is_client(from) && relay_.rules_.client_fin == ClientFin::ends_both)) {
    relay_.finish({RelayEnd::How::finished, relay_.first_ended_});
    return false;
  }
  to.socket.shutdown_write();  // nothing of ours is waiting for it: its backlog is empty
  half_closed_ = relay_.world_.clock.now();
  look_by(plus(half_closed_, rules_.half_closed_timeout));
  return true;
}

/// While closing: what still comes is thrown away.
bool RelayCare::absorb(Half& from) {
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (from.ended || !from.socket.may_read()) return done();
    const io::ReadResult read = from.socket.read();
    if (read.state == io::ReadResult::State::would_block) return done();
    if (!read.got()) from.ended = true;
  }
  if (!from.ended && from.socket.may_read()) from.socket.read_again();
  return done();
}

void RelayCare::fin(Half& to) {
  if (to.backlog.empty()) {
    to.socket.shutdown_write();
  } else {
    way_to(to).fin_is_due = true;
  }
}

bool RelayCare::close(CloseCode code, RelayEnd end, bool& possible) {
  possible = may_close();
  return possible ? begin_close(code, end) : true;
}

// CloseCode::none for the client: it is gone, or cannot be told any more, and is reset.
bool RelayCare::begin_close(CloseCode to_client, RelayEnd end) {
  closing_ = true;
  end_ = end;
  ping_wanted_ = false;
  deadline_ = relay_.world_.clock.now() + Duration(kCareCloseS);
  look_by(deadline_);
  Half& client = relay_.client_;
  Half& server = relay_.server_;
  if (!client.ended) {  // else the server has had its FIN
    // A frame whose header is held back, or is refused, has not begun for the server.
    const bool between = websocket_ && (!up_.walk.in_payload() || pong_held_ || unbegun_);
    if (between) {
      const proto::ControlFrame close =
          proto::write_close(end.side == Side::server ? CloseCode::protocol_error : CloseCode::going_away, {},
                             proto::make_mask_key(relay_.world_.random));
      if (!put(server, close.view())) return false;
    }
    fin(server);
  }
  if (to_client == CloseCode::none) {
    client.socket.reset();
    client.backlog.release();
    client.ended = true;
    return done();
  }
  if (!server.ended) {  // else the client has had its FIN
    // (A server's frame that is refused has not begun for the client either: the walk stands before it.)
    if (!down_.walk.at_boundary() && !down_.walk.refused()) {
      close_wanted_ = to_client;
      return true;
    }
    const proto::ControlFrame close = proto::write_close(to_client, {}, std::nullopt);
    if (!put(client, close.view())) return false;
    fin(client);
  }
  return done();
}

/// While closing: whether there is something to wait for yet.
bool RelayCare::done() {
  const bool both = relay_.client_.ended && relay_.server_.ended && relay_.client_.backlog.empty() &&
                    relay_.server_.backlog.empty();
  if (!both) return true;
  relay_.finish(end_);
  return false;
}

// --- time ---

// As the relay's own timer it is not moved by every message: it looks when it fires.
void RelayCare::on_time() {
  look_at_ = kNever;
  const TimePoint now = relay_.world_.clock.now();
  if (closing_) {
    if (now >= deadline_) return relay_.finish(end_);
  } else {
    if (!on_silence(now)) return;
    if (websocket_ && rules_.ping != Duration() && !on_ping(now)) return;
  }
  if (!on_pace(now)) return;
  look_by(next_look());
}

bool RelayCare::on_pace(TimePoint now) {
  if (up_.pace.bounded() && up_.pace.open(now) && !relay_.client_.ended &&
      !move(relay_.client_, relay_.server_))
    return false;
  return !down_.pace.bounded() || !down_.pace.open(now) || relay_.server_.ended ||
         move(relay_.server_, relay_.client_);
}

bool RelayCare::on_silence(TimePoint now) {
  const auto late = [now](TimePoint from, Duration time) { return plus(from, time) <= now; };
  RelayEnd end{RelayEnd::How::silent, Side::client};
  if (!relay_.client_.backlog.empty() && late(down_.taken, rules_.write_timeout)) {
    end.how = RelayEnd::How::stalled;
  } else if (!relay_.server_.backlog.empty() && late(up_.taken, rules_.write_timeout)) {
    end = {RelayEnd::How::stalled, Side::server};
  } else if (!relay_.client_.ended && late(up_.heard, rules_.client_timeout)) {
    end.side = Side::client;
  } else if ((!relay_.server_.ended && late(down_.heard, rules_.server_timeout)) ||
             (relay_.client_.ended && late(half_closed_, rules_.half_closed_timeout))) {
    end.side = Side::server;
  } else if (!late(half_closed_, rules_.half_closed_timeout)) {
    return true;
  }
  relay_.finish(end);
  return false;
}

bool RelayCare::on_ping(TimePoint now) {
  if (asked_ != kNever && sign_of_client() > asked_) {
    asked_ = kNever;
    ping_wanted_ = false;
  }
  if (asked_ != kNever && asked_ + rules_.pong_timeout <= now)
    return begin_close(CloseCode::none, {RelayEnd::How::dead, Side::client});
  if (asked_ == kNever && sign_of_client() + rules_.ping <= now) {
    asked_ = now;
    return ask();
  }
  return true;
}

bool RelayCare::ask() {
  if (server_asked_ != kNever) return true;  // the client has to answer that one
  if (relay_.server_.ended) return true;     // nothing can be said behind a FIN; the client still has to
  if (!relay_.client_.backlog.empty() || !down_.walk.at_boundary()) {
    ping_wanted_ = true;
    return true;
  }
  return say_to_client({}, 0);
}

TimePoint RelayCare::next_look() const {
  if (closing_) return deadline_;
  TimePoint next = std::min(plus(up_.heard, rules_.client_timeout), plus(down_.heard, rules_.server_timeout));
  next = std::min(next, plus(half_closed_, rules_.half_closed_timeout));
  if (!relay_.client_.backlog.empty()) next = std::min(next, plus(down_.taken, rules_.write_timeout));
  if (!relay_.server_.backlog.empty()) next = std::min(next, plus(up_.taken, rules_.write_timeout));
  const TimePoint now = relay_.world_.clock.now();
  for (const Way* way : {&up_, &down_}) {
    if (!way->pace.open(now)) next = std::min(next, way->pace.opens());
  }
  if (websocket_ && rules_.ping != Duration()) {
    next = std::min(next, asked_ == kNever ? sign_of_client() + rules_.ping : asked_ + rules_.pong_timeout);
  }
  return next;
}

void RelayCare::look_by(TimePoint when) {
  if (when >= look_at_) return;
  look_at_ = when;
  relay_.world_.timers.arm(look_, when);
}

}  // namespace rejoin::upstream
