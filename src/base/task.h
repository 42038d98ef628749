// Coroutines for the beginnings of connections. A Task is lazy: it runs when it is awaited, or spawned on a
// Scope.
//
// Every resumption goes through the loop's ReadyQueue (no symmetric transfer), so stacks stay flat and a
// coroutine is never entered from the middle of somebody else's call. A task awaited is owned by the awaiting
// frame, a task spawned by its Scope, and a Scope must be empty when it dies: no coroutine outlives what it
// refers to.
//
// For the same reason a Task must not be handed lent bytes (base/bytes.h): it begins when the queue comes to
// it, and somebody else may have read in between. Copy first.
//
// GCC 12 miscompiles some forms (shared facts, section 5); ./dev lint looks for them: await into a named
// local and then test it; no `?:` between tasks; no `||` of awaits; no braces around a co_await; no coroutine
// lambda with captures.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "base/frame_cache.h"
#include "base/intrusive_list.h"

namespace rejoin {

/// Coroutines that may go on, in the order in which they became ready. Owned by a loop; one thread.
class ReadyQueue {
 public:
  void push(std::coroutine_handle<> handle) { next_.push_back(handle); }
  bool empty() const { return next_.empty(); }

  /// Resumes what is ready now, and what becomes ready through it, up to `max` steps so that sockets get
  /// their turn.
  void run(std::size_t max = 10'000) {
    while (!next_.empty() && max != 0) {
      running_.swap(next_);
      for (std::size_t i = 0; i < running_.size(); ++i) running_[i].resume();
      max -= running_.size() < max ? running_.size() : max;
      running_.clear();
    }
  }

 private:
  std::vector<std::coroutine_handle<>> next_, running_;
};

namespace detail {

struct PromiseBase {
  ReadyQueue* ready = nullptr;
  std::coroutine_handle<> continuation;

  static void* operator new(std::size_t bytes) { return FrameCache::take(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { FrameCache::give(frame, bytes); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct Final {
    bool await_ready() noexcept { return false; }
    template <typename P>
    void await_suspend(std::coroutine_handle<P> self) noexcept {
      PromiseBase& promise = self.promise();
      if (promise.continuation) promise.ready->push(promise.continuation);
    }
    void await_resume() noexcept {}
  };
  Final final_suspend() noexcept { return {}; }
  /// Exceptions do not travel on byte paths: one that reaches here is a bug of ours.
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <typename T>
struct Promise;

}  // namespace detail

/// A lazy coroutine that ends with a T. Move-only; destroying one that has not ended destroys its frame and
/// what it holds.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  struct Awaiter {
    Handle handle;
    bool await_ready() const noexcept { return false; }
    template <typename P>
    void await_suspend(std::coroutine_handle<P> parent) noexcept {
      handle.promise().ready = parent.promise().ready;
      handle.promise().continuation = parent;
      handle.promise().ready->push(handle);
    }
    T await_resume() { return handle.promise().take(); }
  };
  Awaiter operator co_await() const noexcept { return Awaiter{handle_}; }

 private:
  Handle handle_;
};

namespace detail {

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() { return Task<T>(std::coroutine_handle<Promise>::from_promise(*this)); }
  void return_value(T result) { value.emplace(std::move(result)); }
  T take() {
    assert(value);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void take() {}
};

inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace rejoin
