// What the load generator's clients do: each function is one command (load.cc lists them), returns when it is
// over and everything that was said has come back, and tells what it counted. Owner: main of bench_load.
// Thread: its own.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "histogram.h"
#include "load_links.h"

namespace bench {

/// What a command is told to do; which of these mean something is up to the command.
struct Order {
  std::string command;
  std::uint64_t count = 0;
  double seconds = 0;
  double per_second = 0;
  std::uint32_t window = 0;       // messages under way at once; 0: one on each link
  std::uint32_t links = 0;        // so many of those that are held; 0: all
  std::uint32_t concurrent = 64;  // connections that are being opened at once
  std::uint32_t players = 0;      // visits: so many players come again and again; 0: everybody is new
  std::uint32_t say = 0;          // visits: messages before leaving
  bool reset = false;             // visits: leave by RST
};

/// What came of it. The measured part is from `start` on: what prepares it is over before.
struct Outcome {
  std::uint64_t units = 0;  // round trips, visits, links that came back, or messages that were delivered
  std::uint64_t start_ns = 0;
  std::uint64_t start_cpu_ns = 0;
  std::unique_ptr<Histogram> latency = std::make_unique<Histogram>();  // of a unit; from when it was due
  std::unique_ptr<Histogram> late = std::make_unique<Histogram>();  // rate: how late the generator itself was
};

class Crowd {
 public:
  explicit Crowd(const Options& options) : links_(options) {}

  /// Opens `count` more links; each says one message and is held.
  Outcome hold(const Order& order);
  /// Closed loop: each link, or each of `window`, has one message under way, for `seconds` or `count`
  /// messages.
  Outcome echo(const Order& order);
  /// Open loop: `per_second` messages over the links in turn, whatever comes back; a latency counts from when
  /// its message was due, so that a stall of the subject is seen by all messages that it held up.
  Outcome rate(const Order& order);
  /// Connect, say `say` messages, leave: `count` times, `concurrent` at once. Held links stay.
  Outcome visit(const Order& order);
  /// One message in, one out to each link that is held, for `seconds` or `count` messages; units are
  /// deliveries.
  Outcome fan(const Order& order);
  /// Breaks all links that are held at once, and lets all come back at once; a latency counts from the break.
  Outcome storm(const Order& order);
  /// Breaks all links that are held by RST; their players stay, and may come back by storm.
  Outcome break_all(const Order& order);
  /// Closes all links by FIN; their players are gone.
  Outcome close_all(const Order& order);

  std::size_t held() const { return players_.size(); }
  const Counts& counts() const { return links_.counts(); }

 private:
  std::uint32_t links_of(const Order& order) const;

  Links links_;
  std::deque<Player> players_;   // of the links that are held; slot = index
  std::uint32_t next_link_ = 0;  // of those that are held: whose turn it is to say something
  std::deque<Player>
      visitors_;  // kept from one visit command to the next, as long as their number is the same
};

}  // namespace bench
