#ifdef REJOIN_IO_URING

#include "io/uring_loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/kernel_listener.h"
#include "io/kernel_sockets.h"
#include "io/sockaddr.h"

namespace rejoin::io {
namespace {

constexpr int kBlockGroup = 0;
/// Blocks that came for a socket and that its owner has not read, after it was told: then receiving stops.
constexpr unsigned kHeldBlocksMax = 4;

std::uint32_t generation_of(std::uint64_t user_data) { return static_cast<std::uint32_t>(user_data >> 32); }

bool has_block(std::uint32_t flags) { return (flags & IORING_CQE_F_BUFFER) != 0; }
bool goes_on(std::uint32_t flags) { return (flags & IORING_CQE_F_MORE) != 0; }
unsigned block_of(std::uint32_t flags) { return flags >> IORING_CQE_BUFFER_SHIFT; }

}  // namespace

void UringLoop::Unmap::operator()(void* at) const { munmap(at, bytes); }

// --- turns ---

Duration UringLoop::next_wait() const {
  if (!asked_.empty() || !cancels_.empty() || !staged_.empty() || !happened_.empty()) return Duration(0);
  return KernelLoop::next_wait();
}

void UringLoop::turn(Duration wait_max) {
  ready_.run();
  enter(happened_.empty() && may_sleep(wait_max));
  now_ = SystemClock().now();
  timers_.advance(now_);
  tell_again();
  take_happened();
  for (told_ = 0; told_ < happened_.size();) dispatch(happened_[told_++]);  // it may become longer
  happened_.clear();
  told_ = 0;
  ready_.run();
}

void UringLoop::enter(bool sleeping) {
  end_loan();
  for (const std::uint16_t number : returning_) give_back(number);
  returning_.clear();
  if (!enabled_) enable();
  hand_in();
  // A signal came, the kernel is short of memory for now: in each case the turn goes on with what there is,
  // and what was not handed in stays in the ring for the next one.
  (void)(sleeping ? io_uring_submit_and_wait(&ring_, 1) : io_uring_submit_and_get_events(&ring_));
}

/// At once, so that the queue is free again, and that what an owner does here may find what is behind.
void UringLoop::take_happened() {
  for (;;) {
    unsigned head, count = 0;
    io_uring_cqe* it;
    io_uring_for_each_cqe(&ring_, head, it) {
      ++count;
      const Happened one{it->user_data, it->res, it->flags};
      switch (kind_of(one.user_data)) {
        case Kind::send: on_not_sent(one); break;
        case Kind::linger: lingering_.erase(static_cast<std::uint32_t>(descriptor_of(one.user_data))); break;
        case Kind::cancel: break;
        default: happened_.push_back(one);
      }
    }
    io_uring_cq_advance(&ring_, count);
    if (clear_stage()) return;
    (void)io_uring_get_events(&ring_);
  }
}

void UringLoop::dispatch(Happened it) {
  const Kind kind = kind_of(it.user_data);
  if (kind == Kind::cancel) return;
  const auto id = static_cast<std::uint32_t>(descriptor_of(it.user_data));
  if (kind == Kind::accept) return on_acceptable(it.user_data);
  if (kind == Kind::watch) return on_watched(it.user_data, it.result);
  Slot& at = slots_[id];
  if (at.generation != generation_of(it.user_data)) return on_late(it);
  if (kind == Kind::receive) return on_receive(id, it);
  if (kind == Kind::writable) return on_writable(id, it.result);
  if (kind == Kind::send) {  // it has failed
    if (at.events != nullptr) at.events->on_ready({.readable = true, .writable = true});
    return;
  }
  on_readable(id, kind, it.result);
}

/// Of a socket that is gone.
void UringLoop::on_late(Happened it) {
  ++rare_.late;
  if (!has_block(it.flags)) return;
  ++blocks_out_;
  give_back(block_of(it.flags));
}

void UringLoop::on_receive(std::uint32_t id, Happened it) {
  Slot& at = slot(id);
  const std::uint32_t generation = at.generation;
  Ready ready{.readable = true, .writable = false};
  if (!goes_on(it.flags)) at.receiving = at.cancelling = 0;
  if (has_block(it.flags)) {
    ++blocks_out_;
    if (it.result > 0) {
      hold(at, block_of(it.flags), static_cast<std::uint32_t>(it.result));
    } else {
      give_back(block_of(it.flags));
    }
  }
  if (it.result == -ECANCELED) {
    // Its owner did not read, and does by now; or it still does not, and has been told.
    if (at.held == 0 && !at.may_read) {
      ask_to_receive(id);
    } else {
      ask_of_end(id);
    }
    return;
  }
  if (it.result == -ENOBUFS) {
    ++rare_.no_block;
  } else if (it.result < 0 && it.result != -EAGAIN && it.result != -EINTR) {
    at.errnum = static_cast<std::uint8_t>(-it.result);
    at.may_write = 1;  // and a write will fail
    ready.writable = true;
  } else if (it.result != 0 && !at.receiving) {
    ++rare_.ended;
  }
  // Whatever it was, a read will find out.
  at.may_read = 1;
  if (at.events != nullptr) at.events->on_ready(ready);
  Slot& now = slot(id);
  if (now.generation != generation) return;
  if (!now.receiving && now.may_read && now.errnum == 0 && it.result != 0) ask_of_end(id);
  if (!now.receiving || now.cancelling || now.held == 0) return;
  if (pieces_[now.held - 1].count < kHeldBlocksMax) return;
  now.cancelling = 1;
  ++rare_.cancelled;
  cancels_.push_back(it.user_data);
}

void UringLoop::on_readable(std::uint32_t id, Kind kind, std::int32_t result) {
  if (result == -ECANCELED) return;
  Slot& at = slot(id);
  if (kind == Kind::ended) at.ended = 0;
  if (kind == Kind::readable) at.readable = 0;
  const bool broken = result < 0 || (result & (POLLERR | POLLHUP)) != 0;
  at.may_read = 1;
  if (broken) at.may_write = at.direct = 1;  // and a write will fail
  if (at.events != nullptr) at.events->on_ready({.readable = true, .writable = broken});
}

void UringLoop::on_writable(std::uint32_t id, std::int32_t result) {
  Slot& at = slot(id);
  at.writable = 0;
  if (at.owing && !send_owed(id)) return found_full(id);
  const bool broken = at.errnum != 0 || result < 0 || (result & (POLLERR | POLLHUP)) != 0;
  if (broken) at.broken = at.may_read = at.direct = 1;
  at.may_write = 1;
  if (at.opening && !broken) ask_to_receive(id);
  if (at.opening && !broken) at.direct = 0;
  at.opening = 0;
  if (at.events != nullptr) at.events->on_ready({.readable = broken, .writable = true});
}

void UringLoop::tell_again() {
  std::vector<std::uint64_t> now;
  now.swap(again_);
  for (const std::uint64_t key : now) {
    Slot& at = slots_[static_cast<std::uint32_t>(key)];
    if (at.generation != generation_of(key)) continue;
    at.again = 0;
    if (at.events != nullptr) at.events->on_ready({.readable = true, .writable = false});
  }
}

// --- requests ---

void UringLoop::ask_to_receive(std::uint32_t id) {
  Slot& at = slot(id);
  at.receiving = 1;
  ask(Kind::receive, id);
  // It tells of everything.
  if (at.readable) cancels_.push_back(request(Kind::readable, id));
  if (at.ended) cancels_.push_back(request(Kind::ended, id));
  at.readable = at.ended = 0;
}

/// An owner that does not read what has come is still told when the connection ends, as epoll would.
void UringLoop::ask_of_end(std::uint32_t id) {
  if (slot(id).ended) return;
  slot(id).ended = 1;
  ask(Kind::ended, id);
}

io_uring_sqe& UringLoop::next_request() {
  for (;;) {
    if (io_uring_sqe* const request = io_uring_get_sqe(&ring_)) return *request;
    if (io_uring_submit(&ring_) < 0)
      take_happened();  // full, and the kernel has no room to say what happened
  }
}

void UringLoop::hand_in() {
  hand_in_staged();
  for (std::size_t i = 0; i < asked_.size(); ++i) hand_in_one(asked_[i]);  // it may become longer
  asked_.clear();
  for (const std::uint64_t user_data : cancels_) {
    io_uring_sqe& request = next_request();
    io_uring_prep_cancel64(&request, user_data, 0);
    request.flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(&request, UringLoop::request(Kind::cancel, 0, 0));
  }
  cancels_.clear();
}

void UringLoop::hand_in_one(std::uint64_t user_data) {
  const int descriptor = descriptor_of(user_data);
  if (slots_[static_cast<std::size_t>(descriptor)].generation != generation_of(user_data)) return;
  io_uring_sqe& request = next_request();
  switch (kind_of(user_data)) {
    case Kind::receive:
      io_uring_prep_recv_multishot(&request, descriptor, nullptr, 0, 0);
      // There is nothing to receive, we have just looked; and without this, a want of blocks would end it
      // though nothing has come.
      request.ioprio |= IORING_RECVSEND_POLL_FIRST;
      request.flags |= IOSQE_BUFFER_SELECT;
      request.buf_group = kBlockGroup;
      break;
    case Kind::writable: io_uring_prep_poll_add(&request, descriptor, POLLOUT); break;
    case Kind::ended: io_uring_prep_poll_add(&request, descriptor, POLLRDHUP); break;
    case Kind::readable: io_uring_prep_poll_add(&request, descriptor, POLLIN | POLLRDHUP); break;
    case Kind::accept:
    case Kind::watch: io_uring_prep_poll_add(&request, descriptor, POLLIN); break;
    case Kind::cancel:
    case Kind::send:
    case Kind::linger: break;  // never asked for here
  }
  io_uring_sqe_set_data64(&request, user_data);
}

/// Ends a lasting receive now, so that the kernel takes nothing more, and appends what it had taken. Goes
/// ahead of whatever else has happened, which is told in its turn.
void UringLoop::finish_receive(std::uint32_t id, std::string& unread) {
  const std::uint64_t user_data = request(Kind::receive, id);
  if (std::erase(asked_, user_data) != 0) return;  // the kernel has never seen it
  bool over = false;
  const auto look = [&] {
    for (std::size_t i = told_; i < happened_.size(); ++i) {
      const Happened it = happened_[i];
      if (it.user_data != user_data) continue;
      happened_[i] = {.user_data = request(Kind::cancel, 0, 0), .result = 0, .flags = 0};
      over |= !goes_on(it.flags);
      if (!has_block(it.flags)) continue;
      ++blocks_out_;
      if (it.result > 0) unread.append(block(block_of(it.flags)), static_cast<std::size_t>(it.result));
      give_back(block_of(it.flags));
    }
  };
  look();
  if (!over) cancels_.push_back(user_data);
  while (!over) {
    hand_in();
    const int entered = io_uring_submit_and_wait(&ring_, 1);
    take_happened();
    look();
    if (entered < 0 && entered != -EINTR && entered != -EAGAIN && entered != -EBUSY) return;  // no ring
  }
}

// --- blocks ---

void UringLoop::give_back(unsigned number) {
  io_uring_buf_ring_add(block_ring_.get(), block(number), limits::kBufferBytes,
                        static_cast<std::uint16_t>(number), static_cast<int>(blocks_mask_), 0);
  io_uring_buf_ring_advance(block_ring_.get(), 1);
  --blocks_out_;
}

void UringLoop::end_loan() {
  if (lent_ != 0) give_back(std::exchange(lent_, 0) - 1);
}

void UringLoop::hold(Slot& at, unsigned number, std::uint32_t bytes) {
  const auto name = static_cast<std::uint16_t>(number + 1);
  pieces_[number] = {.begin = 0, .end = bytes, .next = 0, .last = name, .count = 1};
  if (at.held == 0) {
    at.held = name & 0x3ffu;
    return;
  }
  Piece& first = pieces_[at.held - 1];
  pieces_[first.last - 1u].next = name;
  first.last = name;
  ++first.count;
}

ReadResult UringLoop::read_held(Slot& at, std::size_t max) {
  const unsigned number = at.held - 1;
  Piece& first = pieces_[number];
  const std::size_t count = std::min<std::size_t>(max, first.end - first.begin);
  const MutableBytes bytes{block(number) + first.begin, count};
  first.begin += static_cast<std::uint32_t>(count);
  if (first.begin == first.end) {
    if (first.next != 0) {
      pieces_[first.next - 1u].last = first.last;
      pieces_[first.next - 1u].count = static_cast<std::uint16_t>(first.count - 1);
    }
    at.held = first.next & 0x3ffu;
    lent_ = number + 1;
    // The kernel tells of what comes next. Without a receive in it, a read has to find out.
    if (at.held == 0 && at.receiving) at.may_read = 0;
  }
  return {.state = ReadResult::State::got, .errnum = 0, .bytes = bytes};
}

/// Bytes of these blocks may be lent at this moment: they go back with the turn's call.
std::string UringLoop::take_held(Slot& at) {
  std::string out;
  while (at.held != 0) {
    const unsigned number = at.held - 1;
    const Piece& it = pieces_[number];
    out.append(block(number) + it.begin, it.end - it.begin);
    returning_.push_back(static_cast<std::uint16_t>(number));
    at.held = it.next & 0x3ffu;
  }
  return out;
}

// --- descriptors ---

UringLoop::Slot& UringLoop::open_slot(int descriptor) {
  const std::uint32_t generation = reserve(descriptor);
  Slot& at = slots_[static_cast<std::size_t>(descriptor)];
  at = Slot{};
  at.generation = generation;
  ++open_;
  return at;
}

std::uint32_t UringLoop::reserve(int descriptor) {
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= slots_.size()) slots_.resize(std::max(index + 1, slots_.size() * 2));
  return ++slots_[index].generation;
}

