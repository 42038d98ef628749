#include "apps/check/check.h"

#include <cstdio>
#include <optional>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/keys.h"
#include "apps/config/named_files.h"
#include "apps/config/reference.h"
#include "apps/config/secret.h"
#include "apps/config/tls_files.h"
#include "base/clock.h"

namespace rejoin::check {
namespace {

std::string count(std::size_t number, const std::string& thing) {
  return std::to_string(number) + ' ' + thing + (number == 1 ? "" : "s");
}

std::string summary(const config::Config& config) {
  std::string out;
  if (!config.listeners.empty() || !config.pools.empty()) {
    std::size_t servers = 0;
    for (const config::Pool& pool : config.pools) servers += pool.servers.size();
    out = count(config.listeners.size(), "listener") + ", " + count(config.pools.size(), "pool") + ", " +
          count(servers, "server");
  }
  if (config.gateway) {
    if (!out.empty()) out += "; ";
    out += "gateway " + config.gateway->name + " with " + count(config.gateway->listeners.size(), "listener");
  }
  return out;
}

}  // namespace

Outcome check_file(const std::string& path) {
  config::Reading reading = config::read_config_file(path);
  if (reading.ok()) {
    const auto add = [&](const std::vector<config::Diagnostic>& more) {
      reading.diagnostics.insert(reading.diagnostics.end(), more.begin(), more.end());
    };
    SystemRandom random;
    add(config::load_keys(reading.config, random, config::AbsentKey::report).diagnostics);
    add(config::load_tls(reading.config, nullptr, SystemClock().unix_now()).diagnostics);
    add(config::check_named_files(reading.config, config::FilesOf::both));
    const config::Admin* const admin = reading.config.admin_of_balancer();
    const std::optional<config::Admin>& common = reading.config.admin;
    if (common) add(config::load_admin_token(reading.config, *common, "admin").diagnostics);
    if (admin != nullptr && (!common || admin != &*common))
      add(config::load_admin_token(reading.config, *admin, "balancer.admin").diagnostics);
    config::sort_by_place(reading.diagnostics);
  }
  Outcome outcome;
  outcome.err = config::to_text(reading.diagnostics);
  if (reading.ok()) {
    outcome.out = path + ": ok (" + summary(reading.config) + ")\n";
  } else {
    outcome.status = 2;
  }
  return outcome;
}

int run_check(const CheckOptions& options) {
  const Outcome outcome = options.task == Task::reference ? Outcome{0, config::reference_markdown(), {}}
                                                          : check_file(options.config_file);
  std::fputs(outcome.err.c_str(), stderr);
  std::fputs(outcome.out.c_str(), stdout);
  return outcome.status;
}

}  // namespace rejoin::check
