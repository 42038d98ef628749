// The inside of a Simulation: its kernel, its TCP, its loops. For sim_*.cc only; users see sim_network.h.
//
// The simulation knows both ends of everything, so a byte stream is stored once (Pipe) and a segment on its
// way is only an event with a position and a length. One Core per Simulation; one thread; plain structs, as
// nobody else sees them.
//
//   sim_loop.cc     time, the event queue, turns of the hosts' loops
//   sim_tcp.cc      what arrives at a kernel, retransmission, opening and dying of connections
//   sim_sockets.cc  what a program's calls do: the Network interface
//   sim_passing.cc  connections that go from one program to another
//   sim_network.cc  hosts, links, faults, leftovers: the Simulation interface
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/sim_network.h"

namespace rejoin::io::sim {

// Linux's numbers, by their sysctl names.
inline constexpr int kSynRetries = 6;              // tcp_syn_retries: gives up after 127 s
inline constexpr int kSynAckRetries = 5;           // tcp_synack_retries
inline constexpr int kRetries = 15;                // tcp_retries2: about 15 minutes
inline constexpr int kOrphanRetries = 8;           // tcp_orphan_retries as Linux takes its 0
inline constexpr Duration kRetransmitMin = 200ms;  // TCP_RTO_MIN
inline constexpr Duration kRetransmitMax = 120s;   // TCP_RTO_MAX
inline constexpr Duration kFinTimeout = 60s;       // tcp_fin_timeout
inline constexpr Duration kDeferAccept = 1s;       // what TCP_DEFER_ACCEPT = 1 comes to
inline constexpr Duration kTurnCost = 1us;         // time passes for a loop that never waits
inline constexpr std::size_t kLogLinesMax = 1000;

struct Machine;
struct PassWire;
struct Program;
struct Connection;

/// One direction between two machines.
struct Link {
  LinkOptions options;
  bool hole = false;
  TimePoint free_at{};  // the moment at which its last byte has left, when it has a bandwidth
};

/// One byte stream: from ends[i] to ends[1 - i] of a Connection. Positions count from the stream's first
/// byte; the FIN stands at position `written`, as one more byte.
struct Pipe {
  std::string bytes;  // [base, written)
  std::uint64_t base = 0;
  // the sending kernel
  std::uint64_t written = 0;
  std::uint64_t acknowledged = 0, sent = 0, window_edge = 0;
  bool fin_given = false;
  bool timer_pending = false;
  bool pace_pending = false;
  int tries = 0;
  Duration retransmit_after = kRetransmitMin;
  TimePoint progress_at{};
  TimePoint paced_until{};
  std::uint64_t slow_bytes_per_second = 0;
  // the receiving kernel
  std::uint64_t arrived = 0, read = 0, advertised_edge = 0;
  bool fin_arrived = false;
  // the wire
  bool hole = false;
  TimePoint last_arrival{};  // nothing overtakes what was sent before it
  Link* link = nullptr;

