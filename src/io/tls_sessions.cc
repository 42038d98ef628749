#include "io/tls_sessions.h"

#include <openssl/ssl.h>

#include <algorithm>

#include "base/limits.h"

namespace rejoin::io {

void FreeTlsSession::operator()(ssl_session_st* session) const { SSL_SESSION_free(session); }
void FreeTlsHandle::operator()(ssl_ctx_st* handle) const { SSL_CTX_free(handle); }

TlsSessions::Peer* TlsSessions::find(std::string_view peer, ssl_ctx_st* by) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& one) { return one.by.get() == by && one.name == peer; });
  return found == peers_.end() ? nullptr : &*found;
}

void TlsSessions::put(std::string_view peer, ssl_ctx_st* by, TlsSession session) {
  Peer* at = find(peer, by);
  if (at == nullptr) {
    if (peers_.size() >= limits::kTlsSessionPeersMax) {
      peers_.erase(std::min_element(peers_.begin(), peers_.end(),
                                    [](const Peer& a, const Peer& b) { return a.used < b.used; }));
    }
    if (by != nullptr) SSL_CTX_up_ref(by);
    at = &peers_.emplace_back(Peer{std::string(peer), std::unique_ptr<ssl_ctx_st, FreeTlsHandle>(by), {}, 0});
  }
  at->used = ++uses_;
  if (at->sessions.size() >= limits::kTlsSessionsPerPeerMax) at->sessions.erase(at->sessions.begin());
  at->sessions.push_back(std::move(session));
}

TlsSession TlsSessions::take(std::string_view peer, ssl_ctx_st* by) {
  Peer* at = find(peer, by);
  if (at == nullptr) return {};
  at->used = ++uses_;
  while (!at->sessions.empty()) {
    TlsSession newest = std::move(at->sessions.back());
    at->sessions.pop_back();
    if (SSL_SESSION_is_resumable(newest.get()) != 1) continue;
    if (SSL_SESSION_get_protocol_version(newest.get()) < TLS1_3_VERSION) {  // good for any number of uses
      SSL_SESSION_up_ref(newest.get());
      at->sessions.emplace_back(newest.get());
    }
    return newest;
  }
  return {};
}

}  // namespace rejoin::io
