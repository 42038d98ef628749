#include "io/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "io/tls_certificates.h"
#include "io/tls_connection.h"
#include "io/tls_errors.h"

namespace rejoin::io {
namespace {

// The same order that browsers prefer; no finite-field groups, whose handshakes cost ten times as much.
constexpr const char* kGroups = "X25519:P-256:P-384";
// How long OpenSSL's own ticket keys, and the sessions of clients, are good: 7200 s is its default.
constexpr std::int64_t kOwnTicketsLifetimeS = 7200;
// AES-128 first, as Mozilla's server side TLS and Go have it: no attack is nearer to it than to AES-256, and
// SHA-256, which processors compute by themselves, takes the place of SHA-384 in the whole key schedule.
constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// Of TLS 1.2 only what has forward secrecy and is authenticated as a whole; 1.3 has nothing else.
constexpr const char* kCiphers12 = "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20";
// One where OpenSSL gives two: each connection uses one ticket and brings one, so that a client that had N
// connections has N tickets to come back with. A ticket is a twentieth of a handshake.
constexpr std::size_t kTicketsOfHandshake = 1;

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

// Called also for a client that asks for no name.
int choose_certificate(SSL* ssl, int* alert, void* of) {
  const auto& context = *static_cast<const TlsContext*>(of);
  const char* const asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  SSL_CTX* const chosen = context.handle_for(asked == nullptr ? std::string_view() : asked);
  if (chosen == nullptr) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  SSL_set_SSL_CTX(ssl, chosen);
  return asked == nullptr ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

// Fetched once for the process, and kept for good: by name OpenSSL would look it up for each ticket.
const EVP_CIPHER* ticket_cipher() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

int set_mac_key(EVP_MAC_CTX* mac, TlsTicketKeys::Key& key) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.bytes.data(), key.mac.bytes.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params);
}

// RFC 5077 4: a ticket is the key's name, an initial vector, what is sealed, and a MAC over all of it.
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int seal) {
  const auto& context = *static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  TlsTicketKeys& keys = *context.tickets();
  const UnixSeconds now = TlsConnection::clock_of(ssl).unix_now();
  if (seal == 1) {
    const bool lasting = SSL_version(ssl) >= TLS1_3_VERSION;
    using Kind = TlsTicketKeys::Kind;
    TlsTicketKeys::Key key = keys.current(lasting ? Kind::of_fleet : Kind::of_process, now);
    std::copy(key.name.begin(), key.name.end(), name);
    const bool good =
        RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher())) == 1 &&
        EVP_EncryptInit_ex(cipher, ticket_cipher(), nullptr, key.cipher.bytes.data(), iv) == 1 &&
        set_mac_key(mac, key) == 1;
    return good ? 1 : -1;
  }
  std::optional<TlsTicketKeys::Found> found = keys.find(
      Bytes(reinterpret_cast<const char*>(name), std::tuple_size_v<decltype(found->key.name)>), now);
  if (!found) return 0;  // a full handshake
  const bool good =
      EVP_DecryptInit_ex(cipher, ticket_cipher(), nullptr, found->key.cipher.bytes.data(), iv) == 1 &&
      set_mac_key(mac, found->key) == 1;
  if (!good) return -1;
  // 2: and the client gets a new one. With TLS 1.3 always, as a ticket is for one use (RFC 8446 C.4: who sees
  // it twice knows a client again). It answers the client's Finished, too, which nothing else of ours does: a
  // client without TCP_NODELAY would hold its request back until a delayed ACK of 40 ms.
  return found->current && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

Status use_identity(SSL_CTX* handle, const std::vector<Certificate>& chain, const std::string& key_pem) {
  if (SSL_CTX_use_certificate(handle, chain.front().get()) != 1) {
    return unusable("certificate", openssl_reason());
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(handle, chain[i].get()) != 1) {
      return unusable("certificate chain", openssl_reason());
    }
  }
  const auto key = read_key(key_pem);
  if (!key) return key.error();
  // The first finds a wrong key of the same kind, the second one of another kind.
  if (SSL_CTX_use_PrivateKey(handle, key->get()) != 1 || SSL_CTX_check_private_key(handle) != 1) {
    return unusable("key", "it does not belong to the certificate (" + openssl_reason() + ")");
  }
  return {};
}

Status trust(SSL_CTX* handle, const std::string& ca_pem, std::string_view what) {
  const auto trusted = read_certificates(ca_pem, what);
  if (!trusted) return trusted.error();
  X509_STORE* store = SSL_CTX_get_cert_store(handle);
  for (const Certificate& one : *trusted) {
    if (X509_STORE_add_cert(store, one.get()) != 1) return unusable(what, openssl_reason());
  }
  return {};
}

