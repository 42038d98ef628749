// What the load generator's clients say and check: plain echo, greeted, rejoin.v1 and Socket.IO, over
// WebSocket frames or behind a 4-byte length.
#include <algorithm>

#include "load_links.h"

namespace bench {
namespace {

constexpr std::size_t head_room = 14;               // the longest head of a frame
constexpr std::size_t message_extra_max = 4096;     // of a WELCOME, a greeting, another framing
constexpr std::uint32_t acknowledge_messages = 32;  // spec/resume.md 9.1
constexpr std::size_t rejoin_head_bytes = 10;
constexpr unsigned char text_frame = 0x81;
constexpr unsigned char binary_frame = 0x82;
constexpr unsigned char close_frame = 0x88;
constexpr unsigned char ping_frame = 0x89;
constexpr unsigned char pong_frame = 0x8a;

std::string_view text_between(std::string_view text, std::string_view before, char after) {
  const auto from = text.find(before);
  if (from == std::string_view::npos) return {};
  text.remove_prefix(from + before.size());
  return text.substr(0, text.find(after));
}

}  // namespace

std::uint64_t Links::next_random() {  // xorshift64: masks and keys need be different, not secret
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  return random_ ^= random_ << 17;
}

// ---- out -------------------------------------------------------------------------------------------------

/// Room for a payload, valid until the next call.
unsigned char* Links::payload_room(std::size_t size) {
  if (frame_.size() < head_room + size) frame_.resize(head_room + size);
  return frame_.data() + head_room;
}

/// Sends what stands in payload_room, with its head before it; `first` is of a WebSocket frame.
void Links::send_payload(Link& link, unsigned char first, std::size_t size) {
  auto* payload = frame_.data() + head_room;
  unsigned char head[head_room];
  std::size_t head_size = 4;
  if (options_.transport == Transport::tcp) {
    for (unsigned i = 0; i < 4; ++i) head[i] = static_cast<unsigned char>(size >> (24 - 8 * i));
  } else {
    const auto mask = static_cast<std::uint32_t>(next_random());
    head_size = write_frame_head(head, first, size, &mask);
    copy_masked(payload, payload, size, mask);
  }
  std::memcpy(payload - head_size, head, head_size);
  put(link, payload - head_size, head_size + size);
}

void Links::send_control(Link& link, std::string_view payload) {
  std::memcpy(payload_room(payload.size()), payload.data(), payload.size());
  send_payload(link, options_.speaks == Speaks::socketio ? text_frame : binary_frame, payload.size());
}

void Links::say(Link& link, unsigned char kind, std::uint64_t due_ns) {
  const Stamp stamp{kind, link.slot, kind == message_echo ? ++link.said : ++link.broadcasts_said, due_ns};
  if (options_.speaks == Speaks::socketio) {
    // 42["e","..."]: a message of Engine.IO, an event of Socket.IO
    constexpr std::size_t before = 8;
    auto* to = payload_room(before + options_.bytes + 2);
    std::memcpy(to, kind == message_echo ? "42[\"e\",\"" : "42[\"b\",\"", before);
    unsigned char raw[stamp_bytes];
    write_stamp(raw, stamp);
    spell(to + before, raw, stamp_bytes);
    std::memset(to + before + 2 * stamp_bytes, message_filler, options_.bytes - 2 * stamp_bytes);
    std::memcpy(to + before + options_.bytes, "\"]", 2);
    return send_payload(link, text_frame, before + options_.bytes + 2);
  }
  std::size_t before = 0;
  auto* to = payload_room(rejoin_head_bytes + options_.bytes);
  if (options_.speaks == Speaks::rejoin) {
    Session& session = link.player->session;
    write_frame_start(to, 0x10, static_cast<std::uint32_t>(++session.sent),
                      static_cast<std::uint32_t>(session.received));
    link.not_acknowledged = 0;
    before = rejoin_head_bytes;
  }
  write_stamp(to + before, stamp);
  std::memset(to + before + stamp_bytes, message_filler, options_.bytes - stamp_bytes);
  send_payload(link, binary_frame, before + options_.bytes);
}

void Links::acknowledge(Link& link) {
  if (options_.speaks != Speaks::rejoin) return;
  link.not_acknowledged = 0;
  send_control(link, frame_head(0x11, 0, static_cast<std::uint32_t>(link.player->session.received)));
}

void Links::leave(Link& link) {
  if (link.admitted && options_.speaks == Speaks::rejoin) {
    std::string close = frame_head(0x14, 0, static_cast<std::uint32_t>(link.player->session.received));
    close.append("\x03\xe8\0\0", 4);  // 1000, and no reason
    send_control(link, close);
  } else if (link.admitted && options_.speaks == Speaks::socketio) {
    send_control(link, "41");
  }
  end(link, End::fin);
}

// ---- the beginning of a speech ---------------------------------------------------------------------------

void Links::begin_speech(Link& link, std::uint64_t now) {
  link.phase = Phase::open;
  if (options_.speaks == Speaks::echo) return admit(link, now);
  if (options_.speaks != Speaks::rejoin) return;
  Session& session = link.player->session;
  if (session.ticket.empty()) return send_control(link, hello_frame());
  // Over WebSocket it stood in the handshake.
  if (options_.transport == Transport::tcp) send_control(link, resume_frame(session));
}

void Links::admit(Link& link, std::uint64_t now) {
  link.admitted = true;
  listener_->on_open(link, now);
}

// ---- in --------------------------------------------------------------------------------------------------

/// Returns how many bytes were whole messages. The link may be another, or none, when it returns.
std::size_t Links::take_messages(Link& link, const unsigned char* bytes, std::size_t size,
                                 std::uint64_t now) {
  const auto life = link.life;
  std::size_t used = 0;
  while (link.phase == Phase::open && link.life == life) {
    FrameHead head;
    head.first = binary_frame;
    if (options_.transport == Transport::tcp) {
      if (size - used < 4) return used;
      for (unsigned i = 0; i < 4; ++i) head.payload_size = head.payload_size << 8 | bytes[used + i];
      head.head_size = 4;
    } else if (!read_frame_head(bytes + used, size - used, head)) {
      return used;
    }
    const auto payload_size = static_cast<std::size_t>(head.payload_size);
    if (head.masked || payload_size > options_.bytes + message_extra_max)
      return fail(link, "not the frame of an echo"), size;
    if (size - used < head.head_size + payload_size) return used;
    const std::string_view payload(reinterpret_cast<const char*>(bytes) + used + head.head_size,
                                   payload_size);
    used += head.head_size + payload_size;
    take_payload(link, head.first, payload, now);
  }
  return size;
}

void Links::take_payload(Link& link, unsigned char first, std::string_view payload, std::uint64_t now) {
  if (first == close_frame) return fail(link, "closed by the other side, with a close frame");
  if (first == ping_frame) {
    std::memcpy(payload_room(payload.size()), payload.data(), payload.size());
    return send_payload(link, pong_frame, payload.size());
  }
  switch (options_.speaks) {
    case Speaks::echo: return take_message(link, payload, now);
    case Speaks::greeted: return link.admitted ? take_message(link, payload, now) : admit(link, now);
    case Speaks::socketio: return take_socketio(link, payload, now);
    case Speaks::rejoin: return take_rejoin(link, first, payload, now);
  }
}

void Links::take_message(Link& link, std::string_view message, std::uint64_t now) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  const bool spelt = options_.speaks == Speaks::socketio;
  const std::size_t before = spelt ? 2 * stamp_bytes : stamp_bytes;
  if (message.size() != options_.bytes) return fail(link, "a message of another length");
  unsigned char raw[stamp_bytes];
  if (spelt) unspell(raw, bytes, stamp_bytes);
  Stamp stamp;
  if (!read_stamp(spelt ? raw : bytes, stamp) ||
      std::memcmp(bytes + before, filler_.data(), message.size() - before) != 0)
    return fail(link, "a message with other bytes");
  if (stamp.kind == message_echo) {
    // Echoes come in the order in which they were said, each once.
    if (stamp.link != link.slot || stamp.sequence != ++link.heard)
      return fail(link, "a message that is lost, doubled or another's");
  } else if (stamp.sequence <= link.broadcasts) {
    return fail(link, "a broadcast that came twice or out of order");
  } else {
    link.broadcasts = stamp.sequence;
  }
  listener_->on_message(link, stamp, now);
}

