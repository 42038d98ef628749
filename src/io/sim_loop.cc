// Time, and the turns of the simulated loops.
#include <algorithm>
#include <ostream>

#include "io/sim_core.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

namespace rejoin::io::sim {
namespace {

constexpr UnixSeconds kUnixAtStart = 1'800'000'000;
constexpr char kSpoiled = static_cast<char>(0xDB);

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
  hash *= 0xff51afd7ed558ccdULL;
  return hash ^ (hash >> 32);
}

constexpr const char* kNames[] = {
    "syn",           "syn_ack",       "established",   "segment",    "acknowledgement",
    "rst",           "syn_timer",     "syn_ack_timer", "retransmit", "pace",
    "defer_over",    "fin_over",      "keepalive",     "room_again", "readable_again",
    "late_accept",   "accept_retry",  "break_now",     "hole_over",  "act",
    "crash_tick",    "roam_tick",     "turn",          "read",       "write",
    "opened_socket", "closed_socket",
};
static_assert(std::size(kNames) == static_cast<std::size_t>(What::closed_socket) + 1);

}  // namespace

// --- the clock, the log, the lent bytes ---

TimePoint SimClock::now() const { return core_.now; }
UnixSeconds SimClock::unix_now() const {
  return kUnixAtStart + skew_s_ +
         std::chrono::duration_cast<std::chrono::seconds>(core_.now.time_since_epoch()).count();
}

void SimLog::write(LogLevel level, std::string_view line) {
  constexpr const char* kLevels[] = {"debug", "info", "warn", "error", "off"};
  if (lines.size() == kLogLinesMax) lines.erase(lines.begin());
  lines.emplace_back(kLevels[static_cast<std::size_t>(level)]).append(": ").append(line);
}

LoanBlock::LoanBlock() {
  for (auto& block : blocks_) {
    block = std::make_unique<char[]>(limits::kBufferBytes);
    ASAN_POISON_MEMORY_REGION(block.get(), limits::kBufferBytes);
  }
}

LoanBlock::~LoanBlock() {
  for (auto& block : blocks_) ASAN_UNPOISON_MEMORY_REGION(block.get(), limits::kBufferBytes);
}

MutableBytes LoanBlock::lend(Bytes bytes) {
  end_loan();
  present_ = 1 - present_;
  // At the block's end, so that a read past the loan leaves the allocation.
  lent_ = blocks_[present_].get() + limits::kBufferBytes - bytes.size();
  lent_bytes_ = bytes.size();
  ASAN_UNPOISON_MEMORY_REGION(lent_, lent_bytes_);
  std::memcpy(lent_, bytes.data(), bytes.size());
  return {lent_, lent_bytes_};
}

void LoanBlock::end_loan() {
  if (lent_ == nullptr) return;
  std::memset(lent_, kSpoiled, lent_bytes_);
  // From a multiple of eight: AddressSanitizer cannot poison a part of such a group.
  const std::size_t begin = static_cast<std::size_t>(lent_ - blocks_[present_].get()) & ~std::size_t{7};
  ASAN_POISON_MEMORY_REGION(blocks_[present_].get() + begin, limits::kBufferBytes - begin);
  lent_ = nullptr;
}

// --- events ---

bool Core::chance(double probability) {
  if (probability <= 0) return false;
  return static_cast<double>(random.u64() >> 11) * 0x1.0p-53 < probability;
}

void Core::trace(What what, std::uint64_t number, std::uint64_t a, std::uint64_t b) {
  hash = mix(mix(hash, static_cast<std::uint64_t>(now.time_since_epoch().count()) * 32 +
                           static_cast<std::uint64_t>(what)),
             mix(mix(number, a), b));
  if (out == nullptr) return;
  *out << now.time_since_epoch().count() << ' ' << kNames[static_cast<std::size_t>(what)] << ' ' << number
       << ' ' << a << ' ' << b << '\n';
}

void Core::push(Event event, TimePoint at) {
  event.at = std::max(at, now);
  event.sequence = ++sequence;
  events.push(event);
}

void Core::push_for(const Connection& c, What what, std::uint8_t side, TimePoint at) {
  push({.at = {}, .sequence = 0, .serial = c.serial, .connection = c.index, .what = what, .side = side}, at);
}

