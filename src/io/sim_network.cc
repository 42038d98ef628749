// Hosts, links, faults and leftovers: what a test says and asks.
#include "io/sim_network.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <ostream>

#include "io/sim_core.h"

namespace rejoin::io {

namespace sim {
namespace {

// A test's mistake, not a fault of what it tests: say it and end.
[[noreturn]] void wrong_use(const std::string& what) {
  std::fprintf(stderr, "rejoin: simulation: %s\n", what.c_str());
  std::abort();
}

Address ip_of(std::string_view text) {
  const Result<Address> ip = Address::parse_ip(text);
  if (!ip) wrong_use(to_string(ip.error()));
  return *ip;
}

}  // namespace

Program::Program(Core& in, HostOptions given, Machine& on, std::size_t number, std::uint64_t seed)
    : core(in),
      options(std::move(given)),
      machine(on),
      index(number),
      clock(in, options.unix_skew_s),
      network(in, *this),
      random(seed),
      buffers(limits::kBufferBytes),
      timers(in.now),
      world{clock, network, timers, ready, buffers, random, log} {}

Core::Core(std::uint64_t given, const LinkOptions& link)
    : seed(given), random(given), test_random(given ^ 0x7465737472616e64ULL), default_link(link) {
  (void)random.u64();  // so that neighbouring seeds share nothing, not even their first numbers
}

Core::~Core() = default;

Machine* Core::machine_of(const Address& ip) {
  Address key = ip;
  key.port = 0;
  const auto found = by_ip.find(key);
  return found == by_ip.end() ? nullptr : found->second;
}

Link& Core::link(const Machine& from, const Machine& to) {
  const auto [at, made] = links.try_emplace({from.index, to.index});
  if (made) at->second.options = default_link;
  return at->second;
}

void Core::set_address(Machine& machine, std::string_view ip, bool present) {
  const Address address = ip_of(ip);
  if (present) {
    const auto [at, made] = by_ip.try_emplace(address, &machine);
    if (at->second != &machine) wrong_use(address.ip_text() + " is another host's address");
    if (made) machine.ips.push_back(address);
  } else if (std::erase(machine.ips, address) != 0) {
    by_ip.erase(address);
  }
}

// --- crashes ---

void Core::crash(Program& program, Crash how) {
  if (how == Crash::killed || how == Crash::reset) {
    crash_one(program, how);
    return;
  }
  for (Program* one : program.machine.programs) crash_one(*one, how);
  program.machine.off = how == Crash::power_loss;
}

void Core::crash_one(Program& program, Crash how) {
  if (program.crashed) return;
  program.crashed = true;
  ++counters.crashes;
  crash_wires(program);
  // First the listeners: what waits in their queues dies with them.
  const std::vector<ListenerRecord*> open_listeners = program.machine.listeners;
  for (ListenerRecord* listener : open_listeners) {
    if (listener->program != &program) continue;
    const bool silent = how == Crash::rebooted || how == Crash::power_loss;
    while (silent && !listener->queue.empty()) {
      Connection& c = *listener->queue.front();
      listener->queue.pop_front();
      c.in_queue = false;
      die(c, 1, 0);
      free_if_over(c);
    }
    close_listener(listener->serial, /*accept_waiting=*/false);
  }
  for (Slot& slot : program.slots) {
    if (!slot.open || slot.connection == nullptr) continue;
    Connection& c = *std::exchange(slot.connection, nullptr);
    slot.may_read = slot.may_write = true;
    c.ends[slot.side].has_slot = false;
    if (c.ends[slot.side].loose != 0 && how == Crash::killed) continue;  // another process has it, too
    switch (how) {
      case Crash::killed: close_end(c, slot.side, false); break;
      case Crash::reset: close_end(c, slot.side, true); break;
      case Crash::rebooted:
      case Crash::power_loss:
        die(c, slot.side, 0);
        free_if_over(c);
        break;
    }
  }
  if (how == Crash::killed || how == Crash::reset) return;
  for (const auto& c : pool) {  // also what it had closed, and the kernel was still sending
    for (std::uint8_t side = 0; side < 2 && c->serial != 0; ++side) {
      if (c->ends[side].program == &program) die(*c, side, 0);
    }
  }
}

// --- faults that befall hosts ---

void Core::schedule_host_faults() {
  const auto schedule = [&](const Program& program, What what, Duration mean) {
    if (mean.count() <= 0) return;
    push({.at = {}, .sequence = 0, .serial = program.index, .b = faults_serial, .what = what},
         now + up_to(2 * mean));
  };
  for (const Program* program : programs) {
    if (program->options.may_crash) schedule(*program, What::crash_tick, faults.crash_every);
    if (!program->options.roam_to.empty()) schedule(*program, What::roam_tick, faults.roam_every);
  }
}

void Core::host_fault(const Event& event) {
  if (event.b != faults_serial) return;
  Program& program = *programs[event.serial];
  const bool crashes = event.what == What::crash_tick;
  push({.at = {}, .sequence = 0, .serial = event.serial, .b = faults_serial, .what = event.what},
       now + up_to(2 * (crashes ? faults.crash_every : faults.roam_every)));
  if (!crashes) {
    ++counters.roams;
    const auto& to = program.options.roam_to;
    program.host->change_address(to[program.machine.roamed++ % to.size()]);
    return;
  }
  if (program.crashed) return;
  if (!crash_hook) wrong_use("Faults::crash_every without Simulation::on_crash");
  crash(program, static_cast<Crash>(random.below(4)));
  crash_hook(*program.host);
}

}  // namespace sim

// --- a host ---

std::string Leftovers::text() const {
  std::string out = host + ":";
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count != 0)
      out.append(out.back() == ':' ? " " : ", ").append(std::to_string(count)).append(" ").append(what);
  };
  add(sockets, "sockets");
  add(listeners, "listeners");
  add(timers, "timers");
  add(buffers, "buffers");
  add(coroutines ? 1 : 0, "ready queue that is not empty");
  add(unread_bytes, "unread bytes");
  return out;
}

