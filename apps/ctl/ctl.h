// `rejoin ctl`: what an operator asks a running balancer or gateway.
//
// run_ctl() is defined in ctl.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/clock.h"

namespace rejoin::ctl {

enum class Verb : std::uint8_t {
  // of both
  status,
  metrics,
  end,
  // of a gateway
  sessions,
  session,
  drain,
  undrain,
  // of a balancer
  pools,
  servers,
  listeners,
  connections,
  server,  // drain, maintenance, ready, weight, add, remove
  reload,
  upgrade,
};
enum class Output : std::uint8_t { table, json };

struct CtlOptions {
  Address admin;             // [admin] listen of the program
  std::string token_source;  // "file:PATH" or "env:NAME"; empty: no token is shown
  Verb verb = Verb::sessions;
  Output output = Output::table;
  int limit = 100;     // sessions, connections
  std::string phase;   // sessions; empty: all
  std::string id;      // session, end: a session's, or a balancer's connection
  std::string reason;  // end of a session; empty: the gateway has one
  // pools (the one of this name), servers, connections; empty: all
  std::string pool, server, listener, client;
  std::string after;  // connections: those behind this id
  // server: what is said of it ("drain"), and of which ("pool/name"); weight: a number, add: an address
  std::string order, target, value;
  std::string deadline;               // server drain; empty: for good
  std::string weight;                 // server add; empty: 1
  bool close = false;                 // server drain, maintenance, remove: its open tunnels, too
  std::optional<Duration> end_after;  // drain; nothing: whoever is there may stay
  Duration over = 30s;                // drain, with end_after
  std::optional<Duration> move_over;  // upgrade; nothing: as its configuration says
};

/// Asks, and prints the answer on stdout. Returns the exit status: 0, 1 when the program could not be asked
/// or said no (why is on stderr, and what to do), 2 for options that make no sense.
int run_ctl(const CtlOptions& options);

}  // namespace rejoin::ctl
