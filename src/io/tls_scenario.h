// What the tests of TLS stand on: a simulated server and client whose hosts speak TLS, certificates, and a
// peer that does with OpenSSL what ours never would.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>

#include "io/network_contract.h"
#include "io/sim_network.h"
#include "io/tls_network.h"
#include "io/tls_test_certificates.h"

namespace rejoin::io {

inline std::shared_ptr<const TlsContext> server_context(const TestIdentity& identity,
                                                        std::vector<std::string> alpn = {}) {
  auto made = TlsContext::make(TlsServerOptions{
      .chain_pem = identity.chain_pem, .key_pem = identity.key_pem, .alpn = std::move(alpn)});
  EXPECT_TRUE(made) << to_string(made.error());
  return *made;
}
inline std::shared_ptr<const TlsContext> client_context(const std::string& ca_pem,
                                                        std::vector<std::string> alpn = {}) {
  auto made = TlsContext::make(TlsClientOptions{.ca_pem = ca_pem, .alpn = std::move(alpn)});
  EXPECT_TRUE(made) << to_string(made.error());
  return *made;
}

/// OpenSSL by hand over a plain socket: memory BIOs, and everything allowed. What it wants to send leaves by
/// itself, or as many bytes as the test lets out.
class RawTls final : public SocketEvents {
 public:
  enum class Side { client, server };

  /// `change` may set what it likes before the handshake begins. `identity`: of a server.
  RawTls(Socket plain, Side side, const TestIdentity* identity,
         const std::function<void(SSL_CTX*)>& change = {})
      : socket_(std::move(plain)), context_(SSL_CTX_new(TLS_method())) {
    SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
    if (identity != nullptr) use(*identity);
    if (change) change(context_);
    ssl = SSL_new(context_);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    side == Side::client ? SSL_set_connect_state(ssl) : SSL_set_accept_state(ssl);
    socket_.set_events(this);
    socket_.read_again();
  }
  ~RawTls() {
    SSL_free(ssl);
    SSL_CTX_free(context_);
  }
  RawTls(const RawTls&) = delete;
  RawTls& operator=(const RawTls&) = delete;

  void on_ready(Ready) override { pump(); }
  void pump() {
    while (reads && socket_ && socket_.may_read()) {
      const ReadResult got = socket_.read();
      if (got.state == ReadResult::State::ended) ended = true;
      if (got.state == ReadResult::State::failed) failed = true;
      if (!got.got()) break;
      BIO_write(SSL_get_rbio(ssl), got.bytes.data(), static_cast<int>(got.bytes.size()));
    }
    char block[20'000];
    for (;;) {
      ERR_clear_error();
      const int got = SSL_read(ssl, block, sizeof block);
      if (got > 0) received.append(block, static_cast<std::size_t>(got));
      if (got > 0) continue;
      const int error = SSL_get_error(ssl, got);
      if (error == SSL_ERROR_SSL && reason.empty()) {
        const char* text = ERR_reason_error_string(ERR_peek_error());
        reason = text == nullptr ? "?" : text;
      }
      break;
    }
    flush();
  }
  void send(Bytes bytes) {
    EXPECT_GT(SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())), 0);
    flush();
  }
  /// Past TLS, as it is.
  void send_raw(Bytes bytes) {
    out_.append(bytes);
    flush();
  }
  void flush() {
    char block[20'000];
    for (int got = 0; (got = BIO_read(SSL_get_wbio(ssl), block, sizeof block)) > 0;) {
      out_.append(block, static_cast<std::size_t>(got));
    }
    const std::size_t most = std::min(out_.size(), let_out);
    if (!socket_ || most == 0) return;
    const WriteResult done = socket_.write(Bytes(out_).substr(0, most));
    out_.erase(0, done.taken);
    let_out -= done.taken;
  }
  bool open() const { return SSL_is_init_finished(ssl) == 1; }
  std::size_t unsent() const { return out_.size(); }
  Socket& socket() { return socket_; }

  SSL* ssl;
  std::string received, reason;
  std::size_t let_out = SIZE_MAX;  // how many bytes may still leave
  bool reads = true;
  bool ended = false, failed = false;

 private:
  void use(const TestIdentity& identity) {
    BIO* chain = BIO_new_mem_buf(identity.chain_pem.data(), static_cast<int>(identity.chain_pem.size()));
    BIO* key = BIO_new_mem_buf(identity.key_pem.data(), static_cast<int>(identity.key_pem.size()));
    X509* certificate = PEM_read_bio_X509(chain, nullptr, nullptr, nullptr);
    EVP_PKEY* secret = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(context_, certificate);
    SSL_CTX_use_PrivateKey(context_, secret);
    EVP_PKEY_free(secret);
    X509_free(certificate);
    BIO_free(key);
    BIO_free(chain);
  }

  Socket socket_;
  SSL_CTX* context_;
  std::string out_;
};

/// A server and a client host. Both ends are ours unless a test listens, or dials, in the clear.
class TlsTest : public testing::Test {
 protected:
  using End = contract::End;
  static constexpr std::uint16_t kPort = 443;

  TlsTest() { use_identity(authority.issue({.names = {"play.example"}, .ips = {"10.0.0.1"}})); }

