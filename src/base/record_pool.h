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
    return *new (cell->room) T(std::forward<Args>(args)...);
  }

  void destroy(T& record) {
    record.~T();
    auto* cell = reinterpret_cast<Cell*>(&record);
    cell->next = free_;
    free_ = cell;
    --live_;
  }

  std::size_t live() const { return live_; }

 private:
  union Cell {
    Cell* next;
    alignas(T) std::byte room[sizeof(T)];
  };

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
