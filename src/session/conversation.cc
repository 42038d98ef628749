#include "session/conversation.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/limits.h"

namespace rejoin::session {
namespace {

// Before each payload in the block: its length, and whether it is text. In the machine's own byte order; it
// never leaves the process.
constexpr std::size_t kMarkBytes = SendWindow::kMarkBytes;
constexpr std::uint32_t kFirstBlockBytes = 256;

std::uint32_t mark_of(std::size_t length, bool text) {
  return static_cast<std::uint32_t>(length) << 1 | static_cast<std::uint32_t>(text);
}

}  // namespace

std::uint64_t unwrap(std::uint32_t wire, std::uint64_t near) {
  const auto ahead = static_cast<std::int32_t>(wire - static_cast<std::uint32_t>(near));
  // Less than nothing was never counted: such a number is one ahead of us, a whole turn further.
  if (ahead < 0 && near < static_cast<std::uint64_t>(-static_cast<std::int64_t>(ahead))) return wire;
  return near + static_cast<std::uint64_t>(static_cast<std::int64_t>(ahead));
}

// --- SendWindow ---

SendWindow::SendWindow(WindowLimits limits, std::uint64_t sent)
    : sent_(sent), acked_(sent), limits_(limits) {}

bool SendWindow::has_room(std::size_t bytes) const {
  return held_messages() < limits_.messages && held_bytes_ + bytes <= limits_.bytes;
}

std::uint64_t SendWindow::push(Bytes payload, bool text) {
  assert(has_room(payload.size()) || held_messages() == 0);
  char* at = grow(kMarkBytes + payload.size());
  const std::uint32_t mark = mark_of(payload.size(), text);
  std::memcpy(at, &mark, kMarkBytes);
  if (!payload.empty()) std::memcpy(at + kMarkBytes, payload.data(), payload.size());
  held_bytes_ += static_cast<std::uint32_t>(payload.size());
  return ++sent_;
}

// Room for `bytes` behind what is used. What was freed at the front is taken back before the block grows; it
// doubles, so that a byte is copied a constant number of times.
char* SendWindow::grow(std::size_t bytes) {
  const std::size_t need = used_ + bytes;
  if (begin_ + need > capacity_) {
    if (need <= capacity_ / 2) {
      std::memmove(block_.get(), block_.get() + begin_, used_);
    } else {
      std::size_t capacity = std::max<std::size_t>(capacity_, kFirstBlockBytes);
      while (capacity < need) capacity *= 2;
      std::unique_ptr<char[]> block(new char[capacity]);
      if (used_ != 0) std::memcpy(block.get(), block_.get() + begin_, used_);
      block_ = std::move(block);
      capacity_ = static_cast<std::uint32_t>(capacity);
    }
    begin_ = 0;
  }
  char* at = block_.get() + begin_ + used_;
  used_ += static_cast<std::uint32_t>(bytes);
  return at;
}

std::uint32_t SendWindow::mark_at(std::size_t offset) const {
  std::uint32_t mark;
  std::memcpy(&mark, block_.get() + begin_ + offset, kMarkBytes);
  return mark;
}

SendWindow::Ack SendWindow::acknowledge(std::uint32_t wire) {
  return acknowledge_count(unwrap(wire, acked_));
}

SendWindow::Ack SendWindow::acknowledge_count(std::uint64_t count) {
  if (count > sent_) return Ack::beyond;
  if (count <= acked_) return Ack::nothing;
  if (count == sent_) {
    freed_ += used_;
    begin_ = used_ = held_bytes_ = 0;
    acked_ = count;
    shrink();  // an idle session holds no memory; a new block costs less than a hundredth of a message
    return Ack::freed;
  }
  for (; acked_ < count; ++acked_) {
    const std::uint32_t length = mark_at(0) >> 1;
    const auto bytes = static_cast<std::uint32_t>(kMarkBytes + length);
    begin_ += bytes;
    used_ -= bytes;
    held_bytes_ -= length;
    freed_ += bytes;
  }
  return Ack::freed;
}

SendWindow::Cursor SendWindow::at(std::uint64_t seq) const {
  assert(seq > acked_ && seq <= sent_ + 1);
  std::uint64_t offset = 0;
  for (std::uint64_t i = acked_ + 1; i < seq; ++i) offset += kMarkBytes + (mark_at(offset) >> 1);
  return {seq, freed_ + offset};
}

SendWindow::Held SendWindow::take(Cursor& cursor) const {
  assert(more(cursor));
  if (cursor.next <= acked_) cursor = {acked_ + 1, freed_};
  const auto offset = static_cast<std::size_t>(cursor.offset - freed_);
  const std::uint32_t mark = mark_at(offset);
  const std::size_t length = mark >> 1;
  const Held held{cursor.next, (mark & 1) != 0, Bytes(block_.get() + begin_ + offset + kMarkBytes, length)};
  ++cursor.next;
  cursor.offset += kMarkBytes + length;
  return held;
}

void SendWindow::restart(std::uint64_t sent) {
  freed_ += used_;
  begin_ = used_ = held_bytes_ = 0;
  sent_ = acked_ = sent;
  shrink();
}

void SendWindow::shrink() {
  if (used_ != 0) return;
  block_.reset();
  capacity_ = begin_ = 0;
}

// --- ReceiveCounts ---

ReceiveCounts::Seen ReceiveCounts::observe(std::uint32_t wire_seq) {
  const std::uint64_t seq = unwrap(wire_seq, read_ + 1);
  if (seq > read_ + 1) return Seen::ahead;
  if (seq <= read_) return Seen::duplicate;
  read_ = seq;
  return Seen::expected;
}

void ReceiveCounts::accept(std::uint64_t count) {
  assert(count <= pending());
  accepted_ += count;
}

// --- AckDebt ---

void AckDebt::owe(std::size_t bytes) {
  bytes_ = static_cast<std::uint32_t>(std::min<std::size_t>(bytes_ + bytes, UINT32_MAX));
}

void AckDebt::told(std::uint64_t accepted) {
  told_ = accepted;
  bytes_ = 0;
  owes_all_ = false;
}

AckDebt::Due AckDebt::due(const ReceiveCounts& counts, const WindowLimits& window) const {
  const std::uint64_t owed = counts.accepted() - told_;
  if (owed == 0 && !owes_all_) return Due::nothing;
  const std::uint32_t messages_max = std::min(limits::kAckMessages, std::max(window.messages / 4, 1u));
  const std::uint32_t bytes_max = std::min(limits::kAckBytes, std::max(window.bytes / 4, 1u));
  return owed >= messages_max || bytes_ >= bytes_max ? Due::now : Due::later;
}

}  // namespace rejoin::session
