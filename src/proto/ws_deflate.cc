#include "proto/ws_deflate.h"

#include <zlib.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>

namespace rejoin::proto {
namespace {

/// An empty block without compression, which ends at a byte: what a flush leaves behind, without its first
/// byte.
constexpr Bytes kFlushMark{"\x00\x00\xff\xff", 4};
/// zlib counts in 32 bits, and its bounds for what comes out must fit, too.
constexpr std::size_t kMessageBytesEnd = std::size_t{1} << 30;
/// zlib's manual asks for more than 6 bytes of room at a flush, or it may write its mark twice.
constexpr std::size_t kFlushRoomBytes = 16;
constexpr std::size_t kFirstRoomBytes = 4096;
// Of 1 KiB of a game's JSON, windowBits 12, memLevel 5 (ws_deflate_bench, CPU us and bytes sent): level 1 18
// and 299, level 3 15 and 288, level 4 23 and 266, level 6 32 and 253. Twice the CPU is a high price for a
// tenth of the bytes.
constexpr int kLevel = 3;

/// zlib's memory is counted where it is taken; it is given back at the end only, all of it.
voidpf take_memory(voidpf counter, uInt items, uInt bytes) {
  void* const block = std::malloc(std::size_t{items} * bytes);
  if (block != nullptr) *static_cast<std::size_t*>(counter) += std::size_t{items} * bytes;
  return block;
}
void give_memory_back(voidpf, voidpf block) { std::free(block); }

/// zlib keeps the address of its z_stream and looks whether it is still the same: hence on the heap.
struct ZStream {
  ZStream() {
    z.zalloc = take_memory;
    z.zfree = give_memory_back;
    z.opaque = &bytes;
  }
  ZStream(const ZStream&) = delete;
  ZStream& operator=(const ZStream&) = delete;

  z_stream z{};
  std::size_t bytes = 0;
};

// zlib never writes through next_in, and declares it const only with a macro of its own.
Bytef* input_of(Bytes bytes) { return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data())); }
Bytef* output_of(MutableBytes room) { return reinterpret_cast<Bytef*>(room.data()); }
uInt count_of(std::size_t bytes) {
  return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max()));
}

}  // namespace

// ---- GrowingBlock ----

bool GrowingBlock::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return true;
  std::unique_ptr<char[]> larger(new (std::nothrow) char[bytes]);
  if (!larger) return false;
  std::copy_n(block_.get(), size_, larger.get());
  block_ = std::move(larger);
  capacity_ = bytes;
  return true;
}

