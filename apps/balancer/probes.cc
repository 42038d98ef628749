#include "apps/balancer/probes.h"

#include <algorithm>

#include "upstream/prober.h"

namespace rejoin::balancer {

/// One server, with a pool of its own (Pool::alone), so that it needs none of those that come and go.
struct Probes::Probe {
  Probe(const PoolPlan& of, route::ServerIndex index) : pool(of.route->pool->alone(index)), tls(of.probes) {}

  bool is_of(const PoolPlan& plan, route::ServerIndex index) const {
    const route::Pool& other = *plan.route->pool;
    return pool->ref(0) == other.ref(index) && pool->health_rules() == other.health_rules() &&
           tls == plan.probes && pool->server(0).tls_name == other.server(index).tls_name;
  }

  std::unique_ptr<route::Pool> pool;
  const config::TlsInUse tls;
  Stop stop;
  bool wanted = true;
  bool ended = false;
};

Probes::Probes(io::World& world, io::TlsNetwork& tls, Scope& scope, OnDown on_down)
    : world_(world), tls_(tls), scope_(scope), on_down_(std::move(on_down)) {}

Probes::~Probes() = default;

void Probes::follow(const Plan& plan) {
  tidy();
  for (auto& probe : probes_) probe->wanted = false;
  const std::size_t before = probes_.size();
  for (const auto& of : plan.pools) {
    const route::Pool& pool = *of->route->pool;
    if (pool.health_rules().kind == route::HealthKind::off) continue;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const auto index = static_cast<route::ServerIndex>(i);
      const auto end = probes_.begin() + static_cast<std::ptrdiff_t>(before);
      const auto same = std::find_if(probes_.begin(), end, [&](const auto& probe) {
        return !probe->stop.requested() && probe->is_of(*of, index);
      });
      if (same != end) {
        (*same)->wanted = true;
        continue;
      }
      probes_.push_back(std::make_unique<Probe>(*of, index));
      scope_.spawn(run(*probes_.back()));
    }
  }
  for (auto& probe : probes_) {
    if (!probe->wanted) probe->stop.request();
  }
}

Task<void> Probes::run(Probe& probe) {
  const upstream::OnHealth on_health = [this, &probe](route::ServerIndex, route::HealthChange change) {
    if (change == route::HealthChange::went_down) on_down_(probe.pool->name(), probe.pool->server(0).name);
  };
  upstream::ProbeTls tls{&tls_, probe.tls};
  co_await upstream::probe_for_ever(world_, *probe.pool, 0, on_health, probe.stop, tls);
  probe.ended = true;
}

void Probes::stop() {
  for (auto& probe : probes_) probe->stop.request();
}

void Probes::tidy() {
  std::erase_if(probes_, [](const auto& probe) { return probe->ended; });
}

}  // namespace rejoin::balancer
