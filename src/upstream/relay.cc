#include "upstream/relay.h"

#include <algorithm>

#include "base/limits.h"
#include "upstream/relay_care.h"

namespace rejoin::upstream {

std::string_view to_string(RelayEnd::How how) {
  switch (how) {
    case RelayEnd::How::finished: return "finished";
    case RelayEnd::How::broken: return "broken";
    case RelayEnd::How::idle: return "idle";
    case RelayEnd::How::cancelled: return "cancelled";
    case RelayEnd::How::silent: return "silent";
    case RelayEnd::How::stalled: return "stalled";
    case RelayEnd::How::dead: return "dead";
    case RelayEnd::How::refused: return "refused";
    case RelayEnd::How::dismissed: return "dismissed";
  }
  return "?";
}

Relay::Relay(io::World& world, RelayOwner& owner, io::Socket client, io::Socket server, RelayRules rules)
    : world_(world),
      owner_(owner),
      client_(*this, std::move(client)),
      server_(*this, std::move(server)),
      timer_([](void* self) { static_cast<Relay*>(self)->on_timer(); }, this),
      opened_(world.clock.now()),
      last_active_(opened_),
      rules_(rules) {}

Relay::~Relay() = default;

void Relay::care_for(const CareRules& rules, bool websocket) {
  if (rules.any(websocket)) care_ = std::make_unique<RelayCare>(*this, rules, websocket);
}

void Relay::start(Buffer from_client, Buffer from_server) {
  client_.socket.set_events(&client_);
  server_.socket.set_events(&server_);
  world_.timers.arm(timer_,
                    last_active_ + std::min<Duration>(rules_.idle_timeout, limits::kRelayKeepAliveAfterS));
  if (care_ && !care_->start(std::move(from_client), std::move(from_server))) return;
  if (!client_.ended && client_.socket.may_read() && !move(client_, server_)) return;
  if (server_.socket.may_read() && !move(server_, client_)) return;
}

void Relay::on_ready(Half& half, io::Ready ready) {
  last_active_ = world_.clock.now();
  if (ready.writable && !drain(half)) return;
  if (ready.readable) (void)move(half, other(half));
}

bool Relay::move(Half& from, Half& to) {
  if (care_) return care_->move(from, to);
  for (int reads = 0; reads < limits::kReadsPerTurnMax; ++reads) {
    if (from.ended || !to.backlog.empty() || !from.socket.may_read()) return true;
    const io::ReadResult read = from.socket.read();
    switch (read.state) {
      case io::ReadResult::State::got: break;
      case io::ReadResult::State::would_block: return true;
      case io::ReadResult::State::ended:
        from.ended = true;
        if (first_ended_ == Side::ours) first_ended_ = side_of(from);
        if (to.ended || (&from == &client_ && rules_.client_fin == ClientFin::ends_both)) {
          finish({RelayEnd::How::finished, first_ended_});
          return false;
        }
        to.socket.shutdown_write();  // nothing of ours is waiting for it: its backlog is empty
        return true;
      case io::ReadResult::State::failed: finish({RelayEnd::How::broken, side_of(from)}); return false;
    }
    from.received += read.bytes.size();
    const io::WriteResult written = to.socket.write(read.view());
    if (written.errnum != 0) {
      finish({RelayEnd::How::broken, side_of(to)});
      return false;
    }
    if (written.taken < read.bytes.size()) {
      if (!to.backlog) to.backlog = world_.buffers.borrow();
      to.backlog.append(read.view().substr(written.taken));  // fits: a read lends at most one buffer's size
      ++pauses_;
      return true;
    }
  }
  // More may be there, and the loop will not tell of it again: let the others have their turn first.
  if (from.socket.may_read()) from.socket.read_again();
  return true;
}

bool Relay::drain(Half& to) {
  if (to.backlog.empty()) return true;
  const io::WriteResult written = to.socket.write(to.backlog.view());
  if (written.errnum != 0) {
    finish({RelayEnd::How::broken, side_of(to)});
    return false;
  }
  to.backlog.consume(written.taken);
  if (care_) care_->progressed(to);
  if (!to.backlog.empty()) return true;
  to.backlog.release();
  if (care_ && !care_->drained(to)) return false;
  return move(other(to), to);
}

// The timer is not moved by every message, which would cost more than the message: it looks when it fires.
void Relay::on_timer() {
  const TimePoint due = last_active_ + rules_.idle_timeout;
  if (world_.clock.now() >= due) {
    finish({RelayEnd::How::idle, Side::ours});
    return;
  }
  if (!std::exchange(kept_alive_, true)) server_.socket.keep_alive();
  world_.timers.arm(timer_, due);
}

void Relay::cancel() { finish({RelayEnd::How::cancelled, Side::ours}); }

bool Relay::dismiss(std::uint16_t code) {
  bool possible = false;
  if (care_) {
    RelayEnd end{RelayEnd::How::dismissed, Side::ours};
    end.code = code;
    (void)care_->close(static_cast<proto::CloseCode>(code), end, possible);
  }
  return possible;
}

bool Relay::may_be_dismissed() const { return care_ && care_->may_close(); }

void Relay::finish(RelayEnd end) {
  timer_.cancel();
  const bool closing = care_ && care_->closing();
  if (closing && end.how != RelayEnd::How::finished) end = care_->end();  // whatever came over it
  if (care_) care_->cancel();
  if (end.how == RelayEnd::How::finished || closing) {
    client_.socket.close();
    server_.socket.close();
  } else {
    client_.socket.reset();
    server_.socket.reset();
  }
  client_.backlog.release();
  server_.backlog.release();
  owner_.relay_ended(*this, end);
}

}  // namespace rejoin::upstream
