#include "io/epoll_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/sockaddr.h"

namespace rejoin::io {
namespace {

// The key that epoll gives back: descriptor below, generation above.
std::uint64_t make_key(int descriptor, std::uint32_t generation) {
  return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint32_t>(descriptor);
}

bool out_of_descriptors(int errnum) {
  return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

#ifndef IPPROTO_MPTCP
constexpr int IPPROTO_MPTCP = 262;
#endif

void set_option(int descriptor, int level, int name, int value) {
  // None of the options used is essential to correctness; a kernel without one serves on.
  (void)setsockopt(descriptor, level, name, &value, sizeof value);
}

/// Finds peers that vanished without a word.
void set_keep_alive(int descriptor) {
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, limits::kKeepAliveIdleS);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, limits::kKeepAliveIntervalS);
  set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, limits::kKeepAliveProbesMax);
}

}  // namespace

class EpollLoop::TcpListener final : public Listener {
 public:
  /// `descriptor` is open and listens, or will.
  TcpListener(EpollLoop& loop, int descriptor, const Address& asked, std::uint32_t generation,
              AcceptEvents& events)
      : loop_(loop),
        events_(events),
        retry_([](void* self) { static_cast<TcpListener*>(self)->resume(); }, this),
        asked_(asked),
        number_(++loop.listeners_opened_),
        descriptor_(descriptor),
        generation_(generation) {
    set_interest(true);
  }

  ~TcpListener() override {
    // With SO_REUSEPORT what waits in this queue would be reset by the close, though other workers listen on.
    if (!paused_ && !left_) {
      while (accept_one()) {
      }
    }
    if (paused_) --loop_.paused_listeners_;
    loop_.listeners_[static_cast<std::size_t>(descriptor_)] = nullptr;
    ++loop_.slots_[static_cast<std::size_t>(descriptor_)].generation;
    // Not by the close: where another process has the socket, too, it stays open.
    epoll_ctl(loop_.epoll_fd_, EPOLL_CTL_DEL, descriptor_, nullptr);
    ::close(descriptor_);
  }

  int descriptor() const { return descriptor_; }
  std::uint64_t number() const { return number_; }
  Address asked() const { return asked_.port != 0 ? asked_ : address(); }
  void leave() {
    left_ = true;
    set_interest(false);
  }
  /// Another socket of the same address, for the same events.
  void add(std::unique_ptr<TcpListener> other) { others_.push_back(std::move(other)); }

  Address address() const override { return bound_address(descriptor_); }
  bool paused() const override { return paused_; }

  // Level-triggered, and as many at a time as were waiting last time: one accept that finds nothing costs
  // more than being told once more.
  void on_readable() {
    for (int i = 0; i < batch_; ++i) {
      if (!accept_one()) {
        batch_ = std::max(1, i);
        return;
      }
    }
    batch_ = std::min(batch_ * 2, limits::kAcceptsPerTurnMax);
  }

  void resume() {
    if (!paused_ || left_) return;
    paused_ = false;
    --loop_.paused_listeners_;
    retry_.cancel();
    set_interest(true);
  }

 private:
  bool accept_one() {
    sockaddr_storage from;
    socklen_t length = sizeof from;
    const int descriptor =
        accept4(descriptor_, reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
      // ECONNABORTED and the network errors of accept(2) belong to one client that is gone already; there may
      // be others.
      if (errno == EAGAIN) return false;
      if (out_of_descriptors(errno)) {
        pause(errno);
        return false;
      }
      return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    }
    Slot& slot = loop_.open_slot(descriptor);
    slot.may_read = slot.may_write = true;
    events_.on_accept(Socket(loop_, static_cast<std::uint32_t>(descriptor)), from_sockaddr(from));
    return true;
  }

  void pause(int errnum) {
    paused_ = true;
    ++loop_.paused_listeners_;
    set_interest(false);
    loop_.timers_.arm(retry_, loop_.now_ + limits::kAcceptRetryMs);
    if (loop_.now_ < quiet_until_) return;
    quiet_until_ = loop_.now_ + 1s;
    loop_.log_.warn(to_string(Error::from_errno(errnum, "accepting on " + address().text() + " pauses")));
  }

