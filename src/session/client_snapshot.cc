// What an application keeps of a session outside the program (client_session.h, Snapshot): written and read.
//
//   "RJNS" | version u8 | flags u8 | epoch u32 | secret (32) | ticket | grace, ping, dead, spread u32 ms |
//   window bytes u32, messages u32 | addresses (u8 count)
//   and with kWhole: received u64 | acked u64 | forgotten u64 | u32 count of { text u8, u32 length, payload }
//
// Byte strings have a u16 length before them; numbers are big-endian.
#include <utility>

#include "session/client_session.h"

namespace rejoin::session {
namespace {

constexpr Bytes kMagic = "RJNS";
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kWhole = 0x01;

void put_u16(std::string& out, std::size_t value) {
  char bytes[2];
  store_u16(bytes, static_cast<std::uint16_t>(value));
  out.append(bytes, sizeof bytes);
}
void put_u32(std::string& out, std::size_t value) {
  char bytes[4];
  store_u32(bytes, static_cast<std::uint32_t>(value));
  out.append(bytes, sizeof bytes);
}
void put_u64(std::string& out, std::uint64_t value) {
  char bytes[8];
  store_u64(bytes, value);
  out.append(bytes, sizeof bytes);
}
void put_ms(std::string& out, Duration time) { put_u32(out, static_cast<std::size_t>(time / 1ms)); }

/// Takes from the front; once something was missing, everything is.
class Taker {
 public:
  explicit Taker(Bytes bytes) : rest_(bytes) {}
  bool good() const { return good_; }
  bool at_end() const { return good_ && rest_.empty(); }

  Bytes take(std::size_t count) {
    if (count > rest_.size()) good_ = false;
    if (!good_) return {};
    const Bytes taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::uint8_t u8() {
    const Bytes at = take(1);
    return good_ ? static_cast<std::uint8_t>(at[0]) : std::uint8_t{0};
  }
  std::uint16_t u16() {
    const Bytes at = take(2);
    return good_ ? load_u16(at.data()) : std::uint16_t{0};
  }
  std::uint32_t u32() {
    const Bytes at = take(4);
    return good_ ? load_u32(at.data()) : 0;
  }
  std::uint64_t u64() {
    const Bytes at = take(8);
    return good_ ? load_u64(at.data()) : 0;
  }
  Bytes string() { return take(u16()); }
  Duration ms() { return std::chrono::milliseconds(u32()); }

 private:
  Bytes rest_;
  bool good_ = true;
};

Terms take_terms(Taker& from) {
  Terms terms;
  terms.grace = from.ms();
  terms.ping = from.ms();
  terms.dead = from.ms();
  terms.spread = from.ms();
  terms.window.bytes = from.u32();
  terms.window.messages = from.u32();
  for (int left = from.u8(); left > 0; --left) terms.addresses.emplace_back(from.string());
  return terms;
}

Error not_ours(const char* why) {
  return {ErrorKind::bad_input, Side::ours, Retry::no, std::string("a saved session: ") + why};
}

}  // namespace

std::string ClientSession::snapshot(Snapshot kind) const {
  std::string out;
  if (ticket_.empty()) return out;
  // Who does not know the counts itself cannot hand them on.
  const bool whole = kind == Snapshot::whole && memory_ != Memory::forgotten;
  out += kMagic;
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>(whole ? kWhole : 0));
  put_u32(out, epoch_);
  out.append(secret_.data(), secret_.size());
  put_u16(out, ticket_.size());
  out += ticket_;
  for (const Duration time : {terms_.grace, terms_.ping, terms_.dead, terms_.spread}) put_ms(out, time);
  put_u32(out, terms_.window.bytes);
  put_u32(out, terms_.window.messages);
  out.push_back(static_cast<char>(terms_.addresses.size()));
  for (const std::string& address : terms_.addresses) {
    put_u16(out, address.size());
    out += address;
  }
  if (!whole) return out;
  const SendWindow& window = conversation_.out;
  put_u64(out, conversation_.in.read());
  put_u64(out, window.acked());
  put_u64(out, forgotten_until_);
  put_u32(out, window.held_messages());
  for (SendWindow::Cursor at = window.at(window.acked() + 1); window.more(at);) {
    const SendWindow::Held held = window.take(at);
    out.push_back(held.text ? 1 : 0);
    put_u32(out, held.payload.size());
    out += held.payload;
  }
  return out;
}

Status ClientSession::restore(Bytes snapshot) {
  if (phase_ != Phase::fresh || !links_.empty()) return not_ours("only before the first link");
  Taker from(snapshot);
  if (from.take(kMagic.size()) != kMagic) return not_ours("these bytes are something else");
  if (from.u8() != kVersion) return not_ours("of a version that this program does not know");
  const bool whole = (from.u8() & kWhole) != 0;
  const std::uint32_t epoch = from.u32();
  proto::SessionSecret secret{};
  from.take(secret.size()).copy(secret.data(), secret.size());
  const Bytes ticket = from.string();
  Terms terms = take_terms(from);
  std::uint64_t received = 0, acked = 0, forgotten = 0;
  std::uint32_t held = 0;
  if (whole) {
    received = from.u64();
    acked = from.u64();
    forgotten = from.u64();
    held = from.u32();
  }
  if (!from.good() || ticket.empty() || epoch == 0) return not_ours("bytes are missing");
  Conversation conversation(own_window(terms), acked, received);
  for (; held != 0; --held) {
    const bool text = from.u8() != 0;
    const Bytes payload = from.take(from.u32());
    if (!from.good()) return not_ours("bytes are missing");
    if (!conversation.out.has_room(payload.size())) return not_ours("more messages than the window has room");
    conversation.out.push(payload, text);
  }
  if (!from.at_end()) return not_ours("too many bytes");
  ticket_ = std::string(ticket);
  secret_ = secret;
  epoch_ = epoch;
  terms_ = std::move(terms);
  conversation_ = std::move(conversation);
  written_ = conversation_.out.sent();
  cursor_ = conversation_.out.end();
  forgotten_until_ = forgotten;
  memory_ = whole ? Memory::doubtful : Memory::forgotten;
  phase_ = Phase::kept;
  return {};
}

}  // namespace rejoin::session
