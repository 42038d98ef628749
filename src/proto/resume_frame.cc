#include "proto/resume_frame.h"

#include <algorithm>
#include <cassert>
#include <concepts>

#include "proto/utf8.h"

namespace rejoin::proto {
namespace {

constexpr std::size_t kByteStringMax = 65535;
constexpr std::size_t kAddressesMax = 255;
constexpr std::size_t kProofBytes = ResumeProof{}.size();

/// Takes fields from the front of a body. The first one that is not there makes it fail for good, so that a
/// parser may read all its fields and ask once.
class Fields {
 public:
  explicit Fields(Bytes body) : rest_(body) {}

  template <std::unsigned_integral Number>
  Number number() {
    const Bytes bytes = take(sizeof(Number));
    if (bytes.empty()) return 0;
    if constexpr (sizeof(Number) == 1) return static_cast<unsigned char>(bytes.front());
    if constexpr (sizeof(Number) == 2) return load_u16(bytes.data());
    if constexpr (sizeof(Number) == 4) return load_u32(bytes.data());
    if constexpr (sizeof(Number) == 8) return load_u64(bytes.data());
  }
  Bytes byte_string() { return take(number<std::uint16_t>()); }
  template <std::size_t kCount>
  std::array<char, kCount> array() {
    std::array<char, kCount> out{};
    const Bytes bytes = take(kCount);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }

  bool ok() const { return ok_; }

 private:
  Bytes take(std::size_t count) {
    if (!ok_ || rest_.size() < count) {
      ok_ = false;
      return {};
    }
    const Bytes taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  Bytes rest_;
  bool ok_ = true;
};

/// Appends the fields of a body.
struct Writer {
  std::string& out;

  void u8(std::uint8_t value) { out += static_cast<char>(value); }
  void u16(std::uint16_t value) { store_u16(grow(2), value); }
  void u32(std::uint32_t value) { store_u32(grow(4), value); }
  void u64(std::uint64_t value) { store_u64(grow(8), value); }
  void bytes(Bytes value) { out += value; }
  void byte_string(Bytes value) {
    assert(value.size() <= kByteStringMax);
    u16(static_cast<std::uint16_t>(value.size()));
    bytes(value);
  }
  template <std::size_t kCount>
  void array(const std::array<char, kCount>& value) {
    bytes({value.data(), value.size()});
  }

