// Memory for parked records: blocks of equal records with a free list, so that a hundred thousand idle
// connections lie side by side, without a word of bookkeeping each, and short-lived coroutine frames leave no
// holes between them.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace rejoin {

/// Owned by a worker; one thread. Records must be gone before it is (asserted).
template <typename T, std::size_t kPerBlock = 64>
class RecordPool {
 public:
  RecordPool() = default;
  ~RecordPool() { assert(live_ == 0 && "a record outlives its pool"); }
  RecordPool(const RecordPool&) = delete;
  RecordPool& operator=(const RecordPool&) = delete;

  template <typename... Args>
  T& make(Args&&... args) {
    if (free_ == nullptr) add_block();
    Cell* cell = free_;
    free_ = cell->next;
    ++live_;
    mark(*cell, true);
    return *new (cell->room) T(std::forward<Args>(args)...);
  }

  void destroy(T& record) {
    record.~T();
    auto* cell = reinterpret_cast<Cell*>(&record);
    cell->next = free_;
    free_ = cell;
    --live_;
    mark(*cell, false);
  }

  std::size_t live() const { return live_; }

 private:
  union Cell {
    Cell* next;
    alignas(T) std::byte room[sizeof(T)];
  };

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

  void add_block() {
    blocks_.push_back(std::make_unique<Cell[]>(kPerBlock));
    for (std::size_t i = kPerBlock; i-- > 0;) {
      blocks_.back()[i].next = free_;
      free_ = &blocks_.back()[i];
    }
  }

  std::vector<std::unique_ptr<Cell[]>> blocks_;
  Cell* free_ = nullptr;
  std::size_t live_ = 0;
};

}  // namespace rejoin
