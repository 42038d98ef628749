// A listener's gate: what is asked of a connection before anything is done for it.
//
// Place on the path: between the accept and the coroutine that serves. One Gate per listener, made from the
// configuration, shared by all workers; EdgeCounts is one worker's. A listener that asks nothing has no Gate.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "apps/config/config.h"
#include "base/prefix_set.h"
#include "base/random.h"
#include "base/result.h"
#include "route/admission.h"

namespace rejoin::serve {

/// Connections that a worker turned away, or ended, by reason. Plain integers that only grow.
struct EdgeCounts {
  // at the accept, or when a proxy had told who it is: by RST, before any work
  std::uint64_t denied = 0;
  std::uint64_t full = 0;
  std::uint64_t client_full = 0;
  std::uint64_t client_too_fast = 0;
  std::uint64_t proxy_untrusted = 0;  // a PROXY header is required, and the peer is not in `trusted`
  // before the first byte of the connection itself
  std::uint64_t bad_proxy = 0;  // no PROXY header, or a wrong one
  std::uint64_t late = 0;       // the PROXY header (or the ClientHello) did not come in time
  std::uint64_t bad_hello = 0;  // layer 4 with `sni`: what came is no ClientHello
  std::uint64_t no_name = 0;    // ... it asks for a name that has no pool
  // on tunnels
  std::uint64_t stalled = 0;          // took nothing for write_timeout
  std::uint64_t silent = 0;           // client_timeout, server_timeout, or half_closed_timeout
  std::uint64_t dead = 0;             // answered no ping within pong_timeout
  std::uint64_t frame_too_big = 0;    // 1009
  std::uint64_t frames_too_many = 0;  // 1008
  std::uint64_t bad_frames = 0;       // 1002
  std::uint64_t dismissed = 0;        // closed by a drain, with its code

  void count(route::Refusal refusal);
};

/// Why a gate keeps a connection out; none: it may come in.
struct KeptOut {
  std::string_view word;  // as the metrics and the access log call it
  std::string_view why;   // for people
  explicit operator bool() const { return !word.empty(); }
};

/// What a gate made of a connection that it let in.
struct Entry {
  route::Admission::Pass pass;
  bool through_proxy = false;  // it speaks for a client, and a PROXY header tells for whom
};

class Gate {
 public:
  /// Nothing where `edge` asks nothing. `trusted`: whose PROXY headers are believed. Error: config.
  static Result<std::shared_ptr<Gate>> make(const config::Edge& edge, const std::vector<std::string>& trusted,
                                            Random& random);
  Gate(config::ProxyIn proxy, PrefixSet trusted, route::AdmissionRules rules, Random& random)
      : proxy_(proxy), trusted_(std::move(trusted)), admission_(std::move(rules), random) {}

  /// A connection is here from `peer`, and nothing was done for it yet. None: it may come in, and `entry`
  /// says as what. Else why not; it is counted, and to be reset. Any thread.
  KeptOut enter(const Address& peer, TimePoint now, EdgeCounts& counts, Entry& entry);
  /// Of an entry through a proxy, once: it is for `client`. As enter().
  KeptOut name(route::Admission::Pass& pass, const Address& client, TimePoint now, EdgeCounts& counts);
  config::ProxyIn proxy() const { return proxy_; }
  const route::Admission& admission() const { return admission_; }

 private:
  config::ProxyIn proxy_;
  PrefixSet trusted_;
  route::Admission admission_;
};

}  // namespace rejoin::serve
