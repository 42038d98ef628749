// What of the keys of TLS (key_table_tls.cc) cannot be used together. A part of cross_check.h.
#pragma once

#include <vector>

#include "apps/config/config.h"
#include "apps/config/places.h"

namespace rejoin::config {

/// Adds to `out`, with the places of what is meant; and makes each listener's certificates one list. After
/// the rest of the checks.
void check_tls(Config& config, const Places& places, std::vector<Diagnostic>& out);

}  // namespace rejoin::config