void Core::handle(const Event& event) {
  trace(event.what, event.serial, event.a, event.side);
  switch (event.what) {
    case What::accept_retry:
      if (ListenerRecord* listener = find_listener(event.serial); listener != nullptr && listener->paused) {
        listener->paused = false;
        mark_listener(*listener);
      }
      return;
    case What::act: {
      const auto found = acts.find(event.serial);
      const std::function<void()> act = std::move(found->second);
      acts.erase(found);
      act();
      return;
    }
    case What::crash_tick:
    case What::roam_tick: host_fault(event); return;
    default: break;
  }
  Connection& c = *pool[event.connection];
  if (c.serial != event.serial) return;
  if (event.what <= What::rst) {
    arrive(c, event);
  } else {
    kernel_timer(c, event);
  }
}

// --- time ---

TimePoint Program::wake_at(TimePoint present) const {
  if (paused) return kNever;
  TimePoint at = kNever;
  if (!ready.empty()) at = present;
  if (!pending.empty()) at = std::min(at, std::max(delayed_until, present));
  if (at > present) at = std::min(at, timers.next());
  return at == kNever ? at : std::max(at, next_turn_at);
}

void Core::refresh(const Program& program) { wakes[program.index] = program.wake_at(now); }

void Core::refresh_all() {
  for (const Program* program : programs) refresh(*program);
  steps_since_refresh = 0;
}

TimePoint Core::next_known() const {
  TimePoint next = events.empty() ? kNever : events.top().at;
  for (const TimePoint wake : wakes) next = std::min(next, wake);
  return next == kNever ? next : std::max(next, now);
}

// A program's timers and ready queue change in its own turns, or by the test's hand: between two runs, or
// from the turn of another host, which nobody tells us of. So all are asked before time makes a leap, and now
// and then; asking a thousand wheels at each step would be most of a simulation's work.
TimePoint Core::next_time() {
  constexpr Duration kLeap = 100us;
  constexpr int kStepsBetween = 64;
  TimePoint next = next_known();
  if (++steps_since_refresh > kStepsBetween || next == kNever || next > now + kLeap) {
    refresh_all();
    next = next_known();
  }
  return next;
}

// All that happens at the next moment, unless that lies behind `until`: first the wires, then the programs,
// in an order that nobody may rely on.
bool Core::step_until(TimePoint until) {
  const TimePoint next = next_time();
  if (next == kNever || next > until) return false;
  now = next;
  while (!events.empty() && events.top().at <= now) {
    const Event event = events.top();
    events.pop();
    handle(event);
  }
  awake.clear();
  for (Program* program : programs) {
    if (wakes[program->index] <= now) awake.push_back(program);
  }
  for (std::size_t i = 0; i < awake.size(); ++i) {
    std::swap(awake[i], awake[i + random.below(awake.size() - i)]);
    // Not what one of the others did in this step has changed: a pause.
    if (awake[i]->wake_at(now) <= now) turn(*awake[i]);
    refresh(*awake[i]);
  }
  return true;
}

// --- a turn ---

void Core::turn(Program& program) {
  ++counters.turns;
  ++program.turns;
  trace(What::turn, program.index, program.pending.size(), 0);
  program.next_turn_at = now + kTurnCost;

  std::vector<Pending> batch;
  batch.swap(program.pending);
  for (std::size_t i = 0; i + 1 < batch.size(); ++i)
    std::swap(batch[i], batch[i + random.below(batch.size() - i)]);
  if (batch.size() > static_cast<std::size_t>(limits::kEventsPerTurnMax)) {
    program.pending.assign(batch.begin() + limits::kEventsPerTurnMax, batch.end());
    batch.resize(limits::kEventsPerTurnMax);
  }

  const bool timers_first = random.below(2) == 0;
  if (timers_first) program.timers.advance(now);
  program.loan.end_loan();
  for (const Pending& one : batch) tell(program, one);
  if (!timers_first) program.timers.advance(now);
  program.loan.end_loan();
  // In small lots, as nobody's loan outlasts a suspension.
  for (int lots = 0; lots < 1000 && !program.ready.empty(); ++lots) {
    program.ready.run(1);
    program.loan.end_loan();
  }
}