void UringLoop::found_empty(std::uint32_t id) {
  Slot& at = slot(id);
  at.may_read = 0;
  ask_to_read(id);
}

void UringLoop::ask_to_read(std::uint32_t id) {
  if (slot(id).readable) return;
  slot(id).readable = 1;
  ask(Kind::readable, id);
}

void UringLoop::found_full(std::uint32_t id) {
  Slot& at = slot(id);
  at.may_write = 0;
  if (at.writable) return;
  at.writable = 1;
  ask(Kind::writable, id);
}

/// What is in flight for it finds nobody any more.
void UringLoop::forget(std::uint32_t id) {
  Slot& at = slot(id);
  if (at.receiving && !at.cancelling) cancels_.push_back(request(Kind::receive, id));
  if (at.readable) cancels_.push_back(request(Kind::readable, id));
  if (at.ended) cancels_.push_back(request(Kind::ended, id));
  if (at.writable) cancels_.push_back(request(Kind::writable, id));
  if (at.owing) forget_owed(id);
  at.receiving = at.cancelling = at.readable = at.ended = at.writable = 0;
  ++at.generation;
  at.events = nullptr;
  --open_;
}

void UringLoop::drop(std::uint32_t id) {
  if (slot(id).staged) send_staged();
  Slot& at = slot(id);
  // What came and nobody read is unread for the peer as well, wherever it lies: a RST.
  const bool unread = at.held != 0 || (at.unread && has_unread(id));
  if (unread) {
    (void)take_held(at);
    (void)take_unread(id);
    reset_at_close(static_cast<int>(id));
  } else if (at.owing && !send_owed(id)) {
    linger(id);
  }
  forget(id);
  ::close(static_cast<int>(id));
  closed_one();
}

