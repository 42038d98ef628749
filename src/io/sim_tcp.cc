// What arrives at a simulated kernel, and what it does by itself: TCP without congestion control, in order,
// with windows, retransmission and the ways in which Linux ends connections.
#include <algorithm>
#include <cerrno>

#include "io/sim_core.h"

namespace rejoin::io::sim {

void Pipe::trim() {
  const std::uint64_t keep_from = std::min({acknowledged, read, written});
  const std::uint64_t dead = keep_from - base;
  if (dead < 4096 || dead < bytes.size() / 2) return;
  bytes.erase(0, dead);
  base = keep_from;
}

// --- records ---

Connection& Core::new_connection() {
  std::uint32_t index;
  if (free_connections.empty()) {
    index = static_cast<std::uint32_t>(pool.size());
    pool.push_back(std::make_unique<Connection>());
  } else {
    index = free_connections.back();
    free_connections.pop_back();
    *pool[index] = Connection{};
  }
  pool[index]->index = index;
  pool[index]->serial = ++serials;
  return *pool[index];
}

void Core::free_if_over(Connection& c) {
  if (c.serial == 0 || c.in_queue) return;
  for (const End& end : c.ends) {
    if (end.has_slot || end.loose != 0) return;
    if (end.state == EndState::opening || end.state == EndState::open) return;
  }
  c.serial = 0;
  free_connections.push_back(c.index);
}

// --- the wire ---

bool Core::path_open(const Connection& c, std::uint8_t from) const {
  const End& sender = c.ends[from];
  const End& receiver = c.ends[1 - from];
  const Pipe& pipe = c.pipes[from];
  if (pipe.hole || pipe.link == nullptr || pipe.link->hole) return false;
  return !sender.machine->off && sender.machine->has(sender.local) && !receiver.machine->off &&
         receiver.machine->has(receiver.local);
}

void Core::send(Connection& c, std::uint8_t from, What what, std::uint64_t a, std::uint32_t b, bool fin) {
  Pipe& pipe = c.pipes[from];
  if (!path_open(c, from)) {
    ++counters.lost_segments;
    return;
  }
  Link& over = *pipe.link;
  TimePoint leaves = now;
  if (over.options.bytes_per_second != 0) {
    const std::uint64_t bytes = 40 + (what == What::segment ? b : 0);  // 40: the headers of IP and TCP
    over.free_at = std::max(over.free_at, now) +
                   Duration(static_cast<std::int64_t>(bytes * 1'000'000 / over.options.bytes_per_second));
    leaves = over.free_at;
  }
  TimePoint arrives = leaves + over.options.latency;
  if (over.options.jitter.count() > 0) arrives += up_to(over.options.jitter);
  pipe.last_arrival = arrives = std::max(arrives, pipe.last_arrival);
  push({.at = {},
        .sequence = 0,
        .serial = c.serial,
        .a = a,
        .connection = c.index,
        .b = b,
        .what = what,
        .side = static_cast<std::uint8_t>(1 - from),
        .fin = fin},
       arrives);
}

// One segment from `sent`, as far as the window, the cuts and the faults let it go.
void Core::send_one(Connection& c, std::uint8_t from) {
  Pipe& pipe = c.pipes[from];
  const std::uint64_t until = std::min(pipe.written, pipe.window_edge);
  if (pipe.sent < until) {
    std::uint64_t length = std::min<std::uint64_t>(until - pipe.sent, pipe.link->options.segment_bytes_max);
    if (chance(faults.tiny_segment)) {
      ++counters.tiny_segments;
      length = std::min<std::uint64_t>(length, 1 + random.below(16));
    }
    if (pipe.slow_bytes_per_second != 0) length = std::min<std::uint64_t>(length, 64);
    const Towards towards = from == 0 ? Towards::listener : Towards::dialler;
    for (const Cut& cut : c.cuts) {
      if (cut.towards == towards && cut.after_bytes > pipe.sent)
        length = std::min(length, cut.after_bytes - pipe.sent);
    }
    if (pipe.slow_bytes_per_second != 0) {
      pipe.paced_until =
          now + Duration(static_cast<std::int64_t>(length * 1'000'000 / pipe.slow_bytes_per_second));
    }
    send(c, from, What::segment, pipe.sent, static_cast<std::uint32_t>(length));
    pipe.sent += length;
  } else if (pipe.fin_given && pipe.sent == pipe.written) {
    send(c, from, What::segment, pipe.sent, 0, true);
    ++pipe.sent;
  }
  watch_progress(c, from);
}

void Core::pump(Connection& c, std::uint8_t from) {
  End& end = c.ends[from];
  Pipe& pipe = c.pipes[from];
  if (end.state != EndState::open) return;
  if (pipe.acknowledged == pipe.sent) pipe.progress_at = now;
  for (;;) {
    const bool may_send =
        pipe.sent < std::min(pipe.written, pipe.window_edge) || (pipe.fin_given && pipe.sent == pipe.written);
    if (!may_send) break;
    if (pipe.slow_bytes_per_second != 0 && now < pipe.paced_until) {
      if (!pipe.pace_pending) push_for(c, What::pace, from, pipe.paced_until);
      pipe.pace_pending = true;
      break;
    }
    send_one(c, from);
  }
  if (!pipe.all_acknowledged()) watch_progress(c, from);  // also while the window is closed
}

void Core::watch_progress(Connection& c, std::uint8_t from) {
  Pipe& pipe = c.pipes[from];
  if (pipe.timer_pending) return;
  pipe.timer_pending = true;
  push_for(c, What::retransmit, from, now + pipe.retransmit_after);
}

void Core::acknowledge(Connection& c, std::uint8_t receiver) {
  Pipe& pipe = c.pipes[1 - receiver];
  const End& end = c.ends[receiver];
  const std::uint64_t buffer = end.program->options.receive_buffer_bytes;
  pipe.advertised_edge = pipe.read + buffer;
  // The position in `a`, the window's edge as a distance from it in `b`.
  const std::uint64_t position = pipe.arrived + (pipe.fin_arrived ? 1 : 0);
  const std::uint64_t window = pipe.advertised_edge - std::min(pipe.advertised_edge, pipe.arrived);
  send(c, receiver, What::acknowledgement, position, static_cast<std::uint32_t>(window));
}

// --- arrivals ---

void Core::arrive(Connection& c, const Event& event) {
  const std::uint8_t side = event.side;
  if (event.what != What::syn && !path_open(c, static_cast<std::uint8_t>(1 - side))) {
    ++counters.lost_segments;
    return;
  }
  End& end = c.ends[side];
  end.heard_at = now;
  end.keepalive_tries = 0;
  switch (event.what) {
    case What::syn: syn_arrives(c); return;
    case What::rst: rst_arrives(c, side); return;
    default: break;
  }
  if (end.state == EndState::dead || end.state == EndState::none) {
    if (!end.time_wait) {
      ++counters.resets_sent;
      send(c, side, What::rst);
    } else if (event.what == What::segment) {
      send(c, side, What::acknowledgement, event.a + event.b + (event.fin ? 1 : 0), 0);
    }
    return;
  }
  switch (event.what) {
    case What::syn_ack: syn_ack_arrives(c); return;
    case What::established: establish(c); return;
    case What::segment: segment_arrives(c, event); return;
    case What::acknowledgement: acknowledgement_arrives(c, event); return;
    default: return;
  }
}

void Core::syn_arrives(Connection& c) {
  End& end = c.ends[1];
  if (!path_open(c, 0)) {
    ++counters.lost_segments;
    return;
  }
  if (end.state == EndState::opening) {  // our answer was lost
    send(c, 1, What::syn_ack);
    return;
  }
  if (end.state != EndState::none) return;
  ListenerRecord* listener = c.refuse ? nullptr : choose_listener(*end.machine, c.to);
  if (listener == nullptr) {
    if (c.refuse) ++counters.refusals_injected;
    ++counters.resets_sent;
    send(c, 1, What::rst);
    return;
  }
  if (listener->queue.size() + listener->half_open >=
      static_cast<std::size_t>(std::max(1, listener->options.backlog))) {
    ++counters.backlog_drops;
    return;  // as Linux: silence, so that the dialler tries again
  }
  ++listener->half_open;
  end.state = EndState::opening;
  end.program = listener->program;
  end.heard_at = now;
  c.listener = listener->serial;
  c.pipes[1].window_edge = c.ends[0].program->options.receive_buffer_bytes;
  c.pipes[0].advertised_edge = end.program->options.receive_buffer_bytes;
  send(c, 1, What::syn_ack);
  push_for(c, What::syn_ack_timer, 1, now + 1s);
}

void Core::syn_ack_arrives(Connection& c) {
  End& end = c.ends[0];
  send(c, 0, What::established);
  if (end.state == EndState::open) return;  // it was sent again, because `established` was lost
  end.state = EndState::open;
  ++counters.opened;
  c.pipes[0].window_edge = c.ends[1].program->options.receive_buffer_bytes;
  c.pipes[1].advertised_edge = end.program->options.receive_buffer_bytes;
  tell_end(c, 0, false, true);
  pump(c, 0);
}

// The last part of the handshake, or the first segment when that was lost.
void Core::establish(Connection& c) {
  End& end = c.ends[1];
  if (end.state != EndState::opening) return;
  ListenerRecord* listener = find_listener(c.listener);
  if (listener == nullptr) {
    abort(c, 1);
    return;
  }
  --listener->half_open;
  end.state = EndState::open;
  keep_alive_from_now(c, 1);
  if (listener->options.client_speaks_first) {
    c.deferred = true;
    push_for(c, What::defer_over, 1, now + kDeferAccept);
  } else {
    queue_for_accept(c);
  }
  check_cuts(c, Towards::listener);
  check_cuts(c, Towards::dialler);
}

void Core::queue_for_accept(Connection& c) {
  c.deferred = false;
  ListenerRecord* listener = find_listener(c.listener);
  if (listener == nullptr) {
    abort(c, 1);
    return;
  }
  c.in_queue = true;
  listener->queue.push_back(&c);
  if (chance(faults.late_accept)) {
    ++counters.late_accepts;
    push({.at = {},
          .sequence = 0,
          .serial = c.serial,
          .a = listener->serial,
          .connection = c.index,
          .what = What::late_accept},
         now + up_to(faults.accept_delay_max));
    return;
  }
  mark_listener(*listener);
}

void Core::segment_arrives(Connection& c, const Event& event) {
  const std::uint8_t side = event.side;
  End& end = c.ends[side];
  Pipe& pipe = c.pipes[1 - side];
  establish(c);
  if (end.state != EndState::open) return;
  const std::uint64_t until = event.a + event.b;
  if (event.a > pipe.arrived) {  // one before it was lost
    acknowledge(c, side);
    return;
  }
  const std::uint64_t fresh = until > pipe.arrived ? until - pipe.arrived : 0;
  if (fresh != 0 && end.orphan) {  // nobody will ever read it
    abort(c, side);
    return;
  }
  const bool first_fin = event.fin && !pipe.fin_arrived;
  pipe.arrived += fresh;
  if (first_fin) pipe.fin_arrived = true;
  counters.bytes += fresh;
  ++counters.segments;
  acknowledge(c, side);
  if (fresh == 0 && !first_fin) return;
  if (c.deferred && side == 1) queue_for_accept(c);
  tell_end(c, side, true, false);
  if (first_fin) orphan_check(c, side);
  if (fresh != 0 && !c.cuts.empty()) check_cuts(c, side == 1 ? Towards::listener : Towards::dialler);
}

void Core::acknowledgement_arrives(Connection& c, const Event& event) {
  const std::uint8_t side = event.side;
  End& end = c.ends[side];
  Pipe& pipe = c.pipes[side];
  establish(c);
  if (end.state != EndState::open) return;
  pipe.tries = 0;
  const std::uint64_t arrived = std::min(event.a, pipe.written);
  pipe.window_edge = std::max(pipe.window_edge, arrived + event.b);
  if (event.a > pipe.acknowledged) {
    pipe.acknowledged = event.a;
    pipe.sent = std::max(pipe.sent, pipe.acknowledged);
    pipe.progress_at = now;
    pipe.retransmit_after = kRetransmitMin + 2 * (pipe.link->options.latency + pipe.link->options.jitter +
                                                  c.pipes[1 - side].link->options.latency +
                                                  c.pipes[1 - side].link->options.jitter);
    pipe.trim();
    // Linux tells when a third of the buffer is free.
    const std::uint64_t buffer = end.program->options.send_buffer_bytes;
    const std::uint64_t used = pipe.written - std::min(pipe.acknowledged, pipe.written);
    if (end.no_space && used + buffer / 3 <= buffer) {
      end.no_space = false;
      tell_end(c, side, false, true);
    }
  }
  pump(c, side);
  orphan_check(c, side);
}

void Core::rst_arrives(Connection& c, std::uint8_t side) {
  const End& end = c.ends[side];
  if (end.state == EndState::dead || end.state == EndState::none) return;
  int error = ECONNRESET;
  if (end.state == EndState::opening && side == 0) error = ECONNREFUSED, ++counters.refused;
  if (c.pipes[1 - side].fin_arrived) error = EPIPE;
  die(c, side, error);
}

// --- timers of the kernel ---

void Core::kernel_timer(Connection& c, const Event& event) {
  const std::uint8_t side = event.side;
  End& end = c.ends[side];
  switch (event.what) {
    case What::syn_timer:
      if (end.state != EndState::opening) return;
      if (++c.syn_tries > kSynRetries) {
        ++counters.dials_timed_out;
        die(c, 0, ETIMEDOUT);
        return;
      }
      if (c.ends[1].machine == nullptr) c.ends[1].machine = machine_of(c.to);
      if (c.ends[1].machine != nullptr && c.pipes[0].link == nullptr) {
        c.pipes[0].link = &link(*c.ends[0].machine, *c.ends[1].machine);
        c.pipes[1].link = &link(*c.ends[1].machine, *c.ends[0].machine);
      }
      send(c, 0, What::syn);
      push_for(c, What::syn_timer, 0, now + Duration(1s) * (1 << c.syn_tries));
      return;
    case What::syn_ack_timer:
      if (end.state != EndState::opening) return;
      if (++c.syn_ack_tries > kSynAckRetries) {
        die(c, 1, ETIMEDOUT);
        return;
      }
      send(c, 1, What::syn_ack);
      push_for(c, What::syn_ack_timer, 1, now + Duration(1s) * (1 << c.syn_ack_tries));
      return;
    case What::retransmit: retransmit(c, side); return;
    case What::pace:
      c.pipes[side].pace_pending = false;
      pump(c, side);
      return;
    case What::defer_over:
      if (c.deferred) queue_for_accept(c);
      return;
    case What::fin_over:
      if (end.orphan && end.state == EndState::open) die(c, side, 0);
      return;
    case What::keepalive: keepalive(c, side); return;
    case What::room_again:
      if (!end.no_space || end.state != EndState::open) return;
      end.no_space = false;
      tell_end(c, side, false, true);
      return;
    case What::readable_again: tell_end(c, side, true, false); return;
    case What::late_accept:
      if (ListenerRecord* listener = find_listener(event.a)) mark_listener(*listener);
      return;
    case What::break_now:
      if (event.b == faults_serial) break_connection(c, static_cast<Break>(event.a));
      return;
    case What::hole_over: c.pipes[side].hole = false; return;
    default: return;
  }
}

void Core::retransmit(Connection& c, std::uint8_t from) {
  End& end = c.ends[from];
  Pipe& pipe = c.pipes[from];
  pipe.timer_pending = false;
  if (end.state != EndState::open || pipe.all_acknowledged()) return;
  const TimePoint due = pipe.progress_at + pipe.retransmit_after;
  if (now < due || pipe.pace_pending) {
    pipe.timer_pending = true;
    push_for(c, What::retransmit, from, std::max(due, now + kRetransmitMin));
    return;
  }
  if (++pipe.tries > (end.orphan ? kOrphanRetries : kRetries)) {
    ++counters.gave_up;
    die(c, from, ETIMEDOUT);
    return;
  }
  pipe.retransmit_after = std::min(pipe.retransmit_after * 2, kRetransmitMax);
  pipe.progress_at = now;
  ++counters.retransmissions;
  if (pipe.sent == pipe.acknowledged && pipe.sent < pipe.written) {
    send(c, from, What::segment, pipe.sent, 0);  // the window is closed, or its opening was lost: ask
    watch_progress(c, from);
    return;
  }
  // From the first that was not acknowledged; the acknowledgement of this one lets the others follow.
  pipe.sent = pipe.acknowledged;
  send_one(c, from);
}

void Core::keep_alive_from_now(Connection& c, std::uint8_t side) {
  if (std::exchange(c.ends[side].keep_alive, true)) return;
  push_for(c, What::keepalive, side, now + std::chrono::seconds(limits::kKeepAliveIdleS));
}

void Core::keepalive(Connection& c, std::uint8_t side) {
  End& end = c.ends[side];
  if (end.state != EndState::open || end.orphan) return;
  const TimePoint due = end.heard_at + std::chrono::seconds(limits::kKeepAliveIdleS);
  if (now < due || !c.pipes[side].all_acknowledged()) {  // what is in flight has its own timer
    push_for(c, What::keepalive, side, std::max(due, now + 1s));
    return;
  }
  if (++end.keepalive_tries > limits::kKeepAliveProbesMax) {
    ++counters.gave_up;
    die(c, side, ETIMEDOUT);
    return;
  }
  send(c, side, What::segment, c.pipes[side].sent - (c.pipes[side].fin_given ? 1 : 0), 0);
  push_for(c, What::keepalive, side, now + std::chrono::seconds(limits::kKeepAliveIntervalS));
}

// --- endings ---

void Core::die(Connection& c, std::uint8_t side, int error) {
  End& end = c.ends[side];
  if (end.state == EndState::dead) return;
  const bool was_opening = end.state == EndState::opening;
  end.state = EndState::dead;
  end.error = error;
  if (side == 0) {
    if (was_opening) end.connect_error = error;
    tuples.erase({end.local, c.to});
  } else if (was_opening) {
    if (ListenerRecord* listener = find_listener(c.listener)) --listener->half_open;
  }
  c.deferred = false;
  tell_end(c, side, true, true);
  free_if_over(c);
}

// Our side breaks it off: the peer gets a RST.
void Core::abort(Connection& c, std::uint8_t side) {
  ++counters.resets_sent;
  send(c, side, What::rst);
  die(c, side, ECONNRESET);
}

// A closed end is over when the peer has all of it and has ended as well.
void Core::orphan_check(Connection& c, std::uint8_t side) {
  End& end = c.ends[side];
  if (!end.orphan || end.state != EndState::open || !c.pipes[side].all_acknowledged()) return;
  if (c.pipes[1 - side].fin_arrived) {
    end.time_wait = true;
    die(c, side, 0);
  } else {
    push_for(c, What::fin_over, side, now + kFinTimeout);
  }
}

void Core::break_connection(Connection& c, Break how) {
  const auto alive = [&](int side) {
    return c.ends[side].state == EndState::opening || c.ends[side].state == EndState::open;
  };
  if (!alive(0) && !alive(1)) return;
  if (how == Break::reset) {
    ++counters.resets_injected;
    const std::uint64_t serial = c.serial;
    for (const std::uint8_t side : {std::uint8_t{0}, std::uint8_t{1}}) {
      if (c.serial == serial) rst_arrives(c, side);
    }
    return;
  }
  ++counters.holes;
  if (how != Break::hole_to_dialler) c.pipes[0].hole = true;
  if (how != Break::hole_to_listener) c.pipes[1].hole = true;
}

void Core::check_cuts(Connection& c, Towards towards) {
  const Pipe& pipe = c.pipes[towards == Towards::listener ? 0 : 1];
  for (std::size_t i = 0; i < c.cuts.size(); ++i) {
    const Cut cut = c.cuts[i];
    if (cut.towards != towards || pipe.arrived < cut.after_bytes) continue;
    c.cuts.erase(c.cuts.begin() + static_cast<std::ptrdiff_t>(i));
    ++counters.cuts;
    break_connection(c, cut.how);
    return;
  }
}

void Core::tell_end(Connection& c, std::uint8_t side, bool readable, bool writable) {
  const End& end = c.ends[side];
  if (end.has_slot) mark(*end.program, end.slot, readable, writable);
}

// --- listeners ---

ListenerRecord* Core::find_listener(std::uint64_t serial) {
  const auto found = listeners.find(serial);
  return found == listeners.end() ? nullptr : found->second.get();
}

// One of those on exactly this address, else of those on all addresses; which one, the seed says.
ListenerRecord* Core::choose_listener(const Machine& machine, const Address& to) {
  std::vector<ListenerRecord*> exact, any;
  for (ListenerRecord* listener : machine.listeners) {
    const Address& at = listener->address;
    if (at.port != to.port) continue;
    const bool wildcard =
        at.ip == Address{}.ip && (at.family == to.family || at.family == Address::Family::ipv6);
    if (at == to) exact.push_back(listener);
    if (wildcard) any.push_back(listener);
  }
  const auto& candidates = exact.empty() ? any : exact;
  return candidates.empty() ? nullptr : candidates[random.below(candidates.size())];
}

bool Machine::has(const Address& address) const {
  return std::any_of(ips.begin(), ips.end(),
                     [&](const Address& ip) { return ip.family == address.family && ip.ip == address.ip; });
}

}  // namespace rejoin::io::sim
