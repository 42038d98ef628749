// Certificates for tests, made when the test runs: an authority of its own, and what it signs, expired and
// wrong ones included. Ed25519 by default: its keys and signatures have one length each, so that a simulation
// with TLS in it plays the same run again.
//
// Only for tests: keys are in the clear, serial numbers are counted, mistakes abort.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace rejoin::io {

/// What TlsServerOptions wants.
struct TestIdentity {
  std::string chain_pem, key_pem;
};

struct TestCertificate {
  std::string common_name = "test";  // a label; what counts are the names
  std::vector<std::string> names{};  // DNS
  std::vector<std::string> ips{};
  std::int64_t from_s = -24 * 3600;  // from when to when it is good, relative to the authority's date
  std::int64_t until_s = 24 * 3600;
};

class TestAuthority {
 public:
  enum class Keys { ed25519, p256 };

  /// `now`: the date of whoever will verify.
  explicit TestAuthority(UnixSeconds now, const std::string& name = "test authority",
                         Keys keys = Keys::ed25519)
      : now_(now), keys_(keys) {
    key_ = make_key();
    certificate_ = make(*key_, *key_, nullptr,
                        {.common_name = name, .from_s = -365 * 86400LL, .until_s = 365 * 86400LL}, true);
  }

  /// To be trusted.
  std::string pem() const { return pem_of(*certificate_); }

  TestIdentity issue(const TestCertificate& wanted) {
    const Key key = make_key();
    return {pem_of(*make(*key, *key_, certificate_.get(), wanted, false)), pem_of(*key)};
  }
  /// Signed by nobody but itself.
  TestIdentity self_signed(const TestCertificate& wanted) {
    const Key key = make_key();
    return {pem_of(*make(*key, *key, nullptr, wanted, false)), pem_of(*key)};
  }
  /// A list of the certificates that it has revoked, given as PEM; believed until so long after its date.
  std::string revocations(const std::vector<std::string>& revoked, std::int64_t until_s = 24 * 3600) const {
    const std::unique_ptr<X509_CRL, Free> list(X509_CRL_new());
    const std::unique_ptr<ASN1_TIME, Free> from(ASN1_TIME_set(nullptr, now_ - 24 * 3600));
    const std::unique_ptr<ASN1_TIME, Free> until(ASN1_TIME_set(nullptr, now_ + until_s));
    must(X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) == 1 &&
         X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get())) == 1 &&
         X509_CRL_set1_lastUpdate(list.get(), from.get()) == 1 &&
         X509_CRL_set1_nextUpdate(list.get(), until.get()) == 1);
    for (const std::string& pem : revoked) {
      const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
      const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
      X509_REVOKED* const one = X509_REVOKED_new();
      must(certificate != nullptr &&
           X509_REVOKED_set_serialNumber(one, X509_get_serialNumber(certificate.get())) == 1 &&
           X509_REVOKED_set_revocationDate(one, from.get()) == 1 &&
           X509_CRL_add0_revoked(list.get(), one) == 1);
    }
    must(X509_CRL_sign(list.get(), key_.get(), digest()) != 0);
    const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
    must(PEM_write_bio_X509_CRL(bio.get(), list.get()) == 1);
    return text_of(*bio);
  }
  /// Through an authority in between, whose certificate is part of the chain.
  TestIdentity issue_below(const TestCertificate& wanted) {
    const Key between_key = make_key(), key = make_key();
    const Certificate between =
        make(*between_key, *key_, certificate_.get(), {.common_name = "test between"}, /*authority=*/true);
    const Certificate own = make(*key, *between_key, between.get(), wanted, false);
    return {pem_of(*own) + pem_of(*between), pem_of(*key)};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(X509_CRL* list) const { X509_CRL_free(list); }
    void operator()(ASN1_TIME* time) const { ASN1_TIME_free(time); }
    void operator()(BIO* bio) const { BIO_free(bio); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static void must(bool good) {
    if (!good) std::abort();
  }

  Key make_key() const {
    Key key(keys_ == Keys::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                   : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    must(key != nullptr);
    return key;
  }

  const EVP_MD* digest() const { return keys_ == Keys::ed25519 ? nullptr : EVP_sha256(); }

  static void add_extension(X509& certificate, X509* issuer, int which, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, which, value.c_str());
    must(extension != nullptr && X509_add_ext(&certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
  }

  Certificate make(EVP_PKEY& key, EVP_PKEY& signer, X509* issuer, const TestCertificate& wanted,
                   bool authority) {
    Certificate made(X509_new());
    must(made != nullptr && X509_set_version(made.get(), X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial_);
    ASN1_TIME_set(X509_getm_notBefore(made.get()), now_ + wanted.from_s);
    ASN1_TIME_set(X509_getm_notAfter(made.get()), now_ + wanted.until_s);
    X509_NAME* subject = X509_get_subject_name(made.get());
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(wanted.common_name.c_str()), -1,
                                    -1, 0) == 1);
    X509_set_issuer_name(made.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
    X509_set_pubkey(made.get(), &key);
    X509* by = issuer == nullptr ? made.get() : issuer;
    add_extension(*made, by, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    std::string names;
    for (const std::string& dns : wanted.names) names += (names.empty() ? "DNS:" : ",DNS:") + dns;
    for (const std::string& ip : wanted.ips) names += (names.empty() ? "IP:" : ",IP:") + ip;
    if (!names.empty()) add_extension(*made, by, NID_subject_alt_name, names);
    must(X509_sign(made.get(), &signer, digest()) != 0);
    return made;
  }

  static std::string text_of(BIO& bio) {
    char* text = nullptr;
    const long length = BIO_get_mem_data(&bio, &text);
    return {text, static_cast<std::size_t>(length)};
  }
  static std::string pem_of(X509& certificate) {
    const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
    must(PEM_write_bio_X509(bio.get(), &certificate) == 1);
    return text_of(*bio);
  }
  static std::string pem_of(EVP_PKEY& key) {
    const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
    must(PEM_write_bio_PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return text_of(*bio);
  }

  UnixSeconds now_;
  Keys keys_;
  long serial_ = 1000;
  Key key_;
  Certificate certificate_;
};

}  // namespace rejoin::io
