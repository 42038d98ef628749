// What a server may be asked for beyond one certificate: names, resumption over processes and periods,
// clients' certificates; and connections that go to another thread.
#include <gtest/gtest.h>

#include "io/tls_certificates.h"
#include "io/tls_scenario.h"

namespace rejoin::io {
namespace {

std::shared_ptr<TlsTicketKeys> ticket_keys(unsigned char process, unsigned char fleet = 1,
                                           Duration lifetime = 2h) {
  TlsTicketKeys::Secret shared, own;
  shared.bytes.fill(fleet);
  own.bytes.fill(process);
  return std::make_shared<TlsTicketKeys>(std::vector{shared}, own, lifetime);
}

class TlsServer : public TlsTest {
 protected:
  std::shared_ptr<const TlsContext> context(TlsServerOptions options) {
    if (options.chain_pem.empty()) {
      options.chain_pem = identity.chain_pem;
      options.key_pem = identity.key_pem;
    }
    auto made = TlsContext::make(options);
    EXPECT_TRUE(made) << to_string(made.error());
    return made ? *made : nullptr;
  }
  void serve(TlsServerOptions options) {
    server_tls->use({.server = context(std::move(options))});
    if (!listener) listen();
  }
  /// The names of the certificate that a client of this name is shown, whatever it thinks of it.
  std::string shown(const std::string& name, const std::function<void(SSL_CTX*)>& change = {}) {
    auto plain = client_host.network().connect(server_host.address(kPort), {});
    EXPECT_TRUE(run_until([&] { return plain->may_write(); }));
    RawTls peer(std::move(*plain), RawTls::Side::client, nullptr, change);
    if (!name.empty()) SSL_set_tlsext_host_name(peer.ssl, name.c_str());
    EXPECT_TRUE(run_until([&] { return peer.open() || !peer.reason.empty() || peer.failed || peer.ended; }));
    if (!peer.open()) return peer.reason;
    std::string out;
    for (const std::string& one : dns_names_of(SSL_get0_peer_certificate(peer.ssl)))
      out += (out.empty() ? "" : " ") + one;
    const int kind = EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(peer.ssl)));
    return out + (kind == EVP_PKEY_EC ? " (P-256)" : "");
  }
  /// Dials and says whether the session of before was resumed; a byte goes both ways, so that tickets arrive.
  bool resumes(const std::string& name = "play.example") {
    connect(name);
    EXPECT_TRUE(echoes());
    return info().resumed;
  }
  /// Dials, and says what the server then knows of the client.
  TlsInfo seen_by_server() {
    const std::size_t accepted = acceptor.ends.size();
    dial();
    EXPECT_TRUE(run_until([&] { return acceptor.ends.size() > accepted; }));
    EXPECT_TRUE(run_until([&] {
      server().drain();
      return server_tls->info(server().socket).open || server().failed_with != 0;
    }));
    return server_tls->info(server().socket);
  }
  /// Clients show this from now on, and have no session.
  void show(const TestIdentity* who) {
    TlsClientOptions options{.ca_pem = authority.pem()};
    if (who != nullptr) options.identity = {who->chain_pem, who->key_pem};
    client_tls->use({.client = *TlsContext::make(options)});
  }
};

