#include "io/epoll_loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "io/kernel_listener.h"
#include "io/kernel_sockets.h"
#include "io/sockaddr.h"

namespace rejoin::io {

Result<std::unique_ptr<EpollLoop>> EpollLoop::make(Log& log) {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return Error::from_errno(errno, "epoll_create1");
  const Result<Wakers> wakers = make_wakers();
  if (!wakers) {
    ::close(epoll_fd);
    return wakers.error();
  }
  return std::unique_ptr<EpollLoop>(new EpollLoop(log, epoll_fd, *wakers));
}

EpollLoop::EpollLoop(Log& log, int epoll_fd, Wakers wakers) : KernelLoop(log, wakers), epoll_fd_(epoll_fd) {
  watch_wakers();
}

EpollLoop::~EpollLoop() {
  discard_posted();
  ::close(epoll_fd_);
}

// --- turns ---

void EpollLoop::turn(Duration wait_max) {
  ready_.run();
  std::array<epoll_event, limits::kEventsPerTurnMax> events;
  const int count =
      epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), may_sleep(wait_max) ? -1 : 0);
  now_ = SystemClock().now();
  timers_.advance(now_);
  tell_again();
  for (int i = 0; i < count; ++i)
    dispatch(events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
  ready_.run();
}

void EpollLoop::dispatch(std::uint64_t key, std::uint32_t happened) {
  const auto id = static_cast<std::uint32_t>(key);
  const auto generation = static_cast<std::uint32_t>(key >> 32);
  Slot& at = slots_[id];
  if (at.generation != generation) return;  // of a socket that was closed earlier in this turn
  if (at.open) {
    const bool broken = (happened & (EPOLLERR | EPOLLHUP)) != 0;
    const Ready ready{.readable = broken || (happened & (EPOLLIN | EPOLLRDHUP)) != 0,
                      .writable = broken || (happened & EPOLLOUT) != 0};
    if (ready.readable) at.may_read = true;
    if (ready.writable) at.may_write = true;
    if (broken || (happened & EPOLLRDHUP) != 0) at.peer_ended = true;
    if (at.events != nullptr) at.events->on_ready(ready);
    return;
  }
  if (KernelListener* listener = listener_at(static_cast<int>(id), generation)) {
    listener->on_readable();
    return;
  }
  (void)tell_watch(static_cast<int>(id), generation);
}

void EpollLoop::tell_again() {
  std::vector<std::uint64_t> now;
  now.swap(again_);
  for (const std::uint64_t key : now) {
    Slot& at = slots_[static_cast<std::uint32_t>(key)];
    if (!at.open || at.generation != static_cast<std::uint32_t>(key >> 32)) continue;
    at.again = false;
    if (at.events != nullptr) at.events->on_ready({.readable = true, .writable = false});
  }
}

// --- descriptors ---

EpollLoop::Slot& EpollLoop::open_slot(int descriptor) {
  const std::uint32_t generation = reserve(descriptor);
  Slot& at = slots_[static_cast<std::size_t>(descriptor)];
  at = Slot{.generation = generation, .open = true};
  ++open_;
  return at;
}

std::uint32_t EpollLoop::reserve(int descriptor) {
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= slots_.size()) slots_.resize(std::max(index + 1, slots_.size() * 2));
  return ++slots_[index].generation;
}

// Lazily, and for writing only when a write found the socket full: most connections need one call in their
// life.
void EpollLoop::register_for(std::uint32_t id, bool writing) {
  Slot& at = slot(id);
  if (at.registered && (!writing || at.wants_write)) return;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  if (writing || at.wants_write) event.events |= EPOLLOUT;
  event.data.u64 = make_key(static_cast<int>(id), at.generation);
  epoll_ctl(epoll_fd_, at.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, static_cast<int>(id), &event);
  at.registered = true;
  at.wants_write |= writing;
}

void EpollLoop::found_empty(std::uint32_t id) {
  slot(id).may_read = false;
  register_for(id, false);
}

void EpollLoop::found_full(std::uint32_t id) {
  slot(id).may_write = false;
  register_for(id, true);
}

void EpollLoop::drop(std::uint32_t id) {
  Slot& at = slot(id);
  ++at.generation;
  at.open = false;
  at.events = nullptr;
  --open_;
  if (at.unread && !take_unread(id).empty()) reset_at_close(static_cast<int>(id));
  ::close(static_cast<int>(id));  // leaves epoll by itself: no descriptor here is ever duplicated
  closed_one();
}