SimHost::SimHost(std::unique_ptr<sim::Program> program) : program_(std::move(program)) {
  program_->host = this;
}
SimHost::~SimHost() = default;

const std::string& SimHost::name() const { return program_->options.name; }
World& SimHost::world() { return program_->world; }
Network& SimHost::network() { return program_->network; }

Address SimHost::address(std::uint16_t port) const {
  if (program_->machine.ips.empty()) sim::wrong_use(name() + " has no address");
  Address out = program_->machine.ips.front();
  out.port = port;
  return out;
}

void SimHost::add_address(std::string_view ip) { program_->core.set_address(program_->machine, ip, true); }
void SimHost::remove_address(std::string_view ip) {
  program_->core.set_address(program_->machine, ip, false);
}
void SimHost::change_address(std::string_view ip) {
  const std::vector<Address> old = program_->machine.ips;
  for (const Address& one : old) remove_address(one.ip_text());
  add_address(ip);
}

void SimHost::crash(Crash how) { program_->core.crash(*program_, how); }
void SimHost::restart() {
  program_->crashed = false;
  program_->machine.off = false;
}
bool SimHost::crashed() const { return program_->crashed; }
void SimHost::pause() {
  program_->paused = true;
  program_->core.refresh(*program_);
}
void SimHost::resume() {
  program_->paused = false;
  program_->core.refresh(*program_);
}
void SimHost::set_descriptors_max(std::size_t count) { program_->options.descriptors_max = count; }
std::size_t SimHost::open_sockets() const { return program_->open; }
std::uint64_t SimHost::turns() const { return program_->turns; }
std::uint64_t SimHost::operations() const { return program_->operations; }
void SimHost::fail_operation(std::uint64_t nth) {
  program_->fail_at = nth == 0 ? 0 : program_->operations + nth;
}
const std::vector<std::string>& SimHost::log_lines() const { return program_->log.lines; }

Leftovers SimHost::leftovers() const {
  Leftovers out{.host = name(),
                .sockets = program_->open,
                .listeners = program_->listeners,
                .timers = program_->timers.armed(),
                .buffers = program_->buffers.lent(),
                .coroutines = !program_->ready.empty()};
  for (const sim::Slot& slot : program_->slots) {
    if (slot.open && slot.connection != nullptr) {
      out.unread_bytes += static_cast<std::size_t>(slot.connection->pipes[1 - slot.side].unread());
    }
  }
  return out;
}

// --- the simulation ---

Simulation::Simulation(std::uint64_t seed, const LinkOptions& link)
    : core_(std::make_unique<sim::Core>(seed, link)) {}
Simulation::~Simulation() = default;

std::uint64_t Simulation::seed() const { return core_->seed; }

