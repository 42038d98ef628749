// What TLS is to be: whom a client trusts, or who a server is. Made from the configuration before the first
// byte flows and never changed afterwards; a reload makes a new one and gives it to the TlsNetwork
// (tls_network.h), while open connections keep what they began with. OpenSSL stands behind it, seen by the
// tls_*.cc files only.
//
// Always: TLS 1.2 or 1.3, forward secrecy, no renegotiation, no compression, no early data. A client always
// verifies: there is no switch to leave it out, a certificate of one's own goes into `ca_pem`.
//
// Safe from every thread once made. Owned by whoever uses it, together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;

namespace rejoin::io {

struct TlsClientOptions {
  /// PEM certificates that are trusted: as text, as the path of a file, or both. Neither: the system's.
  std::string ca_pem{};
  std::string ca_file{};
  /// Protocols offered (RFC 7301), the best first; empty: the extension is not sent.
  std::vector<std::string> alpn{};
};

struct TlsServerOptions {
  /// The server's certificate first, then those that lead to the root, as PEM text.
  std::string chain_pem{};
  /// Its key, as PEM text without a pass phrase.
  std::string key_pem{};
  /// Protocols taken, the best first. A client that offers none of them is refused (RFC 7301 3.2); one that
  /// offers nothing at all is not.
  std::vector<std::string> alpn{};
};

class TlsContext {
 public:
  enum class Role : std::uint8_t { client, server };

  /// Error: config; the detail says which of the options cannot be used, and why.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsClientOptions& options);
  static Result<std::shared_ptr<const TlsContext>> make(const TlsServerOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  Role role() const { return role_; }
  /// For TlsNetwork.
  ssl_ctx_st* handle() const { return handle_; }

 private:
  explicit TlsContext(Role role);
  Status set_common();
  Status set_trust(const TlsClientOptions& options);
  Status set_identity(const TlsServerOptions& options);
  Status set_alpn(const std::vector<std::string>& protocols);

  ssl_ctx_st* handle_;
  std::string alpn_;  // as on the wire: each with its length before it
  Role role_;
};

}  // namespace rejoin::io
