// The parts list of the gateway as a program: configuration, keys, log, workers.
#include "apps/gateway/gateway.h"

#include <cstdio>
#include <vector>

#include "apps/config/config.h"
#include "apps/config/keys.h"
#include "apps/config/named_files.h"
#include "apps/config/secret.h"
#include "apps/config/tls_files.h"
#include "apps/gateway/worker.h"
#include "apps/serve/access.h"
#include "apps/serve/workers.h"
#include "base/log.h"

namespace rejoin::gateway {
namespace {

constexpr int kConfigurationStatus = 2;

void print(const std::vector<config::Diagnostic>& diagnostics) {
  for (const config::Diagnostic& diagnostic : diagnostics)
    std::fprintf(stderr, "%s\n", diagnostic.text().c_str());
}

bool is_loopback(const Address& address) {
  if (address.family == Address::Family::ipv4) return address.ip[0] == 127;
  return address == *Address::parse_ip("::1", address.port);
}

/// spec/resume.md, section 1: who listens to a link without TLS learns what is needed to take the session.
void say_what_is_in_the_clear(const config::Gateway& rules, Log& log) {
  for (const config::GatewayListener& it : rules.listeners) {
    if (it.tls) continue;
    const std::string what =
        "listener " + it.name + " has no TLS: who listens on the way to it can read and take over sessions";
    if (is_loopback(it.listen)) {
      log.info(what + " (it is on loopback)");
    } else {
      log.warn(what +
               "; write tls = { certificate = ..., key = ... }, or keep the network before it to yourself");
    }
  }
  const auto leaves = [](const Address& to) { return to && !is_loopback(to); };
  for (const config::PeerGateway& it : rules.peers) {
    if (it.tls || it.name == rules.name || (!leaves(it.websocket) && !leaves(it.tcp))) continue;
    log.warn(
        "peer " + it.name +
        " is dialled without TLS: who listens on the way to it can read and take over sessions; write tls = "
        "{ ca = ..., name = ... }, or keep the network between to yourselves");
  }
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
  const std::vector<config::Diagnostic> files =
      config::check_named_files(reading.config, config::FilesOf::gateway);
  print(files);
  if (config::has_errors(files)) return kConfigurationStatus;
  SystemRandom random;
  config::KeyReading keys = config::load_keys(reading.config, random, config::AbsentKey::make);
  print(keys.diagnostics);
  if (!keys.ok()) return kConfigurationStatus;

  config::SecretReading token;
  if (reading.config.admin) token = load_admin_token(reading.config, *reading.config.admin, "admin");
  print(token.diagnostics);
  if (!token.ok()) return kConfigurationStatus;

  const std::unique_ptr<Log> log =
      make_stderr_log("gateway " + reading.config.gateway->name, reading.config.log.level);
  if (reading.config.keys.seal.empty())
    log->warn("no [keys]: tickets are sealed with a random key, which no balancer has");
  Result<Plan> plan = make_plan(reading.config, std::move(*keys.ring), random);
  if (!plan) {
    std::fprintf(stderr, "%s: %s\n", options.config_file.c_str(), plan.error().detail.c_str());
    return kConfigurationStatus;
  }

  const config::TlsReading tls = config::load_tls(reading.config, plan->tickets, SystemClock().unix_now());
  print(tls.diagnostics);
  if (!tls.ok()) return kConfigurationStatus;
  use_tls(*plan, tls.contexts);
  say_what_is_in_the_clear(plan->rules, *log);

  if (plan->admin) plan->admin->token = std::move(token.secret);
  auto opened = serve::open_access_log(reading.config, *log);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().detail.c_str());
    return kConfigurationStatus;
  }
  const std::unique_ptr<watch::AccessFile> access = std::move(*opened);
  serve::WorkersOptions workers;
  workers.count = static_cast<unsigned>(plan->rules.workers);
  workers.process = reading.config.process;
  workers.drain_time = plan->rules.drain_timeout;
  // With a random key the next process could not read this one's tickets, and TLS with a game server cannot
  // change its process: then sessions end with the process that has them.
  if (!reading.config.keys.seal.empty() && !plan->game.rules.tls)
    workers.identity = "gateway " + plan->rules.name;
  for (const config::GatewayListener& listener : plan->rules.listeners)
    workers.listener_names.push_back(listener.name);
  if (plan->admin) workers.listener_names.push_back("admin");
  workers.on_reopen = [&access] {
    if (access) access->reopen();
  };
  return serve::run_workers(
      workers, *log, [&](io::World& world, unsigned number, serve::Colleagues& colleagues) {
        return std::make_unique<Worker>(world, *plan, number, &colleagues, access.get());
      });
}

}  // namespace rejoin::gateway