SimHost& Simulation::add_host(HostOptions options) {
  sim::Core& core = *core_;
  for (const sim::Program* other : core.programs) {
    if (other->options.name == options.name) sim::wrong_use("two hosts are called \"" + options.name + "\"");
  }
  sim::Machine* machine = options.beside == nullptr ? nullptr : &options.beside->program_->machine;
  if (machine == nullptr) {
    machine = &core.machines.emplace_back();
    machine->index = core.machines.size() - 1;
    machine->next_port = static_cast<std::uint16_t>(32'768 + core.random.below(20'000));
  }
  for (const std::string& ip : options.addresses) core.set_address(*machine, ip, true);
  auto program = std::make_unique<sim::Program>(core, std::move(options), *machine, core.programs.size(),
                                                core.random.u64());
  machine->programs.push_back(program.get());
  core.programs.push_back(program.get());
  core.wakes.push_back(kNever);
  core.hosts.push_back(std::make_unique<SimHost>(std::move(program)));
  return *core.hosts.back();
}

TimePoint Simulation::now() const { return core_->now; }
bool Simulation::step() {
  core_->refresh_all();
  return core_->step_until(kNever);
}

void Simulation::run_for(Duration duration) {
  const TimePoint until = core_->now + duration;
  core_->refresh_all();
  while (core_->step_until(until)) {
  }
  core_->now = until;
}

bool Simulation::run_until(const std::function<bool()>& done, Duration at_most) {
  const TimePoint until = core_->now + at_most;
  core_->refresh_all();
  while (!done()) {
    if (core_->step_until(until)) continue;
    if (core_->next_time() != kNever) core_->now = until;
    return done();
  }
  return true;
}

void Simulation::at(TimePoint when, std::function<void()> act) {
  const std::uint64_t serial = ++core_->serials;
  core_->acts.emplace(serial, std::move(act));
  core_->push({.at = {}, .sequence = 0, .serial = serial, .what = sim::What::act}, when);
}

Random& Simulation::random() { return core_->test_random; }

void Simulation::set_link(SimHost& a, SimHost& b, const LinkOptions& options) {
  set_link_one_way(a, b, options);
  set_link_one_way(b, a, options);
}
void Simulation::set_link_one_way(SimHost& from, SimHost& to, const LinkOptions& options) {
  core_->link(from.program_->machine, to.program_->machine).options = options;
}
void Simulation::black_hole(SimHost& from, SimHost& to) {
  core_->link(from.program_->machine, to.program_->machine).hole = true;
}
void Simulation::reopen(SimHost& from, SimHost& to) {
  core_->link(from.program_->machine, to.program_->machine).hole = false;
}

void Simulation::set_faults(const Faults& faults) {
  core_->faults = faults;
  ++core_->faults_serial;
  core_->schedule_host_faults();
}
const Faults& Simulation::faults() const { return core_->faults; }
void Simulation::spare(SimHost& listener) { listener.program_->machine.spared = true; }

void Simulation::cut(const Cut& cut) { core_->cut_rules.push_back({.cut = cut}); }

void Simulation::break_connection(SimHost& owner, const Socket& socket, Break how) {
  const sim::Slot& slot = owner.program_->slots[socket.id()];
  if (slot.open && slot.connection != nullptr) core_->break_connection(*slot.connection, how);
}

void Simulation::heal() {
  set_faults({});
  core_->cut_rules.clear();
  for (auto& [machines, link] : core_->links) link.hole = false;
  for (const auto& c : core_->pool) {
    c->cuts.clear();
    c->refuse = false;
    for (sim::Pipe& pipe : c->pipes) {
      pipe.hole = false;
      pipe.slow_bytes_per_second = 0;
    }
  }
  for (sim::Program* program : core_->programs) program->paused = false;
  core_->refresh_all();
}

void Simulation::on_crash(std::function<void(SimHost&)> hook) { core_->crash_hook = std::move(hook); }

const Counters& Simulation::counters() const { return core_->counters; }
std::uint64_t Simulation::trace_hash() const { return core_->hash; }
void Simulation::trace_to(std::ostream* out) { core_->out = out; }

std::vector<Leftovers> Simulation::leftovers() const {
  std::vector<Leftovers> out;
  for (const auto& host : core_->hosts) {
    Leftovers one = host->leftovers();
    if (!one.none()) out.push_back(std::move(one));
  }
  return out;
}

std::string Simulation::leftovers_text() const {
  std::string out;
  for (const Leftovers& one : leftovers()) out.append(out.empty() ? "" : "\n").append(one.text());
  return out;
}

std::size_t Simulation::connections() const {
  return static_cast<std::size_t>(
      std::count_if(core_->pool.begin(), core_->pool.end(), [](const auto& c) { return c->serial != 0; }));
}

}  // namespace rejoin::io
