// The simulated twin of the epoll loop: any number of programs on any number of hosts, in one thread, on one
// simulated clock and network. The same seed gives the same run, event for event (trace_hash()).
//
// Below the Network interface stands a small kernel and TCP: SYN, windows and acknowledgements, send and
// receive buffers, retransmission after loss, FIN and RST as Linux treats them (checked on 6.18: what had
// arrived before a RST can still be read; the first read or write after it says why, later ones `ended` and
// EPIPE). Where network.h leaves freedom, the simulation takes the least convenient side, by the seed:
// readiness told without need, events of several sockets in one turn in any order, ids used again at once,
// lent bytes overwritten the moment their loan ends.
//
//   Simulation sim(seed);
//   SimHost& gateway = sim.add_host({.name = "g1", .addresses = {"10.0.0.1"}});
//   SimHost& phone = sim.add_host({.name = "phone", .addresses = {"10.1.0.2"}, .roam_to = {"10.2.0.2"}});
//   Server server(gateway.world(), gateway.address(8000));            // programs hold a World&, as in
//   production ASSERT_TRUE(sim.run_until([&] { return server.served() == 1; }));
//   ... stop the programs ...
//   EXPECT_EQ(sim.leftovers_text(), "");
//
// Owned by a test; must outlive all that lives on its hosts. One thread.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/network.h"
#include "io/passing.h"
#include "io/sim_faults.h"
#include "io/world.h"

namespace rejoin::io {

namespace sim {
struct Core;
struct Program;
}  // namespace sim

class SimHost;

struct HostOptions {
  std::string name{};                    // in logs, traces and leftovers; must be unique
  std::vector<std::string> addresses{};  // IPs without port. The first is what it dials from
  /// Another program of the same machine: shares its addresses, ports and power (`addresses` is empty then).
  /// Two workers that listen on one address with reuse_port are two such hosts.
  SimHost* beside = nullptr;
  std::size_t descriptors_max = 100'000;  // sockets and listeners
  std::size_t send_buffer_bytes = 64 * 1024;
  std::size_t receive_buffer_bytes = 64 * 1024;
  /// A busy program: its loop looks at the network up to this long after something happened (by chance), so
  /// that several events wait together.
  Duration turn_delay_max{0};
  /// Added to the unix time that its clock shows: hosts' dates differ.
  std::int64_t unix_skew_s = 0;
  /// By Faults::crash_every; see Simulation::on_crash.
  bool may_crash = false;
  /// By Faults::roam_every: the next of these becomes the only address, round and round.
  std::vector<std::string> roam_to{};
};

/// How a host dies.
enum class Crash : std::uint8_t {
  killed,      // the process ends: its kernel closes its sockets (FIN, or RST where bytes were unread)
  reset,       // peers get a RST at once
  rebooted,    // its sockets are forgotten: a peer gets a RST when it next sends
  power_loss,  // the machine is off the network until restart(): peers get nothing at all
};

/// What is not given back yet. All zero when a program has ended well.
struct Leftovers {
  std::string host{};
  std::size_t sockets = 0, listeners = 0;
  std::size_t timers = 0;        // armed on the TimerWheel
  std::size_t buffers = 0;       // lent by the BufferPool
  bool coroutines = false;       // something stands in the ReadyQueue
  std::size_t unread_bytes = 0;  // arrived in the open sockets, not read

  bool none() const { return sockets + listeners + timers + buffers == 0 && !coroutines; }
  /// "g1: 2 sockets, 1 timers"
  std::string text() const;
};

/// One simulated program and its machine's addresses. Owned by its Simulation, never moves.
class SimHost {
 public:
  explicit SimHost(std::unique_ptr<sim::Program> program);
  ~SimHost();
  SimHost(const SimHost&) = delete;
  SimHost& operator=(const SimHost&) = delete;

  const std::string& name() const;
  /// What is handed to everything that runs here. Valid as long as the Simulation.
  World& world();
  Network& network();
  /// Its first address with this port. Asserts that it has one.
  Address address(std::uint16_t port = 0) const;

  /// Changes of address while running. Connections from an address that is gone hear nothing (no error
  /// either) until it comes back, or until retransmission gives up after minutes: as with a phone that leaves
  /// Wi-Fi.
  void add_address(std::string_view ip);
  void remove_address(std::string_view ip);
  /// Removes all addresses, then adds this one.
  void change_address(std::string_view ip);

