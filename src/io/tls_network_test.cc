// The contract of Network over TLS, on the simulation and on the kernel's loopback.
#include "io/tls_network.h"

#include <gtest/gtest.h>

#include "io/network_hosts.h"
#include "io/tls_test_certificates.h"

namespace rejoin::io {
namespace {

/// Both ends of `Hosts` speak TLS.
template <typename Hosts>
class TlsHosts final : public TwoHosts {
 public:
  template <typename... Arguments>
  explicit TlsHosts(Arguments&&... arguments) : inner_(std::forward<Arguments>(arguments)...) {
    TestAuthority authority(inner_.client_world().clock.unix_now());
    const TestIdentity identity = authority.issue({.ips = {"10.0.0.1", "127.0.0.1"}});
    const TlsContexts contexts{.client = *TlsContext::make(TlsClientOptions{.ca_pem = authority.pem()}),
                               .server = *TlsContext::make(TlsServerOptions{.chain_pem = identity.chain_pem,
                                                                            .key_pem = identity.key_pem})};
    server_ = std::make_unique<TlsNetwork>(inner_.server_world(), contexts);
    client_ = std::make_unique<TlsNetwork>(inner_.client_world(), contexts);
  }
  Network& server() override { return *server_; }
  Network& client() override { return *client_; }
  Address listen_address() override { return inner_.listen_address(); }
  Address client_address(int n) override { return inner_.client_address(n); }
  Address nobody() override { return inner_.nobody(); }
  bool run_until(const std::function<bool()>& done) override { return inner_.run_until(done); }
  void settle() override { inner_.settle(); }
  void let_kernels_work() override { inner_.let_kernels_work(); }
  bool leave_descriptors(std::size_t count) override { return inner_.leave_descriptors(count); }
  void give_back_descriptors() override { inner_.give_back_descriptors(); }
  bool clients_are_never_silent() const override { return true; }

 private:
  Hosts inner_;
  std::unique_ptr<TlsNetwork> server_, client_;
};

NetworkMaker rough(std::uint64_t seed) {
  return {"rough" + std::to_string(seed), [seed] {
            return std::make_unique<TlsHosts<SimHosts>>(seed, Faults::harmless(), rough_buffers(seed));
          }};
}

INSTANTIATE_TEST_SUITE_P(
    Tls, NetworkContract,
    testing::Values(NetworkMaker{"calm", [] { return std::make_unique<TlsHosts<SimHosts>>(); }}, rough(1),
                    rough(2), rough(3), rough(4),
                    NetworkMaker{"loopback", [] { return std::make_unique<TlsHosts<LoopbackHosts>>(); }}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace rejoin::io
