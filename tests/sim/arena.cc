#include "tests/sim/arena.h"

#include <cstdio>
#include <cstdlib>

namespace rejoin::sim_test {
namespace {

constexpr int kServers = 2;
constexpr std::uint16_t kPlayPort = 80, kWebPort = 81, kTcpPort = 82;

constexpr std::string_view kBalancerConfig = R"(
[[listener]]
name = "play"
listen = "10.0.0.1:80"
pool = "gateways"
tunnel_timeout = "30s"
idle_timeout = "15s"
[[listener]]
name = "web"
listen = "10.0.0.1:81"
pool = "web"
idle_timeout = "15s"
[[listener]]
name = "raw"
listen = "10.0.0.1:82"
mode = "tcp"
pool = "gateways-tcp"
tunnel_timeout = "30s"
[[pool]]
name = "gateways"
affinity = [ { kind = "cookie-insert" } ]
health = { kind = "http", path = "/healthz" }
server = [ { name = "g1", address = "10.0.1.1:8000" }, { name = "g2", address = "10.0.1.2:8000" } ]
[[pool]]
name = "web"
scheduler = "least-connections"
affinity = [ { kind = "cookie-insert" } ]
server = [ { name = "w1", address = "10.0.2.1:8000" }, { name = "w2", address = "10.0.2.2:8000" } ]
[[pool]]
name = "gateways-tcp"
affinity = [ { kind = "source-ip", grace = "2s" } ]
health = { kind = "tcp" }
server = [ { name = "g1", address = "10.0.1.1:8001" }, { name = "g2", address = "10.0.1.2:8001" } ]
)";

void replace_all(std::string& in, std::string_view from, std::string_view to) {
  bool found = false;
  for (std::size_t at = 0; (at = in.find(from, at)) != in.npos; at += to.size()) {
    in.replace(at, from.size(), to);
    found = true;
  }
  if (!found) std::abort();
}

std::string variant_of_config(unsigned variant) {
  std::string text(kBalancerConfig);
  if ((variant & Arena::kServersInAnotherOrder) != 0) {
    replace_all(text,
                R"({ name = "g1", address = "10.0.1.1:8000" }, { name = "g2", address = "10.0.1.2:8000" })",
                R"({ name = "g2", address = "10.0.1.2:8000" }, { name = "g1", address = "10.0.1.1:8000" })");
    replace_all(text,
                R"({ name = "w1", address = "10.0.2.1:8000" }, { name = "w2", address = "10.0.2.2:8000" })",
                R"({ name = "w2", address = "10.0.2.2:8000" }, { name = "w1", address = "10.0.2.1:8000" })");
  }
  if ((variant & Arena::kListenerChanged) != 0)
    replace_all(text, "tunnel_timeout = \"30s\"", "tunnel_timeout = \"31s\"");
  if ((variant & Arena::kServerMore) != 0)
    replace_all(text, "server = [", R"(server = [ { name = "idle", address = "10.0.9.9:1", weight = 0 },)");
  if ((variant & Arena::kOtherWeight) != 0)
    replace_all(text, R"("10.0.2.1:8000")", R"("10.0.2.1:8000", weight = 3)");
  if ((variant & Arena::kOtherLeases) != 0) replace_all(text, "grace = \"2s\"", "grace = \"3s\"");
  if ((variant & Arena::kListenerMore) != 0)
    text.insert(1, "[[listener]]\nname = \"more\"\nlisten = \"10.0.0.1:83\"\npool = \"web\"\n");
  if ((variant & Arena::kPoolMore) != 0)
    replace_all(text, "[[pool]]\nname = \"gateways\"",
                "[[pool]]\nname = \"more\"\nserver = [ { name = \"m\", address = \"10.0.9.9:1\" } ]\n"
                "[[pool]]\nname = \"gateways\"");
  return text;
}

std::string gateway_config(int number) {
  const std::string n = std::to_string(number);
  return "[gateway]\nname = \"g" + n + "\"\nlistener = [ { listen = \"10.0.1." + n +
         ":8000\", kind = \"websocket\" }, { listen = \"10.0.1." + n +
         ":8001\", kind = \"tcp\", protocol = \"plain\" } ]\n";
}

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", to_string(result.error()).c_str());
  std::abort();
}

}  // namespace

Arena::Arena(const ArenaOptions& options)
    : options_(options),
      sim_(options.seed),
      balancer_host_(sim_.add_host({.name = "balancer",
                                    .addresses = {"10.0.0.1"},
                                    .send_buffer_bytes = options.socket_buffer_bytes,
                                    .receive_buffer_bytes = options.socket_buffer_bytes})) {
  if (options_.tls) start_tls();
  start_servers();
  start_balancer();
}

Arena::~Arena() = default;

