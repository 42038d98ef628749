#include "proto/ws_frame.h"

#include <algorithm>
#include <cassert>

#include "base/pack.h"

namespace rejoin::proto {

enum class FrameReader::Refusal : std::uint8_t {
  none,
  reserved_bits,
  reserved_opcode,
  not_masked,
  masked,
  control_fragmented,
  control_too_long,
  nothing_to_continue,
  message_in_message,
  length_not_shortest,
  length_top_bit,
  message_too_big,
  close_one_byte,
  close_code,
  text_not_utf8,
  reason_not_utf8,
};

/// Code and text of each Refusal, in its order.
struct FrameReader::RefusalText {
  CloseCode code;
  std::string_view text;
  static const RefusalText& of(Refusal why) {
    static constexpr RefusalText kTexts[] = {
        {CloseCode::normal, ""},
        {CloseCode::protocol_error, "reserved bit set"},
        {CloseCode::protocol_error, "reserved opcode"},
        {CloseCode::protocol_error, "frame of a client not masked"},
        {CloseCode::protocol_error, "frame of a server masked"},
        {CloseCode::protocol_error, "control frame fragmented"},
        {CloseCode::protocol_error, "control frame longer than 125 bytes"},
        {CloseCode::protocol_error, "continuation without a message"},
        {CloseCode::protocol_error, "new message inside a message"},
        {CloseCode::protocol_error, "length not in its shortest form"},
        {CloseCode::protocol_error, "length with the top bit set"},
        {CloseCode::too_big, "message longer than the limit"},
        {CloseCode::protocol_error, "close frame with one byte"},
        {CloseCode::protocol_error, "close code that must not be sent"},
        {CloseCode::bad_payload, "text that is not UTF-8"},
        {CloseCode::bad_payload, "close reason that is not UTF-8"},
    };
    return kTexts[static_cast<std::size_t>(why)];
  }
};

namespace {

constexpr unsigned kFin = 0x80, kRsv1 = 0x40, kRsv23 = 0x30, kOpcode = 0x0f;  // first byte
constexpr unsigned kMasked = 0x80, kLength = 0x7f;                            // second byte
constexpr unsigned kLength16 = 126, kLength64 = 127;

bool is_control(unsigned opcode) { return (opcode & 8) != 0; }

/// Bytes of a whole header, told by its first two.
std::size_t header_bytes(unsigned char second) {
  const unsigned length = second & kLength;
  return 2u + (length == kLength16 ? 2 : length == kLength64 ? 8 : 0) + ((second & kMasked) != 0 ? 4 : 0);
}

/// `key` for the byte that stands `offset` further on.
MaskKey turned(const MaskKey& key, std::size_t offset) {
  MaskKey out;
  for (std::size_t i = 0; i < 4; ++i) out[i] = key[(i + offset) & 3];
  return out;
}

}  // namespace

bool is_wire_close_code(std::uint16_t code) {
  if (code < 1000) return false;
  if (code < 1015) return code < 1004 || code > 1006;
  return code >= 3000 && code < 5000;
}

MaskKey make_mask_key(Random& random) {
  MaskKey key;
  random.fill(key);
  return key;
}

void apply_mask(MutableBytes bytes, const MaskKey& key, std::size_t offset) {
  const MaskKey at_begin = turned(key, offset);
  std::uint32_t word;
  std::memcpy(&word, at_begin.data(), 4);
  const std::uint64_t pattern = std::uint64_t{word} << 32 | word;
  char* at = bytes.data();
  std::size_t left = bytes.size();
  // Vectors of 16 bytes, which every machine of ours has, four at a time (the compiler's own vectors: at -O2
  // GCC 12 makes none of a loop over words); then words, then bytes.
  using Vector = std::uint64_t __attribute__((vector_size(16)));
  const Vector patterns = {pattern, pattern};
  for (; left >= 64; left -= 64, at += 64) {
    Vector block[4];
    std::memcpy(block, at, sizeof block);
    block[0] ^= patterns;
    block[1] ^= patterns;
    block[2] ^= patterns;
    block[3] ^= patterns;
    std::memcpy(at, block, sizeof block);
  }
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t part;
    std::memcpy(&part, at, 8);
    part ^= pattern;
    std::memcpy(at, &part, 8);
  }
  for (std::size_t i = 0; i < left; ++i) at[i] = static_cast<char>(at[i] ^ at_begin[i & 3]);
}

// ---- reading ----

