// What of the keys of key_table_edge.cc cannot be used together. A part of cross_check.h.
#pragma once

#include <vector>

#include "apps/config/config.h"
#include "apps/config/places.h"

namespace rejoin::config {

/// Adds to `out`, with the places of what is meant.
void check_edges(const Config& config, const Places& places, std::vector<Diagnostic>& out);

}  // namespace rejoin::config
