// Which servers have changed, told to everybody who keeps a view of a pool: so that a choice costs what has
// changed since the one before, and not a look at every server.
//
// Any thread writes, any number of readers read, each with a cursor of its own; nobody waits for anybody. It
// holds the latest kSlots changes: a reader who comes later than that looks at all servers, as it does where
// it meets a writer at work.
//
// Owner: PoolLife (pool.h), which Pools that follow each other share. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace rejoin::route {

class ChangeLog {
 public:
  /// 2 kB a pool.
  static constexpr std::size_t kSlots = 256;

  /// What changed of the server of this number was stored before (relaxed will do).
  void note(std::uint32_t number) {
    const std::uint64_t at = head_.fetch_add(1, std::memory_order_acq_rel);
    slots_[at % kSlots].store(entry(at, number), std::memory_order_release);
  }
  /// Who looks at all servers after this has seen all that is before it.
  std::uint64_t head() const { return head_.load(std::memory_order_acquire); }
  /// Calls `changed(number)` for each change from `cursor` on, which moves. False: too many, or one of them
  /// cannot be read yet; look at all, from head() on.
  template <typename Changed>
  [[nodiscard]] bool read(std::uint64_t& cursor, Changed changed) const {
    const std::uint64_t to = head();
    if (to - cursor > kSlots) return false;
    for (; cursor != to; ++cursor) {
      const std::uint64_t found = slots_[cursor % kSlots].load(std::memory_order_acquire);
      const auto number = static_cast<std::uint32_t>(found);
      if (found != entry(cursor, number)) return false;
      changed(number);
    }
    return true;
  }

 private:
  // With the low bits of its place, so that an old entry is not taken for the one that is being written.
  static std::uint64_t entry(std::uint64_t at, std::uint32_t number) { return (at + 1) << 32 | number; }

  std::atomic<std::uint64_t> head_{0};
  std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

}  // namespace rejoin::route
