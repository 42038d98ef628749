// From a running balancer to its Knowledge, and from there to the next one: what holds on there. The rule is
// that of a reload: what was said at run time holds until the file says something else about that server
// than before, and a server of the same name and address keeps its health.
//
// Place: worker 0 of the old process when an upgrade begins; run_balancer of the new one before anybody
// listens.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/balancer/discovery.h"
#include "apps/balancer/knowledge.h"
#include "apps/balancer/plan.h"
#include "base/log.h"

namespace rejoin::balancer {

/// By "pool/server".
using DrainEnds = std::map<std::string, DrainEnd>;

/// What holds at `now`.
Knowledge knowledge_of(const Plan& plan, const RuntimeServers& runtime, const KnownNames& names,
                       const DrainEnds& drain_ends, TimePoint now, UnixSeconds unix_now);

/// The keys to serve with: those of the process before us where it made them up and `config` has none, else
/// `ours`.
route::KeyRing keys_to_use(const Knowledge& before, const config::Config& config, const route::KeyRing& ours);

struct TakenOver {
  std::size_t servers = 0;        // of which something is known
  bool tickets = false;           // the process's own keys of TLS tickets are those of before
  DrainEnds drain_ends;           // that still lie ahead
  std::vector<std::string> over;  // a line for each word that does not hold on
};
/// The servers of `plan`, which nobody has asked for anything yet, are as they were in the process before.
TakenOver take_over(const Knowledge& before, const Plan& plan, TimePoint now);

}  // namespace rejoin::balancer