void Arena::start_servers() {
  for (int i = 1; i <= kServers; ++i) {
    const std::string n = std::to_string(i);
    io::SimHost& host = sim_.add_host({.name = "g" + n, .addresses = {"10.0.1." + n}});
    gateway_hosts_.push_back(&host);
    const config::Config config = must(config::parse_config(gateway_config(i), "g" + n));
    Random& random = host.world().random;
    gateway_plans_.push_back(std::make_unique<gateway::Plan>(
        must(gateway::make_plan(config, route::KeyRing(route::generate_key(random)), random))));
    gateways_.push_back(std::make_unique<gateway::Worker>(host.world(), *gateway_plans_.back()));
    if (!gateways_.back()->open({})) std::abort();

    io::SimHost& web_host = sim_.add_host({.name = "w" + n, .addresses = {"10.0.2." + n}});
    web_hosts_.push_back(&web_host);
    io::World* web_world = &web_host.world();
    if (options_.tls) {
      web_tls_.push_back(
          std::make_unique<io::TlsNetwork>(*web_world, io::TlsContexts{.server = tls_server_}));
      web_world = &web_tls_.back()->world();
    }
    web_.push_back(std::make_unique<HttpEcho>(*web_world, web_host.address(8000), "w" + n));
  }
}

// The certificates come from here, not from the files that the configuration names.
void Arena::start_tls() {
  openssl_.emplace(options_.seed);
  io::TestAuthority authority(balancer_host_.world().clock.unix_now());
  const io::TestIdentity identity = authority.issue({.ips = {"10.0.0.1", "10.0.2.1", "10.0.2.2"}});
  tls_client_ = must(io::TlsContext::make(io::TlsClientOptions{.ca_pem = authority.pem()}));
  tls_server_ = must(io::TlsContext::make(
      io::TlsServerOptions{.chain_pem = identity.chain_pem, .key_pem = identity.key_pem}));
}

void Arena::start_balancer() {
  Random& random = balancer_host_.world().random;
  config::Config config = must(config::parse_config(kBalancerConfig, "balancer"));
  if (options_.tls) {
    for (config::Listener& it : config.listeners) it.tls.emplace();
    config.pools[1].tls.emplace();
  }
  plan_ = must(balancer::make_plan(config, route::KeyRing(route::generate_key(random)), random));
  if (options_.tls)
    use_tls(*plan_, {.listeners = {tls_server_, tls_server_, tls_server_},
                     .gateway_listeners = {},
                     .pools = {nullptr, tls_client_, nullptr},
                     .probes = {nullptr, tls_client_, nullptr},
                     .upstream = nullptr,
                     .upstream_probes = nullptr});
  balancer_ = std::make_unique<balancer::Worker>(balancer_host_.world(), plan_, 0);
  if (!balancer_->open({})) std::abort();
}

void Arena::reload(unsigned variant, Reload how) {
  const config::Config config = must(config::parse_config(variant_of_config(variant), "balancer"));
  const std::shared_ptr<const balancer::Plan> before = balancer_->generation()->plan;
  plan_ = must(balancer::make_plan(config, before->keys, balancer_host_.world().random, before.get()));
  if (!balancer_->prepare(plan_, {})) std::abort();
  if (how == Reload::abandon) return balancer_->abandon();
  take_effect(*plan_, *before);
  balancer_->commit();
}

bool Arena::play() {
  sim_.set_faults(options_.faults);
  using Player = Task<void> (*)(io::World&, PlayerOptions, Stop&, Tally&);
  const struct {
    Player play;
    std::uint16_t port;
  } kinds[] = {{websocket_player, kPlayPort}, {http_player, kWebPort}, {tcp_player, kTcpPort}};
  std::uint64_t number = 0;
  for (const auto& kind : kinds) {
    for (int i = 0; i < options_.players_of_each_kind; ++i) {
      ++number;
      io::SimHost& host = sim_.add_host({.name = "client" + std::to_string(number),
                                         .addresses = {"10.1.0." + std::to_string(number)},
                                         .send_buffer_bytes = options_.socket_buffer_bytes,
                                         .receive_buffer_bytes = options_.socket_buffer_bytes});
      client_hosts_.push_back(&host);
      clients_.push_back(std::make_unique<Client>(host.world(), tls_client_));
      PlayerOptions player = options_.player;
      player.to = balancer_host_.address(kind.port);
      player.number = number;
      Client& client = *clients_.back();
      io::World& world = client.tls ? client.tls->world() : host.world();
      client.scope.spawn(kind.play(world, player, client.stop, tally_));
    }
  }
  const auto all_done = [this] {
    for (const auto& client : clients_) {
      if (client->scope.running() != 0) return false;
    }
    return true;
  };
  const bool done = sim_.run_until(all_done, 600s);
  sim_.heal();
  return done;
}

std::string Arena::end() {
  for (auto& client : clients_) client->stop.request();
  sim_.run_for(1s);
  // The balancer drains first, then is stopped, as after SIGTERM.
  balancer_->drain();
  sim_.run_until([this] { return balancer_->idle(); }, 5s);
  balancer_->stop();
  std::string wrong;
  if (!sim_.run_until([this] { return balancer_->idle(); }, 5s)) wrong += "the balancer did not end\n";
  for (auto& web : web_) web->stop();
  for (auto& gateway : gateways_) gateway->drain();
  for (auto& gateway : gateways_) gateway->stop();
  sim_.run_for(5s);
  for (auto& gateway : gateways_) {
    if (!gateway->idle()) wrong += "a gateway did not end\n";
  }
  for (auto& web : web_) {
    if (!web->idle()) wrong += "a web server did not end\n";
  }
  if (!wrong.empty()) return wrong;
  balancer_.reset();
  gateways_.clear();
  web_.clear();
  web_tls_.clear();
  clients_.clear();
  sim_.run_for(1s);
  return sim_.leftovers_text();
}

}  // namespace rejoin::sim_test
