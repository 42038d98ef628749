// What the calls of a simulated program do: the Network interface over the simulated kernel.
#include <algorithm>
#include <cassert>
#include <cerrno>

#include "io/sim_core.h"

namespace rejoin::io::sim {
namespace {

constexpr std::uint16_t kFirstEphemeralPort = 32768, kLastEphemeralPort = 60999;  // ip_local_port_range

class SimListener final : public Listener {
 public:
  SimListener(Core& core, std::uint64_t serial, const Address& at)
      : core_(core), serial_(serial), address_(at) {}
  ~SimListener() override { core_.close_listener(serial_, /*accept_waiting=*/true); }
  Address address() const override { return address_; }
  bool paused() const override {
    const ListenerRecord* record = core_.find_listener(serial_);
    return record != nullptr && record->paused;
  }

 private:
  Core& core_;
  std::uint64_t serial_;
  Address address_;
};

bool is_wildcard(const Address& at) { return at.ip == Address{}.ip; }

bool port_is_taken(const Machine& machine, const Address& at, bool reuse_port) {
  return std::any_of(machine.listeners.begin(), machine.listeners.end(), [&](const ListenerRecord* other) {
    if (other->address.port != at.port || (reuse_port && other->options.reuse_port)) return false;
    return other->address == at || is_wildcard(at) || is_wildcard(other->address);
  });
}

}  // namespace

bool Program::operation_fails() {
  ++operations;
  if (fail_at == 0 || operations != fail_at) return false;
  fail_at = 0;
  ++core.counters.operations_failed;
  return true;
}

// --- slots: ids are used again at once, the last one first, as descriptors are ---

std::uint32_t Core::open_slot(Program& program, Connection& c, std::uint8_t side) {
  std::uint32_t id;
  if (program.free_slots.empty()) {
    id = static_cast<std::uint32_t>(program.slots.size());
    program.slots.emplace_back();
  } else {
    id = program.free_slots.back();
    program.free_slots.pop_back();
  }
  Slot& slot = program.slots[id];
  slot = Slot{};
  slot.connection = &c;
  slot.serial = ++serials;
  slot.side = side;
  slot.open = true;
  c.ends[side].has_slot = true;
  c.ends[side].slot = id;
  ++program.open;
  trace(What::opened_socket, program.index, id, c.serial);
  return id;
}

void Core::close_slot(Program& program, std::uint32_t id, bool with_reset) {
  Slot& slot = program.slots[id];
  assert(slot.open && "a Socket is closed twice");
  Connection* c = slot.connection;
  const std::uint8_t side = slot.side;
  trace(What::closed_socket, program.index, id, with_reset ? 1 : 0);
  slot = Slot{};
  program.free_slots.push_back(id);
  --program.open;
  if (c != nullptr) {
    c->ends[side].has_slot = false;
    if (c->ends[side].loose == 0) close_end(*c, side, with_reset);  // else another process has it, too
  }
  for (ListenerRecord* listener : program.machine.listeners) {
    if (listener->program != &program || !listener->paused) continue;
    listener->paused = false;
    mark_listener(*listener);
  }
}

// The kernel's part of a close, for a socket of a program as for one that waits to be accepted.
void Core::close_end(Connection& c, std::uint8_t side, bool with_reset) {
  End& end = c.ends[side];
  Pipe& outgoing = c.pipes[side];
  if (end.state == EndState::opening) {
    die(c, side, 0);
  } else if (end.state == EndState::open && (with_reset || c.pipes[1 - side].unread() != 0)) {
    abort(c, side);
  } else if (end.state == EndState::open) {
    end.orphan = true;
    outgoing.fin_given = true;
    pump(c, side);
    orphan_check(c, side);
  }
  free_if_over(c);
}

void Core::close_listener(std::uint64_t serial, bool accept_waiting) {
  ListenerRecord* listener = find_listener(serial);
  if (listener == nullptr) return;
  while (accept_waiting && !listener->queue.empty() && !listener->program->out_of_descriptors()) {
    accept_one(*listener);
    listener = find_listener(serial);
    if (listener == nullptr) return;
  }
  const std::unique_ptr<ListenerRecord> gone = std::move(listeners.find(serial)->second);
  listeners.erase(serial);
  std::erase(gone->program->machine.listeners, gone.get());
  --gone->program->listeners;
  for (Connection* c : gone->queue) {
    c->in_queue = false;
    if (c->ends[1].state == EndState::open) abort(*c, 1);
    free_if_over(*c);
  }
}

// --- opening ---

// The address that a connection comes from. EADDRNOTAVAIL is ours; ENETUNREACH is what a phone without any
// network gets.
Result<Address> Core::choose_local(Program& program, const Address& to, const Address& bind) {
  Machine& machine = program.machine;
  Address local;
  if (bind && !is_wildcard(bind)) {
    if (!machine.has(bind)) return Error::from_errno(EADDRNOTAVAIL, "bind to " + bind.text());
    local = bind;
  } else {
    const auto found = std::find_if(machine.ips.begin(), machine.ips.end(),
                                    [&](const Address& ip) { return ip.family == to.family; });
    if (found == machine.ips.end())
      return Error::from_errno(ENETUNREACH, "connect " + to.text(), Side::server);
    local = *found;
    local.port = bind.port;
  }
  if (local.port != 0) {
    if (tuples.contains({local, to})) return Error::from_errno(EADDRINUSE, "bind to " + bind.text());
    return local;
  }
  constexpr int kPorts = kLastEphemeralPort - kFirstEphemeralPort + 1;
  for (int tries = 0; tries < kPorts; ++tries) {
    local.port = machine.next_port;
    machine.next_port = machine.next_port == kLastEphemeralPort
                            ? kFirstEphemeralPort
                            : static_cast<std::uint16_t>(machine.next_port + 1);
    if (!tuples.contains({local, to})) return local;
  }
  return Error::from_errno(EADDRNOTAVAIL, "connect " + to.text());
}

void Core::draw_faults(Connection& c) {
  c.refuse = chance(faults.refuse);
  const auto soon = [&](What what, Break how) {
    push({.at = {},
          .sequence = 0,
          .serial = c.serial,
          .a = static_cast<std::uint64_t>(how),
          .connection = c.index,
          .b = faults_serial,
          .what = what},
         now + up_to(faults.within));
  };
  if (chance(faults.reset)) soon(What::break_now, Break::reset);
  if (chance(faults.black_hole)) {
    soon(What::break_now, static_cast<Break>(1 + random.below(3)));
    if (!chance(faults.hole_for_ever)) {
      const TimePoint over = now + faults.within + up_to(faults.hole_max);
      push_for(c, What::hole_over, 0, over);
      push_for(c, What::hole_over, 1, over);
    }
  }
  for (Pipe& pipe : c.pipes) {
    if (!chance(faults.slow_reader)) continue;
    ++counters.slow_directions;
    pipe.slow_bytes_per_second = std::max<std::uint64_t>(1, faults.slow_bytes_per_second);
  }
}

void Core::draw_cuts(Connection& c) {
  for (CutRule& rule : cut_rules) {
    const Address& to = rule.cut.to;
    if (rule.done || (to && (to.ip != c.to.ip || (to.port != 0 && to.port != c.to.port)))) continue;
    if (rule.seen++ != rule.cut.nth) continue;
    rule.done = true;
    c.cuts.push_back(rule.cut);
  }
}

Result<Socket> SimNetwork::connect(const Address& to, const ConnectOptions& options) {
  const std::string what = "connect " + to.text();
  if (program_.operation_fails()) return Error::from_errno(EMFILE, what);
  if (program_.crashed) return Error::from_errno(ENETDOWN, what);
  if (program_.out_of_descriptors()) return Error::from_errno(EMFILE, what);
  Result<Address> local = core_.choose_local(program_, to, options.bind);
  if (!local) return std::move(local.error());

  Connection& c = core_.new_connection();
  ++core_.counters.dials;
  c.to = to;
  c.ends[0].machine = &program_.machine;
  c.ends[0].program = &program_;
  c.ends[0].local = *local;
  c.ends[0].state = EndState::opening;
  c.ends[1].local = to;
  c.ends[1].machine = core_.machine_of(to);
  if (c.ends[1].machine != nullptr) {
    c.pipes[0].link = &core_.link(program_.machine, *c.ends[1].machine);
    c.pipes[1].link = &core_.link(*c.ends[1].machine, program_.machine);
  }
  core_.tuples.insert({*local, to});
  const bool spared = c.ends[1].machine != nullptr && c.ends[1].machine->spared;
  if (!spared) core_.draw_faults(c);
  core_.draw_cuts(c);
  const std::uint32_t id = core_.open_slot(program_, c, 0);
  if (!spared && core_.chance(core_.faults.lost_dial)) {
    ++core_.counters.lost_dials;
  } else {
    core_.send(c, 0, What::syn);
  }
  core_.push_for(c, What::syn_timer, 0, core_.now + 1s);
  return Socket(*this, id);
}

Result<std::unique_ptr<Listener>> SimNetwork::listen(const Address& at, const ListenOptions& options,
                                                     AcceptEvents& events) {
  const std::string what = "listen on " + at.text();
  Machine& machine = program_.machine;
  if (program_.operation_fails()) return Error::from_errno(EMFILE, what);
  if (program_.crashed) return Error::from_errno(ENETDOWN, what);
  if (program_.out_of_descriptors()) return Error::from_errno(EMFILE, what);
  if (!is_wildcard(at) && !machine.has(at)) return Error::from_errno(EADDRNOTAVAIL, what);
  Address address = at;
  while (address.port == 0 || (at.port == 0 && port_is_taken(machine, address, false))) {
    address.port = static_cast<std::uint16_t>(20'000 + core_.random.below(10'000));
  }
  if (port_is_taken(machine, address, options.reuse_port)) return Error::from_errno(EADDRINUSE, what);

