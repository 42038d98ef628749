// The parts list of the balancer as a program: configuration, keys, plan, workers.
#include "apps/balancer/balancer.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <optional>

#include "apps/balancer/bequest.h"
#include "apps/balancer/discovery.h"
#include "apps/balancer/knowledge.h"
#include "apps/balancer/legacy.h"
#include "apps/balancer/operate.h"
#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "apps/config/keys.h"
#include "apps/config/named_files.h"
#include "apps/config/secret.h"
#include "apps/config/tls_files.h"
#include "apps/serve/access.h"
#include "apps/serve/inheritance.h"
#include "apps/serve/workers.h"
#include "base/log.h"
#include "base/random.h"
#include "base/scope.h"
#include "io/epoll_loop.h"
#include "upstream/resolver.h"

namespace rejoin::balancer {
namespace {

constexpr int kConfigurationStatus = 2;

void print(const std::vector<config::Diagnostic>& diagnostics) {
  for (const config::Diagnostic& diagnostic : diagnostics)
    std::fprintf(stderr, "%s\n", diagnostic.text().c_str());
}

/// nullptr: it could not be made, and the log says why.
std::unique_ptr<upstream::Names> names_of(const config::Dns& dns, io::KernelLoop& loop, io::World& world,
                                          Stop& stop) {
  upstream::ResolverRules rules;
  rules.timeout = dns.timeout;
  rules.tries = dns.tries;
  for (const std::string& server : dns.servers) {
    const auto address = Address::parse(server);
    rules.servers.push_back(address ? *address : *Address::parse_ip(server));
  }
  auto resolver = upstream::Resolver::make(loop, world, rules, stop);
  if (resolver) return std::move(*resolver);
  world.log.error(to_string(resolver.error()));
  return nullptr;
}

/// What the names of the configuration mean, before anybody is served; `known` from before is taken as it is.
/// Who is not known yet is asked for again while serving.
KnownNames first_answers(const config::Config& config, KnownNames known, Log& log) {
  const bool any = std::any_of(config.pools.begin(), config.pools.end(), [](const config::Pool& pool) {
    return std::any_of(pool.servers.begin(), pool.servers.end(),
                       [](const config::Server& it) { return !it.resolve.empty(); });
  });
  if (!any) return {};
  auto loop = io::EpollLoop::make(log);
  if (!loop) return known;
  SystemRandom random;
  io::World world = (*loop)->world(random, log);
  Stop stop;
  const std::unique_ptr<upstream::Names> names = names_of(config.dns, **loop, world, stop);
  Discovery discovery(world, names.get(), stop, std::move(known));
  Scope asking(world.ready);
  asking.spawn(discovery.learn(config));
  (*loop)->turn(Duration(0));  // where all is known already nothing would end a longer one
  while (asking.running() != 0) (*loop)->turn(1h);
  return discovery.known();
}

/// What the process before us knew; nothing: there is none, or it cannot be understood.
Knowledge knowledge_from(Bytes legacy, Log& log) {
  const LegacySections sections = sections_of(legacy);
  for (const std::string& line : sections.skipped) log.warn("of what the process before leaves: " + line);
  std::optional<KnowledgeReading> reading = read_knowledge(sections.knowledge);
  if (!reading) {
    log.warn("what the process before knew cannot be read: servers are probed anew, words are forgotten");
    return {};
  }
  if (reading->left_out != 0)
    log.warn("of what the process before knew " + std::to_string(reading->left_out) +
             " records cannot be read and are forgotten");
  return std::move(reading->knowledge);
}

/// What the workers begin with.
struct Beginning {
  std::shared_ptr<const Plan> plan;
  KnownNames names;
  RuntimeServers runtime;
  DrainEnds drain_ends;
};

/// From the file, and from what the process before us knew. Keys of that one which we do not use are gone
/// when it returns. Error: config.
Result<Beginning> begin_from(const config::Config& config, const route::KeyRing& ours, Bytes legacy,
                             Random& random, Log& log) {
  Knowledge before = knowledge_from(legacy, log);
  Beginning out;
  out.runtime = RuntimeServers(std::move(before.words));
  for (const std::string& line : out.runtime.settle(config)) log.info(line);
  const config::Config meant = out.runtime.over(config);
  out.names = first_answers(meant, std::move(before.names), log);
  auto plan = make_plan(with_known_names(meant, out.names), keys_to_use(before, config, ours), random);
  if (!plan) return std::move(plan.error());
  out.plan = std::move(*plan);
  TakenOver taken = take_over(before, *out.plan, SystemClock().now());
  for (const std::string& line : taken.over) log.info(line);
  if (before.taken_at != 0) {
    const bool key = config.keys.seal.empty() && !before.made_up_keys.empty();
    log.info("from the process before: the state of " + std::to_string(taken.servers) + " servers, " +
             std::to_string(out.runtime.words().size()) + " added, moved or removed" +
             (key ? ", the key of cookies" : "") + (taken.tickets ? ", the keys of TLS tickets" : ""));
  }
  out.drain_ends = std::move(taken.drain_ends);
  return out;
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
  const std::vector<config::Diagnostic> files = config::check_named_files(config, config::FilesOf::balancer);
  print(files);
  if (config::has_errors(files)) return kConfigurationStatus;
  SystemRandom random;
  config::KeyReading keys = config::load_keys(config, random, config::AbsentKey::make);
  print(keys.diagnostics);
  if (!keys.ok()) return kConfigurationStatus;

  const std::unique_ptr<Log> log = make_stderr_log("balancer", config.log.level);
  if (config.keys.seal.empty())
    log->warn("no [keys]: cookies are sealed with a random key and will not open after a restart");
  serve::Inheritance inheritance = serve::Inheritance::from_environment(*log);
  const Result<Beginning> beginning = begin_from(config, *keys.ring, inheritance.legacy(), random, *log);
  if (!beginning) {
    std::fprintf(stderr, "%s: %s\n", options.config_file.c_str(), beginning.error().detail.c_str());
    return kConfigurationStatus;
  }
  const std::shared_ptr<const Plan>& plan = beginning->plan;

  const config::TlsReading tls = config::load_tls(config, plan->tickets, SystemClock().unix_now());
  print(tls.diagnostics);
  if (!tls.ok()) return kConfigurationStatus;
  use_tls(*plan, tls.contexts);

  std::optional<watch::AdminDoor> door;
  const config::Admin* const admin = config.admin_of_balancer();
  if (admin != nullptr) {
    config::SecretReading token =
        load_admin_token(config, *admin, config.balancer.admin ? "balancer.admin" : "admin");
    print(token.diagnostics);
    if (!token.ok()) return kConfigurationStatus;
    door = watch::AdminDoor{admin->listen, std::move(token.secret)};
  }
  auto opened = serve::open_access_log(config, *log);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().detail.c_str());
    return kConfigurationStatus;
  }
  const std::unique_ptr<watch::AccessFile> access = std::move(*opened);