  std::uint64_t end() const { return written + (fin_given ? 1 : 0); }
  std::uint64_t unread() const { return arrived - read; }
  bool all_acknowledged() const { return acknowledged == end(); }
  void append(Bytes more) {
    bytes.append(more);
    written += more.size();
  }
  /// Forgets what is both acknowledged and read.
  void trim();
};

enum class EndState : std::uint8_t { none, opening, open, dead };

/// What one kernel knows of a connection.
struct End {
  Machine* machine = nullptr;
  Program* program = nullptr;
  Address local;
  EndState state = EndState::none;
  bool has_slot = false;
  std::uint32_t slot = 0;
  bool orphan = false;     // the program has closed it; the kernel still sends
  bool time_wait = false;  // dead in an orderly way: late segments are acknowledged, not reset
  bool no_space = false;   // a write found it full: tell when there is room
  int error = 0;           // why it died, until told (SO_ERROR)
  int connect_error = 0;
  bool keep_alive = false;  // an accepted one always has it
  int keepalive_tries = 0;
  TimePoint heard_at{};
  std::size_t loose = 0;  // copies that are nobody's socket (sim_passing.cc)
};

/// ends[0] dialled, ends[1] listened.
struct Connection {
  std::uint32_t index = 0;
  std::uint64_t serial = 0;  // changes when the record is used again: late events find nobody
  End ends[2];
  Pipe pipes[2];
  Address to;
  std::uint64_t listener = 0;  // serial of it, while it has not been accepted
  bool in_queue = false;
  bool deferred = false;  // open, and not told of until its first bytes come
  bool refuse = false;
  int syn_tries = 0;
  int syn_ack_tries = 0;
  std::vector<Cut> cuts;
};

struct ListenerRecord {
  std::uint64_t serial = 0;
  Program* program = nullptr;
  Address address;
  ListenOptions options;
  AcceptEvents* events = nullptr;
  std::deque<Connection*> queue;
  std::size_t half_open = 0;
  bool pending = false;
  bool paused = false;
  TimePoint quiet_until{};  // a pause has been logged
};

struct Machine {
  std::size_t index = 0;
  std::vector<Address> ips;
  std::vector<Program*> programs;
  std::vector<ListenerRecord*> listeners;
  std::uint16_t next_port = 0;
  bool off = false;
  bool spared = false;  // no faults befall what is dialled here
  std::size_t roamed = 0;

  bool has(const Address& address) const;
};

/// A socket as its program sees it.
struct Slot {
  Connection* connection = nullptr;  // nullptr: of a program that crashed
  std::uint64_t serial = 0;
  SocketEvents* events = nullptr;
  std::uint8_t side = 0;
  bool open = false;
  bool may_read = false, may_write = false;
  bool end_known = false;  // FIN or RST has been told: reading never waits again
  bool readable_pending = false, writable_pending = false, again_pending = false;
};

/// What stands in a loop's list of the coming turn.
struct Pending {
  bool listener = false;
  std::uint32_t id = 0;
  std::uint64_t serial = 0;
};

/// Lends bytes, and spoils them when the loan ends.
class LoanBlock {
 public:
  LoanBlock();
  ~LoanBlock();
  LoanBlock(const LoanBlock&) = delete;
  LoanBlock& operator=(const LoanBlock&) = delete;
  /// Copies `bytes` (at most kBufferBytes) and lends the copy. Ends the loan before.
  MutableBytes lend(Bytes bytes);
  void end_loan();

 private:
  std::unique_ptr<char[]>
      blocks_[2];  // in turns, so that AddressSanitizer also sees who holds the loan before the last
  int present_ = 0;
  char* lent_ = nullptr;
  std::size_t lent_bytes_ = 0;
};

class SimClock final : public Clock {
 public:
  SimClock(const Core& core, std::int64_t skew_s) : core_(core), skew_s_(skew_s) {}
  TimePoint now() const override;
  UnixSeconds unix_now() const override;

 private:
  const Core& core_;
  std::int64_t skew_s_;
};

class SimLog final : public Log {
 public:
  void write(LogLevel level, std::string_view line) override;
  std::vector<std::string> lines;
};

class SimNetwork final : public Network {
 public:
  SimNetwork(Core& core, Program& program) : core_(core), program_(program) {}
  Result<std::unique_ptr<Listener>> listen(const Address& at, const ListenOptions& options,
                                           AcceptEvents& events) override;
  Result<Socket> connect(const Address& to, const ConnectOptions& options) override;
  std::size_t open_sockets() const override;

 private:
  void set_events(std::uint32_t id, SocketEvents* events) override;
  ReadResult read(std::uint32_t id, std::size_t max) override;
  WriteResult write(std::uint32_t id, std::span<const Bytes> pieces) override;
  bool may_read(std::uint32_t id) const override;
  bool may_write(std::uint32_t id) const override;
  void read_again(std::uint32_t id) override;
  Status connect_status(std::uint32_t id) override;
  void keep_alive(std::uint32_t id) override;
  void shutdown_write(std::uint32_t id) override;
  void reset(std::uint32_t id) override;
  void close(std::uint32_t id) override;
  Address local_address(std::uint32_t id) const override;
  Address peer_address(std::uint32_t id) const override;