void Core::tell(Program& program, const Pending& one) {
  if (one.listener) {
    accept_some(program, one.serial);
    return;
  }
  Slot& slot = program.slots[one.id];
  if (!slot.open || slot.serial != one.serial || slot.connection == nullptr) return;
  const End& end = slot.connection->ends[slot.side];
  const Pipe& incoming = slot.connection->pipes[1 - slot.side];
  Ready ready{.readable = slot.readable_pending || slot.again_pending, .writable = slot.writable_pending};
  const bool told_by_kernel = slot.readable_pending || slot.writable_pending;
  if (slot.readable_pending) slot.may_read = true;
  if (slot.writable_pending) slot.may_write = true;
  slot.readable_pending = slot.writable_pending = slot.again_pending = false;
  if (told_by_kernel) {
    // epoll reports all that is possible when one thing has become so.
    if (end.state == EndState::open && random.below(4) == 0) {
      const Pipe& outgoing = slot.connection->pipes[slot.side];
      if (outgoing.written - outgoing.acknowledged < program.options.send_buffer_bytes) {
        ready.writable = slot.may_write = true;
      }
    }
    if (end.state == EndState::open && chance(faults.spurious_ready)) {
      ++counters.spurious_ready;
      ready.readable = slot.may_read = true;
    }
    if (incoming.fin_arrived || end.state == EndState::dead) slot.end_known = true;
  }
  SocketEvents* owner = slot.events;
  if (owner != nullptr) owner->on_ready(ready);
  program.loan.end_loan();  // `slot` may be gone by now
}

void Core::add_pending(Program& program, Pending one) {
  if (program.pending.empty() && program.options.turn_delay_max.count() > 0) {
    program.delayed_until = now + up_to(program.options.turn_delay_max);
  }
  program.pending.push_back(one);
  refresh(program);
}

void Core::mark(Program& program, std::uint32_t id, bool readable, bool writable) {
  Slot& slot = program.slots[id];
  const bool pending = slot.readable_pending || slot.writable_pending || slot.again_pending;
  slot.readable_pending |= readable;
  slot.writable_pending |= writable;
  if (!pending) add_pending(program, {.listener = false, .id = id, .serial = slot.serial});
}

// --- accepting ---

void Core::mark_listener(ListenerRecord& listener) {
  if (listener.pending || listener.paused) return;
  listener.pending = true;
  add_pending(*listener.program, {.listener = true, .id = 0, .serial = listener.serial});
}

void Core::accept_some(Program& program, std::uint64_t serial) {
  ListenerRecord* listener = find_listener(serial);
  if (listener == nullptr || listener->program != &program) return;
  listener->pending = false;
  const auto most = 1 + random.below(limits::kAcceptsPerTurnMax);
  for (std::uint64_t i = 0; i < most; ++i) {
    listener = find_listener(serial);  // its owner may have closed it when told of the one before
    if (listener == nullptr || listener->queue.empty()) return;
    if (program.out_of_descriptors()) {
      pause_accepting(*listener);
      return;
    }
    accept_one(*listener);
  }
  listener = find_listener(serial);
  if (listener != nullptr && !listener->queue.empty()) mark_listener(*listener);
}

void Core::pause_accepting(ListenerRecord& listener) {
  if (listener.paused) return;
  listener.paused = true;
  ++counters.accept_pauses;
  if (now >= listener.quiet_until) {
    listener.quiet_until = now + 1s;
    listener.program->log.warn("accepting on " + listener.address.text() + " pauses: no descriptors");
  }
  push({.at = {}, .sequence = 0, .serial = listener.serial, .what = What::accept_retry},
       now + limits::kAcceptRetryMs);
}

void Core::accept_one(ListenerRecord& listener) {
  Program& program = *listener.program;
  Connection& c = *listener.queue.front();
  listener.queue.pop_front();
  c.in_queue = false;
  c.listener = 0;
  ++counters.accepted;
  const std::uint32_t id = open_slot(program, c, 1);
  Slot& slot = program.slots[id];
  slot.may_read = slot.may_write = true;
  // As epoll does for a socket that is added: an end that came before it was accepted is told, too.
  if (c.pipes[0].fin_arrived || c.ends[1].state == EndState::dead) mark(program, id, true, false);
  const Address peer = c.ends[0].local;
  AcceptEvents* owner = listener.events;
  owner->on_accept(Socket(program.network, id), peer);
  program.loan.end_loan();
}

}  // namespace rejoin::io::sim
