// A [[pool]] as routing wants it: what a balancer's pools and a gateway's game servers have in common.
//
// Place: between the configuration and a plan of a program. Pure; used once at start.
#pragma once

#include "apps/config/config.h"
#include "route/router.h"

namespace rejoin::config {

/// Servers, scheduler, health checks and retries, without affinities: those are the balancer's.
route::RouteRules route_rules(const Pool& pool);

/// Of the three the one that is written.
route::KeyPlace key_place(const RequestKey& key);

}  // namespace rejoin::config