  void set_interest(bool on) {
    epoll_event event{};
    if (on && !left_) event.events = EPOLLIN;
    event.data.u64 = make_key(descriptor_, generation_);
    epoll_ctl(loop_.epoll_fd_, added_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor_, &event);
    added_ = true;
  }

  EpollLoop& loop_;
  AcceptEvents& events_;
  Timer retry_;
  TimePoint quiet_until_{};
  std::vector<std::unique_ptr<TcpListener>> others_;
  Address asked_;
  std::uint64_t number_;
  int descriptor_;
  std::uint32_t generation_;
  int batch_ = 1;
  bool paused_ = false;
  bool added_ = false;
  bool left_ = false;  // to another process
};

Result<std::unique_ptr<EpollLoop>> EpollLoop::make(Log& log) {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return Error::from_errno(errno, "epoll_create1");
  const int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd < 0) {
    Error error = Error::from_errno(errno, "eventfd");
    ::close(epoll_fd);
    return error;
  }
  return std::unique_ptr<EpollLoop>(new EpollLoop(log, epoll_fd, wake_fd));
}

EpollLoop::EpollLoop(Log& log, int epoll_fd, int wake_fd)
    : log_(log),
      epoll_fd_(epoll_fd),
      wake_fd_(wake_fd),
      now_(SystemClock().now()),
      timers_(now_),
      buffers_(limits::kBufferBytes),
      read_block_(new char[limits::kBufferBytes]) {
  watch(wake_fd_, [this] { run_posted(); });
}

EpollLoop::~EpollLoop() {
  for (const Listening& inherited : inherited_) ::close(inherited.descriptor);
  unwatch(wake_fd_);
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

UnixSeconds EpollLoop::unix_now() const { return SystemClock().unix_now(); }

// --- turns ---

void EpollLoop::run() {
  while (!stopping_) turn(1h);
}

Duration EpollLoop::next_wait() const {
  if (!ready_.empty() || !again_.empty()) return Duration(0);
  const TimePoint next = timers_.next();
  return next == kNever ? Duration::max() : std::max(next - SystemClock().now(), Duration(0));
}

void EpollLoop::turn(Duration wait_max) {
  ready_.run();
  if (!ready_.empty() || !again_.empty()) wait_max = 0us;
  const TimePoint next = timers_.next();
  if (next != kNever) wait_max = std::clamp(next - now_, Duration(0), wait_max);
  const auto wait_ms =
      static_cast<int>((wait_max.count() + 999) / 1000);  // rounded up: never wake too early and spin

  std::array<epoll_event, limits::kEventsPerTurnMax> events;
  const int count = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), wait_ms);
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
  if (TcpListener* listener = listeners_[id]) {
    listener->on_readable();
    return;
  }
  const auto watch = std::find_if(watches_.begin(), watches_.end(), [&](const Watch& w) {
    return w.descriptor == static_cast<int>(id) && w.generation == generation;
  });
  if (watch == watches_.end()) return;
  const std::function<void()> tell = watch->on_readable;  // a copy: it may unwatch itself
  tell();
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

void EpollLoop::stop() {
  post([this] { stopping_ = true; });
}

void EpollLoop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_fd_, &one,
                 sizeof one);  // fails only when the counter is full: then the loop wakes anyway
}

void EpollLoop::run_posted() {
  std::uint64_t count;
  (void)!::read(wake_fd_, &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(posted_mutex_);
    work.swap(posted_);
  }
  for (auto& one : work) one();
}

// --- descriptors ---

EpollLoop::Slot& EpollLoop::open_slot(int descriptor) {
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= slots_.size()) {
    slots_.resize(std::max(index + 1, slots_.size() * 2));
    listeners_.resize(slots_.size());
  }
  Slot& at = slots_[index];
  at = Slot{.generation = at.generation + 1, .open = true};
  ++open_;
  return at;
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

void EpollLoop::drop(std::uint32_t id) {
  Slot& at = slot(id);
  ++at.generation;
  at.open = false;
  at.events = nullptr;
  --open_;
  ::close(static_cast<int>(id));  // leaves epoll by itself: no descriptor here is ever duplicated
  if (paused_listeners_ != 0) closed_one();
}

