// Who may come in: the networks that are allowed and denied, how many connections a listener takes in all and
// from one client, and how often one client may begin one.
//
// Place on the path: at the accept, before any work is done for a connection (apps/serve/gate.h), and once
// more when a proxy has told who the client behind it is. A calculator with a lock: one per listener, shared
// by all workers, whose threads may call everything; it outlives its Passes.
//
// "One client" is a prefix of an address: whoever has one address of IPv6 has all of its /64. Bounded: at
// most `sources_max` clients are remembered, and of one that has no connection and has not come too often of
// late nothing is kept. When so many are remembered that there is no room for a new one, that one is let in
// uncounted: the table must not become the lock that keeps everybody out. The hash is keyed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/address.h"
#include "base/address_hash.h"
#include "base/clock.h"
#include "base/prefix_set.h"
#include "base/random.h"

namespace rejoin::route {

/// Clients that one listener remembers (about 120 bytes each).
inline constexpr std::size_t kSourcesMax = 256 * 1024;

/// Zero: no such bound.
struct AdmissionRules {
  PrefixSet allow;  // empty: everybody who is not denied
  PrefixSet deny;   // wins over `allow`
  std::uint32_t connections_max = 0;
  std::uint32_t connections_per_client = 0;
  /// On average; as many may come at once.
  std::uint32_t handshakes_per_second = 0;
  unsigned prefix = 32, prefix_v6 = 64;
  std::size_t sources_max = kSourcesMax;

  /// Whether they say anything at all.
  bool any() const { return !allow.empty() || !deny.empty() || connections_max != 0 || counts_clients(); }
  bool counts_clients() const { return connections_per_client != 0 || handshakes_per_second != 0; }
};

enum class Refusal : std::uint8_t {
  none,
  denied,           // by the lists
  full,             // the listener has connections_max
  client_full,      // the client has connections_per_client
  client_too_fast,  // the client has begun more than handshakes_per_second
};
std::string_view to_string(Refusal refusal);

class Admission {
  struct Core;
  struct Source;

 public:
  /// The right of one connection to be there; as long as it lives, the connection counts. 8 bytes. Move-only.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : source_(std::exchange(other.source_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(source_, other.source_);
      return *this;
    }
    ~Pass() {
      if (source_ != nullptr) release(*source_);
    }
    explicit operator bool() const { return source_ != nullptr; }

   private:
    friend class Admission;
    Source* source_ = nullptr;
  };

  /// `random` keys the table, and is used here only.
  Admission(AdmissionRules rules, Random& random);
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  /// A connection came, from whomever. `pass` counts it.
  Refusal enter(Pass& pass);
  /// It is `client`'s. After enter(), once; a pass that is refused here is to be dropped.
  Refusal name(Pass& pass, const Address& client, TimePoint now);

  std::uint32_t connections() const;
  /// Clients remembered, by walking: for tests and metrics.
  std::size_t sources() const;
  /// Clients that were let in uncounted, since there was no room to remember them.
  std::uint64_t uncounted() const;

 private:
  static constexpr std::size_t kShards = 16;
  struct Shard;

  static void release(Source& source);
  static void leave(Core& core);

  Core* core_;  // shared with its Passes: the last of them all takes it along
};

}  // namespace rejoin::route
