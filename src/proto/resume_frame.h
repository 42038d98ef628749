// Frames of the resume protocol, rejoin.v1 (spec/resume.md). The same frame travels in one binary WebSocket
// message, or on TCP behind a 4-byte length.
//
//   type u8 | flags u8 | seq u32 | ack u32 | body          big-endian; times u32 ms
//   a byte string has a u16 length before it, a list a u8 count
//
// Place: between whole messages (ws_message.h) and session/. Pure; gateway, clients and balancer use it. What
// parse_*() returns lies in the bytes that it was given. A reader skips what it does not know: bytes behind
// the known fields (in RESUME: before the proof), flags, and types from 0x20 on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace rejoin::proto {

inline constexpr std::uint8_t kResumeVersion = 1;
/// The WebSocket sub-protocol, and what stands before a RESUME in the list of sub-protocols.
inline constexpr std::string_view kResumeProtocol = "rejoin.v1";
inline constexpr std::string_view kResumeItemPrefix = "rejoin.v1.resume.";
/// The ticket alone, for a balancer: request header, and cookie.
inline constexpr std::string_view kTicketHeader = "Rejoin-Ticket";
inline constexpr std::string_view kTicketCookie = "REJOIN-TICKET";

enum class FrameType : std::uint8_t {
  hello = 0x01,
  welcome = 0x02,
  resume = 0x03,
  resumed = 0x04,
  ticket = 0x05,
  detach = 0x06,
  data = 0x10,
  ack = 0x11,
  ping = 0x12,
  pong = 0x13,
  close = 0x14,
};
/// "HELLO"; "0x21" for a type that has no name.
std::string frame_name(std::uint8_t type);

/// DATA: the message is text, checked to be UTF-8.
inline constexpr std::uint8_t kFlagText = 0x01;

struct FrameHead {
  static constexpr std::size_t kBytes = 10;
  std::uint8_t type = 0;  // as it came; FrameType where it has a name
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;  // low 32 bits of the count; 0 in all but DATA
  std::uint32_t ack = 0;

  bool is(FrameType t) const { return type == static_cast<std::uint8_t>(t); }
  bool operator==(const FrameHead&) const = default;
};

struct FrameView {
  FrameHead head;
  Bytes body;
  /// From 0x20 on: not ours to judge, to be skipped (its ack counts).
  bool unknown_kind() const { return head.type >= 0x20; }
};

/// Nothing: shorter than a head, or a type below 0x20 that has no name. Such is a bad frame (4400).
std::optional<FrameView> parse_frame(Bytes frame);

using FrameHeadBytes = std::array<char, FrameHead::kBytes>;
FrameHeadBytes write_frame_head(const FrameHead& head);
inline FrameHeadBytes data_head(bool text, std::uint64_t seq, std::uint64_t ack) {
  return write_frame_head({static_cast<std::uint8_t>(FrameType::data), text ? kFlagText : std::uint8_t{0},
                           static_cast<std::uint32_t>(seq), static_cast<std::uint32_t>(ack)});
}

/// K: what a session's two ends share and no link but the first ever carries.
using SessionSecret = std::array<char, 32>;
using ResumeProof = std::array<char, 32>;

struct Hello {
  std::uint8_t version = kResumeVersion;  // the highest that the client speaks
  Bytes identity;
  Bytes application;
};
struct Welcome {
  std::uint8_t version = kResumeVersion;
  SessionSecret secret{};
  Bytes ticket;
  std::uint32_t grace_ms = 0, ping_ms = 0, dead_ms = 0;
  std::uint32_t window_bytes = 0, window_messages = 0;
  std::uint32_t spread_ms = 0;
  std::vector<Bytes> addresses;  // URLs; the writer tells the first 255
};
struct Resume {
  Bytes ticket;
  std::uint32_t epoch = 0;
  std::uint64_t received = 0;  // the gateway's DATA that the client has
  ResumeProof proof{};
  Bytes proven;  // parse only: every byte of the frame before the proof
};
struct Resumed {
  std::uint64_t received = 0;  // the client's DATA that the gateway has
  std::uint64_t next = 0;      // the first DATA to come
  std::uint64_t last = 0;      // the last one sent so far
  bool operator==(const Resumed&) const = default;
};
enum class DetachAction : std::uint8_t {
  move = 0,   // the link serves on: dial beside it within `wait`
  again = 1,  // RESUME after `wait`, at `address` if one is given
  login = 2,  // the session is gone: HELLO
  stop = 3,   // do not come back of yourself
};
struct Detach {
  std::uint16_t code = 0;
  DetachAction action = DetachAction::again;
  std::uint32_t wait_ms = 0;
  std::uint32_t epoch = 0;
  Bytes address;  // a URL; empty: none
  Bytes reason;   // for people. Written and read alike: at most limits::kReasonBytesMax of it, ending at a
                  // character's border, and nothing of one that is no UTF-8
};
/// Of the session, not only of the link.
struct Close {
  std::uint16_t code = 0;
  Bytes reason;  // as in Detach
};