TEST_F(TlsServer, a_name_chooses_the_certificate) {
  const TestIdentity first = authority.issue({.names = {"play.example", "www.play.example"}});
  const TestIdentity wild = authority.issue({.names = {"*.play.example", "arena.example"}});
  const TestIdentity exact = authority.issue({.names = {"eu.play.example"}});
  TlsServerOptions options{.chain_pem = first.chain_pem, .key_pem = first.key_pem};
  options.more = {{wild.chain_pem, wild.key_pem}, {exact.chain_pem, exact.key_pem}};
  serve(options);
  const struct {
    const char *name, *shown, *strict;
  } cases[] = {
      {"play.example", "play.example www.play.example", nullptr},
      {"www.play.example", "play.example www.play.example", nullptr},  // exact before the wildcard
      {"us.play.example", "*.play.example arena.example", nullptr},
      {"ARENA.example", "*.play.example arena.example", nullptr},
      {"eu.play.example", "eu.play.example", nullptr},
      {"a.eu.play.example", "play.example www.play.example", "tlsv1 unrecognized name"},
      {"other.example", "play.example www.play.example", "tlsv1 unrecognized name"},
      {"", "play.example www.play.example", "tlsv1 unrecognized name"},
  };
  for (const auto& one : cases) EXPECT_EQ(shown(one.name), one.shown) << one.name;
  options.unknown_name = TlsServerOptions::UnknownName::is_refused;
  serve(options);
  for (const auto& one : cases) EXPECT_EQ(shown(one.name), one.strict ? one.strict : one.shown) << one.name;
  // One certificate alone is as strict.
  options.more.clear();
  serve(options);
  EXPECT_EQ(shown("play.example"), "play.example www.play.example");
  EXPECT_EQ(shown("other.example"), "tlsv1 unrecognized name");
}

TEST_F(TlsServer, two_kinds_of_keys_for_the_same_names) {
  TestAuthority curves(client_host.world().clock.unix_now(), "curves", TestAuthority::Keys::p256);
  const TestIdentity first = authority.issue({.names = {"play.example"}});
  const TestIdentity second = curves.issue({.names = {"play.example"}});
  TlsServerOptions options{.chain_pem = first.chain_pem, .key_pem = first.key_pem};
  options.more = {{second.chain_pem, second.key_pem}};
  serve(options);
  const auto only = [](const char* algorithms) {
    return [algorithms](SSL_CTX* handle) { SSL_CTX_set1_sigalgs_list(handle, algorithms); };
  };
  EXPECT_EQ(shown("play.example", only("ed25519")), "play.example");
  EXPECT_EQ(shown("play.example", only("ECDSA+SHA256")), "play.example (P-256)");
}

TEST_F(TlsServer, what_is_wrong_with_one_of_several_names_it) {
  const TestIdentity other = authority.issue({.names = {"other.example"}});
  const TestIdentity nobody = authority.issue({.ips = {"10.0.0.1"}});
  const struct {
    TlsIdentity second;
    std::string wanted;
  } cases[] = {
      {{other.chain_pem, identity.key_pem}, "certificate 2: key: it does not belong to the certificate"},
      {{"", other.key_pem}, "certificate 2: certificate chain: there is no certificate in it"},
      {{nobody.chain_pem, nobody.key_pem},
       "certificate 2: certificate: it is for no DNS name, so no client could ask for it"},
  };
  for (const auto& one : cases) {
    TlsServerOptions options{.chain_pem = identity.chain_pem, .key_pem = identity.key_pem};
    options.more = {one.second};
    const auto made = TlsContext::make(options);
    ASSERT_FALSE(made) << one.wanted;
    EXPECT_TRUE(made.error().detail.starts_with(one.wanted)) << made.error().detail;
  }
}

TEST_F(TlsServer, two_processes_of_one_fleet_resume_each_others_sessions) {
  serve({.tickets = ticket_keys(10)});
  EXPECT_FALSE(resumes());
  serve({.tickets = ticket_keys(11)});
  EXPECT_TRUE(resumes());
  // Another fleet does not, nor one that has no tickets.
  serve({.tickets = ticket_keys(10, 2)});
  EXPECT_FALSE(resumes());
  serve({.tickets = ticket_keys(10, 2), .no_tickets = true});
  EXPECT_FALSE(resumes());
  client_tls->use({.client = client_context(authority.pem())});  // has no session
  EXPECT_FALSE(resumes());
  EXPECT_FALSE(resumes()) << "it was given none";
}

TEST_F(TlsServer, a_certificate_may_be_renewed_under_a_session) {
  const auto keys = ticket_keys(10);
  serve({.tickets = keys});
  EXPECT_FALSE(resumes());
  const TestIdentity renewed = authority.issue({.names = {"play.example", "new.example"}});
  serve({.chain_pem = renewed.chain_pem, .key_pem = renewed.key_pem, .tickets = keys});
  EXPECT_TRUE(resumes());
}