void GrowingBlock::swap(GrowingBlock& other) noexcept {
  std::swap(block_, other.block_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
}

void GrowingBlock::shrink(std::size_t keep_bytes) {
  size_ = 0;
  if (capacity_ <= keep_bytes) return;
  block_.reset();
  capacity_ = 0;
}

// ---- Deflater ----

struct Deflater::Stream : ZStream {
  ~Stream() { deflateEnd(&z); }
};

Deflater::Deflater(DeflateSide side, int memory_level)
    : side_(side), memory_level_(static_cast<std::uint8_t>(memory_level)) {
  assert(side.window_bits >= kDeflaterWindowBitsMin && side.window_bits <= kWindowBitsMax);
  assert(memory_level >= 1 && memory_level <= MAX_MEM_LEVEL);
}

Deflater::~Deflater() = default;

void Deflater::forget() { stream_.reset(); }

std::size_t Deflater::memory_bytes() const { return stream_ ? sizeof(Stream) + stream_->bytes : 0; }

/// A stream in which nothing came before, or with takeover all that was said.
bool Deflater::open() {
  if (stream_) return side_.takeover == Takeover::yes || deflateReset(&stream_->z) == Z_OK;
  stream_.reset(new (std::nothrow) Stream);
  if (!stream_) return false;
  // Negative: raw, without zlib's header and checksum.
  return deflateInit2(&stream_->z, kLevel, Z_DEFLATED, -side_.window_bits, memory_level_,
                      Z_DEFAULT_STRATEGY) == Z_OK;
}

/// Compresses the input; Z_SYNC_FLUSH brings all of it out.
bool Deflater::run(Bytes input, int flush, GrowingBlock& out) {
  z_stream& z = stream_->z;
  z.next_in = input_of(input);
  z.avail_in = count_of(input.size());
  for (;;) {
    const MutableBytes room = out.tail();
    z.next_out = output_of(room);
    z.avail_out = count_of(room.size());
    const int said = ::deflate(&z, flush);
    out.commit(room.size() - z.avail_out);
    if (said != Z_OK) return false;
    if (z.avail_in == 0 && (z.avail_out != 0 || flush == Z_NO_FLUSH)) return true;
    // deflateBound is for a stream from its beginning to its end; where it falls short here, there is more to
    // come.
    if (!out.reserve(out.size() * 2)) return false;
  }
}

std::optional<Bytes> Deflater::deflate(Bytes head, Bytes rest, GrowingBlock& out) {
  out.clear();
  const std::size_t bytes = head.size() + rest.size();
  if (bytes == 0) {
    // A second flush with nothing new is an error to zlib. This is what the first one gives.
    if (!out.reserve(1)) return std::nullopt;
    out.tail().front() = 0;
    out.commit(1);
    return out.view();
  }
  if (bytes >= kMessageBytesEnd || !open() ||
      !out.reserve(deflateBound(&stream_->z, static_cast<uLong>(bytes)) + kFlushRoomBytes) ||
      (!head.empty() && !rest.empty() && !run(head, Z_NO_FLUSH, out)) ||
      !run(rest.empty() ? head : rest, Z_SYNC_FLUSH, out)) {
    forget();
    return std::nullopt;
  }
  assert(out.view().ends_with(kFlushMark));
  out.drop_last(kFlushMark.size());
  return out.view();
}

// ---- Inflater ----

struct Inflater::Stream : ZStream {
  ~Stream() { inflateEnd(&z); }
};

Inflater::Inflater(DeflateSide side) : side_(side) {}

Inflater::~Inflater() = default;

std::size_t Inflater::memory_bytes() const { return stream_ ? sizeof(Stream) + stream_->bytes : 0; }

bool Inflater::open() {
  if (stream_) return true;
  stream_.reset(new (std::nothrow) Stream);
  if (!stream_) return false;
  // zlib makes no deflater with 8 and takes 9 in its place, without going further back than 250 bytes. We
  // need not trust that of a peer who is built on it.
  const int window_bits = std::max(side_.window_bits, kDeflaterWindowBitsMin);
  if (inflateInit2(&stream_->z, -window_bits) == Z_OK) return true;
  stream_.reset();
  return false;
}

Inflater::Verdict Inflater::feed(Bytes piece, bool first, bool last, GrowingBlock& out,
                                 std::size_t bytes_max) {
  if (first) {
    any_input_ = false;
    if (side_.takeover == Takeover::no) {
      // The window, too: another connection's message may have been in it.
      if (stream_) inflateReset(&stream_->z);
      failed_ = Verdict::good;
      stream_ended_ = false;
    }
  }
  if (failed_ != Verdict::good) return failed_;
  if (!piece.empty()) {
    any_input_ = true;
    failed_ = open() ? run(piece, out, bytes_max) : Verdict::no_memory;
  }
  if (!last || !any_input_ || failed_ != Verdict::good) return failed_;
  // A compressor that ended its stream has said all; the empty block behind it may be missing.
  if (!stream_ended_) failed_ = run(kFlushMark, out, bytes_max);
  if (failed_ == Verdict::good && !between_blocks()) failed_ = Verdict::corrupt;
  return failed_;
}

/// Inflates all of the input, or says why not.
Inflater::Verdict Inflater::run(Bytes input, GrowingBlock& out, std::size_t bytes_max) {
  z_stream& z = stream_->z;
  z.next_in = input_of(input);
  z.avail_in = count_of(input.size());
  for (;;) {
    if (stream_ended_) {
      if (z.avail_in == 0) return Verdict::good;
      // The next block begins a new stream for zlib, and the old window goes on for RFC 7692. Not
      // inflateReset and inflateSetDictionary: they copy 32 kB, and such a block can be 2 bytes long.
      inflateResetKeep(&z);
      stream_ended_ = false;
    }
    // Full: zlib is asked for one byte more, to learn whether there is one.
    char beyond;
    const bool full = out.size() >= bytes_max;
    if (!full && out.tail().empty()) {
      const std::size_t more = std::max({2 * out.size(), 4 * input.size(), kFirstRoomBytes});
      if (!out.reserve(std::min(more, bytes_max))) return Verdict::no_memory;
    }
    const MutableBytes room = full ? MutableBytes(&beyond, 1)
                                   : out.tail().first(std::min(out.tail().size(), bytes_max - out.size()));
    z.next_out = output_of(room);
    z.avail_out = count_of(room.size());
    const int said = inflate(&z, Z_SYNC_FLUSH);
    const std::size_t came = count_of(room.size()) - z.avail_out;
    if (full && came != 0) return Verdict::too_big;
    if (!full) out.commit(came);
    if (said == Z_STREAM_END) {
      stream_ended_ = true;
    } else if (said == Z_MEM_ERROR) {
      return Verdict::no_memory;
    } else if (said != Z_OK && said != Z_BUF_ERROR) {
      return Verdict::corrupt;
    } else if (z.avail_in == 0 && z.avail_out != 0) {
      return Verdict::good;
    }
  }
}

/// True when a block has ended with the last bit that was fed. (zlib's manual, data_type: 128 right behind a
/// block, the low bits count what is unused of the last byte.)
bool Inflater::between_blocks() const { return stream_ended_ || stream_->z.data_type == 128; }

}  // namespace rejoin::proto