// Each takes a frame's body, and says nothing when fields are missing or out of their range: a bad frame
// (4400). Out of range are an action above 3, a RESUMED whose `next` is 0 or above `last` + 1, a HELLO or
// RESUME above its limit (limits::kHelloBytesMax, kResumeBytesMax, of the whole frame). parse_resume takes
// the whole frame, since the proof covers its head; it does not look at the proof. A DATA's body is the
// message, and its reader checks that a text one is UTF-8.
std::optional<Hello> parse_hello(Bytes body);
std::optional<Welcome> parse_welcome(Bytes body);
std::optional<Resume> parse_resume(Bytes frame);
std::optional<Resumed> parse_resumed(Bytes body);
std::optional<Bytes> parse_ticket(Bytes body);
std::optional<Detach> parse_detach(Bytes body);
std::optional<std::uint64_t> parse_ping(Bytes body);  // and PONG
std::optional<Close> parse_close(Bytes body);

// Each appends one whole frame to `out`. Byte strings beyond 65,535 bytes are a bug of the caller (asserted).
void append_hello(std::string& out, const Hello& hello);
void append_welcome(std::string& out, const Welcome& welcome, std::uint64_t ack = 0);
void append_resumed(std::string& out, const Resumed& resumed, std::uint64_t ack);
void append_ticket(std::string& out, Bytes ticket, std::uint64_t ack);
void append_detach(std::string& out, const Detach& detach, std::uint64_t ack);
void append_data(std::string& out, bool text, std::uint64_t seq, std::uint64_t ack, Bytes message);
void append_ack(std::string& out, std::uint64_t ack);
void append_ping(std::string& out, FrameType ping_or_pong, std::uint64_t number, std::uint64_t ack);
void append_close(std::string& out, const Close& close, std::uint64_t ack);
/// `resume.proof` and `.proven` are not read: the proof is computed with `secret`.
void append_resume(std::string& out, const Resume& resume, const SessionSecret& secret);

// In resume_proof.cc:
/// HMAC-SHA256(secret, "rejoin.v1 resume" | proven) (RFC 2104). 1.2 us. Any thread.
ResumeProof resume_proof(const SessionSecret& secret, Bytes proven);
/// In constant time.
bool proof_holds(const Resume& resume, const SessionSecret& secret);

/// "rejoin.v1.resume.<base64url>" for the sub-protocol list, or nothing where it would exceed
/// limits::kResumeItemBytesMax: then RESUME is the first message.
std::optional<std::string> resume_item(Bytes resume_frame);
/// The RESUME in an item of the sub-protocol list. Nothing for another item, or one that is no base64url.
std::optional<std::string> resume_in_item(Bytes item);

/// Codes in DETACH and CLOSE, and of the WebSocket's close frame.
enum class LinkCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  restart = 1012,
  bad_frame = 4400,
  login_needed = 4401,
  owner_unreachable = 4404,
  version = 4406,
  silent = 4408,
  replaced = 4409,
  session_ended = 4410,
  game_server_gone = 4411,
  epoch_used = 4412,
  over_limit = 4413,
  too_fast = 4429,
};
inline std::uint16_t number(LinkCode code) { return static_cast<std::uint16_t>(code); }
/// "bad frame (4400)", for logs and for the reason where there is no better one.
std::string_view to_string(LinkCode code);

}  // namespace rejoin::proto
