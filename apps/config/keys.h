// The sealing keys that a configuration points to.
//
// Place: called once at start (and at a reload) before anything listens. Keys never appear in a diagnostic.
#pragma once

#include <optional>
#include <vector>

#include "apps/config/config.h"
#include "base/random.h"
#include "route/key_ring.h"

namespace rejoin::config {

/// What to do about the only key file when it is not there.
enum class AbsentKey : std::uint8_t {
  make,    // the programs: write a new key, mode 0600
  report,  // `rejoin check`: say that it will be made
};

struct KeyReading {
  /// There unless `diagnostics` has an error, or AbsentKey::report met an absent key.
  std::optional<route::KeyRing> ring;
  std::vector<Diagnostic> diagnostics;
  bool ok() const { return !has_errors(diagnostics); }
};

/// Reads every key of config.keys.seal; without any, a random key of `random`.
/// - A file has 64 hex digits, and spaces or line ends around them; an environment variable the same.
/// - One file alone, and absent: made in one step, so that of several processes that start together one makes
/// it and all
///   use the same. Its folder must exist.
/// - Warned of: files that others may read. An unset variable is an error with `make` and a warning with
/// `report`, whose
///   environment may be another.
KeyReading load_keys(const Config& config, Random& random, AbsentKey absent);

}  // namespace rejoin::config
