#include "base/scope.h"

#include <cstdio>
#include <cstdlib>

namespace rejoin {

void Stop::request() {
  requested_ = true;
  while (!waiting_.empty()) waiting_.front().finish(Woken::stopped);
}

Waiter::Waiter(ReadyQueue& ready, TimerWheel& timers, Stop& stop)
    : ready_(ready),
      timers_(timers),
      stop_(stop),
      timer_([](void* self) { static_cast<Waiter*>(self)->finish(Woken::timed_out); }, this) {}

void Waiter::begin(std::coroutine_handle<> handle, TimePoint deadline) {
  assert(!handle_ && "one coroutine waits at a time");
  handle_ = handle;
  timers_.arm(timer_, deadline);
  stop_.waiting_.push_back(*this);
}

void Waiter::finish(Woken why) {
  if (!handle_) return;
  woken_ = why;
  timer_.cancel();
  leave();
  ready_.push(std::exchange(handle_, {}));
}

// The frame that owns a spawned task: it starts through the ready queue and destroys itself at its end.
struct Scope::Root {
  struct promise_type {
    ReadyQueue* ready;
    promise_type(Scope& scope, Task<void>&) : ready(&scope.ready_) {}
    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Scope::Root Scope::run(Scope& scope, Task<void> task) {
  {
    Task<void> owned =
        std::move(task);  // its frame, and all that it holds, is gone before the scope hears of the end
    co_await owned;
  }
  scope.ended();
}

void Scope::spawn(Task<void> task) {
  ++running_;
  Root root = run(*this, std::move(task));
  ready_.push(root.handle);
}

void Scope::ended() {
  if (--running_ == 0 && joiner_) ready_.push(std::exchange(joiner_, {}));
}

Scope::~Scope() {
  if (running_ == 0) return;
  std::fprintf(stderr, "rejoin: a scope dies with %zu tasks inside: a bug\n", running_);
  std::abort();
}

}  // namespace rejoin
