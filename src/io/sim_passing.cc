// Connections that go from one simulated program to another: the twin of a unix socket with SCM_RIGHTS.
#include <algorithm>
#include <deque>
#include <utility>

#include "io/sim_core.h"

namespace rejoin::io::sim {
namespace {

constexpr Duration kMessageTakes = 200us;  // at most

}  // namespace

/// Copies of an open connection, wherever they are. The last one closes it.
struct LooseConnection {
  LooseConnection(Core& at, Connection* what, std::uint8_t of) : core(at), c(what), side(of) {
    if (c != nullptr) ++c->ends[side].loose;
  }
  ~LooseConnection() {
    if (c == nullptr) return;
    End& end = c->ends[side];
    if (--end.loose == 0 && !end.has_slot) core.close_end(*c, side, false);
  }
  LooseConnection(const LooseConnection&) = delete;
  LooseConnection& operator=(const LooseConnection&) = delete;

  Core& core;
  Connection* c;  // nullptr: of a program that had crashed
  std::uint8_t side;
};
using Copy = std::shared_ptr<LooseConnection>;

class SimPassChannel;

/// What both ends know.
struct PassWire {
  struct Message {
    std::string bytes;
    Copy with;
    bool bears = false;
  };
  struct Side {
    Program* program = nullptr;
    SimPassChannel* channel = nullptr;  // nullptr: closed
    std::deque<Message> come;           // delivered, and nobody was told yet
    TimePoint last_arrival{};
    bool ended = false;  // the other side is gone, and all that it sent has come
  };
  explicit PassWire(Core& at) : core(at) {}
  Core& core;
  Side sides[2];
};

class SimPassChannel final : public PassChannel {
 public:
  SimPassChannel(std::shared_ptr<PassWire> wire, std::uint8_t side) : wire_(std::move(wire)), side_(side) {
    mine().channel = this;
  }
  ~SimPassChannel() override {
    if (gone_ != nullptr) *gone_ = true;
    mine().channel = nullptr;
    mine().come.clear();
    copies_.clear();
    if (!crashed_) say_end();
  }

  void set_events(PassEvents* events) override {
    events_ = events;
    if (events != nullptr) later(side_, wire_->core.now, [](SimPassChannel& self) { self.tell(); });
  }

  void send(Bytes message, const LooseSocket* with) override {
    if (crashed_) return;
    PassWire::Message one{std::string(message), nullptr, with != nullptr};
    if (with != nullptr) one.with = copies_.at(token_of(*with));
    PassWire::Side& to = wire_->sides[1 - side_];
    const std::shared_ptr<PassWire::Message> shared = std::make_shared<PassWire::Message>(std::move(one));
    later(1 - side_, arrival(to), [shared](SimPassChannel& other) {
      other.mine().come.push_back(std::move(*shared));
      other.tell();
    });
  }
  std::size_t unsent() const override { return 0; }

  LooseSocket loosen(Socket socket) override {
    const std::uint32_t id = socket.id();
    (void)socket.forget();
    Program& program = *mine().program;
    Slot& slot = program.slots[id];
    Connection* const c = slot.connection;
    const std::uint8_t side = slot.side;
    slot = Slot{};
    program.free_slots.push_back(id);
    --program.open;
    // The copy first: without a socket and a copy the record would be free.
    LooseSocket out = keep(std::make_shared<LooseConnection>(wire_->core, c, side));
    if (c != nullptr) c->ends[side].has_slot = false;
    return out;
  }

