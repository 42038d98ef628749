// Servers that are a name in DNS: which addresses it has, asked again when the answer's TTL is over. Each
// change is a new Plan.
//
// In the configuration that the workers go by, the entry with `resolve` stays (without an address it is no
// server), and behind it stands one server for each address, called by that address: so a pin means the same
// whatever the order of an answer, and in every balancer.
//
// A failure changes nothing: the last good answer stays in force, however long. An answer without addresses
// is believed only when nothing else came for dns.keep_empty.
//
// Beside the path. Owner: Operations, on worker 0 (and run_balancer, before the workers begin).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/config/config.h"
#include "base/scope.h"
#include "base/task.h"
#include "io/world.h"
#include "upstream/names.h"

namespace rejoin::balancer {

/// What names are known to mean. A value.
using KnownNames = std::map<upstream::NameQuery, std::vector<upstream::FoundServer>>;

/// What `server` asks DNS for; it has a `resolve`.
upstream::NameQuery query_of(const config::Server& server);
/// `file` with a server behind each entry with `resolve` for each of the addresses that are known. Pure.
config::Config with_known_names(const config::Config& file, const KnownNames& known);

class Discovery {
 public:
  /// `names` outlives it; nullptr: no name is ever found. `stop` ends what waits, and idle() follows.
  Discovery(io::World& world, upstream::Names* names, Stop& stop, KnownNames known = {});
  ~Discovery();

  const KnownNames& known() const { return known_; }
  /// Asks for every name of `config` that nothing is known of, and waits for the answers. Who fails is asked
  /// again by follow().
  Task<void> learn(config::Config config);
  /// From now on: keeps the names of `config` up to date, and no others. `changed` is called, some time,
  /// after each change of known().
  void follow(const config::Config& config, std::function<void()> changed);
  /// Ends what waits between two questions; the program's stop ends the rest.
  void stop();
  bool idle() const { return tasks_.running() == 0; }

 private:
  struct Watch;
  Task<void> ask_once(upstream::NameQuery query, config::Dns rules);
  Task<void> keep(Watch& watch);
  void settle(Watch& watch, const Result<upstream::NameAnswer>& answer);

  io::World& world_;
  upstream::Names* names_;
  Stop& stop_;
  KnownNames known_;
  std::map<upstream::NameQuery, Duration> first_ttls_;  // of what learn() found, until follow()
  std::vector<std::unique_ptr<Watch>> watches_;
  config::Dns rules_;
  std::function<void()> changed_;
  Scope tasks_;
};

}  // namespace rejoin::balancer
