// What TLS is to be: whom a client trusts, or who a server is. Made from the configuration before the first
// byte flows and never changed afterwards; a reload makes a new one for those that begin from then on, while
// open connections keep what they began with. OpenSSL stands behind it, seen by the tls_*.cc files only.
//
// Always: TLS 1.2 or 1.3, forward secrecy, no renegotiation, no compression, no early data.
//
// Safe from every thread once made. Owned by whoever uses it, together.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/tls_names.h"
#include "io/tls_ticket_keys.h"

struct ssl_ctx_st;

namespace rejoin::io {

enum class TlsVersion : std::uint8_t { v1_2, v1_3 };

/// A certificate and its key, as PEM text.
struct TlsIdentity {
  /// The certificate first, then those that lead to the root.
  std::string chain_pem{};
  /// Without a pass phrase.
  std::string key_pem{};
};

struct TlsClientOptions {
  /// PEM certificates that are trusted: as text, as the path of a file, or both. Neither: the system's.
  std::string ca_pem{};
  std::string ca_file{};
  /// PEM lists of what the authorities have revoked, one of each authority of a server's chain, or the server
  /// is refused; empty: nobody asks.
  std::string crl_pem{};
  /// Protocols offered (RFC 7301), the best first; empty: the extension is not sent.
  std::vector<std::string> alpn{};
  /// `no`: whoever answers is taken for the one that is meant. For servers in a network that is trusted as a
  /// whole; the client library never does it.
  enum class Verify : std::uint8_t { no, yes } verify = Verify::yes;
  /// For servers that want to know who we are; empty texts: we have none.
  TlsIdentity identity{};
  TlsVersion version_min = TlsVersion::v1_2;
};

enum class ClientCertificates : std::uint8_t { off, optional, required };

struct TlsServerOptions {
  /// The server's certificate first, then those that lead to the root, as PEM text.
  std::string chain_pem{};
  /// Its key, as PEM text without a pass phrase.
  std::string key_pem{};
  /// Protocols taken, the best first. A client that offers none of them is refused (RFC 7301 3.2); one that
  /// offers nothing at all is not.
  std::vector<std::string> alpn{};
  /// More of them: who asks for a name (SNI) gets the certificate that is for it (tls_names.h), who asks for
  /// none, or for an unknown one, the first of all. One for exactly the same names as one before it, with
  /// another kind of key, is given to those who cannot use that one.
  std::vector<TlsIdentity> more{};
  /// Who asks for no name, or for one that no certificate has, is refused.
  enum class UnknownName : std::uint8_t { gets_first, is_refused } unknown_name = UnknownName::gets_first;
  /// Whether clients are asked for a certificate. `optional`: who has none may come; one that cannot be
  /// verified is refused. PEM text of those that may have signed it.
  ClientCertificates client_certificates = ClientCertificates::off;
  std::string client_ca_pem{};
  /// PEM lists of what these have revoked, one of each authority of a client's chain, or the client is
  /// refused; empty: nobody asks. No session is resumed under another text than it began with.
  std::string client_crl_pem{};
  TlsVersion version_min = TlsVersion::v1_2;
  /// What seals session tickets. Without it: random keys of this context alone, for two hours.
  std::shared_ptr<TlsTicketKeys> tickets{};
  /// No session is resumed.
  bool no_tickets = false;
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

  // --- for tls_*.cc ---
  ssl_ctx_st* handle() const { return handles_.front(); }
  bool verifies() const { return verify_ == TlsClientOptions::Verify::yes; }
  TlsTicketKeys* tickets() const { return tickets_.get(); }
  /// What answers this name; nullptr: nobody does.
  ssl_ctx_st* handle_for(std::string_view name) const;

 private:
  explicit TlsContext(Role role) : role_(role) {}
  Result<ssl_ctx_st*> add_handle(TlsVersion version_min);
  Status set_trust(const TlsClientOptions& options);
  Status add_identities(const TlsServerOptions& options);
  Status set_client_certificates(const TlsServerOptions& options);
  void set_resumption(const TlsServerOptions& options);
  Status set_alpn(const std::vector<std::string>& protocols);

  std::vector<ssl_ctx_st*>
      handles_;  // of a server one for each set of names; the first begins all handshakes
  TlsNames names_;
  std::string alpn_;  // as on the wire: each with its length before it
  std::shared_ptr<TlsTicketKeys> tickets_;
  TlsServerOptions::UnknownName unknown_name_ = TlsServerOptions::UnknownName::gets_first;
  TlsClientOptions::Verify verify_ = TlsClientOptions::Verify::yes;
  Role role_;
};

/// The context of the present, for workers that share it: looked at once a connection, and changed by a
/// reload. Safe from every thread.
class TlsContextInUse {
 public:
  explicit TlsContextInUse(std::shared_ptr<const TlsContext> first) : context_(std::move(first)) {}
  std::shared_ptr<const TlsContext> get() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void put(std::shared_ptr<const TlsContext> context) {
    const std::lock_guard lock(mutex_);
    context_.swap(context);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;
};

}  // namespace rejoin::io