  Socket fasten(LooseSocket socket) override {
    const std::uint32_t token = release(socket);
    const Copy copy = std::move(copies_.at(token));
    copies_.erase(token);
    Program& program = *mine().program;
    Connection* const c = copy != nullptr ? copy->c : nullptr;
    if (c == nullptr) {  // of a program that is dead by now: a socket that says so
      Connection& dead = wire_->core.new_connection();
      dead.ends[0].program = &program;
      dead.ends[0].machine = &program.machine;
      const std::uint32_t id = wire_->core.open_slot(program, dead, 0);
      program.slots[id].connection = nullptr;
      dead.ends[0].has_slot = false;
      wire_->core.free_if_over(dead);
      program.slots[id].may_read = program.slots[id].may_write = true;
      return Socket(program.network, id);
    }
    const std::uint32_t id = wire_->core.open_slot(program, *c, copy->side);
    c->ends[copy->side].program = &program;
    program.slots[id].may_read = program.slots[id].may_write = true;
    // Other copies are still there, and may go when they like: what they close is not this socket.
    return Socket(program.network, id);
  }

  void crash() {
    crashed_ = true;
    events_ = nullptr;
    for (auto& [token, copy] : copies_) copy.reset();
    mine().come.clear();
    say_end();
  }

 private:
  PassWire::Side& mine() { return wire_->sides[side_]; }

  /// Calls `what` of the channel on `side`, if it is still there, and its program alive.
  template <typename Work>
  void later(int side, TimePoint when, Work work) {
    Core& core = wire_->core;
    const std::uint64_t serial = ++core.serials;
    core.acts.emplace(serial, [wire = wire_, side, work] {
      SimPassChannel* const channel = wire->sides[side].channel;
      if (channel != nullptr && !channel->crashed_) work(*channel);
    });
    core.push({.at = {}, .sequence = 0, .serial = serial, .what = What::act}, when);
  }

  TimePoint arrival(PassWire::Side& to) {
    to.last_arrival = std::max(to.last_arrival, wire_->core.now + wire_->core.up_to(kMessageTakes));
    return to.last_arrival;
  }

  void say_end() {
    later(1 - side_, arrival(wire_->sides[1 - side_]), [](SimPassChannel& other) {
      other.mine().ended = true;
      other.tell();
    });
  }

  void tell() {
    bool gone = false;
    gone_ = &gone;
    while (events_ != nullptr && !mine().come.empty()) {
      PassWire::Message one = std::move(mine().come.front());
      mine().come.pop_front();
      LooseSocket with;
      if (one.with != nullptr) with = keep(std::move(one.with));
      events_->on_passed(one.bytes, std::move(with));
      if (gone) return;
    }
    gone_ = nullptr;
    if (!mine().ended || !mine().come.empty()) return;
    if (PassEvents* events = std::exchange(events_, nullptr)) events->on_channel_end();
  }

  LooseSocket keep(Copy copy) {
    copies_.emplace(++tokens_, std::move(copy));
    return {*this, tokens_};
  }
  void drop(std::uint32_t token) override { copies_.erase(token); }

  std::shared_ptr<PassWire> wire_;
  std::uint8_t side_;
  PassEvents* events_ = nullptr;
  std::map<std::uint32_t, Copy> copies_;
  std::uint32_t tokens_ = 0;
  bool crashed_ = false;
  bool* gone_ = nullptr;
};

void Core::crash_wires(Program& program) {
  for (const std::weak_ptr<PassWire>& one : wires) {
    const std::shared_ptr<PassWire> wire = one.lock();
    if (wire == nullptr) continue;
    for (PassWire::Side& side : wire->sides) {
      if (side.program == &program && side.channel != nullptr) side.channel->crash();
    }
  }
}

}  // namespace rejoin::io::sim

namespace rejoin::io {

std::pair<std::unique_ptr<PassChannel>, std::unique_ptr<PassChannel>> Simulation::pass_channel(SimHost& a,
                                                                                               SimHost& b) {
  auto wire = std::make_shared<sim::PassWire>(*core_);
  wire->sides[0].program = a.program_.get();
  wire->sides[1].program = b.program_.get();
  core_->wires.push_back(wire);
  return {std::make_unique<sim::SimPassChannel>(wire, 0), std::make_unique<sim::SimPassChannel>(wire, 1)};
}

}  // namespace rejoin::io
