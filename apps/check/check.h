// `rejoin check`: is this configuration good, and what would make it so?
//
// run_check() is defined in check.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <cstdint>
#include <string>

namespace rejoin::check {

/// `reference` prints the table of all keys (the generated part of docs/configuration.md) and reads no file.
enum class Task : std::uint8_t { check_file, reference };

struct CheckOptions {
  std::string config_file;
  Task task = Task::check_file;
};

struct Outcome {
  int status = 0;        // 0 good, perhaps with warnings; 2 not usable
  std::string out, err;  // for stdout and stderr
};

/// Good: `FILE: ok (2 listeners, 1 pool, 2 servers; gateway g1 with 2 listeners)` in `out`. Errors, warnings
/// and notes are in `err`, a line each. Keys, certificates, the admin token, error pages and folders are
/// looked at, and an absent key is not made; no port is opened.
Outcome check_file(const std::string& path);

/// Does it and prints it. Returns the exit status.
int run_check(const CheckOptions& options);

}  // namespace rejoin::check
