// The keys of TLS, to clients and to servers.
#include "apps/config/key_table.h"

namespace rejoin::config {
namespace {

// In the order of the enumerators.
constexpr std::string_view kTlsVersions[] = {"1.2", "1.3"};
constexpr std::string_view kClientCertificates[] = {"off", "optional", "required"};

constexpr Range<Duration> kTimeout{1ms, 24h * 365};

}  // namespace

void visit(KeyVisitor& v, Tls& it) {
  v.duration({"session_lifetime",
              "A client that comes back within this time resumes its TLS session, which saves half of a "
              "handshake. What seals the tickets changes as often. Balancers and gateways with the same "
              "[keys] and the same value resume each other's sessions (TLS 1.3). `0s`: none is resumed.",
              R"("12h")"},
             it.session_lifetime, {0s, 24h});
}

void visit(KeyVisitor& v, CertificateFiles& it) {
  v.text({"certificate", "PEM file: the certificate, then those that lead to its root.", R"("arena.pem")",
          Need::required},
         it.certificate, TextForm::file_path);
  v.text({"key", "PEM file: its private key, without a pass phrase.", R"("arena.key")", Need::required},
         it.key, TextForm::file_path);
}

void visit(KeyVisitor& v, ListenerTls& it) {
  v.text({"certificate",
          "PEM file: the certificate, then those that lead to its root. A relative path starts at the "
          "configuration's folder. SIGHUP reads all such files again.",
          R"("play.pem")", Need::optional, "the first of `certificates`"},
         it.certificate, TextForm::file_path);
  v.text({"key", "PEM file: its private key, without a pass phrase. May be the same file.", R"("play.key")",
          Need::optional, "the first of `certificates`"},
         it.key, TextForm::file_path);
  v.list({"certificates",
          "More of them. A client gets the one that is for the name that it asks for (SNI): exact names "
          "before wildcards, as they stand in the certificates. Who asks for another name, or for none, gets "
          "the first of all. Two for the same names with keys of two kinds (ECDSA, RSA): whatever the client "
          "can use.",
          R"({ certificate = "arena.pem", key = "arena.key" })"},
         it.certificates, kCertificatesMax);
  v.flag({"strict_sni", "Refuse who asks for no name, or for one that no certificate has.", "true"},
         it.strict_sni);
  v.choice({"min_version", "The least version of TLS that is spoken.", R"("1.3")"}, it.min_version,
           kTlsVersions);
  v.choice({"client_certificate",
            "Whether clients are asked for a certificate. `optional`: who has none may come. One that cannot "
            "be verified is refused always. In mode `http`, servers learn who the client is from "
            "X-Client-Cert-Subject, -Issuer, -Serial and -Sha256; what clients send by such names is taken "
            "out.",
            R"("optional")"},
           it.client_certificate, kClientCertificates);
  v.text({"client_ca", "PEM file: who may have signed clients' certificates.", R"("guild-ca.pem")",
          Need::optional, "none"},
         it.client_ca, TextForm::file_path);
  v.text({"client_crl",
          "PEM file: what those have revoked (CRLs), a list of each authority in a client's chain. A client "
          "whose certificate is in one is refused, and so is one for whom a list is missing or has not been "
          "renewed in time.",
          R"("guild-crl.pem")", Need::optional, "nobody asks"},
         it.client_crl, TextForm::file_path);
  v.duration({"handshake_timeout", "For the handshake of TLS.", R"("5s")"}, it.handshake_timeout, kTimeout);
}

void visit(KeyVisitor& v, ServerTls& it) {
  v.flag({"verify",
          "Whether a server's certificate must be good: signed by who is trusted, not expired, and for its "
          "name. Without, whoever answers at its address is believed.",
          "false"},
         it.verify);
  v.text({"ca", "PEM file: who may have signed the servers' certificates.", R"("servers-ca.pem")",
          Need::optional, "the system's"},
         it.ca, TextForm::file_path);
  v.text({"crl",
          "PEM file: what those have revoked (CRLs), a list of each authority in a server's chain. A server "
          "whose certificate is in one is refused, and so is one for whom a list is missing or has not been "
          "renewed in time.",
          R"("servers-crl.pem")", Need::optional, "nobody asks"},
         it.crl, TextForm::file_path);
  v.text({"name",
          "The name that the servers' certificates must be for, and that they are asked for (SNI), where the "
          "server has no `tls_name`.",
          R"("gateways.internal")", Need::optional, "the server's own IP address"},
         it.name, TextForm::server_name);
  v.text({"certificate", "PEM file: our certificate, for servers that ask for one.", R"("balancer.pem")",
          Need::optional, "none"},
         it.certificate, TextForm::file_path);
  v.text({"key", "PEM file: its private key, without a pass phrase.", R"("balancer.key")", Need::optional,
          "none"},
         it.key, TextForm::file_path);
  v.choice({"min_version", "The least version of TLS that is spoken.", R"("1.3")"}, it.min_version,
           kTlsVersions);
}

}  // namespace rejoin::config
