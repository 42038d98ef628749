#include "apps/balancer/bequest.h"

#include <algorithm>
#include <utility>

namespace rejoin::balancer {
namespace {

/// Moments of two processes on one machine are of one clock. Further apart than an upgrade may take, or in
/// the future: then they are not (a new clock, another machine), and what was a while ago then is as long ago
/// now.
constexpr std::chrono::minutes kOneClockMin{10};

class Moments {
 public:
  Moments(std::uint64_t taken_at, TimePoint now) {
    const auto here = static_cast<std::int64_t>(route::monotonic_ms(now));
    const std::int64_t ago = here - static_cast<std::int64_t>(taken_at);
    if (ago < 0 || ago > std::chrono::milliseconds(kOneClockMin).count()) shift_ = ago;
  }
  std::uint64_t here(std::uint64_t there) const {
    if (there == 0 || shift_ == 0) return there;
    return static_cast<std::uint64_t>(std::max<std::int64_t>(1, static_cast<std::int64_t>(there) + shift_));
  }
  route::ServerHealth here(route::ServerHealth health) const {
    constexpr std::uint64_t kAwayMax = (std::uint64_t{1} << 48) - 1;  // HealthState's
    health.state.away_since_ms = std::min(here(health.state.away_since_ms), kAwayMax) & kAwayMax;
    health.drains_until = here(health.drains_until);
    health.came_up = here(health.came_up);
    health.out_until = here(health.out_until);
    for (TimePoint& at : health.failures) at += std::chrono::milliseconds(shift_);
    return health;
  }

 private:
  std::int64_t shift_ = 0;  // ms
};

bool has_word(const KnownServer& it) {
  return it.order != route::ServerOrder::ready || it.weight != it.configured.weight;
}

std::string word_of(const KnownServer& it) {
  if (it.order != route::ServerOrder::ready) return std::string(to_string(it.order));
  return "weight " + std::to_string(it.weight);
}

std::vector<route::KeyId> ids_of(const route::KeyRing& ring) {
  std::vector<route::KeyId> out;
  for (const route::Key& key : ring.keys()) out.push_back(key.id());
  return out;
}

/// One server of the process before. False: nothing is known of it here.
bool take_over_server(const KnownServer& known, const KnownPool& of, const PoolPlan* plan,
                      const Moments& moments, TakenOver& out) {
  const std::string name = of.name + '/' + known.configured.name;
  const auto index = plan != nullptr ? plan->route->pool->index_of(known.configured.name)
                                     : std::optional<route::ServerIndex>();
  if (!index) {
    if (has_word(known))
      out.over.push_back("server " + name + ": \"" + word_of(known) +
                         "\" was said at run time and is dropped, there is no such server any more");
    return false;
  }
  route::Pool& pool = *plan->route->pool;
  const route::Server& here = pool.server(*index);
  if (here == known.configured) {
    pool.set_weight(*index, known.weight);
    pool.set_order(*index, known.order);
    if (known.drain_end.at != 0)
      out.drain_ends[name] = {moments.here(known.drain_end.at), known.drain_end.close};
  } else if (has_word(known)) {
    out.over.push_back("server " + name + ": \"" + word_of(known) +
                       "\" was said at run time and is over, the file says something new");
  }
  if (here.address != known.configured.address) return false;
  if (pool.health_rules().kind == of.checks) pool.go_on_with(*index, moments.here(known.health));
  return true;
}

}  // namespace

Knowledge knowledge_of(const Plan& plan, const RuntimeServers& runtime, const KnownNames& names,
                       const DrainEnds& drain_ends, TimePoint now, UnixSeconds unix_now) {
  Knowledge out;
  out.taken_at = route::monotonic_ms(now);
  for (const auto& of : plan.pools) {
    const route::Pool& pool = *of->route->pool;
    KnownPool& known = out.pools.emplace_back(KnownPool{of->rules.name, pool.health_rules().kind, {}});
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const auto index = static_cast<route::ServerIndex>(i);
      const auto end = drain_ends.find(known.name + '/' + pool.server(index).name);
      known.servers.push_back({pool.server(index), pool.order(index), pool.weight(index),
                               end != drain_ends.end() ? end->second : DrainEnd{},
                               pool.health_of(index, now)});
    }
  }
  out.words = runtime.words();
  out.names = names;
  if (plan.config.keys.seal.empty()) out.made_up_keys = plan.keys.keys();
  out.key_ids = ids_of(plan.keys);
  if (plan.tickets) out.tickets = plan.tickets->own(unix_now);
  return out;
}

route::KeyRing keys_to_use(const Knowledge& before, const config::Config& config,
                           const route::KeyRing& ours) {
  if (!config.keys.seal.empty() || before.made_up_keys.empty()) return ours;
  Result<route::KeyRing> theirs = route::KeyRing::make(before.made_up_keys);
  return theirs ? std::move(*theirs) : ours;
}

TakenOver take_over(const Knowledge& before, const Plan& plan, TimePoint now) {
  TakenOver out;
  const Moments moments(before.taken_at, now);
  for (const KnownPool& known : before.pools) {
    const auto found =
        std::ranges::find_if(plan.pools, [&](const auto& one) { return one->rules.name == known.name; });
    const PoolPlan* const of = found != plan.pools.end() ? found->get() : nullptr;
    for (const KnownServer& server : known.servers)
      out.servers += take_over_server(server, known, of, moments, out);
  }
  // As at a reload: with other keys everything that they were the origin of is another.
  if (plan.tickets && before.tickets && before.key_ids == ids_of(plan.keys))
    out.tickets = plan.tickets->go_on_with(*before.tickets);
  return out;
}

}  // namespace rejoin::balancer
