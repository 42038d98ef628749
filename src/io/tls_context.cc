#include "io/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <climits>
#include <cstdlib>

#include "io/tls_connection.h"
#include "io/tls_errors.h"

namespace rejoin::io {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;

Error unusable(std::string_view what, std::string_view why) {
  ERR_clear_error();
  return Error{ErrorKind::config, Side::ours, Retry::no, std::string(what) + ": " + std::string(why)};
}

std::unique_ptr<BIO, FreeBio> reader(std::string_view text) {
  const std::size_t length = std::min<std::size_t>(text.size(), INT_MAX);
  return std::unique_ptr<BIO, FreeBio>(BIO_new_mem_buf(text.data(), static_cast<int>(length)));
}

// OpenSSL's own would ask on the terminal.
int no_pass_phrase(char*, int, int, void*) { return -1; }

/// All certificates of a PEM text, in their order. Other things between them are passed over.
Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::string_view what) {
  const auto from = reader(pem);
  std::vector<Certificate> out;
  ERR_clear_error();
  while (X509* one = PEM_read_bio_X509(from.get(), nullptr, no_pass_phrase, nullptr)) out.emplace_back(one);
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return unusable(what, "certificate " + std::to_string(out.size() + 1) + ": " + openssl_reason());
  }
  ERR_clear_error();
  if (out.empty()) return unusable(what, "there is no certificate in it");
  return out;
}

int choose_alpn(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                unsigned offered_length, void* context) {
  const auto& ours = *static_cast<const std::string*>(context);
  unsigned char* out = nullptr;
  const int found = SSL_select_next_proto(&out, length, reinterpret_cast<const unsigned char*>(ours.data()),
                                          static_cast<unsigned>(ours.size()), offered, offered_length);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext::TlsContext(Role role)
    : handle_(SSL_CTX_new(role == Role::client ? TLS_client_method() : TLS_server_method())), role_(role) {
  if (handle_ == nullptr) std::abort();  // out of memory at start
}

TlsContext::~TlsContext() { SSL_CTX_free(handle_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsClientOptions& options) {
  std::shared_ptr<TlsContext> made(new TlsContext(Role::client));
  Status good = made->set_common();
  if (good) good = made->set_trust(options);
  if (good) good = made->set_alpn(options.alpn);
  if (!good) return std::move(good.error());
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsServerOptions& options) {
  std::shared_ptr<TlsContext> made(new TlsContext(Role::server));
  Status good = made->set_common();
  if (good) good = made->set_identity(options);
  if (good) good = made->set_alpn(options.alpn);
  if (!good) return std::move(good.error());
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Status TlsContext::set_common() {
  SSL_CTX_set_min_proto_version(handle_, TLS1_2_VERSION);
  // Of TLS 1.2 only what has forward secrecy and is authenticated as a whole; 1.3 has nothing else.
  if (SSL_CTX_set_cipher_list(handle_, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
    return unusable("ciphers", openssl_reason());
  }
  SSL_CTX_set_options(handle_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Buffers while bytes are in flight only: 14.0 kB an idle connection, 22.9 without (facts, section 4).
  SSL_CTX_set_mode(handle_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A server's resumption is by tickets alone; a client's sessions are kept by the TlsNetwork, per peer.
  SSL_CTX_set_session_cache_mode(handle_, role_ == Role::server
                                              ? SSL_SESS_CACHE_OFF
                                              : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  if (role_ == Role::client) SSL_CTX_sess_set_new_cb(handle_, keep_tls_session);
  return {};
}

Status TlsContext::set_trust(const TlsClientOptions& options) {
  SSL_CTX_set_verify(handle_, SSL_VERIFY_PEER, nullptr);
  if (options.ca_pem.empty() && options.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(handle_) != 1) return unusable("the system's CAs", openssl_reason());
    return {};
  }
  // A file that is not there and one without certificates are told apart by the queue of errors.
  if (!options.ca_file.empty() && SSL_CTX_load_verify_file(handle_, options.ca_file.c_str()) != 1) {
    return unusable("CA file " + options.ca_file, openssl_reason());
  }
  if (options.ca_pem.empty()) return {};
  auto trusted = read_certificates(options.ca_pem, "CA certificates");
  if (!trusted) return std::move(trusted.error());
  X509_STORE* store = SSL_CTX_get_cert_store(handle_);
  for (const Certificate& one : *trusted) {
    if (X509_STORE_add_cert(store, one.get()) != 1) return unusable("CA certificates", openssl_reason());
  }
  return {};
}

Status TlsContext::set_identity(const TlsServerOptions& options) {
  auto chain = read_certificates(options.chain_pem, "certificate chain");
  if (!chain) return std::move(chain.error());
  if (SSL_CTX_use_certificate(handle_, chain->front().get()) != 1) {
    return unusable("certificate", openssl_reason());
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(handle_, (*chain)[i].get()) != 1) {
      return unusable("certificate chain", openssl_reason());
    }
  }
  const auto from = reader(options.key_pem);
  const std::unique_ptr<EVP_PKEY, FreeKey> key(
      PEM_read_bio_PrivateKey(from.get(), nullptr, no_pass_phrase, nullptr));
  if (!key) return unusable("key", "no key without a pass phrase in it");
  // The first finds a wrong key of the same kind, the second one of another kind.
  if (SSL_CTX_use_PrivateKey(handle_, key.get()) != 1 || SSL_CTX_check_private_key(handle_) != 1) {
    return unusable("key", "it does not belong to the certificate (" + openssl_reason() + ")");
  }
  return {};
}

Status TlsContext::set_alpn(const std::vector<std::string>& protocols) {
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) return unusable("alpn", "a name has 1 to 255 bytes");
    alpn_ += static_cast<char>(protocol.size());
    alpn_ += protocol;
  }
  if (alpn_.empty()) return {};
  if (role_ == Role::server) {
    SSL_CTX_set_alpn_select_cb(handle_, choose_alpn, &alpn_);
  } else if (SSL_CTX_set_alpn_protos(handle_, reinterpret_cast<const unsigned char*>(alpn_.data()),
                                     static_cast<unsigned>(alpn_.size())) != 0) {  // 0 is its success
    return unusable("alpn", openssl_reason());
  }
  return {};
}

}  // namespace rejoin::io