LooseConnection UringLoop::release(std::uint32_t id) {
  settle_sends(id);
  Slot& at = slot(id);
  std::string unread = at.unread ? take_unread(id) : std::string();
  unread += take_held(at);
  if (at.receiving) finish_receive(id, unread);
  slot(id).receiving = 0;
  forget(id);
  return {static_cast<int>(id), std::move(unread)};
}

Socket UringLoop::take_over(LooseConnection connection) {
  Slot& at = open_slot(connection.descriptor);
  at.may_read = at.may_write = 1;  // a read or a write will find out
  const auto id = static_cast<std::uint32_t>(connection.descriptor);
  if (!connection.unread.empty()) {
    at.unread = 1;
    keep_unread(id, std::move(connection.unread));
  }
  return Socket(*this, id);
}

Result<Socket> UringLoop::connect(const Address& to, const ConnectOptions& options) {
  const Result<Dialling> dialling = begin_to_dial(to, options);
  if (!dialling) return dialling.error();
  Slot& at = open_slot(dialling->descriptor);
  at.opening = at.direct = 1;
  const auto id = static_cast<std::uint32_t>(dialling->descriptor);
  found_full(id);
  slot(id).may_write = dialling->open;
  return Socket(*this, id);
}

// --- listeners and watches ---

void UringLoop::begin_accepting(KernelListener& listener) {
  const auto id = static_cast<std::uint32_t>(listener.descriptor());
  if (slot(id).receiving) return;
  slot(id).receiving = 1;
  ask(Kind::accept, id);
}

