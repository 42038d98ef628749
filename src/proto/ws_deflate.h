// DEFLATE for WebSocket messages (RFC 7692 7.2): payloads become smaller, and whole again.
//
// Place: under ws_compression.h, which has one of each for a connection, or for a whole worker. Calculators
// over zlib, whose header stays out of ours. One thread each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "proto/ws_extensions.h"

namespace rejoin::proto {

/// Bytes as they come out of zlib: one block that grows, and is kept for what comes next until shrink().
/// Nothing is zeroed first. No memory when default-made.
class GrowingBlock {
 public:
  GrowingBlock() = default;
  GrowingBlock(const GrowingBlock&) = delete;
  GrowingBlock& operator=(const GrowingBlock&) = delete;
  void swap(GrowingBlock& other) noexcept;

  Bytes view() const { return {block_.get(), size_}; }
  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const { return capacity_; }
  /// Forgets the bytes, not the memory.
  void clear() { size_ = 0; }
  /// Forgets the bytes, and the memory too if it is more than `keep_bytes`.
  void shrink(std::size_t keep_bytes);

  /// What is behind the bytes.
  MutableBytes tail() { return {block_.get() + size_, capacity_ - size_}; }
  /// The first `count` bytes of tail() were filled.
  void commit(std::size_t count) { size_ += count; }
  void drop_last(std::size_t count) { size_ -= count; }
  /// Room for `bytes` in all. False, and all as before, when there is no memory.
  [[nodiscard]] bool reserve(std::size_t bytes);

 private:
  std::unique_ptr<char[]> block_;
  std::size_t size_ = 0, capacity_ = 0;
};

/// Compresses messages. Its memory is taken at the first message (windowBits 12, memLevel 5: 38 kB).
class Deflater {
 public:
  /// `side.window_bits`: at least kDeflaterWindowBitsMin (asserted). `memory_level`: zlib's memLevel, 1 to 9.
  Deflater(DeflateSide side, int memory_level);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// `head` and `rest`, one message, compressed, as the payload of one frame with RSV1 or of several in turn:
  /// the view lies in `out`, whose former bytes are forgotten. Never empty: an empty message is one byte (RFC
  /// 7692 7.2.3.6). What is sent must be sent in this order, and none may be left out: with takeover the next
  /// refers to it; call forget() when it was. Nothing, and as after forget(), when there is no memory, or the
  /// message has 1 GiB: send it as it is.
  std::optional<Bytes> deflate(Bytes head, Bytes rest, GrowingBlock& out);
  std::optional<Bytes> deflate(Bytes message, GrowingBlock& out) { return deflate({}, message, out); }

  /// Gives the memory back; the next message refers to none before. Right at any time.
  void forget();
  /// Held from the system besides the object itself.
  std::size_t memory_bytes() const;

 private:
  struct Stream;
  bool open();
  bool run(Bytes input, int flush, GrowingBlock& out);

  std::unique_ptr<Stream> stream_;
  DeflateSide side_;
  std::uint8_t memory_level_;
};

/// Brings messages back. Its memory is taken at the first compressed message (windowBits 12: 11 kB, 15: 40
/// kB).
class Inflater {
 public:
  enum class Verdict : std::uint8_t {
    good,
    corrupt,  // no DEFLATE data, refers to more than there was, or the message ends in the middle of a block
    too_big,  // it inflates to more than the bound
    no_memory,  // ours is used up
  };

  /// Takeover::no: it forgets at each `first` piece whatever came before, so that one inflater may serve many
  /// connections, message by message: no message reaches into another's.
  explicit Inflater(DeflateSide side);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// The next piece of a compressed message, cut anywhere: what it inflates to is appended to `out`, which
  /// the caller has cleared before the first. Stops when `out` would hold more than `bytes_max`, and takes no
  /// memory beyond that. The 00 00 ff ff that senders leave out (RFC 7692 7.2.1) is put back behind the last
  /// piece.
  ///
  /// Blocks with BFINAL are understood (7.2.3.4), also where the message ends with one. A message without a
  /// single byte of payload is empty: not as RFC 7692 7.2.3.6 says it, and yet what some senders make of an
  /// empty one.
  ///
  /// Whatever is not `good` is said for ever, with Takeover::no until the next `first`: `out` is then of no
  /// use.
  Verdict feed(Bytes piece, bool first, bool last, GrowingBlock& out, std::size_t bytes_max);

  std::size_t memory_bytes() const;

 private:
  struct Stream;
  bool open();
  Verdict run(Bytes input, GrowingBlock& out, std::size_t bytes_max);
  bool between_blocks() const;

  std::unique_ptr<Stream> stream_;
  DeflateSide side_;
  Verdict failed_ = Verdict::good;
  bool any_input_ = false;     // in the present message
  bool stream_ended_ = false;  // by a block with BFINAL; nothing came since
};

}  // namespace rejoin::proto
