// What can go wrong in a simulation: chances drawn from the seed (Faults), cuts at an exact byte (Cut), the
// properties of a path (LinkOptions), and what really happened (Counters), so that a test can assert that its
// fault took place.
//
// Plain values, given to a Simulation (sim_network.h). Nothing here acts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "base/address.h"
#include "base/clock.h"
#include "base/random.h"

namespace rejoin::io {

/// One way from one host to another. Bytes stay in order whatever the jitter.
struct LinkOptions {
  Duration latency = 1ms;                // one way
  Duration jitter{0};                    // added to each segment, uniform in [0, jitter]
  std::uint64_t bytes_per_second = 0;    // 0: no bound. Shared by all connections between the two hosts
  std::size_t segment_bytes_max = 1448;  // 1 delivers every byte on its own
};

/// How a connection is broken by a scripted fault.
enum class Break : std::uint8_t {
  reset,             // both ends get a RST, as from a NAT box that lost its table
  hole,              // nothing arrives any more, either way, and nobody is told
  hole_to_listener,  // only what the dialler sends is lost (so are its acknowledgements)
  hole_to_dialler,
};

enum class Towards : std::uint8_t { listener, dialler };

/// "Break the nth connection to this address once exactly this many bytes have arrived in this direction."
struct Cut {
  Address to{};           // port 0: any port of it; default-made: any address
  std::uint64_t nth = 0;  // counted from 0, from when the cut is given; refused dials count too
  Towards towards = Towards::listener;
  std::uint64_t after_bytes = 0;  // 0: as soon as the connection is open at the listener's kernel
  Break how = Break::reset;
};

/// Chances are in [0, 1]. All are off in a default-made one.
struct Faults {
  // --- per dial ---
  double refuse = 0;       // a RST answers, though somebody listens
  double lost_dial = 0;    // the first SYN is lost: the connection opens a second later
  double late_accept = 0;  // the listener's program is told of it up to accept_delay_max later
  Duration accept_delay_max = 500ms;

  // --- per connection, at a moment uniform in [0, within] after the dial ---
  double reset = 0;       // Break::reset
  double black_hole = 0;  // one of the three holes
  Duration within = 2s;
  Duration hole_max = 3s;      // a hole that ends lasts up to this long
  double hole_for_ever = 0.5;  // of the holes
  double slow_reader = 0;      // per direction: it is read no faster than slow_bytes_per_second
  std::uint64_t slow_bytes_per_second = 2000;

  // --- per call and per segment ---
  double short_write = 0;     // a write takes only some of the bytes, as from a full socket
  double short_read = 0;      // a read lends only the first of the bytes, the rest "arrives" a moment later
  double tiny_segment = 0;    // a segment carries 1 to 16 bytes
  double spurious_ready = 0;  // readiness is told that is not there

  // --- hosts (mean times between; 0: never) ---
  Duration crash_every{0};  // of hosts with HostOptions::may_crash
  Duration roam_every{0};   // of hosts with HostOptions::roam_to

  /// A mixture for runs over many seeds: each kind is off, rare or frequent by chance. Crashes and roaming
  /// stay off.
  static Faults from_seed(Random& random);
  /// Only what every program must bear without any visible effect: short reads and writes, tiny segments,
  /// late accepts, spurious readiness.
  static Faults harmless();
};

/// Counted since the Simulation began.
struct Counters {
  std::uint64_t dials = 0, opened = 0, accepted = 0, refused = 0;
  std::uint64_t dials_timed_out = 0;
  std::uint64_t segments = 0, bytes = 0;  // that arrived at a kernel, in order
  std::uint64_t lost_segments = 0, retransmissions = 0, gave_up = 0;
  std::uint64_t cuts = 0, resets_injected = 0, holes = 0, slow_directions = 0;
  std::uint64_t refusals_injected = 0, lost_dials = 0, late_accepts = 0;
  std::uint64_t short_writes = 0, short_reads = 0, tiny_segments = 0, spurious_ready = 0;
  std::uint64_t full_writes = 0;  // writes that found a socket full, injected or not
  std::uint64_t resets_sent = 0, accept_pauses = 0, backlog_drops = 0;
  std::uint64_t operations_failed = 0;  // by SimHost::fail_operation
  std::uint64_t crashes = 0, roams = 0;
  std::uint64_t turns = 0;  // of all hosts' loops
};

}  // namespace rejoin::io
