#include "load_scenarios.h"

#include <sys/prctl.h>

#include <algorithm>

namespace bench {
namespace {

constexpr std::uint64_t backlog_max =
    200'000;  // messages under way at a fixed rate, beyond which it is not kept

std::uint64_t now_ns() { return nanoseconds(CLOCK_MONOTONIC); }

void begin(Outcome& outcome) {
  outcome.start_cpu_ns = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  outcome.start_ns = now_ns();
}

/// Opens links [from, to), some at a time, and lets each say one message: what a session, a buffer or a cache
/// holds after its first message is there when it is over.
class Opening : public Listener {
 public:
  Opening(Links& links, std::deque<Player>& players, Outcome& outcome)
      : links_(links), players_(players), outcome_(outcome) {}

  void open(std::uint32_t from, std::uint32_t to, std::uint32_t concurrent) {
    links_.listen(*this);
    next_ = from;
    to_ = to;
    under_way_ = to - from;
    for (std::uint32_t i = 0; i < concurrent; ++i) more();
    while (under_way_ > 0 && links_.turn()) {
    }
  }

  void on_open(Link& link, std::uint64_t now) override {
    outcome_.latency->record(now - link.dialled_at_ns);
    links_.say(link, message_echo, now);
  }
  void on_message(Link& link, const Stamp&, std::uint64_t) override {
    links_.acknowledge(link);
    ++outcome_.units;
    --under_way_;
    more();
  }

 private:
  void more() {
    if (next_ == to_) return;
    const auto slot = next_++;
    links_.dial(slot, players_[slot]);
  }

  Links& links_;
  std::deque<Player>& players_;
  Outcome& outcome_;
  std::uint32_t next_ = 0;
  std::uint32_t to_ = 0;
  std::uint32_t under_way_ = 0;
};

/// Messages on links that are held: how many are said and when is up to the two below. They go round over the
/// links from where the last command stopped: of thousands, none is left out, and none is warm from before.
class Talk : public Listener {
 public:
  Talk(Links& links, std::uint32_t links_used, std::uint32_t& next_link, Outcome& outcome)
      : links_(links), links_used_(links_used), outcome_(outcome), next_link_(next_link) {
    links_.listen(*this);
  }
  void on_open(Link&, std::uint64_t) override {}

  void say(Link& link, std::uint64_t due_ns) {
    ++begun_;
    links_.say(link, message_echo, due_ns);
  }
  void say_next(std::uint64_t due_ns) {
    if (next_link_ >= links_used_) next_link_ = 0;
    say(links_.at(next_link_++), due_ns);
  }
  std::uint64_t begun() const { return begun_; }
  std::uint64_t under_way() const { return begun_ - outcome_.units; }

 protected:
  void heard(const Stamp& stamp, std::uint64_t now) {
    ++outcome_.units;
    outcome_.latency->record(now - std::min(now, stamp.due_ns));
  }

  Links& links_;
  const std::uint32_t links_used_;
  Outcome& outcome_;

 private:
  std::uint64_t begun_ = 0;
  std::uint32_t& next_link_;
};

class ClosedLoop : public Talk {
 public:
  ClosedLoop(Links& links, std::uint32_t links_used, std::uint32_t& next_link, Outcome& outcome, bool rotates)
      : Talk(links, links_used, next_link, outcome), rotates_(rotates) {}

  std::uint64_t count_max = ~0ull;
  std::uint64_t end_ns = ~0ull;

  void on_message(Link& link, const Stamp& stamp, std::uint64_t now) override {
    heard(stamp, now);
    if (now >= end_ns || begun() >= count_max) return;
    if (rotates_) return say_next(now);
    say(link, now);
  }

