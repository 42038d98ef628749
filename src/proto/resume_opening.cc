#include "proto/resume_opening.h"

#include "proto/resume_frame.h"

namespace rejoin::proto {
namespace {

constexpr std::size_t kLengthBytes = 4;

}  // namespace

Opening opening_of(Bytes bytes) {
  if (bytes.size() <= kLengthBytes) return {};
  const std::size_t length = load_u32(bytes.data());
  const FrameHead head{.type = static_cast<std::uint8_t>(bytes[kLengthBytes])};
  // A length that no RESUME has: the gateway refuses it without our waiting for it.
  if (!head.is(FrameType::resume) || length == 0 || length > limits::kResumeBytesMax)
    return {Opening::State::other, {}};
  if (bytes.size() < kLengthBytes + length) return {};
  return {Opening::State::resume, bytes.substr(kLengthBytes, length)};
}

}  // namespace rejoin::proto
