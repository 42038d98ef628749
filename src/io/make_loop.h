// Which loop a program runs on: what was asked for, and what the kernel has.
//
// Place: before everything, on the main thread.
#pragma once

#include <memory>
#include <string>

#include "io/kernel_loop.h"
#include "io/loop_choice.h"

namespace rejoin::io {

/// Found once for a process; every worker's loop is of this kind.
struct LoopKind {
  bool io_uring = false;
  /// A line for the log: which it is, and why when it is not what was hoped for.
  std::string said;
};

/// Error: unsupported, when io_uring was asked for by name and cannot be had.
Result<LoopKind> choose_loop(LoopChoice choice);

/// Error: exhausted; with io_uring also unsupported.
Result<std::unique_ptr<KernelLoop>> make_loop(const LoopKind& kind, Log& log);

}  // namespace rejoin::io
