// The parts list of the balancer as a program: configuration, keys, plan, workers.
#include "apps/balancer/balancer.h"

#include <atomic>
#include <cstdio>
#include <optional>

#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "apps/config/keys.h"
#include "apps/config/secret.h"
#include "apps/serve/workers.h"
#include "base/log.h"
#include "base/random.h"
#include "watch/access_file.h"

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

  std::optional<watch::AdminDoor> door;
  const config::Admin* const admin = config.admin_of_balancer();
  if (admin != nullptr) {
    config::SecretReading token =
        load_admin_token(config, *admin, config.balancer.admin ? "balancer.admin" : "admin");
    print(token.diagnostics);
    if (!token.ok()) return kConfigurationStatus;
    door = watch::AdminDoor{admin->listen, std::move(token.secret)};
  }
  std::unique_ptr<watch::AccessFile> access;
  if (config.access_log.format != config::AccessFormat::off) {
    const std::string& path = config.access_log.path;
    auto opened = watch::AccessFile::open(path.empty() ? path : config.resolve(path), *log);
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().detail.c_str());
      return kConfigurationStatus;
    }
    access = std::move(*opened);
  }

  std::atomic<unsigned> serving{0};
  serve::WorkersOptions workers;
  workers.count = static_cast<unsigned>(config.balancer.workers);
  workers.process = config.process;
  workers.drain_time = config.balancer.drain_timeout;
  for (const config::Listener& listener : config.listeners) workers.listener_names.push_back(listener.name);
  if (door) workers.listener_names.push_back("admin");
  workers.on_reopen = [&access] {
    if (access) access->reopen();
  };
  return serve::run_workers(
      workers, *log, [&](io::World& world, unsigned number, serve::Colleagues& colleagues) {
        const Surroundings around{&colleagues, access.get(), door ? &*door : nullptr, &serving};
        return std::make_unique<Worker>(world, *plan, number, around);
      });
}

}  // namespace rejoin::balancer
