// TLS of the load generator's connections: a client as browsers are, which verifies, takes TLS 1.3 only,
// comes back with the last ticket that it was given, and leaves without close_notify. OpenSSL reads and
// writes the socket itself. Owner: Links. Thread: its own.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace bench {

struct TlsFree {
  void operator()(ssl_ctx_st* context) const;
  void operator()(ssl_session_st* session) const;
  void operator()(ssl_st* tls) const;  // its session stays good
};
using TlsSession = std::unique_ptr<ssl_session_st, TlsFree>;
using Tls = std::unique_ptr<ssl_st, TlsFree>;

class TlsClient {
 public:
  /// Trusts the certificates in the PEM file `trusted`, and dials `name`. Ends the program when it cannot.
  TlsClient(const std::string& trusted, const std::string& name);

  /// The client's end on a socket that does not block. It shows `session`, if there is one, and each new
  /// ticket takes its place; `session` outlives what is made.
  Tls make(int fd, TlsSession& session) const;

 private:
  std::unique_ptr<ssl_ctx_st, TlsFree> context_;
  std::string name_;
};

/// As recv(2) and send(2) have it: -1 and EAGAIN when the socket has, or takes, nothing now; the handshake is
/// done on the way. EPROTO: TLS failed, and tls_error() says how.
ssize_t tls_receive(ssl_st* tls, unsigned char* into, std::size_t size);
ssize_t tls_send(ssl_st* tls, const void* bytes, std::size_t size);
bool tls_resumed(const ssl_st* tls);
std::string tls_error();

}  // namespace bench
