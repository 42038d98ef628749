// "Which server?": pool, affinity list and scheduler in one, as the life of a connection asks it.
//
//   Choice choice = router.choose(arrival);              // pinned, or scheduled
//   while (choice.server) {
//     ServerUse use(router.pool(), *choice.server);
//     if (connect to router.pool().server(*choice.server).address) break;
//     log(router.failed(choice, now));                   // choice.server is the next one now, or none
//   }
//   router.reached(choice, now);                         // no server: choice.how says 503, or "come again"
//   Lease lease = router.lease(choice, client, now);     // keeps a source-ip pin while the connection lives
//   router.edit_request(choice, request, edits);         // layer 7 only, before forwarding
//   router.edit_response(choice, response, unix_now, edits);
//
// Place: apps/balancer/serve_client.cc. Owner: one worker, one Router per pool; its thread only. What workers
// share of a pool is a SharedRoute.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "route/affinity.h"
#include "route/lease_table.h"
#include "route/pool.h"
#include "route/scheduler.h"
#include "route/seal.h"

namespace rejoin::route {

/// One [[pool]] of the configuration, as far as routing goes.
struct RouteRules {
  std::string name;
  std::vector<Server> servers;
  SchedulerKind scheduler = SchedulerKind::round_robin;
  std::vector<AffinityRule> affinity;
  HealthRules health;
  unsigned retries = 2;  // other servers tried when one refuses; less than limits::kTriedServersMax
};

/// What all workers share of one pool. Outlives their Routers.
struct SharedRoute {
  /// Error: config, with what check_servers(), check_affinity() or check_health() says, or retries out of
  /// range. `random` is used here only. `before`: what this one will stand in the place of, see Pool::make();
  /// with an equal source-ip rule its leases are ours, too.
  static Result<std::unique_ptr<SharedRoute>> make(RouteRules rules, Random& random,
                                                   const SharedRoute* before = nullptr);

  RouteRules rules;
  std::unique_ptr<Pool> pool;
  std::shared_ptr<LeaseTable> leases;  // none without a source-ip rule. Outlives every Lease
};

enum class Chosen : std::uint8_t {
  nobody,      // no usable server: answer 503
  pinned,      // an affinity named it
  scheduled,   // no affinity did
  come_again,  // it belongs to a server that is away, and goes to no other: after Choice::wait
};

/// One client's way to a server, for one request (at layer 4: for the connection). About 80 bytes, in the
/// frame of the coroutine that serves it. Edits made with it borrow from it: it lives until they are written.
/// Move it, do not copy it after an edit.
struct Choice {
  std::optional<ServerIndex> server;
  Chosen how = Chosen::nobody;
  Duration wait{};                                  // come_again: how long the client is told to stay away
  std::array<Pin, limits::kAffinityRulesMax> pins;  // what each rule found, in the list's order
  Tried tried;
  Texts texts;  // what edits borrow
};

/// What this worker's Router decided, for metrics. Plain integers that only grow; a scrape adds the workers'
/// up.
struct RouteCounts {
  std::uint64_t pinned = 0;                       // arrivals that went where they belong
  std::uint64_t scheduled = 0;                    // arrivals that the scheduler placed
  std::uint64_t nobody = 0;                       // arrivals, and failovers, that found no server
  std::uint64_t pinned_down = 0;                  // arrivals that belong to a server which is not usable
  std::uint64_t come_again = 0;                   // arrivals, and failovers, that were told to come again
  std::uint64_t failed = 0;                       // servers that refused, see failed()
  std::uint64_t planted = 0;                      // cookies set on responses
  std::array<std::uint64_t, kReasons> reasons{};  // per Reason, every rule's every find()
};

class Router {
 public:
  /// `shared` and `seal` outlive the Router. `worker`: its number, from 0. `before`: the Router in whose
  /// place this one stands; its counts go on, and so does the round of who is next.
  Router(SharedRoute& shared, Seal& seal, unsigned worker, const Router* before = nullptr);

  /// Affinities in order, then the scheduler. choice.server is none when nobody is usable, and when the
  /// client has to come again.
  Choice choose(const Arrival& arrival);
  /// At layer 4: a rule of this pool wants Arrival::opening.
  bool wants_opening() const;

  /// The chosen server refused, did not answer the connect in time, or broke the connection before anything
  /// was sent. (Not for failures of ours, such as no descriptors: those say nothing of the server.) Makes
  /// choice.server the next one: what another rule found, else the scheduler's, among those not tried; none
  /// when `retries` are used up, nobody is left, or the client has to come again. Returns the change of its
  /// health, for the log: a client's failure counts like a probe's.
  HealthChange failed(Choice& choice, TimePoint now);
  /// The chosen server took the connection.
  void reached(const Choice& choice, TimePoint now) { pool().reached(*choice.server, now); }

  /// Takes out of the request what the server must not see. The same for every server, so once per request is
  /// enough. Failures are told by edits.write().
  void edit_request(Choice& choice, const proto::RequestHead& head, proto::HeadEdits& edits) const;

  /// Puts into the response what the client must remember of choice.server, and drops what the server itself
  /// set by our cookie's name. For every final response and for 101; does nothing for other 1xx, and without
  /// a chosen server. Failures are told by edits.write().
  void edit_response(Choice& choice, const proto::ResponseHead& head, UnixSeconds unix_now,
                     proto::HeadEdits& edits);

  /// The connection is established: with a source-ip rule, the client's address is pinned to choice.server
  /// while the Lease lives. Otherwise empty. At layer 7 once per client connection; when a later request goes
  /// elsewhere, move_lease().
  Lease lease(const Choice& choice, const Address& client, TimePoint now);
  /// The connection that has `lease` goes to choice.server from now on.
  void move_lease(Lease& lease, const Choice& choice) const {
    lease.move_to(shared_.pool->number(*choice.server));
  }

  Pool& pool() { return *shared_.pool; }
  const RouteRules& rules() const { return shared_.rules; }
  const RouteCounts& counts() const { return counts_; }

 private:
  void settle(Choice& choice, TimePoint now, bool may_try);
  void count_unserved(const Choice& choice);

  SharedRoute& shared_;
  std::vector<std::unique_ptr<Affinity>> affinities_;
  std::unique_ptr<Scheduler> scheduler_;
  RouteCounts counts_;
};

}  // namespace rejoin::route