  auto record = std::make_unique<ListenerRecord>();
  record->serial = ++core_.serials;
  record->program = &program_;
  record->address = address;
  record->options = options;
  record->events = &events;
  machine.listeners.push_back(record.get());
  ++program_.listeners;
  const std::uint64_t serial = record->serial;
  core_.listeners.emplace(serial, std::move(record));
  return std::unique_ptr<Listener>(std::make_unique<SimListener>(core_, serial, address));
}

std::size_t SimNetwork::open_sockets() const { return program_.open; }

// --- a socket ---

Slot& SimNetwork::slot(std::uint32_t id) const {
  assert(id < program_.slots.size() && program_.slots[id].open && "a Socket that is not open");
  return program_.slots[id];
}

void SimNetwork::set_events(std::uint32_t id, SocketEvents* events) { slot(id).events = events; }
bool SimNetwork::may_read(std::uint32_t id) const { return slot(id).may_read; }
bool SimNetwork::may_write(std::uint32_t id) const { return slot(id).may_write; }

ReadResult SimNetwork::read(std::uint32_t id, std::size_t max) {
  assert(max != 0 && "a read of nothing cannot be told from the end");
  Slot& at = slot(id);
  program_.loan.end_loan();
  const auto failed = [](int errnum) {
    return ReadResult{.state = ReadResult::State::failed, .errnum = errnum, .bytes = {}};
  };
  const bool fails = program_.operation_fails();
  if (at.connection == nullptr) return failed(ECONNRESET);
  Connection& c = *at.connection;
  End& end = c.ends[at.side];
  Pipe& pipe = c.pipes[1 - at.side];
  if (fails) {
    core_.abort(c, at.side);
    end.error = 0;
    return failed(ECONNRESET);
  }

  const std::uint64_t unread = pipe.unread();
  if (unread == 0) {
    if (pipe.fin_arrived) return {.state = ReadResult::State::ended, .errnum = 0, .bytes = {}};
    if (end.state == EndState::dead) {
      const int errnum = std::exchange(end.error, 0);
      if (errnum != 0) return failed(errnum);
      return {.state = ReadResult::State::ended, .errnum = 0, .bytes = {}};
    }
    at.may_read = false;
    return {.state = ReadResult::State::would_block, .errnum = 0, .bytes = {}};
  }

  const std::size_t asked = std::min(max, limits::kBufferBytes);
  std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(asked, unread));
  if (count > 1 && core_.chance(core_.faults.short_read)) {
    ++core_.counters.short_reads;
    count = 1 + core_.random.below(count - 1);
    core_.push_for(c, What::readable_again, at.side, core_.now + core_.up_to(200us));
  }
  if (count < asked && !at.end_known) {
    at.may_read = false;
    // An end that came before the socket was accepted has not been told: epoll does when the socket joins it.
    if (pipe.fin_arrived || end.state == EndState::dead) core_.tell_end(c, at.side, true, false);
  }
  const MutableBytes lent =
      program_.loan.lend(Bytes(pipe.bytes).substr(static_cast<std::size_t>(pipe.read - pipe.base), count));
  pipe.read += count;
  pipe.trim();
  core_.trace(What::read, program_.index, id, count);
  // The window opens again: told when it is worth a segment, or half the buffer.
  const std::uint64_t buffer = program_.options.receive_buffer_bytes;
  const std::uint64_t worth = std::min<std::uint64_t>(buffer / 2, 2 * pipe.link->options.segment_bytes_max);
  if (end.state == EndState::open &&
      pipe.read + buffer >= pipe.advertised_edge + std::max<std::uint64_t>(1, worth)) {
    core_.acknowledge(c, at.side);
  }
  return {.state = ReadResult::State::got, .errnum = 0, .bytes = lent};
}