  Slot& slot(std::uint32_t id) const;
  Core& core_;
  Program& program_;
};

/// A process: its loop, its sockets, what its World is made of.
struct Program {
  Program(Core& core, HostOptions options, Machine& machine, std::size_t index, std::uint64_t seed);

  Core& core;
  HostOptions options;
  Machine& machine;
  std::size_t index;
  SimHost* host = nullptr;
  SimClock clock;
  SimNetwork network;
  SeededRandom random;
  SimLog log;
  BufferPool buffers;
  TimerWheel timers;
  ReadyQueue ready;
  World world;
  LoanBlock loan;

  std::vector<Slot> slots;
  std::vector<std::uint32_t> free_slots;
  std::size_t open = 0;  // slots
  std::size_t listeners = 0;
  std::vector<Pending> pending;
  TimePoint next_turn_at{}, delayed_until{};
  std::uint64_t turns = 0, operations = 0, fail_at = 0;
  bool crashed = false, paused = false;

  bool out_of_descriptors() const { return open + listeners >= options.descriptors_max; }
  /// Counts an operation; true when it is the one that has to fail.
  bool operation_fails();
  /// When its loop has something to do; kNever if it has not.
  TimePoint wake_at(TimePoint now) const;
};

enum class What : std::uint8_t {
  // arrivals at `side`
  syn,
  syn_ack,
  established,
  segment,
  acknowledgement,
  rst,
  // timers of kernels
  syn_timer,
  syn_ack_timer,
  retransmit,
  pace,
  defer_over,
  fin_over,
  keepalive,
  room_again,
  readable_again,
  late_accept,
  accept_retry,
  // the test's and the faults'
  break_now,
  hole_over,
  act,
  crash_tick,
  roam_tick,
  // only in the trace
  turn,
  read,
  write,
  opened_socket,
  closed_socket,
};

struct Event {
  TimePoint at;
  std::uint64_t sequence;
  std::uint64_t serial;  // of the connection or listener
  std::uint64_t a = 0;
  std::uint32_t connection = 0;
  std::uint32_t b = 0;
  What what;
  std::uint8_t side = 0;
  bool fin = false;
};

struct Later {
  bool operator()(const Event& x, const Event& y) const {
    return x.at != y.at ? x.at > y.at : x.sequence > y.sequence;
  }
};

struct Core {
  Core(std::uint64_t seed, const LinkOptions& link);
  ~Core();