WsEvent FrameReader::feed(MutableBytes& input) {
  // The block of a cut control payload lives until the call behind the one that handed it on.
  if (control_ && (phase_ != Phase::payload || !is_control(header_[0]))) control_.reset();
  // A turn reads one header and what follows of its payload; only an empty fragment in the middle of a
  // message makes a second turn, as there is nothing to tell of it.
  for (;;) {
    switch (phase_) {
      case Phase::closed: input = input.subspan(input.size()); return {};
      case Phase::refused: return refuse(refusal_);
      case Phase::payload: break;
      case Phase::header: {
        if (!gather_header(input)) return phase_ == Phase::refused ? refuse(refusal_) : WsEvent{};
        const Refusal fault = begin_frame();
        if (fault != Refusal::none) return refuse(fault);
      }
    }
    if (is_control(header_[0])) return take_control(input);
    const bool ends_message = (header_[0] & kFin) != 0;
    if (left_ == 0 && !ends_message) {
      end_frame();
      continue;
    }
    return take_data(input);
  }
}

/// Moves header bytes from the input into header_; true when the header is whole. The first two are judged as
/// soon as they are there, so that a wrong peer is refused before it sends more.
bool FrameReader::gather_header(MutableBytes& input) {
  for (;;) {
    const std::size_t whole = have_ < 2 ? 2 : header_bytes(header_[1]);
    if (have_ == whole) return true;
    const std::size_t taken = std::min(whole - have_, input.size());
    if (taken == 0) return false;
    std::memcpy(header_ + have_, input.data(), taken);
    input = input.subspan(taken);
    have_ = static_cast<std::uint8_t>(have_ + taken);
    if (have_ != 2) continue;
    const Refusal fault = check_first_bytes(header_[0], header_[1]);
    if (fault == Refusal::none) continue;
    refuse(fault);
    return false;
  }
}

FrameReader::Refusal FrameReader::check_first_bytes(unsigned char first, unsigned char second) const {
  const unsigned opcode = first & kOpcode;
  if ((first & kRsv23) != 0) return Refusal::reserved_bits;
  if ((first & kRsv1) != 0 && (rsv1_ == Rsv1::refused || (opcode != 1 && opcode != 2)))
    return Refusal::reserved_bits;
  if ((opcode > 2 && opcode < 8) || opcode > 10) return Refusal::reserved_opcode;
  const bool masked = (second & kMasked) != 0;
  if (role_ == WsRole::server && !masked) return Refusal::not_masked;
  if (role_ == WsRole::client && masked) return Refusal::masked;
  if (is_control(opcode)) {
    if ((first & kFin) == 0) return Refusal::control_fragmented;
    if ((second & kLength) > limits::kControlPayloadBytesMax) return Refusal::control_too_long;
    return Refusal::none;
  }
  if (opcode == 0) return in_message_ ? Refusal::none : Refusal::nothing_to_continue;
  return in_message_ ? Refusal::message_in_message : Refusal::none;
}

/// Takes a whole header in: length, mask, limit.
FrameReader::Refusal FrameReader::begin_frame() {
  const char* at = reinterpret_cast<const char*>(header_) + 2;
  std::uint64_t length = header_[1] & kLength;
  if (length == kLength16) {
    length = load_u16(at);
    at += 2;
    if (length < kLength16) return Refusal::length_not_shortest;
  } else if (length == kLength64) {
    length = load_u64(at);
    at += 8;
    if (length >> 63 != 0) return Refusal::length_top_bit;
    if (length <= 0xffff) return Refusal::length_not_shortest;
  }
  if (role_ == WsRole::server) std::memcpy(mask_.data(), at, 4);
  have_ = 0;
  phase_ = Phase::payload;
  if (is_control(header_[0])) {
    left_ = static_cast<std::uint32_t>(length);
    return Refusal::none;
  }
  if (!in_message_) {
    in_message_ = first_piece_ = true;
    message_opcode_ = header_[0] & kOpcode;
    compressed_ = (header_[0] & kRsv1) != 0;
    message_bytes_ = 0;  // utf8_ is at rest: a text ends with a whole character, or is refused
  }
  if (length > wire_bytes_max() - message_bytes_) return Refusal::message_too_big;
  message_bytes_ += static_cast<std::uint32_t>(length);
  left_ = static_cast<std::uint32_t>(length);
  return Refusal::none;
}

/// The bound on what the present message's frames may announce.
std::uint32_t FrameReader::wire_bytes_max() const {
  if (!compressed_) return message_max_;
  const std::uint64_t more = message_max_ / limits::kDeflateExpansionDivisor + limits::kDeflateExpansionBytes;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(message_max_ + more, 0xffffffff));
}

