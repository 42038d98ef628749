// The parts list of the gateway as a program: configuration, log, workers.
#include "apps/gateway/gateway.h"

#include <cstdio>

#include "apps/config/config.h"
#include "apps/gateway/worker.h"
#include "apps/serve/workers.h"
#include "base/log.h"

namespace rejoin::gateway {
namespace {

constexpr int kConfigurationStatus = 2;

}  // namespace

int run_gateway(const GatewayOptions& options) {
  const config::Reading reading = config::read_config_file(options.config_file);
  for (const config::Diagnostic& diagnostic : reading.diagnostics) {
    std::fprintf(stderr, "%s\n", diagnostic.text().c_str());
  }
  if (!reading.ok()) return kConfigurationStatus;
  if (!reading.config.gateway) {
    std::fprintf(stderr, "%s: there is no [gateway]\n", options.config_file.c_str());
    return kConfigurationStatus;
  }
  const config::Gateway& rules = *reading.config.gateway;
  const std::unique_ptr<Log> log = make_stderr_log("gateway " + rules.name, reading.config.log.level);

  serve::WorkersOptions workers;
  workers.count = static_cast<unsigned>(rules.workers);
  workers.drain_time = rules.drain_timeout;
  for (const config::GatewayListener& listener : rules.listeners)
    workers.listener_names.push_back(listener.name);
  return serve::run_workers(
      workers, *log, [&rules](io::World& world, unsigned) { return std::make_unique<Worker>(world, rules); });
}

}  // namespace rejoin::gateway
