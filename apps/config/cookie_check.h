// Cookies that browsers would refuse, or keep for less than is meant: the balancer's and the gateway's.
#pragma once

#include <vector>

#include "apps/config/config.h"
#include "apps/config/places.h"

namespace rejoin::config {

/// Appends what is wrong with them to `out`. cross_check() calls it.
void check_cookies(const Config& config, const Places& places, std::vector<Diagnostic>& out);

}  // namespace rejoin::config
