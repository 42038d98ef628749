#include "io/stream.h"

#include <algorithm>

namespace rejoin::io {

Stream::Stream(World& world, Side side, Stop& stop)
    : world_(world),
      reader_(world.ready, world.timers, stop),
      writer_(world.ready, world.timers, stop),
      side_(side) {}

Stream::Stream(World& world, Socket socket, Side side, Stop& stop) : Stream(world, side, stop) {
  adopt(std::move(socket));
}

Stream::~Stream() { close(); }

void Stream::adopt(Socket socket) {
  socket_ = std::move(socket);
  socket_.set_events(this);
}

Socket Stream::release() {
  socket_.set_events(nullptr);
  return std::move(socket_);
}

void Stream::close() { socket_.close(); }

void Stream::interrupt() {
  interrupted_ = true;
  reader_.wake();
  writer_.wake();
}

void Stream::on_ready(Ready ready) {
  if (ready.readable) reader_.wake();
  if (ready.writable) writer_.wake();
}

Error Stream::broken(int errnum, std::string_view what) const {
  return Error::from_errno(errnum, what, side_);
}

Status Stream::woken(Woken why) const {
  if (interrupted_) return Error{ErrorKind::cancelled, Side::ours, Retry::no, "interrupted"};
  if (why == Woken::timed_out) return Error{ErrorKind::timed_out, side_, Retry::yes, "waited in vain"};
  if (why == Woken::stopped) return Error{ErrorKind::cancelled, Side::ours, Retry::no, "stopping"};
  return {};
}

Stream::Wait Stream::next_turn() {
  socket_.read_again();
  return {*this, reader_.until(kNever), interrupted_};
}

Task<Status> Stream::connect(Address to, ConnectOptions options, TimePoint deadline) {
  Result<Socket> opening = world_.network.connect(to, options);
  if (!opening) co_return std::move(opening.error());
  adopt(std::move(*opening));
  Status open = co_await writable(deadline);
  if (open) open = socket_.connect_status();
  if (!open) {
    open.error().detail = "connect " + to.text() + ": " + open.error().detail;
    close();
  }
  co_return open;
}

std::optional<Status> Stream::read_now(Buffer& into) {
  if (into.room() == 0) return Error{ErrorKind::too_large, side_, Retry::no, "no room for what arrives"};
  const ReadResult read = socket_.read(into.room());
  switch (read.state) {
    case ReadResult::State::got: into.append(read.view()); return Status{};
    case ReadResult::State::ended:
      return Error{ErrorKind::closed, side_, Retry::no, "the peer closed the connection"};
    case ReadResult::State::failed: return broken(read.errnum, "read");
    case ReadResult::State::would_block: break;
  }
  return std::nullopt;
}

Status Stream::write_now(Bytes& bytes) {
  const WriteResult written = socket_.write(bytes);
  if (written.errnum != 0) return broken(written.errnum, "write");
  bytes.remove_prefix(written.taken);
  return {};
}

Task<Status> Stream::read_into(Buffer& into, TimePoint deadline) {
  if (into.room() == 0) co_return Error{ErrorKind::too_large, side_, Retry::no, "no room for what arrives"};
  for (;;) {
    Status possible = co_await readable(deadline);
    if (!possible) co_return possible;
    std::optional<Status> read = read_now(into);
    if (read) co_return std::move(*read);
  }
}

Task<Status> Stream::write_all(Bytes bytes, TimePoint deadline) {
  for (;;) {
    Status written = write_now(bytes);
    if (!written || bytes.empty()) co_return written;
    Status possible = co_await writable(deadline);
    if (!possible) co_return possible;
  }
}

Task<void> Stream::linger() {
  socket_.shutdown_write();
  const TimePoint deadline = world_.clock.now() + limits::kLingerMs;
  std::size_t left = limits::kLingerBytesMax;
  while (left != 0) {
    Status possible = co_await readable(deadline);
    if (!possible) co_return;
    const ReadResult read = socket_.read();
    if (read.state == ReadResult::State::would_block) continue;
    if (!read.got()) co_return;
    left -= std::min(left, read.bytes.size());
  }
}

Task<Woken> sleep_until(World& world, TimePoint when, Stop& stop) {
  Waiter waiter(world.ready, world.timers, stop);
  const Woken why = co_await waiter.until(when);
  co_return why;
}

}  // namespace rejoin::io