/// Engine.IO 4 in text frames: 0 open, 2 ping, 4 message; Socket.IO in its messages: 40 connect, 42 event.
/// With connection state recovery each event ends with an offset, and a CONNECT that names session and offset
/// asks for the session; a server that has it answers with the same pid.
void Links::take_socketio(Link& link, std::string_view payload, std::uint64_t now) {
  Player& player = *link.player;
  if (payload.starts_with("0")) {
    if (player.pid.empty()) return send_control(link, "40");
    return send_control(link, "40{\"pid\":\"" + player.pid + "\",\"offset\":\"" + player.offset + "\"}");
  }
  if (payload.starts_with("2")) return send_control(link, "3");
  if (payload.starts_with("40")) {
    const auto pid = text_between(payload, "\"pid\":\"", '"');
    if (!player.pid.empty() && pid != player.pid) return fail(link, "Socket.IO did not recover the session");
    player.pid = pid;
    return admit(link, now);
  }
  if (!payload.starts_with("42[\"e\",\"") && !payload.starts_with("42[\"b\",\""))
    return fail(link, "not of Socket.IO: " + std::string(payload.substr(0, 60)));
  payload.remove_prefix(8);
  const auto message = payload.substr(0, payload.find('"'));
  const auto offset = text_between(payload.substr(message.size()), ",\"", '"');
  if (!offset.empty()) player.offset.assign(offset);
  take_message(link, message, now);
}

void Links::take_rejoin(Link& link, unsigned char first, std::string_view payload, std::uint64_t now) {
  Session& session = link.player->session;
  if (first != binary_frame || payload.size() < rejoin_head_bytes)
    return fail(link, "not a frame of rejoin.v1");
  switch (payload[0]) {
    case 0x02: {  // WELCOME: version, secret, ticket
      session.secret = payload.substr(11, 32);
      const auto size = static_cast<std::size_t>(static_cast<unsigned char>(payload[43])) << 8 |
                        static_cast<unsigned char>(payload[44]);
      session.ticket = payload.substr(45, size);
      return send_control(link, frame_head(0x11, 0, 0));
    }
    case 0x04:  // RESUMED
      send_control(link, frame_head(0x11, 0, static_cast<std::uint32_t>(session.received)));
      return admit(link, now);
    case 0x10: {
      ++session.received;
      ++link.not_acknowledged;
      if (!link.admitted) return admit(link, now);  // the greeting
      const auto life = link.life;
      take_message(link, payload.substr(rejoin_head_bytes), now);
      if (link.life == life && link.not_acknowledged >= acknowledge_messages) acknowledge(link);
      return;
    }
    case 0x11: return;
    case 0x12: {
      std::string pong = frame_head(0x13, 0, static_cast<std::uint32_t>(session.received));
      pong += payload.substr(rejoin_head_bytes);
      return send_control(link, pong);
    }
    default: return fail(link, "refused, type " + std::to_string(static_cast<unsigned char>(payload[0])));
  }
}

}  // namespace bench