WriteResult SimNetwork::write(std::uint32_t id, std::span<const Bytes> pieces) {
  assert(pieces.size() <= 8 && "Socket::write takes at most 8 pieces");
  Slot& at = slot(id);
  std::size_t total = 0;
  for (const Bytes piece : pieces) total += piece.size();
  if (total == 0) return {};
  const bool fails = program_.operation_fails();
  if (at.connection == nullptr) return {.taken = 0, .errnum = EPIPE};
  Connection& c = *at.connection;
  End& end = c.ends[at.side];
  Pipe& pipe = c.pipes[at.side];
  if (fails) core_.abort(c, at.side);
  if (end.state == EndState::dead) {
    const int errnum = std::exchange(end.error, 0);
    return {.taken = 0, .errnum = errnum != 0 ? errnum : EPIPE};
  }
  if (pipe.fin_given) return {.taken = 0, .errnum = EPIPE};
  if (end.state == EndState::opening) {
    at.may_write = false;
    return {};
  }

  const std::uint64_t used = pipe.written - std::min(pipe.acknowledged, pipe.written);
  const std::uint64_t buffer = program_.options.send_buffer_bytes;
  std::size_t room = static_cast<std::size_t>(buffer - std::min(used, buffer));
  room = std::min(room, total);
  const bool cut_short = room != 0 && core_.chance(core_.faults.short_write);
  if (cut_short) {
    ++core_.counters.short_writes;
    room = core_.random.below(room);
    core_.push_for(c, What::room_again, at.side, core_.now + core_.up_to(200us));
  }
  std::size_t left = room;
  for (const Bytes piece : pieces) {
    pipe.append(piece.substr(0, left));
    left -= std::min(left, piece.size());
  }
  if (room < total) {
    ++core_.counters.full_writes;
    at.may_write = false;
    end.no_space = true;
  }
  core_.trace(What::write, program_.index, id, room);
  core_.pump(c, at.side);
  return {.taken = room, .errnum = 0};
}

