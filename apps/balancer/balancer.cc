// The parts list of the balancer as a program: configuration, keys, plan, workers.
#include "apps/balancer/balancer.h"

#include <cstdio>

#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "apps/config/keys.h"
#include "apps/serve/workers.h"
#include "base/log.h"
#include "base/random.h"

namespace rejoin::balancer {
namespace {

constexpr int kConfigurationStatus = 2;

void print(const std::vector<config::Diagnostic>& diagnostics) {
  for (const config::Diagnostic& diagnostic : diagnostics)
    std::fprintf(stderr, "%s\n", diagnostic.text().c_str());
}

}  // namespace

int run_balancer(const BalancerOptions& options) {
  const config::Reading reading = config::read_config_file(options.config_file);
  print(reading.diagnostics);
  if (!reading.ok()) return kConfigurationStatus;
  const config::Config& config = reading.config;
  if (config.listeners.empty()) {
    std::fprintf(stderr, "%s: there is no [[listener]]: a balancer needs at least one\n",
                 options.config_file.c_str());
    return kConfigurationStatus;
  }
  SystemRandom random;
  config::KeyReading keys = config::load_keys(config, random, config::AbsentKey::make);
  print(keys.diagnostics);
  if (!keys.ok()) return kConfigurationStatus;

  const std::unique_ptr<Log> log = make_stderr_log("balancer", config.log.level);
  if (config.keys.seal.empty())
    log->warn("no [keys]: cookies are sealed with a random key and will not open after a restart");
  Result<std::shared_ptr<const Plan>> plan = make_plan(config, std::move(*keys.ring), random);
  if (!plan) {
    std::fprintf(stderr, "%s: %s\n", options.config_file.c_str(), plan.error().detail.c_str());
    return kConfigurationStatus;
  }

  serve::WorkersOptions workers;
  workers.count = static_cast<unsigned>(config.balancer.workers);
  workers.drain_time = config.balancer.drain_timeout;
  for (const config::Listener& listener : config.listeners) workers.listener_names.push_back(listener.name);
  return serve::run_workers(workers, *log,
                            [&plan](io::World& world, unsigned number, serve::Colleagues& colleagues) {
                              return std::make_unique<Worker>(world, *plan, number, &colleagues);
                            });
}

}  // namespace rejoin::balancer
