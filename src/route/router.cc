#include "route/router.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace rejoin::route {

Result<std::unique_ptr<SharedRoute>> SharedRoute::make(RouteRules rules, Random& random,
                                                       const SharedRoute* before) {
  if (rules.retries >= limits::kTriedServersMax) {
    return Error{ErrorKind::config, Side::ours, Retry::no,
                 "retries must be less than " + std::to_string(limits::kTriedServersMax)};
  }
  if (Status checked = check_affinity(rules.affinity); !checked) return checked.error();
  auto pool = Pool::make(rules.name, rules.servers, rules.health, before ? before->pool.get() : nullptr);
  if (!pool) return pool.error();

  auto shared = std::make_unique<SharedRoute>();
  shared->pool = std::move(*pool);
  for (const AffinityRule& rule : rules.affinity) {
    if (const auto* source_ip = std::get_if<SourceIpRule>(&rule)) {
      shared->leases = before && before->leases && before->leases->rules() == source_ip->leases
                           ? before->leases
                           : std::make_shared<LeaseTable>(source_ip->leases, random);
    }
  }
  shared->rules = std::move(rules);
  return shared;
}

Router::Router(SharedRoute& shared, Seal& seal, unsigned worker, const Router* before) : shared_(shared) {
  if (before != nullptr) counts_ = before->counts_;
  // Where pools change often (discovery), each new round would begin with the first server, and favour it.
  scheduler_ =
      make_scheduler(shared.rules.scheduler, *shared.pool, worker + static_cast<unsigned>(counts_.scheduled));
  for (const AffinityRule& rule : shared.rules.affinity) {
    affinities_.push_back(make_affinity(rule, *shared.pool, seal, shared.leases.get()));
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
  settle(choice, arrival.now, true);
  if (choice.how == Chosen::pinned) ++counts_.pinned;
  if (choice.how == Chosen::scheduled) ++counts_.scheduled;
  count_unserved(choice);
  if (belongs && choice.how != Chosen::pinned) ++counts_.pinned_down;
  return choice;
}

bool Router::wants_opening() const {
  return std::any_of(affinities_.begin(), affinities_.end(),
                     [](const auto& affinity) { return affinity->wants_opening(); });
}

/// `may_try`: false when the client was sent to enough servers already. Being told to come again is no try.
void Router::settle(Choice& choice, TimePoint now, bool may_try) {
  choice.server.reset();
  choice.how = Chosen::nobody;
  for (std::size_t i = 0; i < affinities_.size(); ++i) {
    const Pin& pin = choice.pins[i];
    if (!pin.found()) continue;
    if (pool().takes_pinned(pin.server) && !choice.tried.contains(pin.server)) {
      if (!may_try) return;
      choice.server = pin.server;
      choice.how = Chosen::pinned;
      return;
    }
    const Affinity::Patience patience = affinities_[i]->patience();
    if (pool().away_for(pin.server, now) < patience.owner_gone) {
      choice.how = Chosen::come_again;
      choice.wait = patience.come_again;
      return;
    }
  }
  if (!may_try) return;
  choice.server = scheduler_->pick(pool(), choice.tried);
  if (choice.server) choice.how = Chosen::scheduled;
}

void Router::count_unserved(const Choice& choice) {
  if (choice.how == Chosen::nobody) ++counts_.nobody;
  if (choice.how == Chosen::come_again) ++counts_.come_again;
}

HealthChange Router::failed(Choice& choice, TimePoint now) {
  assert(choice.server);
  const HealthChange change = pool().observe(*choice.server, ProbeResult::refused, now);
  ++counts_.failed;
  const bool is_noted = choice.tried.add(*choice.server);
  settle(choice, now, is_noted && choice.tried.count() <= rules().retries);
  count_unserved(choice);
  return change;
}

void Router::edit_request(Choice& choice, const proto::RequestHead& head, proto::HeadEdits& edits) const {
  for (const proto::Field& field : head.all(proto::KnownField::cookie)) {
    const std::string_view original = head.value(field);
    std::string_view value = original;
    bool is_emptied = false;
    for (const auto& affinity : affinities_) {
      const std::string_view name = affinity->hidden_cookie();
      if (name.empty() || is_emptied) continue;
      std::string out;
      const auto new_value = [&](std::string_view old_value) { return affinity->server_sees(old_value); };
      const proto::CookieEdit edit = proto::edit_cookies(value, name, new_value, out);
      if (edit == proto::CookieEdit::emptied) is_emptied = true;
      if (edit == proto::CookieEdit::changed) value = choice.texts.emplace_front(std::move(out));
    }
    if (is_emptied) {
      edits.drop(field);
    } else if (value != original) {
      edits.replace_value(field, value);
    }
  }
}

void Router::edit_response(Choice& choice, const proto::ResponseHead& head, UnixSeconds unix_now,
                           proto::HeadEdits& edits) {
  if (head.interim() || !choice.server) return;
  for (std::size_t i = 0; i < affinities_.size(); ++i) {
    const bool is_planted =
        affinities_[i]->edit_response(head, choice.pins[i], *choice.server, unix_now, edits, choice.texts);
    if (is_planted) ++counts_.planted;
  }
}

Lease Router::lease(const Choice& choice, const Address& client, TimePoint now) {
  if (!shared_.leases || !choice.server) return {};
  return shared_.leases->open(client, shared_.pool->number(*choice.server), now);
}

}  // namespace rejoin::route
