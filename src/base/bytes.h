// Bytes seen (borrowed) and bytes kept (owned).
//
// A view of bytes is a std::string_view everywhere in Rejoin: wire formats are half text, and one type for
// both halves saves every cast. `Bytes` says "not text, not ours". A *lent* view is valid until the call that
// received it returns, or until the next read on the same loop: copy what must outlive it into a Buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace rejoin {

using Bytes = std::string_view;
using MutableBytes = std::span<char>;

inline Bytes as_bytes(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Big-endian numbers, as every wire format here has them. The caller has checked that the bytes are there.
inline std::uint16_t load_u16(const char* at) {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap16(value);
}
inline std::uint32_t load_u32(const char* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap32(value);
}
inline std::uint64_t load_u64(const char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap64(value);
}
inline void store_u16(char* at, std::uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store_u32(char* at, std::uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store_u64(char* at, std::uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(at, &value, sizeof value);
}

class BufferPool;

/// A block of memory borrowed from a loop's BufferPool while bytes are in flight: [begin, end) is filled, the
/// rest is room. Move-only; goes back to its pool when it dies or is given `release()`. An idle connection
/// holds none.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~Buffer() { release(); }

  /// False for a default-made or released Buffer, which has no memory (and no room).
  explicit operator bool() const { return block_ != nullptr; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t room() const { return capacity_ - end_; }
  Bytes view() const { return {block_ + begin_, size()}; }
  char* data() { return block_ + begin_; }
  MutableBytes tail() { return {block_ + end_, room()}; }

  /// Appends as many of `bytes` as there is room for, and says how many.
  std::size_t append(Bytes bytes);
  /// The first `count` bytes of tail() were filled by somebody else.
  void commit(std::size_t count) { end_ += static_cast<std::uint32_t>(count); }
  /// Forgets the first `count` bytes. When all are gone, the whole room is there again.
  void consume(std::size_t count);
  /// Moves what is there to the front, so that all the room is behind it.
  void compact();
  void clear() { begin_ = end_ = 0; }
  /// Gives the memory back now.
  void release();
  void swap(Buffer& other) noexcept;

 private:
  friend class BufferPool;
  char* block_ = nullptr;
  BufferPool* home_ = nullptr;
  std::uint32_t begin_ = 0, end_ = 0, capacity_ = 0;
};

/// Blocks of one size, kept by a loop for reuse. Owned by the loop, used on its thread only; must outlive its
/// Buffers (checked in the destructor).
class BufferPool {
 public:
  /// Keeps at most `idle_max` free blocks; more are given back to the system.
  explicit BufferPool(std::size_t block_bytes, std::size_t idle_max = 256);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  Buffer borrow();
  std::size_t block_bytes() const { return block_bytes_; }
  /// Blocks out at this moment: zero when nothing is in flight.
  std::size_t lent() const { return lent_; }

 private:
  friend class Buffer;
  void take_back(char* block);

  std::vector<char*> idle_;
  std::size_t block_bytes_;
  std::size_t idle_max_;
  std::size_t lent_ = 0;
};

}  // namespace rejoin
