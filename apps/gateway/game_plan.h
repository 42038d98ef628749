// [gateway] upstream, made ready: how sessions reach their game servers, and the live state of a pool of
// them.
//
// Made once by run_gateway (or a simulation), shared by all workers, each of which makes an
// upstream::Connector of it:
//
//   upstream::Connector connector(world, plan.rules, rules.name, plan.pool.get(), number);
//   if (number == 0) connector.probe_servers();
//
// Constant but for what route::SharedRoute says is shared. Outlives the workers.
#pragma once

#include <memory>

#include "apps/config/config.h"
#include "apps/config/tls_files.h"
#include "base/random.h"
#include "base/result.h"
#include "route/router.h"
#include "upstream/connector.h"

namespace rejoin::gateway {

struct GamePlan {
  upstream::GameRules rules;
  std::unique_ptr<route::SharedRoute> pool;  // none with an echo, or with one address
  config::TlsInUse probes{};                 // what probes speak TLS with; nullptr: they do not
};

/// Of a configuration that was read without errors and has a [gateway]. Error: config, when routing refuses
/// what the configuration allows. `random` is used here only.
Result<GamePlan> make_game_plan(const config::Config& config, Random& random);

}  // namespace rejoin::gateway
