// What no single key can say: names that must exist, or exist once, and settings that cannot work together.
#pragma once

#include <string>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/places.h"

namespace rejoin::config {

/// Appends what is wrong with `config` as a whole to `out`. Values that the parser refused still hold their
/// defaults and are passed over. Also puts in what an absent key stands for: names of listeners, the only
/// pool.
void cross_check(Config& config, const Places& places, std::vector<Diagnostic>& out);

/// The part of it that is about requests; cross_check() calls it.
void cross_check_http(Config& config, const Places& places, std::vector<Diagnostic>& out);

}  // namespace rejoin::config