/// From now on whoever is verified has to be in good standing by these lists: one that is missing, or older
/// than it says it may be, speaks for nobody.
Status refuse_revoked(SSL_CTX* handle, const std::string& crl_pem) {
  if (crl_pem.empty()) return {};
  constexpr std::string_view kWhat = "CRLs";
  const auto lists = read_revocations(crl_pem, kWhat);
  if (!lists) return lists.error();
  X509_STORE* store = SSL_CTX_get_cert_store(handle);
  for (const Revocations& one : *lists) {
    if (X509_STORE_add_crl(store, one.get()) != 1) return unusable(kWhat, openssl_reason());
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

}  // namespace

TlsContext::~TlsContext() {
  for (SSL_CTX* handle : handles_) SSL_CTX_free(handle);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsClientOptions& options) {
  std::shared_ptr<TlsContext> made(new TlsContext(Role::client));
  const Result<SSL_CTX*> handle = made->add_handle(options.version_min);
  if (!handle) return handle.error();
  made->verify_ = options.verify;
  Status good = made->set_trust(options);
  if (good) good = refuse_revoked(*handle, options.crl_pem);
  if (good && !options.identity.chain_pem.empty()) {
    const auto chain = read_certificates(options.identity.chain_pem, "certificate chain");
    good = chain ? use_identity(*handle, *chain, options.identity.key_pem) : Status(chain.error());
  }
  if (good) good = made->set_alpn(options.alpn);
  if (!good) return std::move(good.error());
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsServerOptions& options) {
  std::shared_ptr<TlsContext> made(new TlsContext(Role::server));
  made->unknown_name_ = options.unknown_name;
  Status good = made->add_identities(options);
  if (good) good = made->set_client_certificates(options);
  if (good) good = made->set_alpn(options.alpn);
  if (!good) return std::move(good.error());
  made->set_resumption(options);
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<SSL_CTX*> TlsContext::add_handle(TlsVersion version_min) {
  SSL_CTX* const handle = SSL_CTX_new(role_ == Role::client ? TLS_client_method() : TLS_server_method());
  if (handle == nullptr) std::abort();  // out of memory at start
  handles_.push_back(handle);
  SSL_CTX_set_app_data(handle, this);
  SSL_CTX_set_min_proto_version(handle, version_min == TlsVersion::v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(handle, kCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(handle, kCipherSuites) != 1 ||
      SSL_CTX_set1_groups_list(handle, kGroups) != 1) {
    return unusable("ciphers", openssl_reason());
  }
  SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                  SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Buffers while bytes are in flight only: 14.0 kB an idle connection, 22.9 without (facts, section 4).
  // A chain is what its file says: OpenSSL would complete it from whatever else is trusted here.
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  // A server's resumption is by tickets alone; a client's sessions are kept by the TlsNetwork, per peer.
  SSL_CTX_set_session_cache_mode(handle, role_ == Role::server
                                             ? SSL_SESS_CACHE_OFF
                                             : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  if (role_ == Role::client) SSL_CTX_sess_set_new_cb(handle, keep_tls_session);
  return handle;
}

Status TlsContext::set_trust(const TlsClientOptions& options) {
  SSL_CTX_set_verify(handle(), verifies() ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.ca_pem.empty() && options.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(handle()) != 1)
      return unusable("the system's CAs", openssl_reason());
    return {};
  }
  // A file that is not there and one without certificates are told apart by the queue of errors.
  if (!options.ca_file.empty() && SSL_CTX_load_verify_file(handle(), options.ca_file.c_str()) != 1) {
    return unusable("CA file " + options.ca_file, openssl_reason());
  }
  return options.ca_pem.empty() ? Status() : trust(handle(), options.ca_pem, "CA certificates");
}

Status TlsContext::add_identities(const TlsServerOptions& options) {
  std::vector<std::set<std::string>> names;  // of each handle
  std::vector<std::set<int>> kinds;          // of its keys
  struct Texts {
    const std::string &chain_pem, &key_pem;
  };
  std::vector<Texts> all{{options.chain_pem, options.key_pem}};
  for (const TlsIdentity& more : options.more) all.push_back({more.chain_pem, more.key_pem});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string which = all.size() == 1 ? "" : "certificate " + std::to_string(i + 1) + ": ";
    const auto blame = [&](Error error) {
      error.detail = which + error.detail;
      return error;
    };
    const auto chain = read_certificates(all[i].chain_pem, "certificate chain");
    if (!chain) return blame(chain.error());
    const std::vector<std::string> listed = dns_names_of(chain->front().get());
    const std::set<std::string> own(listed.begin(), listed.end());
    const int kind = EVP_PKEY_get_base_id(X509_get0_pubkey(chain->front().get()));
    std::size_t at = 0;
    while (at < names.size() && (names[at] != own || kinds[at].contains(kind))) ++at;
    if (at == names.size()) {
      const Result<SSL_CTX*> handle = add_handle(options.version_min);
      if (!handle) return blame(handle.error());
      names.push_back(own);
      kinds.emplace_back();
    }
    kinds[at].insert(kind);
    const Status good = use_identity(handles_[at], *chain, all[i].key_pem);
    if (!good) return blame(good.error());
    bool found = false;
    for (const std::string& name : listed) found |= names_.add(name, at);
    if (!found && i != 0) {
      return unusable(which + "certificate", "it is for no DNS name, so no client could ask for it");
    }
  }
  if (all.size() > 1 || unknown_name_ == TlsServerOptions::UnknownName::is_refused) {
    SSL_CTX_set_tlsext_servername_callback(handle(), choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(handle(), this);
  }
  return {};
}

ssl_ctx_st* TlsContext::handle_for(std::string_view name) const {
  if (const auto found = names_.find(name)) return handles_[*found];
  return unknown_name_ == TlsServerOptions::UnknownName::gets_first ? handles_.front() : nullptr;
}

Status TlsContext::set_client_certificates(const TlsServerOptions& options) {
  // A session is resumed only where the same is asked of a client: not at a listener that wants another
  // certificate, or wants one at all, or has heard since of others that were revoked. The context's name goes
  // into each ticket.
  std::array<unsigned char, SHA256_DIGEST_LENGTH> id;
  const std::string asked = std::to_string(static_cast<int>(options.client_certificates)) +
                            options.client_ca_pem + options.client_crl_pem;
  SHA256(reinterpret_cast<const unsigned char*>(asked.data()), asked.size(), id.data());
  for (SSL_CTX* handle : handles_) SSL_CTX_set_session_id_context(handle, id.data(), id.size());
  if (options.client_certificates == ClientCertificates::off) return {};
  const auto authorities = read_certificates(options.client_ca_pem, "client CA certificates");
  if (!authorities) return authorities.error();
  // Of the first handle alone: it begins each handshake, and another's certificate changes nothing of this.
  SSL_CTX* const first = handles_.front();
  for (const Certificate& one : *authorities) {
    if (SSL_CTX_add_client_CA(first, one.get()) != 1) {
      return unusable("client CA certificates", openssl_reason());
    }
  }
  const bool required = options.client_certificates == ClientCertificates::required;
  SSL_CTX_set_verify(first, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     TlsConnection::on_verify);
  Status good = trust(first, options.client_ca_pem, "client CA certificates");
  return good ? refuse_revoked(first, options.client_crl_pem) : std::move(good);
}

void TlsContext::set_resumption(const TlsServerOptions& options) {
  if (!options.no_tickets) tickets_ = options.tickets;
  for (SSL_CTX* handle : handles_) {
    SSL_CTX_set_timeout(handle, tickets_ ? tickets_->lifetime_s() : kOwnTicketsLifetimeS);
    if (tickets_) SSL_CTX_set_tlsext_ticket_key_evp_cb(handle, on_ticket);
    SSL_CTX_set_num_tickets(handle, options.no_tickets ? 0 : kTicketsOfHandshake);
    if (!options.no_tickets) continue;
    SSL_CTX_set_options(handle, SSL_OP_NO_TICKET);
  }
}

Status TlsContext::set_alpn(const std::vector<std::string>& protocols) {
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) return unusable("alpn", "a name has 1 to 255 bytes");
    alpn_ += static_cast<char>(protocol.size());
    alpn_ += protocol;
  }
  if (alpn_.empty()) return {};
  if (role_ == Role::client) {
    const int failed = SSL_CTX_set_alpn_protos(handle(), reinterpret_cast<const unsigned char*>(alpn_.data()),
                                               static_cast<unsigned>(alpn_.size()));
    return failed == 0 ? Status() : Status(unusable("alpn", openssl_reason()));
  }
  for (SSL_CTX* handle : handles_) SSL_CTX_set_alpn_select_cb(handle, choose_alpn, &alpn_);
  return {};
}

}  // namespace rejoin::io