  void use_identity(const TestIdentity& given) {
    identity = given;
    server_tls->use({.server = server_context(identity)});
  }
  void listen(const ListenOptions& options = {}) {
    auto made = server_tls->listen(server_host.address(kPort), options, acceptor);
    ASSERT_TRUE(made) << to_string(made.error());
    listener = std::move(*made);
  }
  End& dial(const std::string& name = "play.example") {
    auto made = client_tls->connect(server_host.address(kPort), {.server_name = name});
    EXPECT_TRUE(made) << to_string(made.error());
    clients.push_back(std::make_unique<End>(std::move(*made)));
    return *clients.back();
  }
  /// What a dial comes to: "open", or what is wrong.
  std::string outcome(End& end) {
    if (!run_until([&] { return end.writable > 0; })) return "nothing";
    const Status open = end.socket.connect_status();
    return open ? "open" : to_string(open.error());
  }
  /// An open connection: clients.back() and acceptor.ends.back().
  void connect(const std::string& name = "play.example") {
    const std::size_t accepted = acceptor.ends.size();
    ASSERT_EQ(outcome(dial(name)), "open");
    ASSERT_TRUE(
        run_until([&] { return acceptor.ends.size() > accepted && server_tls->info(server().socket).open; }));
  }
  End& client() { return *clients.back(); }
  End& server() { return *acceptor.ends.back(); }
  TlsInfo info() { return client_tls->info(client().socket); }
  /// "x" goes there and comes back.
  bool echoes() {
    const std::size_t there = server().received.size(), back = client().received.size();
    if (client().write("x").taken != 1) return false;
    if (!run_until([&] { return server().drain(), server().received.size() > there; })) return false;
    if (server().write("x").taken != 1) return false;
    return run_until([&] { return client().drain(), client().received.size() > back; });
  }
  void write_all(End& end, Bytes bytes) {
    while (!bytes.empty()) {
      ASSERT_TRUE(run_until([&] { return end.socket.may_write(); }));
      const WriteResult done = end.write(bytes);
      ASSERT_EQ(done.errnum, 0);
      bytes.remove_prefix(done.taken);
    }
  }
  bool run_until(const std::function<bool()>& done, Duration at_most = 20s) {
    return sim.run_until(done, at_most);
  }

  // A raw peer in the place of one of ours.
  void listen_raw() {
    auto made = server_host.network().listen(server_host.address(kPort), {}, plain_acceptor);
    ASSERT_TRUE(made);
    listener = std::move(*made);
  }
  /// Ours dials, `raw` answers.
  void dial_raw_server(const std::function<void(SSL_CTX*)>& change = {}) {
    if (!listener) listen_raw();
    const std::size_t before = plain_acceptor.ends.size();
    dial();
    ASSERT_TRUE(run_until([&] { return plain_acceptor.ends.size() > before; }));
    raw = std::make_unique<RawTls>(std::move(plain_acceptor.ends.back()->socket), RawTls::Side::server,
                                   &identity, change);
  }
  /// The same, and it is open on both sides.
  void connect_raw_server(const std::function<void(SSL_CTX*)>& change = {}) {
    dial_raw_server(change);
    ASSERT_EQ(outcome(client()), "open");
    ASSERT_TRUE(run_until([&] { return raw->open(); }));
    client().drain();
  }
  /// `raw` dials, ours answers.
  void dial_raw_client(const std::function<void(SSL_CTX*)>& change = {}) {
    if (!listener) listen();
    const std::size_t before = acceptor.ends.size();
    auto made = client_host.network().connect(server_host.address(kPort), {});
    ASSERT_TRUE(made);
    ASSERT_TRUE(run_until([&] { return made->may_write(); }));
    raw = std::make_unique<RawTls>(std::move(*made), RawTls::Side::client, nullptr, change);
    ASSERT_TRUE(run_until([&] { return acceptor.ends.size() > before; }));
  }
  void connect_raw_client(const std::function<void(SSL_CTX*)>& change = {}) {
    dial_raw_client(change);
    ASSERT_TRUE(run_until([&] { return raw->open() && server_tls->info(server().socket).open; }));
    server().drain();
  }

  void TearDown() override {
    raw.reset();
    clients.clear();
    acceptor.ends.clear();
    plain_acceptor.ends.clear();
    listener.reset();
    EXPECT_EQ(client_tls->open_sockets(), 0u);
    EXPECT_EQ(server_tls->open_sockets(), 0u);
    sim.heal();
    EXPECT_TRUE(run_until([&] { return client_tls->lingering() + server_tls->lingering() == 0; }, 2s));
    EXPECT_EQ(sim.leftovers_text(), "");
    sim.run_for(30min);
    EXPECT_EQ(sim.connections(), 0u);
  }

  Simulation sim{1};
  SimHost& server_host = sim.add_host({.name = "server", .addresses = {"10.0.0.1"}});
  SimHost& client_host = sim.add_host({.name = "client", .addresses = {"10.0.0.2"}});
  TestAuthority authority{client_host.world().clock.unix_now()};
  TestIdentity identity;
  std::unique_ptr<TlsNetwork> server_tls = std::make_unique<TlsNetwork>(server_host.world(), TlsContexts{});
  std::unique_ptr<TlsNetwork> client_tls = std::make_unique<TlsNetwork>(
      client_host.world(), TlsContexts{.client = client_context(authority.pem())});
  contract::Acceptor acceptor, plain_acceptor;
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<End>> clients;
  std::unique_ptr<RawTls> raw;
};

}  // namespace rejoin::io
