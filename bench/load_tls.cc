#include "load_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace bench {
namespace {

int keep_session(SSL* tls, SSL_SESSION* session) {
  static_cast<TlsSession*>(SSL_get_app_data(tls))->reset(session);
  return 1;  // it is ours now
}

ssize_t outcome(SSL* tls, int done, std::size_t size) {
  if (done == 1) return static_cast<ssize_t>(size);
  const int saved = errno;
  switch (SSL_get_error(tls, done)) {
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_SYSCALL: errno = saved == 0 ? EPROTO : saved; return -1;
    default: errno = EPROTO; return -1;
  }
}

}  // namespace

void TlsFree::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void TlsFree::operator()(ssl_session_st* session) const { SSL_SESSION_free(session); }
void TlsFree::operator()(ssl_st* tls) const {
  SSL_set_shutdown(tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(tls);
}

TlsClient::TlsClient(const std::string& trusted, const std::string& name)
    : context_(SSL_CTX_new(TLS_client_method())), name_(name) {
  SSL_CTX* const context = context_.get();
  if (context == nullptr || SSL_CTX_load_verify_file(context, trusted.c_str()) != 1) {
    std::fprintf(stderr, "--tls %s: %s\n", trusted.c_str(), tls_error().c_str());
    std::exit(2);
  }
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
}

Tls TlsClient::make(int fd, TlsSession& session) const {
  Tls made(SSL_new(context_.get()));
  SSL* const tls = made.get();
  if (tls == nullptr || SSL_set_fd(tls, fd) != 1 || SSL_set1_host(tls, name_.c_str()) != 1 ||
      SSL_set_tlsext_host_name(tls, name_.c_str()) != 1) {
    std::fprintf(stderr, "TLS: %s\n", tls_error().c_str());
    std::exit(2);
  }
  SSL_set_connect_state(tls);
  if (session) SSL_set_session(tls, session.get());
  SSL_set_app_data(tls, &session);
  return made;
}

ssize_t tls_receive(ssl_st* tls, unsigned char* into, std::size_t size) {
  std::size_t got = 0;
  ERR_clear_error();
  errno = 0;
  const int done = SSL_read_ex(tls, into, size, &got);
  return outcome(tls, done, got);
}

ssize_t tls_send(ssl_st* tls, const void* bytes, std::size_t size) {
  std::size_t taken = 0;
  ERR_clear_error();
  errno = 0;
  const int done = SSL_write_ex(tls, bytes, size, &taken);
  return outcome(tls, done, taken);
}

bool tls_resumed(const ssl_st* tls) { return SSL_session_reused(tls) == 1; }

std::string tls_error() {
  char text[256] = "closed";
  if (const auto code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  return text;
}

}  // namespace bench
