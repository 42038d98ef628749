// Work has a home: a Scope counts the coroutines spawned on it and asserts, when it dies, that none is left
// inside. A Stop ends their waits, so that a scope can be emptied.
#pragma once

#include <coroutine>
#include <cstddef>

#include "base/clock.h"
#include "base/intrusive_list.h"
#include "base/task.h"
#include "base/timers.h"

namespace rejoin {

class Waiter;

/// A switch that is thrown once: every Waiter that was given it wakes with `stopped`, and later waits do not
/// begin. One thread; outlives its waiters.
class Stop {
 public:
  void request();
  bool requested() const { return requested_; }

 private:
  friend class Waiter;
  List<Waiter> waiting_;
  bool requested_ = false;
};

/// Why a wait ended.
enum class Woken : unsigned char { ready, timed_out, stopped };

/// One coroutine's wait for one kind of event, with a deadline and a Stop: whichever comes first wakes it,
/// once. Lives in the coroutine's frame or in an object that outlives the wait. At most one coroutine waits
/// at a time.
class Waiter : private ListNode {
 public:
  Waiter(ReadyQueue& ready, TimerWheel& timers, Stop& stop);

  /// Wakes who waits with `ready`; nothing happens if nobody does (the caller keeps the condition, not the
  /// Waiter).
  void wake() { finish(Woken::ready); }
  bool waiting() const { return handle_ != nullptr; }

  struct Awaiter {
    Waiter& waiter;
    TimePoint deadline;
    bool await_ready() const noexcept { return waiter.stop_.requested(); }
    void await_suspend(std::coroutine_handle<> handle) { waiter.begin(handle, deadline); }
    Woken await_resume() const noexcept { return waiter.stop_.requested() ? Woken::stopped : waiter.woken_; }
  };
  /// `co_await waiter.until(deadline)`: suspends until wake(), the deadline or the stop.
  Awaiter until(TimePoint deadline) { return Awaiter{*this, deadline}; }

 private:
  friend class Stop;
  friend class List<Waiter>;
  void begin(std::coroutine_handle<> handle, TimePoint deadline);
  void finish(Woken why);

  ReadyQueue& ready_;
  TimerWheel& timers_;
  Stop& stop_;
  Timer timer_;
  std::coroutine_handle<> handle_;
  Woken woken_ = Woken::ready;
};

/// Home of spawned tasks. Must be empty when it dies. One thread.
class Scope {
 public:
  explicit Scope(ReadyQueue& ready) : ready_(ready) {}
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Starts `task` at the loop's next turn, and owns it until it has ended.
  void spawn(Task<void> task);
  std::size_t running() const { return running_; }

  struct Join {
    Scope& scope;
    bool await_ready() const noexcept { return scope.running_ == 0; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { scope.joiner_ = handle; }
    void await_resume() const noexcept {}
  };
  /// `co_await scope.join()`: until the last spawned task has ended. One coroutine at a time.
  Join join() { return Join{*this}; }

 private:
  struct Root;
  static Root run(Scope& scope, Task<void> task);
  void ended();

  ReadyQueue& ready_;
  std::coroutine_handle<> joiner_;
  std::size_t running_ = 0;
};

}  // namespace rejoin
