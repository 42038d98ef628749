#include "io/tls_errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/address.h"

namespace rejoin::io {
namespace {

constexpr int kNamesMax = 4;
constexpr std::size_t kNameBytesMax = 64;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// The peer chose these bytes, and they go into a log.
std::string printable(std::string_view text, std::size_t most = kNameBytesMax) {
  std::string out(text.substr(0, most));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

template <typename Print>
std::string printed(Print print, std::size_t most = kNameBytesMax) {
  const std::unique_ptr<BIO, FreeBio> out(BIO_new(BIO_s_mem()));
  if (!out || print(out.get()) <= 0) return "?";
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return printable({text, static_cast<std::size_t>(std::max(length, 0L))}, most);
}

std::string subject_of(X509* certificate) {
  return printed([&](BIO* out) {
    return X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  });
}

std::string date(const ASN1_TIME* time) {
  return printed([&](BIO* out) { return ASN1_TIME_print(out, time); });
}

std::string_view view(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string ip_text(std::string_view bytes) {
  Address ip;
  if (bytes.size() != 4 && bytes.size() != 16) return "?";
  ip.family = bytes.size() == 4 ? Address::Family::ipv4 : Address::Family::ipv6;
  std::copy(bytes.begin(), bytes.end(), ip.ip.begin());
  return ip.ip_text();
}

/// "a.example, b.example, ..."
std::string names_of(X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string out;
  int shown = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    if (shown++ != 0) out += ", ";
    if (shown > kNamesMax) return out + "...";
    out += name->type == GEN_DNS ? printable(view(name->d.dNSName)) : ip_text(view(name->d.iPAddress));
  }
  return out.empty() ? "no name" : out;
}

}  // namespace

std::string name_text(const X509_name_st* name) {
  return printed([&](BIO* out) { return X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253); },
                 std::string::npos);
}

std::string openssl_reason() {
  // The first one is the cause; what follows are the callers that passed it on.
  const unsigned long code = ERR_peek_error();
  std::string out;
  if (code == 0) {
    out = "unknown reason";
  } else if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
    out = "what it sends is not TLS";
  } else if (ERR_GET_LIB(code) == ERR_LIB_SSL && (ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST ||
                                                  ERR_GET_REASON(code) == SSL_R_HTTPS_PROXY_REQUEST)) {
    out = "it sends plain HTTP";
  } else if (const char* reason = ERR_reason_error_string(code)) {
    out = reason;
  } else {
    out = "error " + std::to_string(code);
  }
  ERR_clear_error();
  return out;
}

std::string refusal_text(x509_store_ctx_st* store) {
  const int error = X509_STORE_CTX_get_error(store);
  std::string out = X509_verify_cert_error_string(error);
  X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (certificate == nullptr) return out;
  switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return out + " (it is for " + names_of(certificate) + ")";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return out + " (" + date(X509_get0_notAfter(certificate)) + ", " + subject_of(certificate) + ")";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return out + " (before " + date(X509_get0_notBefore(certificate)) + ", " + subject_of(certificate) +
             ")";
    default: return out + " (" + subject_of(certificate) + ")";
  }
}

}  // namespace rejoin::io
