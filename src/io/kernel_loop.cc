#include "io/kernel_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/kernel_listener.h"
#include "io/kernel_sockets.h"
#include "io/sockaddr.h"

namespace rejoin::io {
namespace {

#ifndef IPPROTO_MPTCP
constexpr int IPPROTO_MPTCP = 262;
#endif

}  // namespace

KernelLoop::KernelLoop(Log& log, Wakers wakers)
    : log_(log),
      now_(SystemClock().now()),
      timers_(now_),
      buffers_(limits::kBufferBytes),
      read_block_(new char[limits::kBufferBytes]),
      wakers_(wakers) {}

KernelLoop::~KernelLoop() {
  for (const Listening& inherited : inherited_) ::close(inherited.descriptor);
  ::close(wakers_.posted);
  ::close(wakers_.alarm);
}

Result<KernelLoop::Wakers> KernelLoop::make_wakers() {
  const int posted = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (posted < 0) return Error::from_errno(errno, "eventfd");
  const int alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (alarm < 0) {
    Error error = Error::from_errno(errno, "timerfd_create");
    ::close(posted);
    return error;
  }
  return Wakers{posted, alarm};
}

void KernelLoop::watch_wakers() {
  watch(wakers_.posted, [this] { run_posted(); });
  watch(wakers_.alarm, [this] { on_alarm(); });
}

UnixSeconds KernelLoop::unix_now() const { return SystemClock().unix_now(); }

// --- turns ---

void KernelLoop::run() {
  while (!stopping_) turn(1h);
  settle();
}

Duration KernelLoop::next_wait() const {
  if (!ready_.empty() || !again_.empty()) return Duration(0);
  const TimePoint next = timers_.next();
  return next == kNever ? Duration::max() : std::max(next - SystemClock().now(), Duration(0));
}

bool KernelLoop::may_sleep(Duration wait_max) {
  if (!ready_.empty() || !again_.empty() || wait_max <= Duration(0)) return false;
  const TimePoint until = std::min(timers_.next(), wait_max < kNever - now_ ? now_ + wait_max : kNever);
  if (until <= now_) return false;
  if (until < alarm_at_) set_alarm(until);
  return true;
}

// Only ever to an earlier time than it was set to. As a timer is armed for a time from now on, this happens
// once in the shortest of those times, and not once a turn.
void KernelLoop::set_alarm(TimePoint at) {
  const std::int64_t us = at.time_since_epoch().count();
  const itimerspec when{.it_interval = {},
                        .it_value = {.tv_sec = us / 1'000'000, .tv_nsec = us % 1'000'000 * 1000}};
  timerfd_settime(wakers_.alarm, TFD_TIMER_ABSTIME, &when, nullptr);  // fails for wrong arguments only
  alarm_at_ = at;
}

// The turn has looked at the timers already.
void KernelLoop::on_alarm() {
  std::uint64_t times;
  (void)!::read(wakers_.alarm, &times, sizeof times);
  alarm_at_ = kNever;
}

void KernelLoop::stop() {
  post([this] { stopping_ = true; });
}

void KernelLoop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posted_mutex_);
    if (refusing_) return;
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(wakers_.posted, &one,
                 sizeof one);  // fails only when the counter is full: then the loop wakes anyway
}

void KernelLoop::run_posted() {
  std::uint64_t count;
  (void)!::read(wakers_.posted, &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(posted_mutex_);
    work.swap(posted_);
  }
  for (auto& one : work) one();
}

void KernelLoop::refuse_posts() {
  {
    const std::lock_guard lock(posted_mutex_);
    refusing_ = true;
  }
  discard_posted();
}

void KernelLoop::discard_posted() {
  std::vector<std::function<void()>> work;
  const std::lock_guard lock(posted_mutex_);
  work.swap(posted_);
}

// --- watches ---

bool KernelLoop::watch(int descriptor, std::function<void()> on_readable) {
  const std::uint32_t generation = reserve(descriptor);
  if (!begin_watching(descriptor, generation)) return false;
  watches_.push_back({descriptor, generation, std::move(on_readable)});
  return true;
}

void KernelLoop::unwatch(int descriptor) {
  const auto found = std::find_if(watches_.begin(), watches_.end(),
                                  [&](const Watch& w) { return w.descriptor == descriptor; });
  if (found == watches_.end()) return;
  const std::uint32_t generation = found->generation;
  watches_.erase(found);
  end_watching(descriptor, generation);
  retire(descriptor);
}

bool KernelLoop::tell_watch(int descriptor, std::uint32_t generation) {
  const auto watch = std::find_if(watches_.begin(), watches_.end(), [&](const Watch& w) {
    return w.descriptor == descriptor && w.generation == generation;
  });
  if (watch == watches_.end()) return false;
  const std::function<void()> tell = watch->on_readable;  // a copy: it may unwatch itself
  tell();
  return true;
}

// --- listeners ---

