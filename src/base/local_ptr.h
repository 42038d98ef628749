// Shared ownership within one worker: a count beside the thing, without an atomic.
//
// For what several connections of one worker refer to and nobody else does: copying one costs an increment.
// One thread.
#pragma once

#include <cassert>
#include <cstdint>
#include <utility>

namespace rejoin {

/// Derive from it to be held by LocalPtrs. 4 bytes. A copy of the thing begins with no holder.
class LocalCounted {
 protected:
  LocalCounted() = default;
  LocalCounted(const LocalCounted&) {}
  LocalCounted& operator=(const LocalCounted&) { return *this; }
  ~LocalCounted() { assert(holders_ == 0); }

 private:
  template <typename T>
  friend class LocalPtr;
  mutable std::uint32_t holders_ = 0;
};

/// The last one that goes deletes the thing. 8 bytes.
template <typename T>
class LocalPtr {
 public:
  LocalPtr() = default;
  /// `thing` comes from new, and belongs to its LocalPtrs from now on.
  explicit LocalPtr(T* thing) : thing_(thing) { hold(); }
  LocalPtr(const LocalPtr& other) : thing_(other.thing_) { hold(); }
  LocalPtr(LocalPtr&& other) noexcept : thing_(std::exchange(other.thing_, nullptr)) {}
  LocalPtr& operator=(LocalPtr other) noexcept {
    std::swap(thing_, other.thing_);
    return *this;
  }
  ~LocalPtr() {
    if (thing_ != nullptr && --thing_->holders_ == 0) delete thing_;
  }

  T& operator*() const { return *thing_; }
  T* operator->() const { return thing_; }
  T* get() const { return thing_; }
  explicit operator bool() const { return thing_ != nullptr; }
  bool operator==(const LocalPtr&) const = default;
  /// How many there are of the same thing, this one included; 0 of none.
  std::uint32_t holders() const { return thing_ != nullptr ? thing_->holders_ : 0; }

 private:
  void hold() {
    if (thing_ != nullptr) ++thing_->holders_;
  }
  T* thing_ = nullptr;
};

template <typename T, typename... Args>
LocalPtr<T> make_local(Args&&... args) {
  return LocalPtr<T>(new T(std::forward<Args>(args)...));
}

}  // namespace rejoin
