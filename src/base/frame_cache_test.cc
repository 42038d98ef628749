#include "base/frame_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace rejoin {
namespace {

TEST(FrameCache, gives_whole_blocks_of_every_size_that_do_not_overlap) {
  std::vector<std::pair<unsigned char*, std::size_t>> taken;
  for (std::size_t bytes = 1; bytes <= FrameCache::kFrameBytesMax + 100; bytes += 37) {
    auto* const block = static_cast<unsigned char*>(FrameCache::take(bytes));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0u);
    std::memset(block, static_cast<int>(bytes % 251), bytes);
    taken.emplace_back(block, bytes);
  }
  for (const auto& [block, bytes] : taken) {
    for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(block[i], bytes % 251) << bytes;
    FrameCache::give(block, bytes);
  }
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(FrameCache, gives_a_frame_of_the_same_size_again_and_keeps_no_more_than_it_says) {
  constexpr std::size_t kBytes = 640;
  std::vector<void*> all;
  for (std::size_t i = 0; i < FrameCache::kKeptMax + 10; ++i) all.push_back(FrameCache::take(kBytes));
  for (void* frame : all) FrameCache::give(frame, kBytes - 3);  // the same step
  std::set<void*> kept(all.begin(), all.begin() + FrameCache::kKeptMax), again;
  for (std::size_t i = 0; i < FrameCache::kKeptMax; ++i) again.insert(FrameCache::take(kBytes));
  EXPECT_EQ(again, kept);
  for (void* frame : again) FrameCache::give(frame, kBytes);
}
#endif

TEST(FrameCache, takes_back_what_another_thread_took) {
  void* frame = nullptr;
  std::thread([&frame] { frame = FrameCache::take(300); }).join();
  std::memset(frame, 1, 300);
  FrameCache::give(frame, 300);
}

}  // namespace
}  // namespace rejoin