  std::atomic<unsigned> serving{0};
  serve::WorkersOptions workers;
  workers.count = static_cast<unsigned>(config.balancer.workers);
  workers.process = config.process;
  workers.drain_time = config.balancer.drain_timeout;
  workers.upgrade_time = config.balancer.upgrade_timeout;
  for (const config::Listener& listener : config.listeners) {
    workers.listener_names.push_back(listener.name);
    workers.listener_addresses.push_back(listener.listen);
  }
  if (door) workers.listener_names.push_back("admin");
  workers.on_reopen = [&access] {
    if (access) access->reopen();
  };
  return serve::run_workers(
      workers, std::move(inheritance), *log,
      [&](io::World& world, unsigned number, serve::Colleagues& colleagues) {
        const Surroundings around{&colleagues, access.get(), door ? &*door : nullptr, &serving};
        auto worker = std::make_unique<Worker>(world, plan, number, around);
        if (number != 0) return worker;
        Operations::Start start{config, beginning->names, {}, beginning->runtime, beginning->drain_ends};
        start.names = [&](Stop& stop) { return names_of(config.dns, *colleagues.loop_of(0), world, stop); };
        worker->be_operated_by(std::make_unique<Operations>(*worker, &colleagues, std::move(start)));
        return worker;
      });
}

}  // namespace rejoin::balancer
