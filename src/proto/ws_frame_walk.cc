#include "proto/ws_frame_walk.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace rejoin::proto {
namespace {

constexpr std::size_t kFixedBytes = 2;
constexpr std::size_t kMaskBytes = 4;
constexpr unsigned char kMaskBit = 0x80;

}  // namespace

MaskKey WsFrameWalk::mask() const {
  MaskKey key{};
  if (sender_ == WsRole::client && whole_ >= kFixedBytes + kMaskBytes)
    std::memcpy(key.data(), header_ + whole_ - kMaskBytes, kMaskBytes);
  return key;
}

/// How long the header is, as far as its first two bytes tell.
std::size_t WsFrameWalk::header_bytes() const {
  if (have_ < kFixedBytes) return kFixedBytes;
  const auto second = static_cast<unsigned char>(header_[1]);
  std::size_t bytes = kFixedBytes;
  if ((second & 0x7f) == 126) bytes += 2;
  if ((second & 0x7f) == 127) bytes += 8;
  return (second & kMaskBit) != 0 ? bytes + kMaskBytes : bytes;
}

/// nullptr: nothing is wrong with the first two bytes.
const char* WsFrameWalk::wrong_beginning() const {
  const auto second = static_cast<unsigned char>(header_[1]);
  const bool masked = (second & kMaskBit) != 0;
  if (masked != (sender_ == WsRole::client))
    return masked ? "a server's frame with a mask" : "a client's frame without a mask";
  if (control() && (!fin() || (second & 0x7f) > limits::kControlPayloadBytesMax))
    return "a control frame that is fragmented or too long";
  return nullptr;
}

const char* WsFrameWalk::read_length() {
  const auto second = static_cast<unsigned char>(header_[1]) & 0x7f;
  length_ = second;
  if (second == 126) length_ = load_u16(header_ + 2);
  if (second == 127) length_ = load_u64(header_ + 2);
  if (length_ >> 63 != 0) return "a length of 2^63 or more";
  if ((second == 126 && length_ < 126) || (second == 127 && length_ <= 0xffff))
    return "a length that is not in its shortest form";
  return nullptr;
}

void WsFrameWalk::begin_frame() {
  left_ = length_;
  whole_ = have_;
  have_ = 0;
  if (control()) return;
  if (opcode() != WsOpcode::continuation) message_bytes_ = 0;
  message_bytes_ = length_ > std::numeric_limits<std::uint64_t>::max() - message_bytes_
                       ? std::numeric_limits<std::uint64_t>::max()
                       : message_bytes_ + length_;
}

WsFrameWalk::Step WsFrameWalk::step(Bytes bytes) {
  if (why_ != nullptr) return {Is::refused, 0};
  if (left_ != 0) {
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    left_ -= taken;
    return {Is::payload, taken};
  }
  std::size_t taken = 0;
  while (have_ < header_bytes()) {
    if (taken == bytes.size()) return {Is::header_part, taken};
    header_[have_++] = bytes[taken++];
    if (have_ == kFixedBytes) why_ = wrong_beginning();
    if (why_ != nullptr) return {Is::refused, 0};
  }
  why_ = read_length();
  if (why_ != nullptr) return {Is::refused, 0};
  begin_frame();
  return {Is::header, taken};
}

}  // namespace rejoin::proto