void EpollLoop::closed_one() {
  for (TcpListener* listener : listeners_) {
    if (listener != nullptr) listener->resume();
  }
}

int EpollLoop::give_up(Socket socket) {
  const std::uint32_t id = socket.id();
  auto& loop = static_cast<EpollLoop&>(*socket.forget());
  Slot& at = loop.slot(id);
  if (at.registered) epoll_ctl(loop.epoll_fd_, EPOLL_CTL_DEL, static_cast<int>(id), nullptr);
  ++at.generation;
  at.open = false;
  at.events = nullptr;
  --loop.open_;
  return static_cast<int>(id);
}

Socket EpollLoop::take_over(int descriptor) {
  Slot& at = open_slot(descriptor);
  at.may_read = at.may_write = true;  // a read or a write will find out
  return Socket(*this, static_cast<std::uint32_t>(descriptor));
}

bool EpollLoop::watch(int descriptor, std::function<void()> on_readable) {
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= slots_.size()) {
    slots_.resize(index + 1);
    listeners_.resize(slots_.size());
  }
  const std::uint32_t generation = ++slots_[index].generation;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = make_key(descriptor, generation);
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
  watches_.push_back({descriptor, generation, std::move(on_readable)});
  return true;
}

void EpollLoop::unwatch(int descriptor) {
  const auto gone = std::erase_if(watches_, [&](const Watch& w) { return w.descriptor == descriptor; });
  if (gone == 0) return;
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, descriptor, nullptr);
  ++slots_[static_cast<std::size_t>(descriptor)].generation;
}

// --- opening ---

Result<std::unique_ptr<Listener>> EpollLoop::listen(const Address& at, const ListenOptions& options,
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
  std::unique_ptr<TcpListener> listener = listener_of(descriptor, at, events);
  for (int more = 0; inherited && at.port != 0 && (more = take_inherited(at)) >= 0;)
    listener->add(listener_of(more, at, events));
  return std::unique_ptr<Listener>(std::move(listener));
}