/// The next `count` bytes of the input, unmasked in place.
MutableBytes FrameReader::take(MutableBytes& input, std::size_t count) {
  const MutableBytes taken = input.first(count);
  input = input.subspan(count);
  left_ -= static_cast<std::uint32_t>(count);
  if (role_ == WsRole::server) {
    apply_mask(taken, mask_);
    mask_ = turned(mask_, count);
  }
  return taken;
}

void FrameReader::end_frame() {
  phase_ = Phase::header;
  have_ = 0;
}

WsEvent FrameReader::take_data(MutableBytes& input) {
  if (left_ != 0 && input.empty()) return {};
  WsEvent event;
  event.kind = WsEvent::Kind::data;
  event.opcode = static_cast<WsOpcode>(message_opcode_);
  event.payload = take(input, std::min<std::size_t>(left_, input.size()));
  event.first = first_piece_;
  first_piece_ = false;
  event.compressed = compressed_;
  event.last = left_ == 0 && (header_[0] & kFin) != 0;
  if (event.opcode == WsOpcode::text && !compressed_) {
    if (!utf8_.feed(event.view()) || (event.last && !utf8_.complete())) return refuse(Refusal::text_not_utf8);
  }
  if (event.last) in_message_ = false;
  if (left_ == 0) end_frame();
  return event;
}

/// A control payload is handed on whole: from the input where it lies when it came at once, else from a block
/// of ours.
WsEvent FrameReader::take_control(MutableBytes& input) {
  if (have_ == 0 && left_ <= input.size()) return finish_control(take(input, left_));
  if (input.empty()) return {};
  if (!control_) control_ = std::make_unique<char[]>(limits::kControlPayloadBytesMax);
  const MutableBytes part = take(input, std::min<std::size_t>(left_, input.size()));
  std::memcpy(control_.get() + have_, part.data(), part.size());
  have_ = static_cast<std::uint8_t>(have_ + part.size());
  if (left_ != 0) return {};
  return finish_control({control_.get(), have_});
}

WsEvent FrameReader::finish_control(MutableBytes payload) {
  end_frame();
  WsEvent event;
  event.opcode = static_cast<WsOpcode>(header_[0] & kOpcode);
  if (event.opcode == WsOpcode::close) return finish_close(payload);
  event.kind = event.opcode == WsOpcode::ping ? WsEvent::Kind::ping : WsEvent::Kind::pong;
  event.payload = payload;
  return event;
}

WsEvent FrameReader::finish_close(MutableBytes payload) {
  WsEvent event;
  event.kind = WsEvent::Kind::close;
  event.opcode = WsOpcode::close;
  if (payload.size() == 1) return refuse(Refusal::close_one_byte);
  if (payload.size() >= 2) {
    const std::uint16_t code = load_u16(payload.data());
    if (!is_wire_close_code(code)) return refuse(Refusal::close_code);
    event.code = static_cast<CloseCode>(code);
    event.payload = payload.subspan(2);
    if (!is_utf8(event.view())) return refuse(Refusal::reason_not_utf8);
  }
  phase_ = Phase::closed;
  return event;
}

void FrameReader::save(std::string& out) const {
  Packer pack(out);
  pack.u8(static_cast<std::uint8_t>(phase_));
  pack.u8(static_cast<std::uint8_t>(refusal_));
  pack.u32(message_bytes_);
  pack.u32(left_);
  pack.raw({mask_.data(), mask_.size()});
  pack.raw(as_bytes(utf8_.state()));
  pack.raw(as_bytes(header_));
  pack.u8(have_);
  pack.u8(message_opcode_);
  pack.flag(in_message_);
  pack.flag(first_piece_);
  pack.flag(compressed_);
  const bool in_control = phase_ == Phase::payload && is_control(header_[0]);
  pack.bytes(in_control && control_ ? Bytes(control_.get(), have_) : Bytes());
}