void UringLoop::end_accepting(KernelListener& listener) {
  const auto id = static_cast<std::uint32_t>(listener.descriptor());
  if (!slot(id).receiving) return;
  slot(id).receiving = 0;
  const std::uint64_t user_data = request(Kind::accept, id);
  if (std::erase(asked_, user_data) != 0) return;
  // Now: with a request in flight the kernel would go on to queue clients for a listener that has closed.
  cancels_.push_back(user_data);
  hand_in();
  (void)io_uring_submit_and_get_events(&ring_);
}

/// Level-triggered, as with epoll: one look at a time, asked for again as long as the listener accepts.
void UringLoop::on_acceptable(std::uint64_t key) {
  const auto id = static_cast<std::uint32_t>(descriptor_of(key));
  KernelListener* const listener = listener_at(static_cast<int>(id), generation_of(key));
  if (listener == nullptr || !listener->accepting()) return;
  slot(id).receiving = 0;
  listener->on_readable();
  if (listener->accepting()) begin_accepting(*listener);
}

/// As epoll says it: an ordinary file, which has nothing to wait for, is not permitted.
bool UringLoop::begin_watching(int descriptor, std::uint32_t generation) {
  const int trial = epoll_create1(EPOLL_CLOEXEC);
  if (trial < 0) return false;
  epoll_event event{};
  const bool possible = epoll_ctl(trial, EPOLL_CTL_ADD, descriptor, &event) == 0;
  ::close(trial);
  if (possible) asked_.push_back(request(Kind::watch, descriptor, generation));
  return possible;
}

