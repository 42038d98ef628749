// Memory for parked records: blocks of equal records with a free list each, so that a hundred thousand idle
// connections lie side by side, without a word of bookkeeping each, and short-lived coroutine frames leave no
// holes between them. A block whose records are all gone goes back to the system: when every link of a
// gateway breaks at once, the sessions that wait for them do not pay for the links.
#pragma once

#include <sys/mman.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "base/intrusive_list.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace rejoin {

/// Of one block, and its alignment: a record finds its block by its own address.
inline constexpr std::size_t kRecordBlockBytes = 32 * 1024;

/// Owned by a worker; one thread. Records must be gone before it is (asserted).
template <typename T>
class RecordPool {
 public:
  RecordPool() = default;
  ~RecordPool() {
    assert(live_ == 0 && "a record outlives its pool");
    if (spare_ != nullptr) give_back(*spare_);
  }
  RecordPool(const RecordPool&) = delete;
  RecordPool& operator=(const RecordPool&) = delete;

  /// Throws std::bad_alloc, as new does.
  template <typename... Args>
  T& make(Args&&... args) {
    Block& block = with_room();
    Cell* cell = block.free;
    block.free = cell->next;
    if (block.free == nullptr) block.leave();
    ++block.live;
    ++live_;
    mark(*cell, true);
    return *new (cell->room) T(std::forward<Args>(args)...);
  }

  void destroy(T& record) {
    record.~T();
    auto* cell = reinterpret_cast<Cell*>(&record);
    Block& block =
        *reinterpret_cast<Block*>(reinterpret_cast<std::uintptr_t>(cell) & ~(kRecordBlockBytes - 1));
    cell->next = block.free;
    block.free = cell;
    mark(*cell, false);
    --live_;
    if (--block.live == 0) {
      empty(block);
    } else if (!block.in_list()) {
      with_room_.push_back(block);
    }
  }

  std::size_t live() const { return live_; }
  /// Memory held from the system.
  std::size_t bytes() const { return blocks_ * kRecordBlockBytes; }

 private:
  union Cell {
    Cell* next;
    alignas(T) std::byte room[sizeof(T)];
  };
  /// The head of a block; its cells lie behind it. In with_room_ as long as it has room and a record.
  struct Block : ListNode {
    Cell* free = nullptr;
    std::size_t live = 0;
  };
  static constexpr std::size_t kFirstCell =
      (sizeof(Block) + alignof(Cell) - 1) / alignof(Cell) * alignof(Cell);
  static constexpr std::size_t kPerBlock = (kRecordBlockBytes - kFirstCell) / sizeof(Cell);
  static_assert(kPerBlock >= 8, "too large a record to lie in blocks");

  // To AddressSanitizer a record that was given back is as dead as freed memory, but for the list's pointer.
  static void mark([[maybe_unused]] Cell& cell, [[maybe_unused]] bool live) {
#ifdef __SANITIZE_ADDRESS__
    if constexpr (sizeof(Cell) > sizeof(Cell*)) {
      std::byte* const behind = cell.room + sizeof(Cell*);
      const std::size_t bytes = sizeof(Cell) - sizeof(Cell*);
      if (live) {
        ASAN_UNPOISON_MEMORY_REGION(behind, bytes);
      } else {
        ASAN_POISON_MEMORY_REGION(behind, bytes);
      }
    }
#endif
  }

  Block& with_room() {
    if (with_room_.empty())
      with_room_.push_back(spare_ != nullptr ? *std::exchange(spare_, nullptr) : add_block());
    return with_room_.front();
  }

  // One empty block is kept, so that a single connection that comes and goes costs no call of the system.
  void empty(Block& block) {
    block.leave();
    if (spare_ == nullptr) {
      spare_ = &block;
    } else {
      give_back(block);
    }
  }

  Block& add_block() {
    auto* const bytes = static_cast<std::byte*>(map_aligned());
    Block& block = *new (bytes) Block;
    auto* const cells = reinterpret_cast<Cell*>(bytes + kFirstCell);
    for (std::size_t i = kPerBlock; i-- > 0;) {
      cells[i].next = block.free;
      block.free = &cells[i];
    }
    ++blocks_;
    return block;
  }

  void give_back(Block& block) {
    block.~Block();
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(&block, kRecordBlockBytes);
#endif
    munmap(&block, kRecordBlockBytes);
    --blocks_;
  }

  /// Not from malloc: what it is given back in the middle of its heap it keeps.
  static void* map_aligned() {
    constexpr std::size_t kSize = kRecordBlockBytes;
    void* at = map(kSize);
    if (reinterpret_cast<std::uintptr_t>(at) % kSize == 0) return at;  // as after another block
    munmap(at, kSize);
    auto* const twice = static_cast<std::byte*>(map(2 * kSize));
    const std::size_t before = (kSize - reinterpret_cast<std::uintptr_t>(twice) % kSize) % kSize;
    if (before != 0) munmap(twice, before);
    munmap(twice + before + kSize, kSize - before);
    return twice + before;
  }
  static void* map(std::size_t size) {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return at;
  }

  List<Block> with_room_;
  Block* spare_ = nullptr;  // without a record
  std::size_t blocks_ = 0, live_ = 0;
};

}  // namespace rejoin