bool FrameReader::restore(Bytes from) {
  Unpacker in(from);
  FrameReader out(role_, message_max_, rsv1_);
  const std::uint8_t phase = in.u8();
  out.refusal_ = static_cast<Refusal>(in.u8());
  out.message_bytes_ = in.u32();
  out.left_ = in.u32();
  const Bytes mask = in.raw(mask_.size()), utf8 = in.raw(4), header = in.raw(sizeof header_);
  out.have_ = in.u8();
  out.message_opcode_ = in.u8() & kOpcode;
  out.in_message_ = in.flag();
  out.first_piece_ = in.flag();
  out.compressed_ = in.flag();
  const Bytes control = in.bytes();
  const bool in_control = phase == static_cast<std::uint8_t>(Phase::payload) && !control.empty();
  if (!in.done() || phase > static_cast<std::uint8_t>(Phase::refused)) return false;
  if (in_control ? control.size() != out.have_ || control.size() > limits::kControlPayloadBytesMax
                 : out.have_ > sizeof header_)
    return false;
  out.phase_ = static_cast<Phase>(phase);
  std::copy_n(mask.data(), mask.size(), out.mask_.data());
  std::array<unsigned char, 4> state{};
  std::memcpy(state.data(), utf8.data(), state.size());
  out.utf8_.set_state(state);
  std::memcpy(out.header_, header.data(), header.size());
  if (in_control) {
    out.control_ = std::make_unique<char[]>(limits::kControlPayloadBytesMax);
    std::memcpy(out.control_.get(), control.data(), control.size());
  }
  // What has begun under a higher limit may end under it.
  out.message_max_ = std::max(message_max_, out.message_bytes_);
  *this = std::move(out);
  return true;
}

WsEvent FrameReader::refuse(Refusal why) {
  phase_ = Phase::refused;
  refusal_ = why;
  const RefusalText& text = RefusalText::of(why);
  WsEvent event;
  event.kind = WsEvent::Kind::refused;
  event.code = text.code;
  event.reason = text.text;
  return event;
}

// ---- writing ----

FrameHeader write_frame_header(const FrameSpec& spec) {
  FrameHeader header;
  const unsigned first =
      (spec.fin == Fin::yes ? kFin : 0) | (spec.compressed ? kRsv1 : 0) | static_cast<unsigned>(spec.opcode);
  const unsigned masked = spec.mask ? kMasked : 0;
  header.bytes[0] = static_cast<char>(first);
  header.size = 2;
  if (spec.payload_bytes < kLength16) {
    header.bytes[1] = static_cast<char>(masked | spec.payload_bytes);
  } else if (spec.payload_bytes <= 0xffff) {
    header.bytes[1] = static_cast<char>(masked | kLength16);
    store_u16(header.bytes + 2, static_cast<std::uint16_t>(spec.payload_bytes));
    header.size = 4;
  } else {
    header.bytes[1] = static_cast<char>(masked | kLength64);
    store_u64(header.bytes + 2, spec.payload_bytes);
    header.size = 10;
  }
  if (spec.mask) {
    std::memcpy(header.bytes + header.size, spec.mask->data(), 4);
    header.size = static_cast<std::uint8_t>(header.size + 4);
  }
  return header;
}

ControlFrame write_control(WsOpcode opcode, Bytes payload, std::optional<MaskKey> mask) {
  assert(payload.size() <= limits::kControlPayloadBytesMax);
  payload = payload.substr(0, limits::kControlPayloadBytesMax);
  FrameSpec spec;
  spec.opcode = opcode;
  spec.payload_bytes = payload.size();
  spec.mask = mask;
  const FrameHeader header = write_frame_header(spec);
  ControlFrame frame;
  std::memcpy(frame.bytes, header.bytes, header.size);
  std::copy(payload.begin(), payload.end(), frame.bytes + header.size);
  if (mask) apply_mask({frame.bytes + header.size, payload.size()}, *mask);
  frame.size = static_cast<std::uint8_t>(header.size + payload.size());
  return frame;
}

ControlFrame write_close(CloseCode code, Bytes reason, std::optional<MaskKey> mask) {
  if (code == CloseCode::none) return write_control(WsOpcode::close, {}, mask);
  assert(is_wire_close_code(number(code)));
  if (!is_utf8(reason)) reason = {};
  reason = reason.substr(0, utf8_cut(reason, limits::kControlPayloadBytesMax - 2));
  char payload[limits::kControlPayloadBytesMax];
  store_u16(payload, number(code));
  std::copy(reason.begin(), reason.end(), payload + 2);
  return write_control(WsOpcode::close, {payload, reason.size() + 2}, mask);
}

void append_frame(std::string& out, WsOpcode opcode, Bytes payload, std::optional<MaskKey> mask) {
  FrameSpec spec;
  spec.opcode = opcode;
  spec.payload_bytes = payload.size();
  spec.mask = mask;
  out += write_frame_header(spec).view();
  const std::size_t begin = out.size();
  out += payload;
  if (mask) apply_mask({out.data() + begin, payload.size()}, *mask);
}

}  // namespace rejoin::proto
