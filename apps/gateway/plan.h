// The gateway's part of a configuration, made ready: keys, and how its game server is reached.
//
// Made once by run_gateway (or a simulation), shared by all workers, constant but for what route::SharedRoute
// says is shared. Outlives them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/tls_files.h"
#include "apps/gateway/game_plan.h"
#include "apps/gateway/pages.h"
#include "apps/serve/gate.h"
#include "base/log.h"
#include "base/prefix_set.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"
#include "watch/admin_server.h"

namespace rejoin::gateway {

struct Plan {
  config::Gateway rules;
  route::KeyRing keys;
  GamePlan game;
  PrefixSet trusted_proxies;
  std::vector<std::shared_ptr<serve::Gate>> gates = {};  // of rules.listeners; nullptr: nothing is asked
  std::optional<watch::AdminDoor> admin;
  std::vector<config::TlsInUse> listener_tls{};  // one for each; nullptr: in the clear
  std::vector<config::TlsInUse> peer_tls{};      // the same, of rules.peers
  std::shared_ptr<io::TlsTicketKeys> tickets{};  // of TLS; nullptr: no session is resumed
  config::Config config{};                       // what it was made of
  Pages pages = {};
};

/// `config.gateway` is there. Error: config, when routing refuses what the configuration allows, or its pages
/// cannot be read. `random` is used here only.
Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random);

/// As balancer::use_tls: for connections that begin from now on, in all workers. Any thread.
void use_tls(const Plan& plan, const config::TlsContexts& contexts);
/// As balancer::renew_certificates: reads all files again; one bad file, and nothing changes.
void renew_certificates(const Plan& plan, Log& log);

}  // namespace rejoin::gateway
