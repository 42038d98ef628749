// The TLS sessions that a client may resume: a few per peer, the newest first, of a bounded number of peers.
//
// A session stands for a certificate that was verified for this very name and by this very context, so it is
// never used for another one. A ticket of TLS 1.3 is used once (RFC 8446 C.4: who listens could tell that two
// connections are one client's); servers send a new one, or two, on each connection.
//
// Owned by a TlsNetwork, on its thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;
struct ssl_session_st;

namespace rejoin::io {

struct FreeTlsSession {
  void operator()(ssl_session_st* session) const;
};
using TlsSession = std::unique_ptr<ssl_session_st, FreeTlsSession>;
struct FreeTlsHandle {
  void operator()(ssl_ctx_st* handle) const;
};

class TlsSessions {
 public:
  /// `peer` is the name that was verified, and the port; `by` the context's handle, which lives on with it.
  void put(std::string_view peer, ssl_ctx_st* by, TlsSession session);
  /// The newest; none when there is none that may still be used.
  TlsSession take(std::string_view peer, ssl_ctx_st* by);
  /// Forgets all: when it is no longer trusted what they stand for.
  void clear() { peers_.clear(); }
  std::size_t peers() const { return peers_.size(); }

 private:
  struct Peer {
    std::string name;
    std::unique_ptr<ssl_ctx_st, FreeTlsHandle> by;
    std::vector<TlsSession> sessions;  // the newest last
    std::uint64_t used = 0;
  };
  Peer* find(std::string_view peer, ssl_ctx_st* by);

  std::vector<Peer> peers_;
  std::uint64_t uses_ = 0;
};

}  // namespace rejoin::io
