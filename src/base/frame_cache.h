// Memory of coroutine frames, kept for the next coroutine.
//
// A request is served by about ten short coroutines whose frames are between 200 bytes and some kB; malloc()
// takes 100 to 400 instructions for each of the larger ones, and as many to give it back. A freed frame is
// kept on a list of its size, a few of each size, and the rest is malloc's again: after a storm of handshakes
// nothing stays behind.
//
// One cache for each thread, as malloc's own: a frame may end on another thread than it began on, it is kept
// there then. Under AddressSanitizer every frame is malloc's, so that a use after the end is seen.
#pragma once

#include <cstddef>

namespace rejoin {

class FrameCache {
 public:
  static constexpr std::size_t kStepBytes = 64;        // sizes are rounded up to it
  static constexpr std::size_t kFrameBytesMax = 4096;  // larger ones are malloc's
  static constexpr std::size_t kKeptMax = 32;          // of each size

  /// At least `bytes`, aligned for every fundamental type. Throws std::bad_alloc, as operator new.
  static void* take(std::size_t bytes);
  /// `frame` came from take(bytes).
  static void give(void* frame, std::size_t bytes) noexcept;
};

}  // namespace rejoin