LooseConnection EpollLoop::release(std::uint32_t id) {
  Slot& at = slot(id);
  if (at.registered) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, static_cast<int>(id), nullptr);
  ++at.generation;
  at.open = false;
  at.events = nullptr;
  --open_;
  return {static_cast<int>(id), at.unread ? take_unread(id) : std::string()};
}

Socket EpollLoop::take_over(LooseConnection connection) {
  Slot& at = open_slot(connection.descriptor);
  at.may_read = at.may_write = true;  // a read or a write will find out
  const auto id = static_cast<std::uint32_t>(connection.descriptor);
  if (!connection.unread.empty()) {
    at.unread = true;
    keep_unread(id, std::move(connection.unread));
  }
  return Socket(*this, id);
}

void EpollLoop::begin_accepting(KernelListener& listener) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = make_key(listener.descriptor(), listener.generation());
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, listener.descriptor(), &event);
}

void EpollLoop::end_accepting(KernelListener& listener) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, listener.descriptor(), nullptr);
}

bool EpollLoop::begin_watching(int descriptor, std::uint32_t generation) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = make_key(descriptor, generation);
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void EpollLoop::end_watching(int descriptor, std::uint32_t) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, descriptor, nullptr);
}

Result<Socket> EpollLoop::connect(const Address& to, const ConnectOptions& options) {
  const Result<Dialling> dialling = begin_to_dial(to, options);
  if (!dialling) return dialling.error();
  open_slot(dialling->descriptor).may_write = dialling->open;
  const auto id = static_cast<std::uint32_t>(dialling->descriptor);
  register_for(id, /*writing=*/true);
  return Socket(*this, id);
}

// --- a socket ---

ReadResult EpollLoop::read(std::uint32_t id, std::size_t max) {
  Slot& at = slot(id);
  max = std::min(max, limits::kBufferBytes);
  if (at.unread) return read_what_came_along(id, max);
  for (;;) {
    const ssize_t got = recv(static_cast<int>(id), read_block_.get(), max, 0);
    if (got > 0) {
      // A short read found the end, and the kernel will tell of more; unless a FIN is behind it, which was
      // told already.
      if (static_cast<std::size_t>(got) < max && !at.peer_ended) found_empty(id);
      return {.state = ReadResult::State::got,
              .errnum = 0,
              .bytes = {read_block_.get(), static_cast<std::size_t>(got)}};
    }
    if (got == 0) return {.state = ReadResult::State::ended, .errnum = 0, .bytes = {}};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      found_empty(id);
      return {.state = ReadResult::State::would_block, .errnum = 0, .bytes = {}};
    }
    return {.state = ReadResult::State::failed, .errnum = errno, .bytes = {}};
  }
}

ReadResult EpollLoop::read_what_came_along(std::uint32_t id, std::size_t max) {
  const ReadResult got = read_unread(id, max);
  slot(id).unread = has_unread(id);
  return got;
}

WriteResult EpollLoop::write(std::uint32_t id, std::span<const Bytes> pieces) {
  const Sent sent = send_now(static_cast<int>(id), pieces);
  if (sent.errnum == 0 && sent.taken < sent.total) found_full(id);
  return {.taken = sent.taken, .errnum = sent.errnum};
}

void EpollLoop::read_again(std::uint32_t id) {
  Slot& at = slot(id);
  if (at.again) return;
  at.again = true;
  again_.push_back(make_key(static_cast<int>(id), at.generation));
}

Status EpollLoop::connect_status(std::uint32_t id) {
  if (!slot(id).peer_ended) return {};  // epoll told of no error
  return error_of_connect(static_cast<int>(id));
}

void EpollLoop::shutdown_write(std::uint32_t id) { ::shutdown(static_cast<int>(id), SHUT_WR); }

void EpollLoop::reset(std::uint32_t id) {
  reset_at_close(static_cast<int>(id));
  drop(id);
}

Address EpollLoop::local_address(std::uint32_t id) const { return bound_address(static_cast<int>(id)); }

Address EpollLoop::peer_address(std::uint32_t id) const { return peer_of(static_cast<int>(id)); }

}  // namespace rejoin::io
