#include "upstream/body_relay.h"

#include <algorithm>

#include "proto/chunk_scanner.h"

namespace rejoin::upstream {
namespace {

constexpr Duration kPaceStep = 100ms;

using proto::Body;
using proto::BodyKind;
using proto::ChunkScanner;
using proto::ChunkState;

// Finds the end of a body in what arrives.
class BodyEnd {
 public:
  explicit BodyEnd(Body body) : kind_(body.kind), left_(body.length) {}

  bool done() const { return done_; }
  std::size_t read_max() const {
    if (kind_ != BodyKind::length) return limits::kBufferBytes;
    return static_cast<std::size_t>(std::min<std::uint64_t>(left_, limits::kBufferBytes));
  }
  bool ends_with_connection() const { return kind_ == BodyKind::until_close; }

  /// How many of `bytes` are of the body; an error when they cannot be.
  Result<std::size_t> take(Bytes bytes, Side side) {
    if (kind_ == BodyKind::until_close) return bytes.size();
    if (kind_ == BodyKind::length) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= count;
      done_ = left_ == 0;
      return count;
    }
    const ChunkScanner::Fed fed = chunks_.feed(bytes);
    if (fed.state == ChunkState::refused) return Error{ErrorKind::bad_input, side, Retry::no, fed.reason};
    done_ = fed.state == ChunkState::done;
    return fed.consumed;
  }

 private:
  BodyKind kind_;
  std::uint64_t left_;
  ChunkScanner chunks_;
  bool done_ = false;
};

// Drops the chunk framing from `bytes`, in place. `content` follows the body besides the BodyEnd that bounds
// it.
std::size_t keep_content(MutableBytes bytes, ChunkScanner& content) {
  std::size_t read = 0, kept = 0;
  while (read < bytes.size()) {
    const ChunkScanner::Step step = content.step({bytes.data() + read, bytes.size() - read});
    if (!step.payload.empty()) {
      std::memmove(bytes.data() + kept, step.payload.data(), step.payload.size());
      kept += step.payload.size();
    }
    if (step.consumed == 0) break;
    read += step.consumed;
  }
  return kept;
}

/// In steps, since an interruption of the streams does not wake who sleeps.
Task<Status> wait_for_pace(BodyRoute& route) {
  while (!route.pace->open(route.world.clock.now())) {
    const TimePoint step = std::min(route.pace->opens(), route.world.clock.now() + kPaceStep);
    const Woken woken = co_await io::sleep_until(route.world, step, *route.stop);
    if (woken == Woken::stopped) co_return Error{ErrorKind::cancelled, Side::ours, Retry::no, "stopping"};
    Status turn = co_await route.from.next_turn();
    if (!turn) co_return turn;
  }
  co_return Status{};
}

}  // namespace

Task<Status> relay_body(BodyRoute& route, Body body) {
  if (body.kind == BodyKind::none) co_return Status{};
  BodyEnd end(body);
  ChunkScanner content;
  const bool paced = route.pace != nullptr && route.pace->bounded();
  const bool content_only = route.framing == Framing::content_only && body.kind == BodyKind::chunked;
  for (int reads = 1; !end.done(); ++reads) {
    if (reads % limits::kReadsPerTurnMax == 0) {
      Status turn = co_await route.from.next_turn();
      if (!turn) co_return turn;
    }
    if (paced && !route.pace->open(route.world.clock.now())) {
      Status open = co_await wait_for_pace(route);
      if (!open) co_return open;
    }
    // First what came together with the head, then what is read: both are bytes that the next await may take
    // away.
    MutableBytes bytes;
    const bool from_arrived = route.arrived && !route.arrived.empty();
    if (from_arrived) {
      bytes = {route.arrived.data(), route.arrived.size()};
      if (paced) bytes = bytes.first(route.pace->piece(bytes.size()));
    } else {
      Status possible = co_await route.from.readable(route.world.clock.now() + route.silence_max);
      if (!possible) co_return possible;
      const io::ReadResult read =
          route.from.socket().read(paced ? route.pace->piece(end.read_max()) : end.read_max());
      if (read.state == io::ReadResult::State::would_block) continue;
      if (read.state == io::ReadResult::State::failed)
        co_return route.from.broken(read.errnum, "read of a body");
      if (read.state == io::ReadResult::State::ended) {
        if (end.ends_with_connection()) co_return Status{};
        co_return Error{ErrorKind::closed, route.from.side(), Retry::no,
                        "the connection ended inside a body"};
      }
      bytes = read.bytes;
    }
    Result<std::size_t> taken = end.take({bytes.data(), bytes.size()}, route.from.side());
    if (!taken) co_return std::move(taken.error());
    if (!from_arrived && *taken < bytes.size()) {  // the next message begins in what was read
      if (!route.arrived) route.arrived = route.world.buffers.borrow();
      route.arrived.append({bytes.data() + *taken, bytes.size() - *taken});
    }
    route.moved += *taken;
    if (route.bytes_max != 0 && route.moved > route.bytes_max)
      co_return Error{ErrorKind::too_large, route.from.side(), Retry::no, "larger than allowed"};
    if (paced) route.pace->passed(*taken, route.world.clock.now());
    const MutableBytes of_body = bytes.first(*taken);
    const std::size_t size = content_only ? keep_content(of_body, content) : *taken;
    const io::WriteResult written = route.to.socket().write({of_body.data(), size});
    if (written.errnum != 0) co_return route.to.broken(written.errnum, "write of a body");
    if (written.taken < size) {
      // Copied before the await: a Task begins at the loop's next turn, and lent bytes do not live that long.
      Buffer rest = route.world.buffers.borrow();
      rest.append({of_body.data() + written.taken, size - written.taken});
      const TimePoint deadline = route.world.clock.now() + route.silence_max;
      Status whole = co_await route.to.write_all(rest.view(), deadline);
      if (!whole) co_return whole;
    }
    if (from_arrived) route.arrived.consume(*taken);
  }
  co_return Status{};
}

}  // namespace rejoin::upstream
