// "Which server?": pool, affinity list and scheduler in one, as the life of a connection asks it.
//
//   Choice choice = router.choose(arrival);              // pinned, or scheduled
//   while (choice.server) {                              // none, and Chosen::waits: in the queue, then again
//     ServerUse use = ServerUse::take(router.pool(), *choice.server);
//     if (!use) { router.was_full(choice, now); continue; }
//     if (connect to router.pool().server(*choice.server).address) break;
//     log(router.failed(choice, now));                   // choice.server is the next one now, or none
//   }
//   router.reached(choice, now);                         // no server: choice.how says 503, or "come again"
//   Lease lease = router.lease(choice, client, now);     // keeps a source-ip pin while the connection lives
//   Lease held = router.hold(choice, now);               // a tunnel: keeps a cookie's idle time from running
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
#include "route/burst_table.h"
#include "route/lease_table.h"
#include "route/maglev.h"
#include "route/pool.h"
#include "route/request_key.h"
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
  KeyPlace hash_key;     // of SchedulerKind::key_hash
  Duration slow_start{0};
  Duration burst{0};  // how long a burst of clients without a pin stays together; zero: not at all
  /// Clients that wait for room at servers with max_connections, over all workers, and how long.
  struct Queue {
    std::size_t size = 0;
    Duration timeout = 10s;
  } queue;
  /// A response field that ends the client's pin where its value is "1"; clients never see it. Empty: none.
  std::string unpin_field = "Rejoin-Unpin";
  bool may_be_empty = false;  // its servers come from DNS, which may know of none
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
  std::shared_ptr<LeaseTable>
      idle_leases;                      // none without a cookie-insert rule with max_idle; of the first one
  std::shared_ptr<BurstTable> bursts;   // none without RouteRules::burst
  std::unique_ptr<MaglevShare> maglev;  // none where nothing is hashed
  std::uint64_t seed = 0;               // of the schedulers that draw lots
};

enum class Chosen : std::uint8_t {
  nobody,      // no usable server: answer 503
  pinned,      // an affinity named it
  scheduled,   // no affinity did
  come_again,  // it belongs to a server that is away, and goes to no other: after Choice::wait
  waits,       // for room: at Choice::waits_for, or at any server
  refused,     // it belongs to a server that takes it not, by a strict rule: answer 503
};

/// What became of a client that brought a pin: did it reach its server, and why not?
enum class Return : std::uint8_t {
  reached,
  down,     // its server was; also when the client was told to come again
  out,      // by passive marks
  drained,  // its drain's deadline was over
  maintenance,
  full,     // it had no room, and waiting was in vain or not allowed
  refused,  // it looked well, and did not take the connection
  unknown_server,
  unknown_key,
  forged,
  malformed,
  expired,
  ahead,
};
inline constexpr std::size_t kReturns = 13;
std::string_view to_string(Return how);

/// One client's way to a server, for one request (at layer 4: for the connection). About 200 bytes, in the
/// frame of the coroutine that serves it. Edits made with it borrow from it: it lives until they are written.
/// Move it, do not copy it after an edit.
struct Choice {
  std::optional<ServerIndex> server;
  Chosen how = Chosen::nobody;
  Duration wait{};                                  // come_again: how long the client is told to stay away
  std::array<Pin, limits::kAffinityRulesMax> pins;  // what each rule found, in the list's order
  Tried tried;
  std::optional<ServerIndex> waits_for;  // Chosen::waits: its own server; none: any
  bool gave_up = false;                  // it has waited in vain
  bool unpinned = false;                 // the server has ended its pin
  Texts texts;                           // what edits borrow

 private:
  friend class Router;
  std::uint64_t hash = 0;           // for the schedulers that hash
  std::uint64_t burst = 0;          // 0: belongs to no burst
  std::optional<ServerIndex> home;  // of the first pin that leads to a server
  std::optional<Return> missed;     // why it did not get there, as soon as that is known
  bool returns = false;             // it brought a pin, good or bad
  bool concluded = false;           // and was counted
};

