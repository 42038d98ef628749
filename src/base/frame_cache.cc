#include "base/frame_cache.h"

#include <array>
#include <new>

namespace rejoin {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

struct Free {
  Free* next;
};

struct Lists {
  struct List {
    Free* first = nullptr;
    std::size_t count = 0;
  };
  ~Lists() {
    for (List& list : of_size) {
      while (list.first != nullptr) {
        Free* const frame = list.first;
        list.first = frame->next;
        ::operator delete(frame);
      }
    }
    gone = true;
  }
  std::array<List, FrameCache::kFrameBytesMax / FrameCache::kStepBytes + 1> of_size;
  bool gone = false;  // the thread ends, and a frame may still outlive its lists
};

thread_local Lists lists;

constexpr std::size_t place_of(std::size_t bytes) {
  return (bytes + FrameCache::kStepBytes - 1) / FrameCache::kStepBytes;
}

}  // namespace

void* FrameCache::take(std::size_t bytes) {
  if (!kKeeps || bytes > kFrameBytesMax) return ::operator new(bytes);
  const std::size_t place = place_of(bytes);
  Lists::List& list = lists.of_size[place];
  if (list.first == nullptr) return ::operator new(place* kStepBytes);
  Free* const frame = list.first;
  list.first = frame->next;
  --list.count;
  return frame;
}

void FrameCache::give(void* frame, std::size_t bytes) noexcept {
  if (!kKeeps || bytes > kFrameBytesMax) return ::operator delete(frame);
  Lists::List& list = lists.of_size[place_of(bytes)];
  if (lists.gone || list.count == kKeptMax) return ::operator delete(frame);
  list.first = new (frame) Free{list.first};
  ++list.count;
}

}  // namespace rejoin
