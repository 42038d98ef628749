#include "route/router.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "route/hash.h"

namespace rejoin::route {
namespace {

/// A table outlives the pool whose rule it is, as long as the rule stays.
std::shared_ptr<LeaseTable> kept_or_new(const std::shared_ptr<LeaseTable>& before, const LeaseRules& rules,
                                        Random& random) {
  return before && before->rules() == rules ? before : std::make_shared<LeaseTable>(rules, random);
}

}  // namespace

Result<std::unique_ptr<SharedRoute>> SharedRoute::make(RouteRules rules, Random& random,
                                                       const SharedRoute* before) {
  if (rules.retries >= limits::kTriedServersMax) {
    return Error{ErrorKind::config, Side::ours, Retry::no,
                 "retries must be less than " + std::to_string(limits::kTriedServersMax)};
  }
  if (Status checked = check_affinity(rules.affinity); !checked) return checked.error();
  if (rules.burst < 0s || rules.queue.timeout < 0s) {
    return Error{ErrorKind::config, Side::ours, Retry::no,
                 "burst and the queue's timeout cannot be negative"};
  }
  auto pool = Pool::make(rules.name, rules.servers, rules.health, before ? before->pool.get() : nullptr,
                         rules.slow_start, rules.may_be_empty ? NoServers::allowed : NoServers::refused);
  if (!pool) return pool.error();

  auto shared = std::make_unique<SharedRoute>();
  shared->pool = std::move(*pool);
  const SchedulerKind scheduler = rules.scheduler;
  bool hashes = scheduler == SchedulerKind::source_hash || scheduler == SchedulerKind::key_hash;
  for (const AffinityRule& rule : rules.affinity) {
    if (const auto* source_ip = std::get_if<SourceIpRule>(&rule))
      shared->leases = kept_or_new(before ? before->leases : nullptr, source_ip->leases, random);
    if (const auto* cookie = std::get_if<CookieInsertRule>(&rule);
        cookie != nullptr && cookie->max_idle > 0s && !shared->idle_leases) {
      const LeaseRules idle{.grace = cookie->max_idle, .prefix_v6 = 128};
      shared->idle_leases = kept_or_new(before ? before->idle_leases : nullptr, idle, random);
    }
    hashes |= std::holds_alternative<KeyRule>(rule);
  }
  if (hashes) shared->maglev = std::make_unique<MaglevShare>(*shared->pool);
  if (rules.burst > 0s) {
    const bool is_kept = before && before->bursts && before->rules.burst == rules.burst;
    shared->bursts = is_kept ? before->bursts : std::make_shared<BurstTable>(rules.burst);
  }
  shared->seed = random.u64();
  shared->rules = std::move(rules);
  return shared;
}

std::string_view to_string(Return how) {
  switch (how) {
    case Return::reached: return "reached";
    case Return::down: return "down";
    case Return::out: return "out";
    case Return::drained: return "drained";
    case Return::maintenance: return "maintenance";
    case Return::full: return "full";
    case Return::refused: return "refused";
    case Return::unknown_server: return "unknown_server";
    case Return::unknown_key: return "unknown_key";
    case Return::forged: return "forged";
    case Return::malformed: return "malformed";
    case Return::expired: return "expired";
    case Return::ahead: return "ahead";
  }
  return "?";
}

namespace {

Return missed_by(Standing standing) {
  switch (standing) {
    case Standing::full: return Return::full;
    case Standing::drained: return Return::drained;
    case Standing::maintenance: return Return::maintenance;
    case Standing::out: return Return::out;
    default: return Return::down;
  }
}

/// Of a pin that leads nowhere.
std::optional<Return> missed_by(Reason reason) {
  switch (reason) {
    case Reason::none:
    case Reason::found: return std::nullopt;
    case Reason::malformed: return Return::malformed;
    case Reason::unknown_key: return Return::unknown_key;
    case Reason::forged: return Return::forged;
    case Reason::expired: return Return::expired;
    case Reason::ahead: return Return::ahead;
    case Reason::unknown_server: return Return::unknown_server;
  }
  return std::nullopt;
}

/// Clients of one address with one browser, as far as it says; never 0.
std::uint64_t burst_of(const Arrival& arrival) {
  std::uint64_t key = hash_of_address(arrival.client);
  if (arrival.head != nullptr) {
    // Browsers send these two with pages, requests of scripts and WebSocket handshakes alike.
    for (const Bytes name : {"User-Agent", "Accept-Language"}) {
      const proto::Field* const field = arrival.head->find(name);
      if (field != nullptr) key = hash_of(arrival.head->value(*field), key);
    }
  }
  return std::max<std::uint64_t>(1, key);
}

}  // namespace

Router::Router(SharedRoute& shared, Seal& seal, unsigned worker, const Router* before) : shared_(shared) {
  if (before != nullptr) counts_ = before->counts_;
  // Where pools change often (discovery), each new round would begin with the first server, and favour it.
  scheduler_ =
      make_scheduler(shared.rules.scheduler, *shared.pool, worker + static_cast<unsigned>(counts_.scheduled),
                     shared.seed, shared.maglev.get());
  AffinityTables tables{.leases = shared.leases.get(), .maglev = shared.maglev.get()};
  for (const AffinityRule& rule : shared.rules.affinity) {
    const auto* const cookie = std::get_if<CookieInsertRule>(&rule);
    const bool keeps_idle = cookie != nullptr && cookie->max_idle > 0s && !idle_rule_;
    if (keeps_idle) idle_rule_ = affinities_.size();
    tables.idle_leases = keeps_idle ? shared.idle_leases.get() : nullptr;
    affinities_.push_back(make_affinity(rule, *shared.pool, seal, tables));
    remembers_.push_back(affinities_.back()->remembers());
  }
}

Choice Router::choose(const Arrival& arrival) {
  Choice choice;
  // All rules look, even when the first one finds: the response must know of each what the client has.
  bool belongs = false;
  for (std::size_t i = 0; i < affinities_.size(); ++i) {
    choice.pins[i] = affinities_[i]->find(arrival);
    belongs |= choice.pins[i].found();
    ++counts_.reasons[static_cast<std::size_t>(choice.pins[i].reason)];
  }
  note_pins(choice, arrival);
  settle(choice, arrival.now, true);
  if (choice.how == Chosen::pinned) ++counts_.pinned;
  if (choice.how == Chosen::scheduled) ++counts_.scheduled;
  count_unserved(choice);
  if (belongs && choice.how != Chosen::pinned) ++counts_.pinned_down;
  return choice;
}

/// What is needed to choose again, when the arrival is gone.
void Router::note_pins(Choice& choice, const Arrival& arrival) {
  for (std::size_t i = 0; i < affinities_.size(); ++i) {
    const Pin& pin = choice.pins[i];
    if (!remembers_[i] || pin.reason == Reason::none) continue;
    choice.returns = true;
    if (pin.found() && !choice.home) choice.home = pin.server;
    if (!choice.missed) choice.missed = missed_by(pin.reason);
  }
  if (choice.home) choice.missed.reset();
  switch (rules().scheduler) {
    case SchedulerKind::source_hash: choice.hash = hash_of_address(arrival.client); break;
    case SchedulerKind::key_hash: {
      const auto key = hash_of_key(rules().hash_key, arrival.head);
      choice.hash = key ? *key : hash_of_address(arrival.client);
      break;
    }
    default: break;
  }
  if (shared_.bursts && !choice.home) choice.burst = burst_of(arrival);
}

bool Router::wants_opening() const {
  return std::any_of(affinities_.begin(), affinities_.end(),
                     [](const auto& affinity) { return affinity->wants_opening(); });
}

/// `may_try`: false when the client was sent to enough servers already. Being told to come again, or to wait,
/// is no try.
void Router::settle(Choice& choice, TimePoint now, bool may_try) {
  choice.server.reset();
  choice.waits_for.reset();
  choice.how = Chosen::nobody;
  const Wanted wanted{.tried = choice.tried, .now = now, .hash = choice.hash, .may_wait = may_wait(choice)};
  for (std::size_t i = 0; i < affinities_.size(); ++i) {
    const Pin& pin = choice.pins[i];
    if (!pin.found()) continue;
    Affinity& affinity = *affinities_[i];
    const std::optional<ServerIndex> server = affinity.server_for(pin, wanted);
    if (!server) continue;
    const bool was_tried = choice.tried.contains(*server);
    const Standing standing = pool().standing(*server, now);
    if (!was_tried && standing < Standing::full) {
      if (!may_try) return;
      choice.server = server;
      choice.how = Chosen::pinned;
      return;
    }
    if (server == choice.home && !choice.missed)
      choice.missed = was_tried ? Return::refused : missed_by(standing);
    if (standing == Standing::full && !was_tried && wanted.may_wait) {
      choice.how = Chosen::waits;
      choice.waits_for = server;
      return;
    }
    const Affinity::Patience patience = affinity.patience();
    if (standing != Standing::drained && pool().away_for(*server, now) < patience.owner_gone) {
      choice.how = Chosen::come_again;
      choice.wait = patience.come_again;
      return;
    }
    if (affinity.strict()) {
      choice.how = Chosen::refused;
      return;
    }
  }
  if (may_try) schedule(choice, wanted);
}

void Router::schedule(Choice& choice, Wanted wanted) {
  if (follows_burst(choice, wanted)) return;
  choice.server = scheduler_->pick(wanted);
  bool is_full = !choice.server && scheduler_->lacks_room(wanted);
  if (!choice.server && !is_full && pool().has_backups()) {
    wanted.backups = true;
    choice.server = scheduler_->pick(wanted);
    is_full = !choice.server && scheduler_->lacks_room(wanted);
  }
  if (is_full && wanted.may_wait) choice.how = Chosen::waits;
  if (!choice.server) return;
  choice.how = Chosen::scheduled;
  if (choice.burst != 0) shared_.bursts->put(choice.burst, pool().number(*choice.server), wanted.now);
}

bool Router::follows_burst(Choice& choice, const Wanted& wanted) {
  if (choice.burst == 0) return false;
  const auto number = shared_.bursts->find(choice.burst, wanted.now);
  const auto server = number ? pool().index_of_number(*number) : std::nullopt;
  if (!server || choice.tried.contains(*server) || !pool().takes_new(*server, wanted.now)) return false;
  choice.server = server;
  choice.how = Chosen::scheduled;
  ++counts_.burst;
  return true;
}

void Router::count_unserved(Choice& choice) {
  if (choice.how == Chosen::nobody) ++counts_.nobody;
  if (choice.how == Chosen::come_again) ++counts_.come_again;
  if (choice.how == Chosen::refused) ++counts_.strict;
  if (!choice.server && choice.how != Chosen::waits) conclude(choice);
}

/// The client's way has ended: did it reach its server?
void Router::conclude(Choice& choice) {
  if (!choice.returns || choice.concluded) return;
  choice.concluded = true;
  const bool is_home = choice.server && choice.home == choice.server;
  const Return how = is_home ? Return::reached : choice.missed.value_or(Return::down);
  ++counts_.returns[static_cast<std::size_t>(how)];
}

HealthChange Router::failed(Choice& choice, TimePoint now) {
  assert(choice.server);
  HealthChange change = pool().observe(*choice.server, ProbeResult::refused, now);
  if (pool().mark_failure(*choice.server, now)) change = HealthChange::went_down;
  ++counts_.failed;
  const bool is_noted = choice.tried.add(*choice.server);
  settle(choice, now, is_noted && may_try(choice));
  count_unserved(choice);
  return change;
}

void Router::reached(Choice& choice, TimePoint now) {
  pool().reached(*choice.server, now);
  conclude(choice);
}

void Router::was_full(Choice& choice, TimePoint now) {
  settle(choice, now, may_try(choice));
  count_unserved(choice);
}

void Router::look_again(Choice& choice, TimePoint now) {
  settle(choice, now, may_try(choice));
  if (choice.how == Chosen::pinned) ++counts_.pinned;
  if (choice.how == Chosen::scheduled) ++counts_.scheduled;
  count_unserved(choice);
}

void Router::wait_behind(Choice& choice) {
  if (choice.how == Chosen::pinned) choice.waits_for = choice.server;
  choice.server.reset();
  choice.how = Chosen::waits;
}

void Router::waited_in_vain(Choice& choice, TimePoint now, bool is_full) {
  ++(is_full ? counts_.queue_full : counts_.waited_in_vain);
  const bool belongs = choice.waits_for.has_value();
  choice.gave_up = true;
  choice.how = Chosen::nobody;
  if (belongs) settle(choice, now, may_try(choice));
  if (choice.how == Chosen::scheduled) ++counts_.scheduled;
  count_unserved(choice);
}

bool Router::answered_badly(ServerIndex server, TimePoint now) {
  ++counts_.bad_answers;
  return pool().mark_failure(server, now);
}

std::optional<Duration> Router::comes_again(const Choice& choice) const {
  for (std::size_t i = 0; choice.server && i < affinities_.size(); ++i) {
    const Affinity::Patience patience = affinities_[i]->patience();
    if (choice.pins[i].found() && choice.pins[i].server == *choice.server && patience.owner_gone > 0s)
      return patience.come_again;
  }
  return std::nullopt;
}

bool Router::another(Choice& choice, TimePoint now) {
  assert(choice.server);
  const ServerIndex server = *choice.server;
  const Chosen how = choice.how;
  const bool is_noted = choice.tried.add(server);
  settle(choice, now, is_noted && may_try(choice));
  if (choice.server) return true;
  choice.server = server;
  choice.how = how;
  choice.waits_for.reset();
  return false;
}

void Router::edit_request(Choice& choice, const proto::RequestHead& head, proto::HeadEdits& edits) const {
  for (const proto::Field& field : head.all(proto::KnownField::cookie)) {
    const std::string_view original = head.value(field);
    std::string_view value = original;
    bool is_emptied = false;
    for (const auto& affinity : affinities_) {
      for (const std::string_view name : affinity->hidden_cookies()) {
        if (is_emptied) break;
        std::string out;
        const auto new_value = [&](std::string_view old_value) { return affinity->server_sees(old_value); };
        const proto::CookieEdit edit = proto::edit_cookies(value, name, new_value, out);
        if (edit == proto::CookieEdit::emptied) is_emptied = true;
        if (edit == proto::CookieEdit::changed) value = choice.texts.emplace_front(std::move(out));
      }
    }
    if (is_emptied) {
      edits.drop(field);
    } else if (value != original) {
      edits.replace_value(field, value);
    }
  }
}

/// The server has said that the client belongs to it no longer. Its word for that goes no further.
bool Router::ends_pin(const proto::ResponseHead& head, UnixSeconds unix_now, proto::HeadEdits& edits) const {
  bool ends = false;
  for (const proto::Field& field : head.fields()) {
    if (rules().unpin_field.empty() || !proto::equals_ignoring_case(head.name(field), rules().unpin_field))
      continue;
    ends |= head.value(field) == "1";
    edits.drop(field);
  }
  for (const auto& affinity : affinities_) ends |= affinity->ends_pin(head, unix_now);
  return ends;
}

void Router::edit_response(Choice& choice, const proto::ResponseHead& head, UnixSeconds unix_now,
                           proto::HeadEdits& edits) {
  if (head.interim() || !choice.server) return;
  choice.unpinned = ends_pin(head, unix_now, edits);
  if (choice.unpinned) ++counts_.unpinned;
  for (std::size_t i = 0; i < affinities_.size(); ++i) {
    Affinity& affinity = *affinities_[i];
    // A cookie of the server's own is its own to delete, and is edited as ever.
    if (choice.unpinned) affinity.forget(head, edits, choice.texts);
    if (choice.unpinned && affinity.plants_its_own()) continue;
    const bool is_planted =
        affinity.edit_response(head, choice.pins[i], *choice.server, unix_now, edits, choice.texts);
    if (is_planted) ++counts_.planted;
  }
}

Lease Router::lease(const Choice& choice, const Address& client, TimePoint now) {
  if (!shared_.leases || !choice.server || choice.unpinned) return {};
  return shared_.leases->open(client, shared_.pool->number(*choice.server), now);
}

Lease Router::hold(const Choice& choice, TimePoint now) {
  if (!idle_rule_ || !choice.server || choice.unpinned) return {};
  return shared_.idle_leases->open(lease_key(choice.pins[*idle_rule_].key), pool().number(*choice.server),
                                   now);
}

}  // namespace rejoin::route
