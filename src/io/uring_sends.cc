// How a UringLoop sends: small writes leave together, with the turn's call.
#ifdef REJOIN_IO_URING

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/kernel_sockets.h"
#include "io/uring_loop.h"

namespace rejoin::io {
namespace {

/// Tried once, while the call lasts: nothing of it is under way afterwards, and the bytes are the kernel's or
/// still ours. A send that took all says nothing; with MSG_WAITALL one that took less does.
constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;

bool try_again(int entered) { return entered == -EINTR || entered == -EAGAIN || entered == -EBUSY; }

/// No peer takes what is missing for the whole stream: a RST, also for who has a copy of the descriptor.
void cut(int descriptor) {
  const sockaddr none{.sa_family = AF_UNSPEC, .sa_data = {}};
  if (::connect(descriptor, &none, sizeof none) != 0) ::shutdown(descriptor, SHUT_RDWR);
}

}  // namespace

WriteResult UringLoop::write(std::uint32_t id, std::span<const Bytes> pieces) {
  std::size_t total = 0;
  for (const Bytes piece : pieces) total += piece.size();
  if (slot(id).staged && !may_append(id, total)) send_staged();
  Slot& at = slot(id);
  if (at.errnum != 0) return {.taken = 0, .errnum = static_cast<int>(at.errnum)};
  if (at.owing) {
    at.may_write = 0;  // told when there is room again, or none any more
    return {};
  }
  if (total != 0 && total <= kStagedBytesMax && !at.direct && enabled_) {
    stage(id, pieces, total);
    return {.taken = total, .errnum = 0};
  }
  const Sent sent = send_now(static_cast<int>(id), pieces);
  if (sent.errnum == 0 && sent.taken < sent.total) found_full(id);
  return {.taken = sent.taken, .errnum = sent.errnum};
}

/// Behind what this socket has staged: nobody else has staged since, and it is not handed in.
bool UringLoop::may_append(std::uint32_t id, std::size_t bytes) const {
  const StagedSend& last = staged_.back();
  return last.id == id && handed_in_ < staged_.size() && last.bytes + bytes <= kStagedBytesMax &&
         stage_used_ + bytes <= kStageBytes;
}

void UringLoop::stage(std::uint32_t id, std::span<const Bytes> pieces, std::size_t total) {
  if (!slot(id).staged) {
    if (stage_used_ + total > kStageBytes || staged_.size() == kStagedMax) send_staged();
    staged_.push_back({id, static_cast<std::uint32_t>(stage_used_), 0});
    slot(id).staged = 1;
  }
  for (const Bytes piece : pieces) {
    std::memcpy(stage_.get() + stage_used_, piece.data(), piece.size());
    stage_used_ += piece.size();
  }
  staged_.back().bytes += static_cast<std::uint32_t>(total);
}

void UringLoop::hand_in_staged() {
  while (handed_in_ < staged_.size()) {
    io_uring_sqe& request = next_request();
    const StagedSend it = staged_[handed_in_++];
    io_uring_prep_send(&request, static_cast<int>(it.id), stage_.get() + it.at, it.bytes, kSendFlags);
    request.flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(&request, UringLoop::request(Kind::send, it.id));
  }
}

/// Now, and not with the turn's call. Tells nobody.
void UringLoop::send_staged() {
  while (!staged_.empty()) {
    hand_in_staged();
    const int entered = io_uring_submit(&ring_);
    take_happened();
    if (entered >= 0 || try_again(entered)) continue;
    for (const StagedSend& it : staged_) {  // no ring
      slot(it.id).staged = 0;
      fail(it.id, -entered);
    }
    staged_.clear();
    handed_in_ = stage_used_ = 0;
  }
}

/// Has the kernel answered to everything that was staged? Then the stage is free.
bool UringLoop::clear_stage() {
  if (staged_.empty() || handed_in_ < staged_.size() || io_uring_sq_ready(&ring_) != 0) return true;
  if (io_uring_cq_has_overflow(&ring_)) return false;  // an answer may be among what waits in the kernel
  for (const StagedSend& it : staged_) slot(it.id).staged = 0;
  staged_.clear();
  handed_in_ = stage_used_ = 0;
  return true;
}

/// The kernel took less than all. As after a write that finds no room, but that some bytes are ours.
void UringLoop::on_not_sent(const Happened& it) {
  const auto id = static_cast<std::uint32_t>(descriptor_of(it.user_data));
  const auto found =
      std::find_if(staged_.begin(), staged_.end(), [id](const StagedSend& one) { return one.id == id; });
  if (found == staged_.end()) return;
  if (it.result < 0 && it.result != -EAGAIN && it.result != -EINTR) {
    fail(id, -it.result);
    happened_.push_back(it);  // to be told
    return;
  }
  ++rare_.owed;
  const auto done = static_cast<std::uint32_t>(std::max(it.result, 0));
  owed_[id] = {.bytes = std::string(stage_.get() + found->at + done, found->bytes - done), .end = false};
  slot(id).owing = 1;
  found_full(id);
}

/// Reads and writes say so from now on.
void UringLoop::fail(std::uint32_t id, int errnum) {
  Slot& at = slot(id);
  at.errnum = static_cast<std::uint8_t>(errnum);
  at.may_read = at.may_write = 1;
}

/// True: nothing is owed any more, since the kernel took it, or since the connection is broken.
bool UringLoop::send_owed(std::uint32_t id) {
  const auto found = owed_.find(id);
  const Bytes rest = found->second.bytes;
  const Sent sent = send_now(static_cast<int>(id), std::span<const Bytes>(&rest, 1));
  if (sent.errnum == 0 && sent.taken < sent.total) {
    found->second.bytes.erase(0, sent.taken);
    return false;
  }
  if (sent.errnum != 0) {
    fail(id, sent.errnum);
  } else if (found->second.end) {
    ::shutdown(static_cast<int>(id), SHUT_WR);
  }
  forget_owed(id);
  return true;
}

void UringLoop::forget_owed(std::uint32_t id) {
  owed_.erase(id);
  slot(id).owing = 0;
}

void UringLoop::shutdown_write(std::uint32_t id) {
  if (slot(id).staged) send_staged();
  slot(id).direct = 1;
  if (slot(id).owing) {
    owed_[id].end = true;
  } else {
    ::shutdown(static_cast<int>(id), SHUT_WR);
  }
}

void UringLoop::reset(std::uint32_t id) {
  if (slot(id).staged) send_staged();  // its request would reach the number's next owner
  if (slot(id).owing) forget_owed(id);
  reset_at_close(static_cast<int>(id));
  drop(id);
}

/// Before the connection leaves the loop. Its next owner's bytes would come in the middle of what is owed.
void UringLoop::settle_sends(std::uint32_t id) {
  if (slot(id).staged) send_staged();
  if (!slot(id).owing || send_owed(id)) return;
  ++rare_.cut;
  forget_owed(id);
  cut(static_cast<int>(id));
}

/// What is owed to the peer of a socket that closes now goes on in the kernel, whose request keeps the
/// connection open when its descriptor is gone; then comes the FIN. Not for ever, as a peer that takes
/// nothing could hold them all.
void UringLoop::linger(std::uint32_t id) {
  const std::uint32_t number = ++lingered_ & kDescriptorMask;
  const std::string& bytes = lingering_[number] = std::move(owed_[id].bytes);
  forget_owed(id);
  __kernel_timespec limit{.tv_sec = linger_.count() / 1'000'000,
                          .tv_nsec = linger_.count() % 1'000'000 * 1000};
  // Both have to be in one call: a link ends with it.
  while (io_uring_sq_space_left(&ring_) < 2) {
    if (io_uring_submit(&ring_) < 0) take_happened();
  }
  io_uring_sqe& request = next_request();
  io_uring_prep_send(&request, static_cast<int>(id), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL);
  request.flags |= IOSQE_IO_LINK;
  io_uring_sqe_set_data64(&request, UringLoop::request(Kind::linger, static_cast<int>(number), 0));
  io_uring_sqe& timer = next_request();
  io_uring_prep_link_timeout(&timer, &limit, 0);
  io_uring_sqe_set_data64(&timer, UringLoop::request(Kind::cancel, 0, 0));
  int entered;
  do {
    entered = io_uring_submit(&ring_);
    take_happened();
  } while (io_uring_sq_ready(&ring_) != 0 && try_again(entered));
}

void UringLoop::settle() {
  if (!enabled_) return;  // nothing was ever asked
  const TimePoint end = SystemClock().now() + kSettleMax;
  for (bool again = true; again;) {
    hand_in();
    __kernel_timespec wait{.tv_sec = 0, .tv_nsec = 10'000'000};
    io_uring_cqe* first = nullptr;
    const bool waits = !lingering_.empty() && SystemClock().now() < end;
    const int entered = waits ? io_uring_submit_and_wait_timeout(&ring_, &first, 1, &wait, nullptr)
                              : io_uring_submit_and_get_events(&ring_);
    take_happened();  // for the next turn, if there is one
    again = waits || try_again(entered) || !asked_.empty() || !cancels_.empty() || !staged_.empty();
    if (entered < 0 && entered != -ETIME && !try_again(entered)) return;  // no ring
  }
  // Who took nothing for so long is not waited for; their requests end with the ring.
}

}  // namespace rejoin::io

#endif  // REJOIN_IO_URING
