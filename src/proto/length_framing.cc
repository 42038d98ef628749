#include "proto/length_framing.h"

#include <algorithm>

#include "base/pack.h"

namespace rejoin::proto {
namespace {

constexpr std::string_view kTooLong = "message longer than the limit";
constexpr std::string_view kBelowItself = "length smaller than its own header, which it counts";

std::size_t header_bytes(const LengthFormat& format) { return static_cast<std::size_t>(format.length); }
std::uint64_t counted_header(const LengthFormat& format) {
  return format.counts == LengthCounts::payload_and_itself ? header_bytes(format) : 0;
}

std::uint32_t load_length(const LengthFormat& format, const char* at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < header_bytes(format); ++i) {
    const std::size_t place = format.endian == Endian::big ? i : header_bytes(format) - 1 - i;
    value = value << 8 | static_cast<unsigned char>(at[place]);
  }
  return value;
}

LengthEvent refused(std::string_view why) {
  LengthEvent event;
  event.kind = LengthEvent::Kind::refused;
  event.reason = why;
  return event;
}

}  // namespace

std::uint64_t LengthFormat::representable_max() const {
  const std::uint64_t highest = length == LengthBytes::two ? 0xffff : 0xffffffff;
  return highest - counted_header(*this);
}

LengthEvent LengthReader::feed(Bytes& input) {
  switch (phase_) {
    case Phase::header: return begin_message(input);
    case Phase::payload: return take_payload(input, have_ != 0);
    case Phase::refused_below: return refused(kBelowItself);
    case Phase::refused_above: break;
  }
  return refused(kTooLong);
}

LengthEvent LengthReader::begin_message(Bytes& input) {
  const std::size_t wanted = header_bytes(format_) - have_;
  const std::size_t taken = std::min(wanted, input.size());
  std::copy_n(input.data(), taken, header_ + have_);
  input.remove_prefix(taken);
  have_ = static_cast<std::uint8_t>(have_ + taken);
  if (taken != wanted) return {};

  const std::uint64_t length = load_length(format_, header_);
  if (length < counted_header(format_)) {
    phase_ = Phase::refused_below;
    return refused(kBelowItself);
  }
  if (length - counted_header(format_) > format_.message_max) {
    phase_ = Phase::refused_above;
    return refused(kTooLong);
  }
  left_ = static_cast<std::uint32_t>(length - counted_header(format_));
  phase_ = Phase::payload;
  return take_payload(input, true);
}

/// have_ stays as it is until the first piece was handed on, so that it tells whether the next one is the
/// first.
LengthEvent LengthReader::take_payload(Bytes& input, bool first) {
  if (left_ != 0 && input.empty()) return {};
  LengthEvent event;
  event.kind = LengthEvent::Kind::piece;
  event.payload = input.substr(0, left_);
  input.remove_prefix(event.payload.size());
  left_ -= static_cast<std::uint32_t>(event.payload.size());
  event.first = first;
  event.last = left_ == 0;
  event.left = left_;
  have_ = 0;
  if (event.last) phase_ = Phase::header;
  return event;
}

void LengthReader::save(std::string& out) const {
  Packer pack(out);
  pack.u8(static_cast<std::uint8_t>(phase_));
  pack.u32(left_);
  pack.u8(have_);
  pack.raw({header_, sizeof header_});
}

bool LengthReader::restore(Bytes from) {
  Unpacker in(from);
  const std::uint8_t phase = in.u8();
  const std::uint32_t left = in.u32();
  const std::uint8_t have = in.u8();
  const Bytes header = in.raw(sizeof header_);
  if (!in.done() || phase > static_cast<std::uint8_t>(Phase::refused_above) || have > header_bytes(format_))
    return false;
  phase_ = static_cast<Phase>(phase);
  left_ = left;
  have_ = have;
  std::copy_n(header.data(), header.size(), header_);
  return true;
}

Result<LengthHeader> write_length(const LengthFormat& format, std::uint64_t payload_bytes) {
  if (payload_bytes > format.message_max || payload_bytes > format.representable_max()) {
    return Error{ErrorKind::too_large, Side::ours, Retry::no,
                 "a message of " + std::to_string(payload_bytes) + " bytes is above the limit of " +
                     std::to_string(std::min<std::uint64_t>(format.message_max, format.representable_max()))};
  }
  LengthHeader header;
  header.size = static_cast<std::uint8_t>(header_bytes(format));
  std::uint64_t value = payload_bytes + counted_header(format);
  for (std::size_t i = 0; i < header.size; ++i, value >>= 8) {
    header.bytes[format.endian == Endian::little ? i : header.size - 1u - i] =
        static_cast<char>(value & 0xff);
  }
  return header;
}

}  // namespace rejoin::proto
