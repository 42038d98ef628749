#include "io/kernel_passing.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/descriptor_message.h"

namespace rejoin::io {
namespace {

/// Before each message: its length << 1 | whether a connection comes along. 8 bytes. With kUnreadAlong, 4
/// bytes follow that say how many of the message's last bytes are not the message: they are the connection's,
/// unread.
constexpr std::size_t kHeadBytes = 8, kUnreadHeadBytes = 4;
constexpr std::uint64_t kUnreadAlong = std::uint64_t{1} << 63;

}  // namespace

// --- the loop's part ---

ReadResult KernelLoop::read_passing(std::uint32_t id, std::vector<int>& descriptors) {
  const ssize_t got =
      receive_with_descriptors(static_cast<int>(id), {read_block_.get(), limits::kBufferBytes}, descriptors);
  if (got < 0 && errno == EAGAIN) {
    found_empty(id);
    return {};
  }
  if (got < 0) return {.state = ReadResult::State::failed, .errnum = errno, .bytes = {}};
  if (got == 0) return {.state = ReadResult::State::ended, .errnum = 0, .bytes = {}};
  // More may be there, however short this was: the kernel does not join bytes that have descriptors between
  // them.
  return {.state = ReadResult::State::got,
          .errnum = 0,
          .bytes = {read_block_.get(), static_cast<std::size_t>(got)}};
}

WriteResult KernelLoop::write_passing(std::uint32_t id, Bytes bytes, int descriptor) {
  const ssize_t sent = send_with_descriptor(static_cast<int>(id), bytes, descriptor);
  if (sent < 0 && errno != EAGAIN) return {.taken = 0, .errnum = errno};
  if (sent < static_cast<ssize_t>(bytes.size())) found_full(id);
  return {.taken = static_cast<std::size_t>(std::max<ssize_t>(sent, 0)), .errnum = 0};
}

// --- the channel ---

Result<std::pair<int, int>> KernelPassChannel::make_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
    return Error::from_errno(errno, "socketpair");
  return std::pair(ends[0], ends[1]);
}

KernelPassChannel::KernelPassChannel(KernelLoop& loop, int descriptor)
    : loop_(loop), socket_(loop.take_over(descriptor)) {}

KernelPassChannel::~KernelPassChannel() {
  if (gone_ != nullptr) *gone_ = true;
  for (const Waiting& one : waiting_) {
    if (one.descriptor >= 0) ::close(one.descriptor);
  }
  for (const int descriptor : travelled_) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

void KernelPassChannel::set_events(PassEvents* events) {
  events_ = events;
  if (!socket_) return;
  socket_.set_events(events != nullptr ? this : nullptr);
  if (events != nullptr) socket_.read_again();
}

// --- sending ---

void KernelPassChannel::send(Bytes message, const LooseSocket* with) {
  if (!socket_) return;
  Waiting one;
  // Without a descriptor for the copy the message goes alone, and its reader finds that nothing came along.
  if (with != nullptr) one.descriptor = fcntl(static_cast<int>(token_of(*with)), F_DUPFD_CLOEXEC, 0);
  const std::string unread = one.descriptor >= 0 ? unread_of(token_of(*with)) : std::string();
  std::uint64_t head = static_cast<std::uint64_t>(message.size() + unread.size()) << 1;
  if (one.descriptor >= 0) head |= 1;
  if (!unread.empty()) head |= kUnreadAlong;
  one.bytes.resize(kHeadBytes + (unread.empty() ? 0 : kUnreadHeadBytes));
  store_u64(one.bytes.data(), head);
  if (!unread.empty()) store_u32(one.bytes.data() + kHeadBytes, static_cast<std::uint32_t>(unread.size()));
  one.bytes.append(message).append(unread);
  unsent_bytes_ += one.bytes.size();
  waiting_.push_back(std::move(one));
  flush();
}

void KernelPassChannel::flush() {
  while (!waiting_.empty() && socket_.may_write()) {
    Waiting& first = waiting_.front();
    const int descriptor = first.sent == 0 ? first.descriptor : -1;
    const WriteResult written =
        loop_.write_passing(socket_.id(), Bytes(first.bytes).substr(first.sent), descriptor);
    if (written.errnum != 0) {
      // The other end is gone, which the next read will say; what it had sent before can still be read.
      for (const Waiting& one : waiting_) {
        if (one.descriptor >= 0) ::close(one.descriptor);
      }
      waiting_.clear();
      unsent_bytes_ = 0;
      socket_.read_again();
      return;
    }
    if (written.taken == 0) return;
    if (descriptor >= 0) {
      ::close(descriptor);
      first.descriptor = -1;
    }
    first.sent += written.taken;
    unsent_bytes_ -= written.taken;
    if (first.sent == first.bytes.size()) waiting_.pop_front();
  }
}

// --- receiving ---

void KernelPassChannel::on_ready(Ready ready) {
  if (ready.writable) flush();
  if (ready.readable) receive();
}

void KernelPassChannel::receive() {
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (!socket_.may_read()) return;
    std::vector<int> came;
    const ReadResult read = loop_.read_passing(socket_.id(), came);
    travelled_.insert(travelled_.end(), came.begin(), came.end());
    if (read.state == ReadResult::State::would_block) return;
    if (read.state != ReadResult::State::got) return end();
    arrived_.append(read.view());
    if (!deliver()) return;
  }
  if (socket_.may_read()) socket_.read_again();
}