/// What this worker's Router decided, for metrics. Plain integers that only grow; a scrape adds the workers'
/// up.
struct RouteCounts {
  std::uint64_t pinned = 0;          // arrivals that went where they belong
  std::uint64_t scheduled = 0;       // arrivals that the scheduler placed
  std::uint64_t nobody = 0;          // arrivals, and failovers, that found no server
  std::uint64_t pinned_down = 0;     // arrivals that belong to a server which is not usable
  std::uint64_t come_again = 0;      // arrivals, and failovers, that were told to come again
  std::uint64_t failed = 0;          // servers that refused, see failed()
  std::uint64_t planted = 0;         // cookies set on responses
  std::uint64_t burst = 0;           // arrivals that went where their burst went
  std::uint64_t waited = 0;          // arrivals that waited in the queue
  std::uint64_t waited_in_vain = 0;  // of these: whose time was over, or place lost
  std::uint64_t queue_full = 0;      // arrivals for which the queue had no place
  std::uint64_t strict = 0;          // arrivals that a strict rule refused
  std::uint64_t unpinned = 0;        // pins that servers ended
  std::uint64_t bad_answers = 0;     // failures after the connect, see answered_badly()
  /// Per Return: arrivals that brought a pin that is remembered (a `key` is not). reached / sum is the
  /// reconnect-hit rate. Each counts once, when its way has ended.
  std::array<std::uint64_t, kReturns> returns{};
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
  /// The chosen server took the connection, or has one of ours.
  void reached(Choice& choice, TimePoint now);
  /// The chosen server has no room after all: makes choice.server another one, or none (Chosen::waits, ...).
  void was_full(Choice& choice, TimePoint now);
  /// Others have waited longer for choice.server: Chosen::waits.
  void wait_behind(Choice& choice);
  /// It has a place in the queue.
  void waits() { ++counts_.waited; }
  /// It waited, and now there may be room: chooses again.
  void look_again(Choice& choice, TimePoint now);
  /// Its time in the queue is over, or it lost its place, or got none (`is_full`): a client that belongs to a
  /// server goes to another one that has room at once, if its rule is not strict; the others get nobody.
  void waited_in_vain(Choice& choice, TimePoint now, bool is_full = false);
  /// An answer of `server` with such a status, or none at all after it took the connection, speaks against
  /// it: 5xx but 501 and 505, which are about the request.
  static bool is_bad_answer(int status) { return status >= 500 && status != 501 && status != 505; }
  /// Counts against `server`. True: it is out from now on (PassiveRules), for the log.
  bool answered_badly(ServerIndex server, TimePoint now);
  /// Another server shall be asked the same, although this one took the connection: it broke it without an
  /// answer, or its answer is one that another may not give. Says nothing of its health. False, and `choice`
  /// as it was: there is no other (`retries` are used up, nobody is left, all are full, or the client belongs
  /// there alone).
  bool another(Choice& choice, TimePoint now);
  /// The chosen server took the connection and broke it without an answer. Of a client that belongs to it and
  /// is to come again when it is away (TicketRule): after how long. Nothing: of all others.
  std::optional<Duration> comes_again(const Choice& choice) const;

  /// Takes out of the request what the server must not see. The same for every server, so once per request is
  /// enough. Failures are told by edits.write().
  void edit_request(Choice& choice, const proto::RequestHead& head, proto::HeadEdits& edits) const;

  /// Puts into the response what the client must remember of choice.server, and drops what the server itself
  /// set by our cookie's name; or, where the server ended the client's pin (RouteRules::unpin_field, or the
  /// deletion of a cookie that we rewrite or prefix), what makes the client forget, and choice.unpinned. For
  /// every final response and for 101; does nothing for other 1xx, and without a chosen server. Failures are
  /// told by edits.write().
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

  /// The connection became a tunnel: while the Lease lives, and max_idle after it, the client's cookie does
  /// not grow too old. Empty without a cookie-insert rule with max_idle, and when the pin was ended.
  Lease hold(const Choice& choice, TimePoint now);

  Pool& pool() { return *shared_.pool; }
  const RouteRules& rules() const { return shared_.rules; }
  const RouteCounts& counts() const { return counts_; }

 private:
  void note_pins(Choice& choice, const Arrival& arrival);
  void settle(Choice& choice, TimePoint now, bool may_try);
  void schedule(Choice& choice, Wanted wanted);
  bool follows_burst(Choice& choice, const Wanted& wanted);
  bool may_try(const Choice& choice) const { return choice.tried.count() <= rules().retries; }
  bool may_wait(const Choice& choice) const { return rules().queue.size != 0 && !choice.gave_up; }
  bool ends_pin(const proto::ResponseHead& head, UnixSeconds unix_now, proto::HeadEdits& edits) const;
  void count_unserved(Choice& choice);
  void conclude(Choice& choice);

  SharedRoute& shared_;
  std::vector<std::unique_ptr<Affinity>> affinities_;
  std::vector<bool> remembers_;           // per rule
  std::optional<std::size_t> idle_rule_;  // whose cookies idle_leases keeps
  std::unique_ptr<Scheduler> scheduler_;
  RouteCounts counts_;
};

}  // namespace rejoin::route
