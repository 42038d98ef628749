// The balancer's part of a configuration, made ready: pools with their live state, listeners that know their
// pool, keys. One Plan is one generation: constant, but for what route::SharedRoute says is shared.
//
// Made by run_balancer (or a simulation) at start and anew at each change; all workers share it, and it lives
// as long as one of them has somebody who began with it (generation.h). A pool that did not change is the
// same PoolPlan in both Plans; of one that did, servers that are still the same keep their live state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/balancer/http_plan.h"
#include "apps/config/config.h"
#include "apps/config/tls_files.h"
#include "apps/serve/gate.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "route/key_ring.h"
#include "route/name_table.h"
#include "route/router.h"
#include "upstream/relay_care.h"

namespace rejoin::balancer {

/// When a request that may be repeated is sent to another server.
struct RetryOn {
  bool connect = true, reset = true, timeout = false;
  std::vector<int> statuses;
};

struct PoolPlan {
  config::Pool rules;
  std::unique_ptr<route::SharedRoute> route;
  Duration connect_timeout{};
  bool close_on_down = false;  // a server that goes down takes its open connections with it
  RetryOn retry;
  config::TlsInUse tls{};     // to its servers; nullptr: in the clear
  config::TlsInUse probes{};  // the same for probes
};

struct ListenerPlan {
  config::Listener rules;
  std::size_t pool = kNoPool;  // index into Plan::pools; none where only names in `by_name` are served
  std::shared_ptr<const HttpPlan> http;  // what it does with requests; always there
  route::NameTable by_name;              // layer 4: pools by the name that a TLS client asks for
  upstream::CareRules care;              // of its tunnels
  std::shared_ptr<serve::Gate> gate;     // nullptr: everybody may come in, and speaks for themselves
  config::TlsInUse tls{};                // nullptr: its clients speak in the clear
  /// A listener asks clients for certificates: what servers read of them is ours to write.
  bool tells_certificates = false;

  static constexpr std::size_t kNoPool = ~std::size_t{0};
  /// What its clients would notice is in its rules, but for two things.
  bool operator==(const ListenerPlan& other) const {
    return rules == other.rules && pool == other.pool && *http == *other.http && by_name == other.by_name &&
           care.closes_at_drain == other.care.closes_at_drain;
  }
  /// Is it the same door in two Plans? Its clients then go on with the newer one. Doors at port 0, where the
  /// system chooses, are told apart by name.
  bool same_door(const ListenerPlan& other) const {
    return rules.listen == other.rules.listen && (rules.listen.port != 0 || rules.name == other.rules.name);
  }
};

struct Plan {
  config::Config config;
  std::vector<std::shared_ptr<const PoolPlan>> pools;
  std::vector<ListenerPlan> listeners;
  route::KeyRing keys;
  std::shared_ptr<io::TlsTicketKeys> tickets{};  // of TLS; nullptr: no session is resumed
};

/// `before`: the Plan in whose place this one will stand. Nothing changes there, and nothing of this one
/// counts, until take_effect(). Error: config, when routing refuses what the configuration allows
/// (route::SharedRoute::make). `random` is used here only. Any thread.
Result<std::shared_ptr<const Plan>> make_plan(const config::Config& config, route::KeyRing keys,
                                              Random& random, const Plan* before = nullptr);

/// The Plan stands in the place of the one before from now on. Once, before any worker uses it.
void take_effect(const Plan& plan, const Plan& before);

/// Connections that begin from now on, in all workers, have these certificates; open ones keep theirs. At
/// start, and when the files were read again (config::load_tls with plan.tickets), in any thread. `contexts`
/// is of the same configuration as the plan.
void use_tls(const Plan& plan, const config::TlsContexts& contexts);

/// Does it have a listener, or a pool, whose files were not read yet?
bool wants_certificates(const Plan& plan);

}  // namespace rejoin::balancer