/// Whole messages. False: we are gone, or the channel is over.
bool KernelPassChannel::deliver() {
  bool gone = false;
  gone_ = &gone;
  while (events_ != nullptr && arrived_.size() - taken_ >= kHeadBytes) {
    const std::uint64_t head = load_u64(arrived_.data() + taken_);
    const std::uint64_t bytes = (head & ~kUnreadAlong) >> 1;
    const std::size_t head_bytes = kHeadBytes + ((head & kUnreadAlong) != 0 ? kUnreadHeadBytes : 0);
    if (arrived_.size() - taken_ < head_bytes) break;
    const std::uint32_t unread =
        head_bytes > kHeadBytes ? load_u32(arrived_.data() + taken_ + kHeadBytes) : 0;
    if (bytes > kMessageBytesMax || unread > bytes) {
      gone_ = nullptr;
      end();
      return false;
    }
    if (arrived_.size() - taken_ - head_bytes < bytes) break;
    // Its own copy: who is told may make us destroy ourselves.
    std::string message = arrived_.substr(taken_ + head_bytes, static_cast<std::size_t>(bytes));
    taken_ += head_bytes + static_cast<std::size_t>(bytes);
    LooseSocket with;
    if ((head & 1) != 0 && !travelled_.empty()) {
      const int descriptor = travelled_.front();
      travelled_.pop_front();
      if (descriptor >= 0) with = LooseSocket(*this, static_cast<std::uint32_t>(descriptor));
      if (descriptor >= 0 && unread != 0)
        unread_[static_cast<std::uint32_t>(descriptor)] = message.substr(message.size() - unread);
    }
    message.resize(message.size() - unread);
    events_->on_passed(message, std::move(with));
    if (gone) return false;
  }
  gone_ = nullptr;
  if (taken_ == arrived_.size() || taken_ > limits::kBufferBytes) {
    arrived_.erase(0, taken_);
    taken_ = 0;
  }
  if (arrived_.empty()) std::string().swap(arrived_);
  return true;
}

void KernelPassChannel::end() {
  socket_.close();
  if (PassEvents* events = std::exchange(events_, nullptr)) events->on_channel_end();
}

// --- connections ---

LooseSocket KernelPassChannel::loosen(Socket socket) {
  LooseConnection loose = KernelLoop::give_up(std::move(socket));
  const auto token = static_cast<std::uint32_t>(loose.descriptor);
  if (!loose.unread.empty()) unread_[token] = std::move(loose.unread);
  return {*this, token};
}

Socket KernelPassChannel::fasten(LooseSocket socket) {
  const std::uint32_t token = release(socket);
  LooseConnection loose{static_cast<int>(token), unread_of(token)};
  unread_.erase(token);
  return loop_.take_over(std::move(loose));
}

void KernelPassChannel::drop(std::uint32_t token) {
  // Never a RST for what we leave unread: the connection may go on with who has the other copy.
  unread_.erase(token);
  ::close(static_cast<int>(token));
}

std::string KernelPassChannel::unread_of(std::uint32_t token) const {
  const auto found = unread_.find(token);
  return found == unread_.end() ? std::string() : found->second;
}

}  // namespace rejoin::io