void SimNetwork::read_again(std::uint32_t id) {
  Slot& at = slot(id);
  const bool pending = at.readable_pending || at.writable_pending || at.again_pending;
  at.again_pending = true;
  if (!pending) core_.add_pending(program_, {.listener = false, .id = id, .serial = at.serial});
}

Status SimNetwork::connect_status(std::uint32_t id) {
  const Slot& at = slot(id);
  int errnum = ECONNRESET;
  if (at.connection != nullptr) {
    End& end = at.connection->ends[at.side];
    errnum = end.state == EndState::opening ? EINPROGRESS : std::exchange(end.error, 0);
    if (end.connect_error != 0) errnum = end.connect_error;
  }
  if (errnum != 0) return Error::from_errno(errnum, "connect", Side::server);
  return {};
}

void SimNetwork::keep_alive(std::uint32_t id) {
  const Slot& at = slot(id);
  if (at.connection != nullptr) core_.keep_alive_from_now(*at.connection, at.side);
}

void SimNetwork::shutdown_write(std::uint32_t id) {
  const Slot& at = slot(id);
  if (at.connection == nullptr) return;
  const End& end = at.connection->ends[at.side];
  Pipe& pipe = at.connection->pipes[at.side];
  if (end.state != EndState::open || pipe.fin_given) return;
  pipe.fin_given = true;
  core_.pump(*at.connection, at.side);
}

void SimNetwork::reset(std::uint32_t id) { core_.close_slot(program_, id, true); }
void SimNetwork::close(std::uint32_t id) { core_.close_slot(program_, id, false); }

Address SimNetwork::local_address(std::uint32_t id) const {
  const Slot& at = slot(id);
  return at.connection == nullptr ? Address{} : at.connection->ends[at.side].local;
}

// As getpeername(2): a connection that is over has no peer any more.
Address SimNetwork::peer_address(std::uint32_t id) const {
  const Slot& at = slot(id);
  if (at.connection == nullptr || at.connection->ends[at.side].state != EndState::open) return {};
  return at.connection->ends[1 - at.side].local;
}

}  // namespace rejoin::io::sim
