// What OpenSSL says of a failure, as one line for people. For tls_*.cc only.
#pragma once

#include <string>

struct X509_name_st;
struct x509_store_ctx_st;

namespace rejoin::io {

/// Why the last call of OpenSSL on this thread failed, from its queue of errors, which is empty afterwards.
std::string openssl_reason();

/// Why a certificate is refused, with what helps to find out: its names, its dates, its subject. Bytes of the
/// peer's come out as printable ASCII.
std::string refusal_text(x509_store_ctx_st* store);

/// A subject or issuer as RFC 2253 writes it ("CN=ann,O=guild"), whole; bytes beyond ASCII come as \XX, so
/// that it can stand in a field of HTTP.
std::string name_text(const X509_name_st* name);

}  // namespace rejoin::io