  /// All connections and listeners vanish as `how` says. The program is left as a ghost, so that the test can
  /// stop and destroy it in an orderly way: its turns go on, its timers fire, its sockets say `failed`, told
  /// of nothing, its dials fail. Then restart(): the host can be used by a new program (with the same World).
  void crash(Crash how);
  void restart();
  bool crashed() const;
  /// The program gets no turns (SIGSTOP); its kernel goes on acknowledging until buffers are full.
  void pause();
  void resume();

  /// Fewer than are open: nothing is closed, but nothing opens.
  void set_descriptors_max(std::size_t count);
  std::size_t open_sockets() const;
  /// How many turns its loop made: a test that nothing spins compares two readings.
  std::uint64_t turns() const;

  /// The `nth` operation from now (1: the next one) fails once: a connect() or listen() for want of
  /// descriptors, a read or write by a connection that breaks under it (the peer gets a RST). 0: none does.
  void fail_operation(std::uint64_t nth);
  /// Connects, listens, reads and writes so far.
  std::uint64_t operations() const;

  /// The last lines (at most 1000) its Log got, as "warn: text".
  const std::vector<std::string>& log_lines() const;
  Leftovers leftovers() const;

 private:
  friend class Simulation;
  std::unique_ptr<sim::Program> program_;
};

/// The world of hosts: time, chance, and the wires between them.
class Simulation {
 public:
  /// All chance in the run comes from `seed`. `link` is the path between any two hosts unless set_link says
  /// otherwise.
  explicit Simulation(std::uint64_t seed, const LinkOptions& link = {});
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  std::uint64_t seed() const;
  SimHost& add_host(HostOptions options);

  // --- time ---
  /// The same as every host's Clock::now().
  TimePoint now() const;
  /// Goes on to the next moment at which something happens and does all of it. False: nothing will ever
  /// happen.
  bool step();
  void run_for(Duration duration);
  /// Until `done()`, asked after each step, or until `at_most` has passed: then, or when nothing will ever
  /// happen, what done() says at the end. `done` looks only.
  bool run_until(const std::function<bool()>& done, Duration at_most = 60s);
  /// Does `act` at a moment (not before now), between the hosts' turns.
  void at(TimePoint when, std::function<void()> act);

  /// Chance for the test itself, from the same seed.
  Random& random();

  // --- the wires ---
  /// Both ways. For machines: programs beside each other share it.
  void set_link(SimHost& a, SimHost& b, const LinkOptions& options);
  void set_link_one_way(SimHost& from, SimHost& to, const LinkOptions& options);
  /// Everything sent from `from` to `to` is lost, also what is on its way, until reopen(). One way.
  void black_hole(SimHost& from, SimHost& to);
  void reopen(SimHost& from, SimHost& to);

  // --- faults ---
  void set_faults(const Faults& faults);
  const Faults& faults() const;
  /// Connections to `listener` (those dialled from now on) are neither refused nor broken, lost nor slowed by
  /// Faults: a machine that stands beside its dialler, in one rack. Cuts and the harmless faults reach it.
  void spare(SimHost& listener);
  void cut(const Cut& cut);
  /// Breaks the connection of a socket that `owner` has open. Nothing happens when it is broken already.
  void break_connection(SimHost& owner, const Socket& socket, Break how);
  /// The liveness phase begins: no more faults or cuts, all holes end, slow directions run, paused hosts go
  /// on. Crashed hosts stay crashed.
  void heal();
  /// Called after Faults::crash_every crashed a host: tear its program down, restart() it, maybe later.
  void on_crash(std::function<void(SimHost&)> hook);

  // --- processes that hand over ---
  /// A channel between two programs of one machine, as between two processes; the Simulation outlives both
  /// ends. Messages take up to 200 us. When one of them crashes, the other hears the channel's end, behind
  /// all that was sent before.
  std::pair<std::unique_ptr<PassChannel>, std::unique_ptr<PassChannel>> pass_channel(SimHost& a, SimHost& b);

  // --- what happened ---
  const Counters& counters() const;
  /// A digest of every event so far: equal for equal runs.
  std::uint64_t trace_hash() const;
  /// One line per event to `out` (nullptr: none), to look into a failed seed.
  void trace_to(std::ostream* out);
  /// Of hosts that have any.
  std::vector<Leftovers> leftovers() const;
  /// One line per such host; empty when nothing is left.
  std::string leftovers_text() const;
  /// Connections that some kernel still works on, closed ones that still send included.
  std::size_t connections() const;

 private:
  std::unique_ptr<sim::Core> core_;
};

}  // namespace rejoin::io