void UringLoop::end_watching(int descriptor, std::uint32_t generation) {
  cancels_.push_back(request(Kind::watch, descriptor, generation));
}

/// One look at a time: it is asked for again as long as there is somebody, so that what was not read is told
/// again.
void UringLoop::on_watched(std::uint64_t key, std::int32_t result) {
  if (result < 0 || !tell_watch(descriptor_of(key), generation_of(key))) return;
  if (slots_[static_cast<std::size_t>(descriptor_of(key))].generation == generation_of(key))
    asked_.push_back(key);
}

// --- a socket ---

ReadResult UringLoop::read(std::uint32_t id, std::size_t max) {
  end_loan();
  Slot& at = slot(id);
  max = std::min(max, limits::kBufferBytes);
  if (at.unread && has_unread(id)) return read_unread(id, max);
  if (at.held != 0) return read_held(at, max);
  if (at.errnum != 0)
    return {.state = ReadResult::State::failed, .errnum = static_cast<int>(at.errnum), .bytes = {}};
  if (at.receiving) {
    at.may_read = 0;
    return {.state = ReadResult::State::would_block, .errnum = 0, .bytes = {}};
  }
  for (;;) {
    const ssize_t got = recv(static_cast<int>(id), read_block_.get(), max, 0);
    const int errnum = got < 0 ? errno : 0;
    if (errnum == EINTR) continue;
    // A short read found the end, and the kernel is asked to tell of more, or of what is behind.
    if ((got > 0 && static_cast<std::size_t>(got) < max) || errnum == EAGAIN) {
      at.may_read = 0;
      if (!at.opening) ask_to_receive(id);
    } else if (got > 0) {
      ask_to_read(id);  // who wanted no more than this wants to know all the same when there is more
    }
    if (got > 0)
      return {.state = ReadResult::State::got,
              .errnum = 0,
              .bytes = {read_block_.get(), static_cast<std::size_t>(got)}};
    if (got == 0) return {.state = ReadResult::State::ended, .errnum = 0, .bytes = {}};
    if (errnum == EAGAIN) return {};
    return {.state = ReadResult::State::failed, .errnum = errnum, .bytes = {}};
  }
}

void UringLoop::read_again(std::uint32_t id) {
  Slot& at = slot(id);
  if (at.again) return;
  at.again = 1;
  again_.push_back(make_key(static_cast<int>(id), at.generation));
}

Status UringLoop::connect_status(std::uint32_t id) {
  if (!slot(id).broken) return {};  // the kernel told of no error
  return error_of_connect(static_cast<int>(id));
}

Address UringLoop::local_address(std::uint32_t id) const { return bound_address(static_cast<int>(id)); }

Address UringLoop::peer_address(std::uint32_t id) const { return peer_of(static_cast<int>(id)); }

}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
