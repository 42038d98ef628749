// Certificates, keys and lists of revoked certificates as PEM text, and what stands in them. For tls_*.cc
// only, but for the facts.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

struct X509_crl_st;
struct evp_pkey_st;
struct x509_st;

namespace rejoin::io {

struct FreeCertificate {
  void operator()(x509_st* certificate) const;
};
struct FreeKey {
  void operator()(evp_pkey_st* key) const;
};
struct FreeRevocations {
  void operator()(X509_crl_st* list) const;
};
using Certificate = std::unique_ptr<x509_st, FreeCertificate>;
using PrivateKey = std::unique_ptr<evp_pkey_st, FreeKey>;
/// What an authority has revoked (a CRL: RFC 5280, section 5).
using Revocations = std::unique_ptr<X509_crl_st, FreeRevocations>;

/// Error: config, "WHAT: WHY".
Error unusable(std::string_view what, std::string_view why);

/// All certificates of a PEM text, in their order, at least one. Other things between them are passed over.
Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::string_view what);
/// All CRLs of a PEM text, in their order, at least one. Other things between them are passed over.
Result<std::vector<Revocations>> read_revocations(std::string_view pem, std::string_view what);
/// The first private key of a PEM text. One behind a pass phrase is an error: nobody is there to be asked.
Result<PrivateKey> read_key(std::string_view pem);
/// The DNS names of its subjectAltName, as they stand there. The subject's CN counts for nobody any more.
std::vector<std::string> dns_names_of(x509_st* certificate);

/// What an operator should know of the first certificate of a chain.
struct CertificateFacts {
  UnixSeconds not_before = 0;
  UnixSeconds not_after = 0;
  std::string subject;             // as RFC 2253 has it, printable ASCII
  std::vector<std::string> names;  // DNS
  bool has_ip = false;
};
/// Error: config, as TlsContext::make has it.
Result<CertificateFacts> certificate_facts(std::string_view chain_pem);

/// Of one CRL.
struct RevocationsFacts {
  UnixSeconds this_update = 0;  // when it was made
  UnixSeconds next_update = 0;  // from then on it is believed no longer; 0: it does not say
  std::string issuer;           // as RFC 2253 has it, printable ASCII
};
/// Of all in a PEM text, in their order. Error: config, as TlsContext::make has it.
Result<std::vector<RevocationsFacts>> revocations_facts(std::string_view pem);

}  // namespace rejoin::io