 private:
  const bool rotates_;
};

class OpenLoop : public Talk {
 public:
  using Talk::Talk;
  void on_message(Link&, const Stamp& stamp, std::uint64_t now) override { heard(stamp, now); }
};

/// Connect, say something, leave, and the next one comes.
class Visits : public Listener {
 public:
  Visits(Links& links, std::deque<Player>& players, const Order& order, Outcome& outcome,
         std::uint32_t first_slot)
      : links_(links), players_(players), order_(order), outcome_(outcome), first_slot_(first_slot) {
    links_.listen(*this);
  }

  void run(std::uint64_t count, std::uint32_t concurrent) {
    begun_ = 0;
    outcome_.units = 0;
    count_ = count;
    for (std::uint32_t i = 0; i < concurrent; ++i) next(first_slot_ + i);
    while (outcome_.units < count_ && links_.turn()) {
    }
  }

  void on_open(Link& link, std::uint64_t now) override {
    outcome_.latency->record(now - link.dialled_at_ns);
    if (order_.say == 0) return leave(link);
    links_.say(link, message_echo, now);
  }
  void on_message(Link& link, const Stamp& stamp, std::uint64_t now) override {
    if (stamp.sequence == order_.say) return leave(link);
    links_.say(link, message_echo, now);
  }

 private:
  void leave(Link& link) {
    const auto slot = link.slot;
    if (order_.reset) {
      links_.end(link, End::reset);
    } else {
      links_.leave(link);
    }
    ++outcome_.units;
    next(slot);
  }

  void next(std::uint32_t slot) {
    if (begun_ == count_ || !links_.good()) return;
    ++begun_;
    // Nobody comes twice at once: what they learnt on one visit they must know on the next. There are at
    // least as many players as slots, so that one is free.
    while (players_[turn_of_ % players_.size()].visiting) ++turn_of_;
    auto& player = players_[turn_of_++ % players_.size()];
    if (order_.players == 0) player = Player{};
    // A player of the resume protocol who comes again to visit has a new session each time: a storm resumes.
    player.session = Session{};
    player.pid.clear();
    links_.dial(slot, player);
  }

  Links& links_;
  std::deque<Player>& players_;
  const Order& order_;
  Outcome& outcome_;
  const std::uint32_t first_slot_;
  std::uint64_t count_ = 0;
  std::uint64_t begun_ = 0;
  std::size_t turn_of_ = 0;
};

class Fan : public Listener {
 public:
  Fan(Links& links, std::uint32_t size, Outcome& outcome) : links_(links), size_(size), outcome_(outcome) {
    links_.listen(*this);
  }
  bool said_and_heard(std::uint64_t now) {
    heard_ = 0;
    links_.say(links_.at(0), message_broadcast, now);
    while (heard_ < size_ && links_.turn()) {
    }
    return heard_ == size_;
  }
  void on_open(Link&, std::uint64_t) override {}
  void on_message(Link&, const Stamp& stamp, std::uint64_t now) override {
    ++heard_;
    ++outcome_.units;
    outcome_.latency->record(now - std::min(now, stamp.due_ns));
  }

 private:
  Links& links_;
  const std::uint32_t size_;
  Outcome& outcome_;
  std::uint32_t heard_ = 0;
};

class Return : public Listener {
 public:
  Return(Links& links, Outcome& outcome) : links_(links), outcome_(outcome) { links_.listen(*this); }
  void on_open(Link&, std::uint64_t now) override {
    ++outcome_.units;
    outcome_.latency->record(now - outcome_.start_ns);
  }
  void on_message(Link&, const Stamp&, std::uint64_t) override {}