 private:
  char* grow(std::size_t count) {
    out.resize(out.size() + count);
    return out.data() + out.size() - count;
  }
};

Writer begin(std::string& out, const FrameHead& head) {
  const FrameHeadBytes bytes = write_frame_head(head);
  out.append(bytes.data(), bytes.size());
  return {out};
}

Writer begin(std::string& out, FrameType type, std::uint64_t ack) {
  return begin(out, {static_cast<std::uint8_t>(type), 0, 0, static_cast<std::uint32_t>(ack)});
}

/// A reason is for people, so it costs nobody a link: what is too long is cut, what is no UTF-8 is dropped.
/// Read and written alike, since it goes on into logs and into WebSocket close frames, which must be UTF-8.
Bytes reason_of(Bytes reason) {
  const Bytes cut = reason.substr(0, utf8_cut(reason, limits::kReasonBytesMax));
  return is_utf8(cut) ? cut : Bytes{};
}

std::string_view name_of(std::uint8_t type) {
  switch (static_cast<FrameType>(type)) {
    case FrameType::hello: return "HELLO";
    case FrameType::welcome: return "WELCOME";
    case FrameType::resume: return "RESUME";
    case FrameType::resumed: return "RESUMED";
    case FrameType::ticket: return "TICKET";
    case FrameType::detach: return "DETACH";
    case FrameType::data: return "DATA";
    case FrameType::ack: return "ACK";
    case FrameType::ping: return "PING";
    case FrameType::pong: return "PONG";
    case FrameType::close: return "CLOSE";
  }
  return {};
}

}  // namespace

std::string frame_name(std::uint8_t type) {
  const std::string_view name = name_of(type);
  if (!name.empty()) return std::string(name);
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'0', 'x', kDigits[type >> 4], kDigits[type & 15]};
}

std::optional<FrameView> parse_frame(Bytes frame) {
  if (frame.size() < FrameHead::kBytes) return std::nullopt;
  FrameView view;
  view.head.type = static_cast<std::uint8_t>(frame[0]);
  view.head.flags = static_cast<std::uint8_t>(frame[1]);
  view.head.seq = load_u32(frame.data() + 2);
  view.head.ack = load_u32(frame.data() + 6);
  view.body = frame.substr(FrameHead::kBytes);
  if (!view.unknown_kind() && name_of(view.head.type).empty()) return std::nullopt;
  return view;
}

FrameHeadBytes write_frame_head(const FrameHead& head) {
  FrameHeadBytes bytes;
  bytes[0] = static_cast<char>(head.type);
  bytes[1] = static_cast<char>(head.flags);
  store_u32(bytes.data() + 2, head.seq);
  store_u32(bytes.data() + 6, head.ack);
  return bytes;
}

std::optional<Hello> parse_hello(Bytes body) {
  if (body.size() > limits::kHelloBytesMax - FrameHead::kBytes) return std::nullopt;
  Fields fields(body);
  Hello hello;
  hello.version = fields.number<std::uint8_t>();
  hello.identity = fields.byte_string();
  hello.application = fields.byte_string();
  if (!fields.ok()) return std::nullopt;
  return hello;
}

std::optional<Welcome> parse_welcome(Bytes body) {
  Fields fields(body);
  Welcome welcome;
  welcome.version = fields.number<std::uint8_t>();
  welcome.secret = fields.array<SessionSecret{}.size()>();
  welcome.ticket = fields.byte_string();
  welcome.grace_ms = fields.number<std::uint32_t>();
  welcome.ping_ms = fields.number<std::uint32_t>();
  welcome.dead_ms = fields.number<std::uint32_t>();
  welcome.window_bytes = fields.number<std::uint32_t>();
  welcome.window_messages = fields.number<std::uint32_t>();
  welcome.spread_ms = fields.number<std::uint32_t>();
  const std::size_t addresses = fields.number<std::uint8_t>();
  for (std::size_t i = 0; i < addresses && fields.ok(); ++i)
    welcome.addresses.push_back(fields.byte_string());
  if (!fields.ok()) return std::nullopt;
  return welcome;
}

std::optional<Resume> parse_resume(Bytes frame) {
  if (frame.size() > limits::kResumeBytesMax) return std::nullopt;
  const auto view = parse_frame(frame);
  if (!view || !view->head.is(FrameType::resume) || view->body.size() < kProofBytes) return std::nullopt;
  Resume resume;
  resume.proven = frame.substr(0, frame.size() - kProofBytes);
  // The fields end before the proof, which stands last whatever a later version puts between them.
  Fields fields(resume.proven.substr(FrameHead::kBytes));
  resume.ticket = fields.byte_string();
  resume.epoch = fields.number<std::uint32_t>();
  resume.received = fields.number<std::uint64_t>();
  if (!fields.ok()) return std::nullopt;
  resume.proof = Fields(frame.substr(resume.proven.size())).array<kProofBytes>();
  return resume;
}

std::optional<Resumed> parse_resumed(Bytes body) {
  Fields fields(body);
  Resumed resumed;
  resumed.received = fields.number<std::uint64_t>();
  resumed.next = fields.number<std::uint64_t>();
  resumed.last = fields.number<std::uint64_t>();
  // `next` - 1 is a count, and of messages that were sent.
  if (!fields.ok() || resumed.next == 0 || resumed.next - 1 > resumed.last) return std::nullopt;
  return resumed;
}

std::optional<Bytes> parse_ticket(Bytes body) {
  Fields fields(body);
  const Bytes ticket = fields.byte_string();
  if (!fields.ok()) return std::nullopt;
  return ticket;
}

std::optional<Detach> parse_detach(Bytes body) {
  Fields fields(body);
  Detach detach;
  detach.code = fields.number<std::uint16_t>();
  const auto action = fields.number<std::uint8_t>();
  detach.wait_ms = fields.number<std::uint32_t>();
  detach.epoch = fields.number<std::uint32_t>();
  detach.address = fields.byte_string();
  detach.reason = reason_of(fields.byte_string());
  if (!fields.ok() || action > static_cast<std::uint8_t>(DetachAction::stop)) return std::nullopt;
  detach.action = static_cast<DetachAction>(action);
  return detach;
}

std::optional<std::uint64_t> parse_ping(Bytes body) {
  Fields fields(body);
  const auto number = fields.number<std::uint64_t>();
  if (!fields.ok()) return std::nullopt;
  return number;
}

std::optional<Close> parse_close(Bytes body) {
  Fields fields(body);
  Close close;
  close.code = fields.number<std::uint16_t>();
  close.reason = reason_of(fields.byte_string());
  if (!fields.ok()) return std::nullopt;
  return close;
}

void append_hello(std::string& out, const Hello& hello) {
  Writer writer = begin(out, FrameType::hello, 0);
  writer.u8(hello.version);
  writer.byte_string(hello.identity);
  writer.byte_string(hello.application);
}

void append_welcome(std::string& out, const Welcome& welcome, std::uint64_t ack) {
  Writer writer = begin(out, FrameType::welcome, ack);
  writer.u8(welcome.version);
  writer.array(welcome.secret);
  writer.byte_string(welcome.ticket);
  writer.u32(welcome.grace_ms);
  writer.u32(welcome.ping_ms);
  writer.u32(welcome.dead_ms);
  writer.u32(welcome.window_bytes);
  writer.u32(welcome.window_messages);
  writer.u32(welcome.spread_ms);
  const std::size_t addresses = std::min(welcome.addresses.size(), kAddressesMax);
  writer.u8(static_cast<std::uint8_t>(addresses));
  for (std::size_t i = 0; i < addresses; ++i) writer.byte_string(welcome.addresses[i]);
}

void append_resume(std::string& out, const Resume& resume, const SessionSecret& secret) {
  const std::size_t at = out.size();
  Writer writer = begin(out, FrameType::resume, 0);
  writer.byte_string(resume.ticket);
  writer.u32(resume.epoch);
  writer.u64(resume.received);
  writer.array(resume_proof(secret, Bytes(out).substr(at)));
}

void append_resumed(std::string& out, const Resumed& resumed, std::uint64_t ack) {
  Writer writer = begin(out, FrameType::resumed, ack);
  writer.u64(resumed.received);
  writer.u64(resumed.next);
  writer.u64(resumed.last);
}

void append_ticket(std::string& out, Bytes ticket, std::uint64_t ack) {
  begin(out, FrameType::ticket, ack).byte_string(ticket);
}

void append_detach(std::string& out, const Detach& detach, std::uint64_t ack) {
  Writer writer = begin(out, FrameType::detach, ack);
  writer.u16(detach.code);
  writer.u8(static_cast<std::uint8_t>(detach.action));
  writer.u32(detach.wait_ms);
  writer.u32(detach.epoch);
  writer.byte_string(detach.address);
  writer.byte_string(reason_of(detach.reason));
}

void append_data(std::string& out, bool text, std::uint64_t seq, std::uint64_t ack, Bytes message) {
  const FrameHeadBytes head = data_head(text, seq, ack);
  out.append(head.data(), head.size());
  out += message;
}

void append_ack(std::string& out, std::uint64_t ack) { begin(out, FrameType::ack, ack); }

void append_ping(std::string& out, FrameType ping_or_pong, std::uint64_t number, std::uint64_t ack) {
  assert(ping_or_pong == FrameType::ping || ping_or_pong == FrameType::pong);
  begin(out, ping_or_pong, ack).u64(number);
}

void append_close(std::string& out, const Close& close, std::uint64_t ack) {
  Writer writer = begin(out, FrameType::close, ack);
  writer.u16(close.code);
  writer.byte_string(reason_of(close.reason));
}

std::string_view to_string(LinkCode code) {
  switch (code) {
    case LinkCode::normal: return "normal end (1000)";
    case LinkCode::going_away: return "going away (1001)";
    case LinkCode::restart: return "restart (1012)";
    case LinkCode::bad_frame: return "bad frame (4400)";
    case LinkCode::login_needed: return "login needed (4401)";
    case LinkCode::owner_unreachable: return "owner not reachable (4404)";
    case LinkCode::version: return "version not spoken (4406)";
    case LinkCode::silent: return "silent (4408)";
    case LinkCode::replaced: return "replaced (4409)";
    case LinkCode::session_ended: return "session ended (4410)";
    case LinkCode::game_server_gone: return "game server gone (4411)";
    case LinkCode::epoch_used: return "epoch used (4412)";
    case LinkCode::over_limit: return "over a limit (4413)";
    case LinkCode::too_fast: return "too fast (4429)";
  }
  return "unknown code";
}

}  // namespace rejoin::proto
