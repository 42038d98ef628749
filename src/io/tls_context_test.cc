// What cannot be used is said when it is read; and the sessions that a client keeps.
#include "io/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/limits.h"
#include "io/tls_sessions.h"
#include "io/tls_test_certificates.h"

namespace rejoin::io {
namespace {

const UnixSeconds kNow = SystemClock().unix_now();

TEST(TlsContext, a_server_needs_a_certificate_and_its_own_key) {
  TestAuthority authority(kNow), curves(kNow, "curves", TestAuthority::Keys::p256);
  const TestIdentity good = authority.issue({.names = {"play.example"}});
  const TestIdentity other = authority.issue({.names = {"play.example"}});
  const TestIdentity curve = curves.issue_below({.names = {"play.example"}});
  const std::string locked =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n-----END "
      "ENCRYPTED PRIVATE KEY-----\n";
  const struct {
    std::string chain, key, wanted;
  } cases[] = {
      {good.chain_pem, good.key_pem, ""},
      {curve.chain_pem, curve.key_pem, ""},
      {"a comment\n" + good.key_pem + good.chain_pem, good.chain_pem + good.key_pem,
       ""},  // one file for both
      {"", good.key_pem, "certificate chain: there is no certificate in it"},
      {good.key_pem, good.key_pem, "certificate chain: there is no certificate in it"},
      {good.chain_pem.substr(0, 200), good.key_pem, "certificate chain: certificate 1: "},
      {good.chain_pem + good.chain_pem.substr(0, 200), good.key_pem, "certificate chain: certificate 2: "},
      {good.chain_pem, "", "key: no key without a pass phrase in it"},
      {good.chain_pem, good.chain_pem, "key: no key without a pass phrase in it"},
      {good.chain_pem, locked, "key: no key without a pass phrase in it"},
      {good.chain_pem, other.key_pem, "key: it does not belong to the certificate"},
      {good.chain_pem, curve.key_pem, "key: it does not belong to the certificate"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.wanted);
    const auto made = TlsContext::make(TlsServerOptions{.chain_pem = one.chain, .key_pem = one.key});
    ASSERT_EQ(made.ok(), one.wanted.empty()) << (made ? "" : to_string(made.error()));
    if (made) {
      EXPECT_EQ((*made)->role(), TlsContext::Role::server);
      continue;
    }
    EXPECT_EQ(made.error().kind, ErrorKind::config);
    EXPECT_TRUE(made.error().detail.starts_with(one.wanted)) << made.error().detail;
    EXPECT_EQ(made.error().detail.find("PRIVATE"), std::string::npos);
  }
}

TEST(TlsContext, a_client_trusts_the_system_or_what_it_is_given) {
  TestAuthority authority(kNow);
  const std::string path = testing::TempDir() + "tls_context_test.pem";
  std::ofstream(path) << authority.pem();
  EXPECT_TRUE(TlsContext::make(TlsClientOptions{}));
  EXPECT_TRUE(TlsContext::make(TlsClientOptions{.ca_file = path}));
  EXPECT_TRUE(TlsContext::make(TlsClientOptions{.ca_pem = authority.pem(), .ca_file = path}));
  std::remove(path.c_str());
  const struct {
    TlsClientOptions options;
    std::string wanted;
  } cases[] = {
      {{.ca_pem = "nonsense"}, "CA certificates: there is no certificate in it"},
      {{.ca_pem = authority.pem().substr(0, 100)}, "CA certificates: certificate 1: "},
      {{.ca_file = path}, "CA file " + path + ": "},
      {{.ca_pem = authority.pem(), .crl_pem = authority.pem()}, "CRLs: there is no CRL in it"},
      {{.ca_pem = authority.pem(),
        .crl_pem = authority.revocations({}) + authority.revocations({}).substr(0, 100)},
       "CRLs: CRL 2: "},
      {{.alpn = {"http/1.1", ""}}, "alpn: a name has 1 to 255 bytes"},
      {{.alpn = {std::string(256, 'a')}}, "alpn: a name has 1 to 255 bytes"},
  };
  for (const auto& one : cases) {
    const auto made = TlsContext::make(one.options);
    ASSERT_FALSE(made) << one.wanted;
    EXPECT_TRUE(made.error().detail.starts_with(one.wanted)) << made.error().detail;
  }
}

TlsSession session(int version) {
  TlsSession made(SSL_SESSION_new());
  SSL_SESSION_set_protocol_version(made.get(), version);
  const unsigned char id[4] = {1, 2, 3, 4};
  SSL_SESSION_set1_id(made.get(), id, sizeof id);
  return made;
}

TEST(TlsSessions, the_newest_first_and_a_ticket_once) {
  TlsSessions sessions;
  EXPECT_FALSE(sessions.take("a:1", nullptr));
  TlsSession first = session(TLS1_3_VERSION), second = session(TLS1_3_VERSION),
             third = session(TLS1_3_VERSION);
  const auto *two = second.get(), *three = third.get();
  sessions.put("a:1", nullptr, std::move(first));
  sessions.put("a:1", nullptr, std::move(second));
  sessions.put("a:1", nullptr, std::move(third));
  EXPECT_FALSE(sessions.take("a:2", nullptr));
  EXPECT_EQ(sessions.take("a:1", nullptr).get(), three);
  EXPECT_EQ(sessions.take("a:1", nullptr).get(), two);
  EXPECT_FALSE(sessions.take("a:1", nullptr)) << "two of a peer are kept";
}

TEST(TlsSessions, one_of_tls_1_2_stays) {
  TlsSessions sessions;
  TlsSession one = session(TLS1_2_VERSION);
  const auto* it = one.get();
  sessions.put("a:1", nullptr, std::move(one));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sessions.take("a:1", nullptr).get(), it);
}

TEST(TlsSessions, the_peer_that_was_not_used_longest_goes) {
  TlsSessions sessions;
  for (std::size_t i = 0; i < limits::kTlsSessionPeersMax; ++i) {
    sessions.put(std::to_string(i), nullptr, session(TLS1_2_VERSION));
  }
  EXPECT_TRUE(sessions.take("0", nullptr));
  sessions.put("new", nullptr, session(TLS1_2_VERSION));
  EXPECT_EQ(sessions.peers(), limits::kTlsSessionPeersMax);
  EXPECT_TRUE(sessions.take("0", nullptr));
  EXPECT_FALSE(sessions.take("1", nullptr));
  EXPECT_TRUE(sessions.take("2", nullptr));
  EXPECT_TRUE(sessions.take("new", nullptr));
  sessions.clear();
  EXPECT_FALSE(sessions.take("new", nullptr));
}

}  // namespace
}  // namespace rejoin::io