Result<std::unique_ptr<Listener>> KernelLoop::listen(const Address& at, const ListenOptions& options,
                                                     AcceptEvents& events) {
  int descriptor = take_inherited(at);
  const bool inherited = descriptor >= 0;
  if (!inherited) {
    const Result<int> opened = open_listening(at, options);
    if (!opened) return opened.error();
    descriptor = *opened;
  }
  // Accepted sockets inherit these, so they cost nothing a connection.
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_keep_alive(descriptor);
  set_option(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT, options.client_speaks_first ? 1 : 0);
  if (!inherited && ::listen(descriptor, options.backlog) != 0) {
    Error error = Error::from_errno(errno, "listen on " + at.text());
    ::close(descriptor);
    return error;
  }
  auto listener = std::make_unique<KernelListener>(*this, descriptor, at, events);
  for (int more = 0; inherited && at.port != 0 && (more = take_inherited(at)) >= 0;)
    listener->add(std::make_unique<KernelListener>(*this, more, at, events));
  return std::unique_ptr<Listener>(std::move(listener));
}

Result<int> KernelLoop::open_listening(const Address& at, const ListenOptions& options) {
  const SocketAddress address = to_sockaddr(at);
  const std::string what = "listen on " + at.text();
  constexpr int kKind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int descriptor = -1;
  if (options.mptcp) {
    descriptor = socket(address.storage.ss_family, kKind, IPPROTO_MPTCP);
    if (descriptor < 0)
      log_.warn(to_string(Error::from_errno(errno, what + ": no Multipath TCP here, plain TCP instead")));
  }
  if (descriptor < 0) descriptor = socket(address.storage.ss_family, kKind, 0);
  if (descriptor < 0) return Error::from_errno(errno, what);
  set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
  if (at.family == Address::Family::ipv6) set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0) {
    Error error = Error::from_errno(errno, what);
    ::close(descriptor);
    return error;
  }
  return descriptor;
}

KernelListener* KernelLoop::listener_at(int descriptor, std::uint32_t generation) const {
  for (KernelListener* listener : listeners_) {
    if (listener->descriptor() == descriptor && listener->generation() == generation) return listener;
  }
  return nullptr;
}

void KernelLoop::resume_listeners() {
  for (KernelListener* listener : listeners_) listener->resume();
}

// --- listening sockets of other processes ---

void KernelLoop::inherit(int descriptor, const Address& as) { inherited_.push_back({descriptor, as}); }

Address KernelLoop::address_of(int descriptor) { return bound_address(descriptor); }

/// -1: there is none for this address.
int KernelLoop::take_inherited(const Address& at) {
  const auto fits = [&at](const Listening& it) {
    Address any_port = it.address;
    any_port.port = 0;
    return it.address == at || any_port == at;
  };
  const auto found = std::find_if(inherited_.begin(), inherited_.end(), fits);
  if (found == inherited_.end()) return -1;
  const int descriptor = found->descriptor;
  inherited_.erase(found);
  return descriptor;
}

std::vector<int> KernelLoop::inherited() const {
  std::vector<int> out;
  for (const Listening& it : inherited_) out.push_back(it.descriptor);
  return out;
}

std::vector<int> KernelLoop::not_taken() {
  std::vector<int> out;
  for (const Listening& it : std::exchange(inherited_, {})) out.push_back(it.descriptor);
  return out;
}

std::vector<KernelLoop::Listening> KernelLoop::listening() const {
  std::vector<Listening> out;
  for (const KernelListener* listener : listeners_)
    out.push_back({listener->descriptor(), listener->asked()});
  return out;
}

void KernelLoop::leave_to_others(const std::vector<int>& descriptors) {
  const std::vector<KernelListener*> all = listeners_;  // who is told of what was accepted may listen anew
  for (KernelListener* listener : all) {
    if (std::find(descriptors.begin(), descriptors.end(), listener->descriptor()) != descriptors.end())
      listener->leave();
  }
}

// --- connections of other loops ---

LooseConnection KernelLoop::give_up(Socket socket) {
  const std::uint32_t id = socket.id();
  auto& loop = static_cast<KernelLoop&>(*socket.forget());
  LooseConnection out = loop.release(id);
  out.from = &loop;
  return out;
}

ReadResult KernelLoop::read_unread(std::uint32_t id, std::size_t max) {
  const auto found = unread_.find(id);
  const std::size_t count = found->second.copy(read_block_.get(), std::min(max, limits::kBufferBytes));
  found->second.erase(0, count);
  if (found->second.empty()) unread_.erase(found);
  return {.state = ReadResult::State::got, .errnum = 0, .bytes = {read_block_.get(), count}};
}

std::string KernelLoop::take_unread(std::uint32_t id) {
  const auto found = unread_.find(id);
  if (found == unread_.end()) return {};
  std::string out = std::move(found->second);
  unread_.erase(found);
  return out;
}

}  // namespace rejoin::io