  // --- chance and trace ---
  bool chance(double probability);
  Duration up_to(Duration bound) {
    return Duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound.count()) + 1)));
  }
  void trace(What what, std::uint64_t number, std::uint64_t a, std::uint64_t b);

  // --- sim_loop.cc ---
  void push(Event event, TimePoint at);
  void push_for(const Connection& c, What what, std::uint8_t side, TimePoint at);
  TimePoint next_time();
  TimePoint next_known() const;
  void refresh(const Program& program);
  void refresh_all();
  bool step_until(TimePoint until);
  void handle(const Event& event);
  void turn(Program& program);
  void tell(Program& program, const Pending& one);
  void accept_some(Program& program, std::uint64_t listener);
  void accept_one(ListenerRecord& listener);
  void pause_accepting(ListenerRecord& listener);
  void mark(Program& program, std::uint32_t id, bool readable, bool writable);
  void mark_listener(ListenerRecord& listener);
  void add_pending(Program& program, Pending one);

  // --- sim_tcp.cc ---
  Connection& new_connection();
  void free_if_over(Connection& c);
  bool path_open(const Connection& c, std::uint8_t from) const;
  void send(Connection& c, std::uint8_t from, What what, std::uint64_t a = 0, std::uint32_t b = 0,
            bool fin = false);
  void pump(Connection& c, std::uint8_t from);
  void send_one(Connection& c, std::uint8_t from);
  void acknowledge(Connection& c, std::uint8_t receiver);
  void watch_progress(Connection& c, std::uint8_t from);
  void arrive(Connection& c, const Event& event);
  void syn_arrives(Connection& c);
  void syn_ack_arrives(Connection& c);
  void establish(Connection& c);
  void queue_for_accept(Connection& c);
  void segment_arrives(Connection& c, const Event& event);
  void acknowledgement_arrives(Connection& c, const Event& event);
  void rst_arrives(Connection& c, std::uint8_t side);
  void kernel_timer(Connection& c, const Event& event);
  void retransmit(Connection& c, std::uint8_t from);
  void keep_alive_from_now(Connection& c, std::uint8_t side);
  void keepalive(Connection& c, std::uint8_t side);
  void die(Connection& c, std::uint8_t side, int error);
  void abort(Connection& c, std::uint8_t side);
  void orphan_check(Connection& c, std::uint8_t side);
  void break_connection(Connection& c, Break how);
  void check_cuts(Connection& c, Towards towards);
  void tell_end(Connection& c, std::uint8_t side, bool readable, bool writable);
  ListenerRecord* find_listener(std::uint64_t serial);
  ListenerRecord* choose_listener(const Machine& machine, const Address& to);

  // --- sim_sockets.cc ---
  std::uint32_t open_slot(Program& program, Connection& c, std::uint8_t side);
  void close_slot(Program& program, std::uint32_t id, bool with_reset);
  void close_end(Connection& c, std::uint8_t side, bool with_reset);
  void close_listener(std::uint64_t serial, bool accept_waiting);
  Result<Address> choose_local(Program& program, const Address& to, const Address& bind);
  void draw_faults(Connection& c);
  void draw_cuts(Connection& c);

  // --- sim_network.cc ---
  Machine* machine_of(const Address& ip);
  Link& link(const Machine& from, const Machine& to);
  void crash(Program& program, Crash how);
  void crash_one(Program& program, Crash how);
  void set_address(Machine& machine, std::string_view ip, bool present);
  void host_fault(const Event& event);
  void schedule_host_faults();

  std::uint64_t seed;
  SeededRandom random;
  SeededRandom test_random;
  LinkOptions default_link;
  Faults faults;
  std::uint32_t faults_serial = 0;  // changes when all is healed: what was drawn before does not come
  Counters counters;
  TimePoint now{
      Duration(1000s)};  // not zero, so that nobody takes a default-made TimePoint for a moment that has been
  std::uint64_t sequence = 0, serials = 0;
  std::uint64_t hash = 0;
  std::ostream* out = nullptr;

  std::priority_queue<Event, std::vector<Event>, Later> events;
  std::map<std::uint64_t, std::function<void()>> acts;
  std::vector<std::unique_ptr<SimHost>> hosts;
  std::vector<Program*> programs;
  std::vector<TimePoint> wakes;  // of programs, as known
  int steps_since_refresh = 0;
  std::vector<Program*> awake;  // of a step; kept for its memory
  std::deque<Machine> machines;
  std::map<std::pair<std::size_t, std::size_t>, Link> links;
  std::map<Address, Machine*> by_ip;
  std::map<std::uint64_t, std::unique_ptr<ListenerRecord>> listeners;
  std::vector<std::unique_ptr<Connection>> pool;
  std::vector<std::uint32_t> free_connections;
  std::set<std::pair<Address, Address>> tuples;  // dialling ends that are not dead
  struct CutRule {
    Cut cut;
    std::uint64_t seen = 0;
    bool done = false;
  };
  std::vector<CutRule> cut_rules;
  std::function<void(SimHost&)> crash_hook;
  std::vector<std::weak_ptr<PassWire>> wires;

  // --- sim_passing.cc ---
  void crash_wires(Program& program);
};

}  // namespace rejoin::io::sim
