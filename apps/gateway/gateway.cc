// The parts list of the gateway as a program: configuration, keys, log, workers.
#include "apps/gateway/gateway.h"

#include <cstdio>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/keys.h"
#include "apps/gateway/worker.h"
#include "apps/serve/workers.h"
#include "base/log.h"

namespace rejoin::gateway {
namespace {

constexpr int kConfigurationStatus = 2;

void print(const std::vector<config::Diagnostic>& diagnostics) {
  for (const config::Diagnostic& diagnostic : diagnostics)
    std::fprintf(stderr, "%s\n", diagnostic.text().c_str());
}

}  // namespace

int run_gateway(const GatewayOptions& options) {
  const config::Reading reading = config::read_config_file(options.config_file);
  print(reading.diagnostics);
  if (!reading.ok()) return kConfigurationStatus;
  if (!reading.config.gateway) {
    std::fprintf(stderr, "%s: there is no [gateway]\n", options.config_file.c_str());
    return kConfigurationStatus;
  }
  SystemRandom random;
  config::KeyReading keys = config::load_keys(reading.config, random, config::AbsentKey::make);
  print(keys.diagnostics);
  if (!keys.ok()) return kConfigurationStatus;

  const std::unique_ptr<Log> log =
      make_stderr_log("gateway " + reading.config.gateway->name, reading.config.log.level);
  if (reading.config.keys.seal.empty())
    log->warn("no [keys]: tickets are sealed with a random key, which no balancer has");
  const Result<Plan> plan = make_plan(reading.config, std::move(*keys.ring), random);
  if (!plan) {
    std::fprintf(stderr, "%s: %s\n", options.config_file.c_str(), plan.error().detail.c_str());
    return kConfigurationStatus;
  }

  serve::WorkersOptions workers;
  workers.count = static_cast<unsigned>(plan->rules.workers);
  workers.drain_time = plan->rules.drain_timeout;
  // With a random key the next process could not read this one's tickets.
  if (!reading.config.keys.seal.empty()) workers.identity = "gateway " + plan->rules.name;
  for (const config::GatewayListener& listener : plan->rules.listeners)
    workers.listener_names.push_back(listener.name);
  if (plan->admin) workers.listener_names.push_back("admin");
  return serve::run_workers(workers, *log,
                            [&plan](io::World& world, unsigned number, serve::Colleagues& colleagues) {
                              return std::make_unique<Worker>(world, *plan, number, &colleagues);
                            });
}

}  // namespace rejoin::gateway
