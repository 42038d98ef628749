// Control characters in a stretch of bytes, sixteen compared at a time: the inner loop of reading heads.
//
// A head without faults has only CR LF pairs among its bytes below 0x20 and 0x7f, so "the next control
// character" is "the end of the line", and between two of them nothing needs a look. Internal to src/proto; a
// value on the stack.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/bytes.h"

namespace rejoin::proto {

/// Finds, one after the other, the places of bytes below 0x20 (tabs too) and of 0x7f.
class ControlFinder {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  /// Looks at [from, size) of `bytes`.
  ControlFinder(const char* bytes, std::size_t from, std::size_t size)
      : bytes_(bytes), at_(from), size_(size) {}

  /// The next place, or kNone when there is none before `size`.
  [[gnu::always_inline]] std::size_t next() {
    while (mask_ == 0) {
      if (at_ >= size_) return kNone;
      base_ = at_;
      if (size_ - at_ >= kStep) {
        mask_ = controls(bytes_ + at_);
        at_ += kStep;
      } else {
        mask_ = last_controls();
        at_ = size_;
      }
    }
    const int bit = std::countr_zero(mask_);
    mask_ &= mask_ - 1;
    return base_ + static_cast<std::size_t>(bit);
  }

  /// Passes over the next place, of which the caller knows that it is there.
  void skip() {
    if (mask_ != 0) {
      mask_ &= mask_ - 1;
    } else {
      next();
    }
  }

 private:
  static constexpr std::size_t kStep = 64;

  // The last bytes, fewer than a step. Nothing behind `size_` is read.
  std::uint64_t last_controls() const {
    const std::size_t left = size_ - at_;
    if (size_ >= kStep) return controls(bytes_ + size_ - kStep) >> (kStep - left);
    char copy[kStep];
    std::memset(copy, 'x', sizeof copy);
    std::memcpy(copy, bytes_ + at_, left);
    return controls(copy);
  }

#if defined(__SSE2__)
  static std::uint64_t controls16(const char* at) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // SSE2 compares signed bytes only; "unsigned and at most 0x1f" is "its own minimum with 0x1f".
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(low, del)));
  }
  static std::uint64_t controls(const char* at) {
    return controls16(at) | controls16(at + 16) << 16 | controls16(at + 32) << 32 | controls16(at + 48) << 48;
  }
#else
  static std::uint64_t controls(const char* at) {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < kStep; ++i) {
      const auto byte = static_cast<unsigned char>(at[i]);
      mask |= static_cast<std::uint64_t>(byte < 0x20 || byte == 0x7f) << i;
    }
    return mask;
  }
#endif

  const char* bytes_;
  std::size_t at_;
  std::size_t size_;
  std::size_t base_ = 0;
  std::uint64_t mask_ = 0;
};

/// The place of the first `wanted` in the `size` bytes at `at`; `size` when it is not there. `readable` bytes
/// (at least `size`) may be read. For short searches, where a call of memchr costs more than the search.
inline std::size_t find_near(const char* at, std::size_t size, std::size_t readable, char wanted) {
  std::size_t i = 0;
#if defined(__SSE2__)
  for (; i < size && i + 16 <= readable; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + i));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted))));
    if (mask != 0) {
      const std::size_t found = i + static_cast<std::size_t>(std::countr_zero(mask));
      return found < size ? found : size;
    }
  }
#endif
  for (; i < size; ++i) {
    if (at[i] == wanted) return i;
  }
  return size;
}

}  // namespace rejoin::proto