TEST_F(TlsServer, after_two_rotations_a_ticket_is_worth_nothing) {
  const auto keys = ticket_keys(10, 1, 1h);
  serve({.tickets = keys});
  EXPECT_FALSE(resumes());
  sim.run_for(61min);
  // OpenSSL's own clock is the machine's, so the session's age does not end it here: the keys alone do.
  EXPECT_TRUE(resumes());
  sim.run_for(121min);
  EXPECT_FALSE(resumes());
}

TEST_F(TlsServer, a_client_that_uses_each_ticket_once_is_resumed_again_and_again) {
  serve({.tickets = ticket_keys(10)});
  std::vector<SSL_SESSION*> tickets;  // of the present connection
  SSL_SESSION* next = nullptr;
  for (int dialled = 0; dialled < 5; ++dialled) {
    SCOPED_TRACE(dialled);
    for (SSL_SESSION* one : tickets) SSL_SESSION_free(one);
    tickets.clear();
    auto plain = client_host.network().connect(server_host.address(kPort), {});
    ASSERT_TRUE(run_until([&] { return plain->may_write(); }));
    raw = std::make_unique<RawTls>(std::move(*plain), RawTls::Side::client, nullptr, [&](SSL_CTX* handle) {
      SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_set_app_data(handle, &tickets);
      SSL_CTX_sess_set_new_cb(handle, [](SSL* ssl, SSL_SESSION* given) {
        auto* const kept = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
        static_cast<std::vector<SSL_SESSION*>*>(kept)->push_back(given);
        return 1;
      });
    });
    if (next != nullptr) SSL_set_session(raw->ssl, next);
    ASSERT_TRUE(run_until([&] { return raw->open(); }));
    EXPECT_EQ(SSL_session_reused(raw->ssl) == 1, next != nullptr);
    ASSERT_TRUE(run_until([&] { return !tickets.empty(); })) << "each connection brings a new one";
    SSL_set_shutdown(raw->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // else they are not resumable
    SSL_SESSION_free(next);
    next = tickets.back();
    tickets.pop_back();
  }
  SSL_SESSION_free(next);
  for (SSL_SESSION* one : tickets) SSL_SESSION_free(one);
}

TEST_F(TlsServer, tls_1_2_is_resumed_by_the_process_alone) {
  const auto keys = ticket_keys(10);
  SSL_SESSION* session = nullptr;
  const auto dial_1_2 = [&] {
    auto plain = client_host.network().connect(server_host.address(kPort), {});
    EXPECT_TRUE(run_until([&] { return plain->may_write(); }));
    raw = std::make_unique<RawTls>(std::move(*plain), RawTls::Side::client, nullptr, [](SSL_CTX* handle) {
      SSL_CTX_set_max_proto_version(handle, TLS1_2_VERSION);
    });
    if (session != nullptr) SSL_set_session(raw->ssl, session);
    EXPECT_TRUE(run_until([&] { return raw->open(); }));
    SSL_SESSION_free(session);
    session = SSL_get1_session(raw->ssl);
    SSL_set_shutdown(raw->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // else it is not resumable
    return SSL_session_reused(raw->ssl) == 1;
  };
  serve({.tickets = keys});
  EXPECT_FALSE(dial_1_2());
  EXPECT_TRUE(dial_1_2());
  serve({.tickets = ticket_keys(11)});
  EXPECT_FALSE(dial_1_2()) << "the key of a ticket of 1.2 opens all that was recorded: none but ours has it";
  SSL_SESSION_free(session);
}

TEST_F(TlsServer, clients_certificates) {
  TestAuthority guild(client_host.world().clock.unix_now(), "guild");
  const TestIdentity ann = guild.issue({.common_name = "ann"});
  const TestIdentity bob = guild.issue({.common_name = "bob"});
  const TestIdentity old = guild.issue({.common_name = "old", .until_s = -60});
  const TestIdentity stranger = authority.issue({.common_name = "stranger"});
  const struct {
    ClientCertificates asked;
    const TestIdentity* shown;
    std::string subject, refusal, crl{};
  } cases[] = {
      {ClientCertificates::off, &ann, "", ""},
      {ClientCertificates::optional, nullptr, "", ""},
      {ClientCertificates::optional, &ann, "CN=ann", ""},
      {ClientCertificates::optional, &stranger, "",
       "its certificate is refused: unable to get local issuer certificate (CN=stranger)"},
      {ClientCertificates::required, nullptr, "", "peer did not return a certificate"},
      {ClientCertificates::required, &ann, "CN=ann", ""},
      {ClientCertificates::required, &old, "", "its certificate is refused: certificate has expired"},
      {ClientCertificates::required, &bob, "CN=bob", "", guild.revocations({ann.chain_pem})},
      {ClientCertificates::optional, &ann, "", "its certificate is refused: certificate revoked (CN=ann)",
       guild.revocations({old.chain_pem, ann.chain_pem})},
      {ClientCertificates::required, &bob, "", "its certificate is refused: CRL has expired",
       guild.revocations({}, -60)},
      {ClientCertificates::required, &bob, "", "its certificate is refused: unable to get certificate CRL",
       authority.revocations({})},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.subject + one.refusal);
    serve({.client_certificates = one.asked,
           .client_ca_pem = one.asked == ClientCertificates::off ? "" : guild.pem(),
           .client_crl_pem = one.crl});
    show(one.shown);
    const TlsInfo known = seen_by_server();
    EXPECT_EQ(known.open, one.refusal.empty());
    EXPECT_EQ(known.client_certificate ? known.client_certificate->subject : "", one.subject);
    if (known.client_certificate) {
      EXPECT_EQ(known.client_certificate->issuer, "CN=guild");
      EXPECT_EQ(known.client_certificate->sha256.size(), 64u);
      EXPECT_FALSE(known.client_certificate->serial.empty());
    }
    if (one.refusal.empty()) continue;
    const Status status = server().socket.connect_status();
    EXPECT_EQ(status.error().side, Side::client);
    EXPECT_NE(status.error().detail.find(one.refusal), std::string::npos) << status.error().detail;
  }
}

TEST_F(TlsServer, a_session_is_not_resumed_where_another_certificate_is_asked_for) {
  TestAuthority guild(client_host.world().clock.unix_now(), "guild");
  const TestIdentity ann = guild.issue({.common_name = "ann"});
  show(&ann);
  const auto keys = ticket_keys(10);
  serve({.tickets = keys});
  EXPECT_FALSE(resumes());
  serve({.client_certificates = ClientCertificates::required, .client_ca_pem = guild.pem(), .tickets = keys});
  // Not as somebody of whom nothing is known: the handshake is whole, and asks.
  connect();
  EXPECT_FALSE(info().resumed);
  EXPECT_EQ(server_tls->info(server().socket).client_certificate->subject, "CN=ann");
  EXPECT_TRUE(echoes());
  EXPECT_TRUE(resumes());
  EXPECT_EQ(server_tls->info(server().socket).client_certificate->subject, "CN=ann") << "it is in the ticket";
}

TEST_F(TlsServer, a_session_does_not_outlive_its_certificate_once_that_is_revoked) {
  TestAuthority guild(client_host.world().clock.unix_now(), "guild");
  const TestIdentity ann = guild.issue({.common_name = "ann"}), bob = guild.issue({.common_name = "bob"});
  show(&ann);
  TlsServerOptions options{.client_certificates = ClientCertificates::required,
                           .client_ca_pem = guild.pem(),
                           .client_crl_pem = guild.revocations({}),
                           .tickets = ticket_keys(10)};
  serve(options);
  EXPECT_FALSE(resumes());
  EXPECT_TRUE(resumes());
  options.client_crl_pem = guild.revocations({bob.chain_pem});
  serve(options);
  EXPECT_FALSE(resumes()) << "they are looked up in each new list";
  EXPECT_TRUE(resumes());
  options.client_crl_pem = guild.revocations({bob.chain_pem, ann.chain_pem});
  serve(options);
  EXPECT_FALSE(seen_by_server().open);
}

TEST_F(TlsServer, may_be_revoked_itself) {
  serve({});
  const struct {
    std::string crl, outcome;
  } cases[] = {{authority.revocations({}), "open"},
               {authority.revocations({identity.chain_pem}), "certificate revoked"},
               {authority.revocations({}, -60), "CRL has expired"},
               {TestAuthority(client_host.world().clock.unix_now(), "other").revocations({}),
                "unable to get certificate CRL"}};
  for (const auto& one : cases) {
    client_tls->use(
        {.client = *TlsContext::make(TlsClientOptions{.ca_pem = authority.pem(), .crl_pem = one.crl})});
    EXPECT_NE(outcome(dial()).find(one.outcome), std::string::npos) << one.outcome;
  }
}

TEST_F(TlsServer, a_client_that_does_not_verify_takes_whoever_answers) {
  const TestIdentity wrong = authority.self_signed({.names = {"other.example"}, .until_s = -60});
  serve({.chain_pem = wrong.chain_pem, .key_pem = wrong.key_pem});
  TlsClientOptions options{.ca_pem = authority.pem()};
  client_tls->use({.client = *TlsContext::make(options)});
  EXPECT_NE(outcome(dial()), "open");
  options.verify = TlsClientOptions::Verify::no;
  client_tls->use({.client = *TlsContext::make(options)});
  EXPECT_EQ(outcome(dial()), "open");
}

TEST_F(TlsServer, the_least_version_can_be_1_3) {
  serve({.version_min = TlsVersion::v1_3});
  EXPECT_EQ(shown("play.example"), "play.example");
  EXPECT_EQ(
      shown("play.example", [](SSL_CTX* handle) { SSL_CTX_set_max_proto_version(handle, TLS1_2_VERSION); }),
      "tlsv1 alert protocol version");
}

/// A plain listener whose sockets begin TLS with a context of their own.
TEST_F(TlsServer, sessions_of_two_contexts_are_not_mixed_and_owners_hear_of_what_is_open) {
  listen_raw();
  const auto with = context({.tickets = ticket_keys(10)});
  const auto trusting = client_context(authority.pem()), other = client_context(authority.pem());
  for (const auto& [client, wanted] :
       {std::pair{trusting, false}, {other, false}, {trusting, true}, {other, true}}) {
    auto plain = client_host.network().connect(server_host.address(kPort), {});
    ASSERT_TRUE(run_until([&] { return plain->may_write(); }));
    ASSERT_TRUE(run_until([&] { return !plain_acceptor.ends.empty(); }));
    auto begun = server_tls->accept_with(with, std::move(plain_acceptor.ends.back()->socket));
    ASSERT_TRUE(begun);
    plain_acceptor.ends.clear();
    EXPECT_FALSE(begun->may_read());
    EXPECT_FALSE(begun->may_write());
    acceptor.ends.push_back(std::make_unique<End>(std::move(*begun)));
    auto dialled = client_tls->dial_with(client, std::move(*plain), "play.example");
    ASSERT_TRUE(dialled);
    clients.push_back(std::make_unique<End>(std::move(*dialled)));
    ASSERT_EQ(outcome(this->client()), "open");
    ASSERT_EQ(outcome(server()), "open");
    EXPECT_EQ(info().resumed, wanted);
    EXPECT_TRUE(echoes());
  }
}

TEST_F(TlsServer, an_owner_that_waits_for_the_handshake_hears_of_its_failure) {
  listen_raw();
  auto plain = client_host.network().connect(server_host.address(kPort), {});
  ASSERT_TRUE(run_until([&] { return !plain_acceptor.ends.empty(); }));
  auto begun = server_tls->accept_with(context({}), std::move(plain_acceptor.ends.back()->socket));
  ASSERT_TRUE(begun);
  acceptor.ends.push_back(std::make_unique<End>(std::move(*begun)));
  plain->write("GET / HTTP/1.1\r\n\r\n");
  EXPECT_NE(outcome(server()).find("it sends plain HTTP"), std::string::npos);
}

/// From one TlsNetwork to another one, as between two workers.
TEST_F(TlsServer, an_open_connection_goes_to_another_network) {
  serve({});
  auto colleague = std::make_unique<TlsNetwork>(server_host.world(), TlsContexts{});
  connect();
  ASSERT_TRUE(echoes());
  // Something is under way in both directions.
  const std::string much(200'000, 'm');
  Bytes rest = much;
  while (!rest.empty()) {
    const WriteResult done = server().write(rest);
    ASSERT_EQ(done.errnum, 0);
    rest.remove_prefix(done.taken);
    if (done.taken == 0) break;
  }
  ASSERT_EQ(client().write("while it moves").taken, 14u);
  io::Socket moved = std::move(server().socket);
  acceptor.ends.pop_back();
  EXPECT_TRUE(server_tls->has(moved));
  EXPECT_FALSE(colleague->has(moved));
  TlsParcel parcel = server_tls->give_up(moved);
  EXPECT_EQ(server_tls->open_sockets(), 0u);
  EXPECT_FALSE(server_tls->has(moved));
  server_tls = std::make_unique<TlsNetwork>(server_host.world(), TlsContexts{});  // its thread may have ended
  io::Socket there = colleague->take_over(std::move(moved), std::move(parcel));
  EXPECT_TRUE(colleague->info(there).open);
  acceptor.ends.push_back(std::make_unique<End>(std::move(there)));
  const std::size_t sent = much.size() - rest.size(), before = client().received.size();
  ASSERT_TRUE(run_until([&] { return server().drain(), server().received == "while it moves"; }));
  ASSERT_TRUE(run_until([&] { return client().drain(), client().received.size() == before + sent; }));
  EXPECT_TRUE(echoes());
  acceptor.ends.clear();
  EXPECT_EQ(colleague->open_sockets(), 0u);
  ASSERT_TRUE(run_until([&] { return colleague->lingering() == 0; }));
}

TEST_F(TlsServer, a_broken_connection_goes_to_another_network_as_one) {
  serve({});
  auto colleague = std::make_unique<TlsNetwork>(server_host.world(), TlsContexts{});
  connect();
  client().socket.reset();
  ASSERT_TRUE(run_until([&] { return server().drain(), server().failed_with != 0; }));
  io::Socket moved = std::move(server().socket);
  acceptor.ends.pop_back();
  TlsParcel parcel = server_tls->give_up(moved);
  io::Socket there = colleague->take_over(std::move(moved), std::move(parcel));
  EXPECT_EQ(there.read().state, ReadResult::State::failed);
  EXPECT_EQ(there.read().errnum, ECONNRESET);
  EXPECT_FALSE(there.connect_status());
}

TEST(TlsCertificates, facts) {
  TestAuthority authority(1'700'000'000);
  const TestIdentity one = authority.issue_below({.common_name = "Zo\xc3\xab, \"Z\"",
                                                  .names = {"play.example", "*.play.example"},
                                                  .ips = {"10.0.0.1"},
                                                  .from_s = -10,
                                                  .until_s = 20});
  const auto facts = certificate_facts(one.chain_pem);
  ASSERT_TRUE(facts) << to_string(facts.error());
  EXPECT_EQ(facts->not_before, 1'700'000'000 - 10);
  EXPECT_EQ(facts->not_after, 1'700'000'000 + 20);
  EXPECT_EQ(facts->names, (std::vector<std::string>{"play.example", "*.play.example"}));
  EXPECT_TRUE(facts->has_ip);
  EXPECT_TRUE(facts->subject.starts_with("CN=Zo\\C3\\83")) << facts->subject;
  EXPECT_EQ(certificate_facts("nothing").error().detail, "certificate chain: there is no certificate in it");
}

}  // namespace
}  // namespace rejoin::io
