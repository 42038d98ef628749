#include "upstream/relay.h"

#include "base/limits.h"

namespace rejoin::upstream {

std::string_view to_string(RelayEnd::How how) {
  switch (how) {
    case RelayEnd::How::finished: return "finished";
    case RelayEnd::How::broken: return "broken";
    case RelayEnd::How::idle: return "idle";
    case RelayEnd::How::cancelled: return "cancelled";
  }
  return "?";
}

Relay::Relay(io::World& world, RelayOwner& owner, io::Socket client, io::Socket server, RelayRules rules)
    : world_(world),
      owner_(owner),
      client_(*this, std::move(client)),
      server_(*this, std::move(server)),
      idle_timer_([](void* self) { static_cast<Relay*>(self)->on_idle(); }, this),
      opened_(world.clock.now()),
      last_active_(opened_),
      rules_(rules) {}

void Relay::start() {
  client_.socket.set_events(&client_);
  server_.socket.set_events(&server_);
  world_.timers.arm(idle_timer_, last_active_ + rules_.idle_timeout);
  if (client_.socket.may_read() && !move(client_, server_)) return;
  if (server_.socket.may_read() && !move(server_, client_)) return;
}

void Relay::on_ready(Half& half, io::Ready ready) {
  last_active_ = world_.clock.now();
  if (ready.writable && !drain(half)) return;
  if (ready.readable) (void)move(half, other(half));
}

bool Relay::move(Half& from, Half& to) {
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
  if (!to.backlog.empty()) return true;
  to.backlog.release();
  return move(other(to), to);
}

// The timer is not moved by every message, which would cost more than the message: it looks when it fires.
void Relay::on_idle() {
  const TimePoint due = last_active_ + rules_.idle_timeout;
  if (world_.clock.now() < due) {
    world_.timers.arm(idle_timer_, due);
    return;
  }
  finish({RelayEnd::How::idle, Side::ours});
}

void Relay::cancel() { finish({RelayEnd::How::cancelled, Side::ours}); }

void Relay::finish(RelayEnd end) {
  idle_timer_.cancel();
  if (end.how == RelayEnd::How::finished) {
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