 private:
  Links& links_;
  Outcome& outcome_;
};

}  // namespace

std::uint32_t Crowd::links_of(const Order& order) const {
  const auto all = static_cast<std::uint32_t>(players_.size());
  return order.links == 0 ? all : std::min(order.links, all);
}

Outcome Crowd::hold(const Order& order) {
  Outcome outcome;
  const auto from = static_cast<std::uint32_t>(players_.size());
  players_.resize(from + order.count);
  Opening opening(links_, players_, outcome);
  begin(outcome);
  opening.open(from, from + static_cast<std::uint32_t>(order.count), order.concurrent);
  return outcome;
}

Outcome Crowd::echo(const Order& order) {
  Outcome outcome;
  const auto used = links_of(order);
  const auto window = order.window == 0 ? used : order.window;
  ClosedLoop loop(links_, used, next_link_, outcome, window != used);
  begin(outcome);
  if (order.count > 0) loop.count_max = order.count;
  if (order.seconds > 0) loop.end_ns = outcome.start_ns + static_cast<std::uint64_t>(order.seconds * 1e9);
  for (std::uint32_t i = 0; i < window && loop.begun() < loop.count_max; ++i) loop.say_next(now_ns());
  // Those under way at the end are waited for, so that messages and the subject's CPU time belong together.
  while (loop.under_way() > 0 && links_.turn()) {
  }
  return outcome;
}

Outcome Crowd::rate(const Order& order) {
  Outcome outcome;
  OpenLoop loop(links_, links_of(order), next_link_, outcome);
  begin(outcome);
  const auto count = static_cast<std::uint64_t>(order.per_second * order.seconds);
  const double interval_ns = 1e9 / order.per_second;
  prctl(PR_SET_TIMERSLACK, 1);  // else the kernel lets each message be 50 us late
  while (links_.good() && loop.begun() < count) {
    const auto due =
        outcome.start_ns + static_cast<std::uint64_t>(interval_ns * static_cast<double>(loop.begun()));
    const auto now = now_ns();
    if (now < due) {
      links_.turn(due - now);
      continue;
    }
    outcome.late->record(now - due);
    loop.say_next(due);
    if (loop.under_way() > backlog_max) links_.fail(links_.at(0), "the subject does not keep this rate");
    // A generator that is late must not keep its links unread: what came is heard between any two messages.
    links_.turn(0);
  }
  while (loop.under_way() > 0 && links_.turn()) {
  }
  return outcome;
}

Outcome Crowd::visit(const Order& order) {
  Outcome outcome;
  const auto wanted = std::max(order.players, order.concurrent);
  if (visitors_.size() != wanted) visitors_ = std::deque<Player>(wanted);
  Visits visits(links_, visitors_, order, outcome, static_cast<std::uint32_t>(players_.size()));
  begin(outcome);
  visits.run(order.count, order.concurrent);
  return outcome;
}

Outcome Crowd::fan(const Order& order) {
  Outcome outcome;
  Fan fan(links_, static_cast<std::uint32_t>(players_.size()), outcome);
  begin(outcome);
  const auto end_ns =
      order.seconds > 0 ? outcome.start_ns + static_cast<std::uint64_t>(order.seconds * 1e9) : ~0ull;
  const auto count = order.count > 0 ? order.count : ~0ull;
  for (std::uint64_t said = 0; said < count; ++said) {
    const auto now = now_ns();
    if (now >= end_ns || !fan.said_and_heard(now)) break;
  }
  return outcome;
}

Outcome Crowd::storm(const Order&) {
  Outcome outcome;
  Return back(links_, outcome);
  begin(outcome);
  const auto count = static_cast<std::uint32_t>(players_.size());
  for (std::uint32_t slot = 0; slot < count; ++slot) links_.end(links_.at(slot), End::reset);
  for (std::uint32_t slot = 0; slot < count && links_.good(); ++slot) links_.dial(slot, players_[slot]);
  while (outcome.units < count && links_.turn()) {
  }
  return outcome;
}

Outcome Crowd::break_all(const Order&) {
  Outcome outcome;
  begin(outcome);
  outcome.units = players_.size();
  for (std::uint32_t slot = 0; slot < players_.size(); ++slot) links_.end(links_.at(slot), End::reset);
  return outcome;
}

Outcome Crowd::close_all(const Order&) {
  Outcome outcome;
  begin(outcome);
  outcome.units = players_.size();
  for (std::uint32_t slot = 0; slot < players_.size(); ++slot) links_.leave(links_.at(slot));
  players_.clear();
  return outcome;
}

}  // namespace bench
