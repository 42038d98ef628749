// The next process of a program: it is started with the listeners' sockets, and with a channel to each worker
// of the present one, so that a new binary takes over and nobody who dials is refused.
//
// Place: under run_workers() (workers.h), on the main thread. What the next process inherits stands in its
// environment (kInheritVariable); what it does with it is its programs' business
// (WorkerProgram::expect()).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace rejoin::serve {

inline constexpr const char* kInheritVariable = "REJOIN_INHERIT";

/// One worker's share.
struct InheritedWorker {
  struct Listener {
    Address at;
    int descriptor = -1;
  };
  std::vector<Listener> listeners;
  int channel = -1;
};

struct Inheritance {
  /// Who can follow whom: equal in both processes.
  std::string identity;
  /// Of the listeners, in the order of WorkerProgram::addresses() of worker 0.
  std::vector<std::string> names;
  std::vector<Address> addresses;
  std::vector<InheritedWorker> workers;

  std::string text() const;
  /// Error: bad_input, ours.
  static Result<Inheritance> parse(const std::string& text);
};

/// What this process inherits, which its children will not; nothing: it was not started by another of its
/// kind. Every descriptor is close-on-exec from then on.
std::optional<Result<Inheritance>> take_inheritance();

/// How this process was started: the program's path, which may be another binary by now, and its arguments.
struct CommandLine {
  std::string path;
  std::vector<std::string> arguments;
};
/// To be asked at the start. Error: os.
Result<CommandLine> present_command_line();

/// Starts it with this inheritance. Its pid; the descriptors stay the caller's.
Result<pid_t> start_next_process(const CommandLine& command, const Inheritance& inheritance);

}  // namespace rejoin::serve
