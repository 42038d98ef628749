#include "io/tls_certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <climits>
#include <ctime>

#include "io/tls_errors.h"

namespace rejoin::io {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

std::unique_ptr<BIO, FreeBio> reader(std::string_view text) {
  const std::size_t length = std::min<std::size_t>(text.size(), INT_MAX);
  return std::unique_ptr<BIO, FreeBio>(BIO_new_mem_buf(text.data(), static_cast<int>(length)));
}

// OpenSSL's own would ask on the terminal.
int no_pass_phrase(char*, int, int, void*) { return -1; }

UnixSeconds seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

/// `kind`: what is looked for, as OpenSSL's `read` finds it.
template <typename Thing>
Result<std::vector<Thing>> read_all(std::string_view pem, std::string_view what, const std::string& kind,
                                    typename Thing::pointer (*read)(BIO*, typename Thing::pointer*,
                                                                    pem_password_cb*, void*)) {
  const auto from = reader(pem);
  std::vector<Thing> out;
  ERR_clear_error();
  while (auto* one = read(from.get(), nullptr, no_pass_phrase, nullptr)) out.emplace_back(one);
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return unusable(what, kind + " " + std::to_string(out.size() + 1) + ": " + openssl_reason());
  }
  ERR_clear_error();
  if (out.empty()) return unusable(what, "there is no " + kind + " in it");
  return out;
}

using Names = std::unique_ptr<GENERAL_NAMES, FreeNames>;
Names names_of(X509* certificate) {
  return Names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

}  // namespace

void FreeCertificate::operator()(x509_st* certificate) const { X509_free(certificate); }
void FreeRevocations::operator()(X509_crl_st* list) const { X509_CRL_free(list); }
void FreeKey::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Error unusable(std::string_view what, std::string_view why) {
  ERR_clear_error();
  return Error{ErrorKind::config, Side::ours, Retry::no, std::string(what) + ": " + std::string(why)};
}

Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::string_view what) {
  return read_all<Certificate>(pem, what, "certificate", PEM_read_bio_X509);
}

Result<std::vector<Revocations>> read_revocations(std::string_view pem, std::string_view what) {
  return read_all<Revocations>(pem, what, "CRL", PEM_read_bio_X509_CRL);
}

Result<PrivateKey> read_key(std::string_view pem) {
  const auto from = reader(pem);
  PrivateKey key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_pass_phrase, nullptr));
  if (!key) return unusable("key", "no key without a pass phrase in it");
  return key;
}

std::vector<std::string> dns_names_of(x509_st* certificate) {
  const Names names = names_of(certificate);
  std::vector<std::string> out;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                     static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  return out;
}

Result<CertificateFacts> certificate_facts(std::string_view chain_pem) {
  const auto chain = read_certificates(chain_pem, "certificate chain");
  if (!chain) return chain.error();
  X509* const own = chain->front().get();
  CertificateFacts out;
  out.not_before = seconds_of(X509_get0_notBefore(own));
  out.not_after = seconds_of(X509_get0_notAfter(own));
  out.subject = name_text(X509_get_subject_name(own));
  out.names = dns_names_of(own);
  const Names names = names_of(own);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i)
    out.has_ip |= sk_GENERAL_NAME_value(names.get(), i)->type == GEN_IPADD;
  return out;
}

Result<std::vector<RevocationsFacts>> revocations_facts(std::string_view pem) {
  const auto lists = read_revocations(pem, "CRL");
  if (!lists) return lists.error();
  std::vector<RevocationsFacts> out;
  for (const Revocations& list : *lists) {
    RevocationsFacts& facts = out.emplace_back();
    facts.this_update = seconds_of(X509_CRL_get0_lastUpdate(list.get()));
    if (const ASN1_TIME* next = X509_CRL_get0_nextUpdate(list.get())) facts.next_update = seconds_of(next);
    facts.issuer = name_text(X509_CRL_get_issuer(list.get()));
  }
  return out;
}

}  // namespace rejoin::io
