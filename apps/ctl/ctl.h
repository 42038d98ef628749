// `rejoin ctl`: what an operator asks a running gateway.
//
// run_ctl() is defined in ctl.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/clock.h"

namespace rejoin::ctl {

enum class Verb : std::uint8_t { sessions, session, end, drain, undrain, upgrade, metrics };
enum class Output : std::uint8_t { table, json };

struct CtlOptions {
  Address admin;  // [admin] listen of the gateway
  Verb verb = Verb::sessions;
  Output output = Output::table;
  int limit = 100;                    // sessions
  std::string phase;                  // sessions; empty: all
  std::string id;                     // session, end
  std::string reason;                 // end; empty: the gateway has one
  std::optional<Duration> end_after;  // drain; nothing: whoever is there may stay
  Duration over = 30s;                // drain, with end_after
  std::optional<Duration> move_over;  // upgrade; nothing: as its configuration says
};

/// Asks, and prints the answer on stdout. Returns the exit status: 0, 1 when the gateway could not be asked
/// or said no (why is on stderr, and what to do), 2 for options that make no sense.
int run_ctl(const CtlOptions& options);

}  // namespace rejoin::ctl