Result<int> EpollLoop::open_listening(const Address& at, const ListenOptions& options) {
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

std::unique_ptr<EpollLoop::TcpListener> EpollLoop::listener_of(int descriptor, const Address& asked,
                                                               AcceptEvents& events) {
  Slot& slot = open_slot(descriptor);
  slot.open = false;  // a listener, not a socket: dispatch() tells them apart by this
  --open_;
  auto listener = std::make_unique<TcpListener>(*this, descriptor, asked, slot.generation, events);
  listeners_[static_cast<std::size_t>(descriptor)] = listener.get();
  return listener;
}

// --- listening sockets of other processes ---

void EpollLoop::inherit(int descriptor, const Address& as) { inherited_.push_back({descriptor, as}); }

Address EpollLoop::address_of(int descriptor) { return bound_address(descriptor); }

/// -1: there is none for this address.
int EpollLoop::take_inherited(const Address& at) {
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

std::vector<int> EpollLoop::not_taken() {
  std::vector<int> out;
  for (const Listening& it : std::exchange(inherited_, {})) out.push_back(it.descriptor);
  return out;
}

std::vector<EpollLoop::Listening> EpollLoop::listening() const {
  std::vector<const TcpListener*> found;
  for (const TcpListener* listener : listeners_) {
    if (listener != nullptr) found.push_back(listener);
  }
  std::sort(found.begin(), found.end(),
            [](const TcpListener* a, const TcpListener* b) { return a->number() < b->number(); });
  std::vector<Listening> out;
  for (const TcpListener* listener : found) out.push_back({listener->descriptor(), listener->asked()});
  return out;
}

void EpollLoop::leave_to_others(const std::vector<int>& descriptors) {
  for (TcpListener* listener : listeners_) {
    if (listener == nullptr) continue;
    if (std::find(descriptors.begin(), descriptors.end(), listener->descriptor()) != descriptors.end())
      listener->leave();
  }
}

Result<Socket> EpollLoop::connect(const Address& to, const ConnectOptions& options) {
  const SocketAddress address = to_sockaddr(to);
  const int descriptor = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return Error::from_errno(errno, "socket");
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keep_alive) set_keep_alive(descriptor);
  if (options.bind) {
    // The port is chosen at connect, by the whole four-tuple: one address can dial more than 64,000 times.
    set_option(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const SocketAddress from = to_sockaddr(options.bind);
    if (bind(descriptor, reinterpret_cast<const sockaddr*>(&from.storage), from.length) != 0) {
      Error error = Error::from_errno(errno, "bind to " + options.bind.text());
      ::close(descriptor);
      return error;
    }
  }
  int failed = 0;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
    failed = errno;
  if (failed != 0 && failed != EINPROGRESS) {
    Error error = Error::from_errno(failed, "connect " + to.text());
    if (error.kind != ErrorKind::exhausted) error.side = Side::server;
    ::close(descriptor);
    return error;
  }
  Slot& at = open_slot(descriptor);
  at.may_write = failed == 0;
  const auto id = static_cast<std::uint32_t>(descriptor);
  register_for(id, /*writing=*/true);
  return Socket(*this, id);
}

// --- a socket ---

ReadResult EpollLoop::read(std::uint32_t id, std::size_t max) {
  Slot& at = slot(id);
  max = std::min(max, limits::kBufferBytes);
  for (;;) {
    const ssize_t got = recv(static_cast<int>(id), read_block_.get(), max, 0);
    if (got > 0) {
      // A short read found the end, and the kernel will tell of more; unless a FIN is behind it, which was
      // told already.
      if (static_cast<std::size_t>(got) < max && !at.peer_ended) {
        at.may_read = false;
        register_for(id, false);
      }
      return {.state = ReadResult::State::got,
              .errnum = 0,
              .bytes = {read_block_.get(), static_cast<std::size_t>(got)}};
    }
    if (got == 0) return {.state = ReadResult::State::ended, .errnum = 0, .bytes = {}};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      at.may_read = false;
      register_for(id, false);
      return {.state = ReadResult::State::would_block, .errnum = 0, .bytes = {}};
    }
    return {.state = ReadResult::State::failed, .errnum = errno, .bytes = {}};
  }
}

WriteResult EpollLoop::write(std::uint32_t id, std::span<const Bytes> pieces) {
  Slot& at = slot(id);
  std::array<iovec, 8> vectors;
  std::size_t count = 0, total = 0;
  for (const Bytes piece : pieces.first(std::min(pieces.size(), vectors.size()))) {
    vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
    total += piece.size();
  }
  if (total == 0) return {};
  for (;;) {
    ssize_t sent;
    if (count == 1) {
      sent = send(static_cast<int>(id), vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = vectors.data();
      message.msg_iovlen = count;
      sent = sendmsg(static_cast<int>(id), &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) {
      if (static_cast<std::size_t>(sent) < total) {
        at.may_write = false;
        register_for(id, true);
      }
      return {.taken = static_cast<std::size_t>(sent), .errnum = 0};
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      at.may_write = false;
      register_for(id, true);
      return {};
    }
    return {.taken = 0, .errnum = errno};
  }
}

void EpollLoop::read_again(std::uint32_t id) {
  Slot& at = slot(id);
  if (at.again) return;
  at.again = true;
  again_.push_back(make_key(static_cast<int>(id), at.generation));
}

Status EpollLoop::connect_status(std::uint32_t id) {
  if (!slot(id).peer_ended) return {};  // epoll told of no error
  int errnum = 0;
  socklen_t length = sizeof errnum;
  if (getsockopt(static_cast<int>(id), SOL_SOCKET, SO_ERROR, &errnum, &length) != 0) errnum = errno;
  if (errnum != 0) return Error::from_errno(errnum, "connect", Side::server);
  return {};
}

void EpollLoop::shutdown_write(std::uint32_t id) { ::shutdown(static_cast<int>(id), SHUT_WR); }

void EpollLoop::reset(std::uint32_t id) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(static_cast<int>(id), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  drop(id);
}

void EpollLoop::close(std::uint32_t id) { drop(id); }

Address EpollLoop::local_address(std::uint32_t id) const { return bound_address(static_cast<int>(id)); }

Address EpollLoop::peer_address(std::uint32_t id) const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getpeername(static_cast<int>(id), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return from_sockaddr(storage);
}

}  // namespace rejoin::io
