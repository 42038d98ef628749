// Everything in one thread: a balancer, gateways and HTTP servers behind it, and clients of three kinds, on a
// simulated network with faults from a seed. Tests make one, play(), and look at the tally; end() checks that
// nothing is left.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/balancer/plan.h"
#include "apps/balancer/worker.h"
#include "apps/config/config.h"
#include "apps/gateway/plan.h"
#include "apps/gateway/worker.h"
#include "base/scope.h"
#include "io/sim_network.h"
#include "io/tls_network.h"
#include "io/tls_test_certificates.h"
#include "io/tls_test_random.h"
#include "tests/sim/http_echo.h"
#include "tests/sim/players.h"

namespace rejoin::sim_test {

struct ArenaOptions {
  std::uint64_t seed = 1;
  io::Faults faults{};
  int players_of_each_kind = 3;
  PlayerOptions player{};
  /// Small socket buffers, so that back-pressure happens.
  std::size_t socket_buffer_bytes = 8 * 1024;
  /// Every listener of the balancer, and the web servers.
  bool tls = false;
};

class Arena {
 public:
  explicit Arena(const ArenaOptions& options);
  ~Arena();

  io::Simulation& sim() { return sim_; }
  balancer::Worker& balancer() { return *balancer_; }
  HttpEcho& web(std::size_t i) { return *web_[i]; }
  io::SimHost& gateway_host(std::size_t i) { return *gateway_hosts_[i]; }
  const Tally& tally() const { return tally_; }

  /// What may change in the balancer's configuration under players who must not notice. Bits of a variant.
  static constexpr unsigned kServersInAnotherOrder = 1, kListenerChanged = 2, kListenerMore = 4,
                            kServerMore = 8, kOtherWeight = 16, kOtherLeases = 32, kPoolMore = 64,
                            kVariants = 128;
  enum class Reload { commit, abandon };
  /// The balancer goes over to a variant of its configuration; or only prepares to.
  void reload(unsigned variant, Reload how = Reload::commit);

  /// Starts the players and runs until all of them are done (faults on), then heals. False: some never ended.
  bool play();
  /// Ends clients, then the balancer, then servers, and says what any of them left behind; empty when
  /// nothing.
  std::string end();

 private:
  void start_servers();
  void start_balancer();
  void start_tls();

  ArenaOptions options_;
  std::optional<io::SeededOpenssl> openssl_;
  io::Simulation sim_;
  std::shared_ptr<const io::TlsContext> tls_client_, tls_server_;
  std::vector<std::unique_ptr<io::TlsNetwork>> web_tls_;
  io::SimHost& balancer_host_;
  std::vector<io::SimHost*> gateway_hosts_, web_hosts_, client_hosts_;
  std::vector<std::unique_ptr<gateway::Plan>> gateway_plans_;
  std::vector<std::unique_ptr<gateway::Worker>> gateways_;
  std::vector<std::unique_ptr<HttpEcho>> web_;
  std::shared_ptr<const balancer::Plan> plan_;
  std::unique_ptr<balancer::Worker> balancer_;

  struct Client {
    Client(io::World& plain, const std::shared_ptr<const io::TlsContext>& trust) : scope(plain.ready) {
      if (trust) tls.emplace(plain, io::TlsContexts{.client = trust});
    }
    std::optional<io::TlsNetwork> tls;
    Stop stop;
    Scope scope;
  };
  std::vector<std::unique_ptr<Client>> clients_;
  Tally tally_;
};

}  // namespace rejoin::sim_test
