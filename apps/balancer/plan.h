// The balancer's part of a configuration, made ready: pools with their live state, listeners that know their
// pool, keys.
//
// Made once by run_balancer (or a simulation), shared by all workers, constant but for what
// route::SharedRoute says is shared. Outlives them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/tls_files.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"
#include "route/router.h"

namespace rejoin::balancer {

struct PoolPlan {
  std::unique_ptr<route::SharedRoute> route;
  Duration connect_timeout{};
  config::TlsInUse tls{};     // to its servers; nullptr: in the clear
  config::TlsInUse probes{};  // the same for probes
  /// A listener of this pool asks clients for certificates: what servers read of them is ours to write.
  bool tells_certificates = false;
};

struct ListenerPlan {
  config::Listener rules;
  std::size_t pool = 0;    // index into Plan::pools
  config::TlsInUse tls{};  // nullptr: its clients speak in the clear
};

struct Plan {
  std::vector<PoolPlan> pools;
  std::vector<ListenerPlan> listeners;
  route::KeyRing keys;
  std::shared_ptr<io::TlsTicketKeys> tickets{};  // of TLS; nullptr: no session is resumed
};

/// Error: config, when routing refuses what the configuration allows (route::SharedRoute::make). `random` is
/// used here only.
Result<Plan> make_plan(const config::Config& config, route::KeyRing keys, Random& random);

/// Connections that begin from now on, in all workers, have these certificates; open ones keep theirs. At
/// start, and when the files were read again (config::load_tls with plan.tickets), in any thread. `contexts`
/// is of the same configuration as the plan.
void use_tls(const Plan& plan, const config::TlsContexts& contexts);

/// Reads every certificate and key again (SIGHUP) and uses them. One bad file, and nothing changes: the log
/// says which, and why. `config` is what the plan was made of.
void renew_certificates(const config::Config& config, const Plan& plan, Log& log);

}  // namespace rejoin::balancer
