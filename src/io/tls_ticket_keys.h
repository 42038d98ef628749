// The keys that seal session tickets of a server's TLS (RFC 5077, RFC 8446 4.6.1). Nothing is stored for a
// session: whoever has the key resumes it, so all workers of a process have the same keys, and so have all
// balancers and gateways with the same [keys] and the same `session_lifetime`.
//
// Two kinds:
// - For TLS 1.3, derived from secrets that a fleet shares (HMAC-SHA-256 over the number of the period). A
//   1.3 session is resumed with a Diffie-Hellman exchange of its own, so these keys never open what was
//   recorded.
// - For TLS 1.2, where a ticket's key opens all that was said in its session: random keys of this process, of
//   which each is computed from the one before, which is wiped. Neither [keys] nor a process that is broken
//   into later opens what was recorded earlier.
//
// Keys change with each period of `lifetime`, which is also how long a ticket is good: those of the period
// before still open, and those of the next, for colleagues whose clocks are ahead.
//
// Safe from every thread. Owned by the TlsContexts that use it, together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace rejoin::io {

class TlsTicketKeys {
 public:
  /// Wiped from memory when it dies.
  struct Secret {
    std::array<unsigned char, 32> bytes{};
    ~Secret();
  };
  struct Key {
    std::array<unsigned char, 16> name{};  // in the clear, in front of each ticket
    Secret cipher, mac;                    // AES-256-CBC, HMAC-SHA-256
  };
  enum class Kind : std::uint8_t { of_fleet, of_process };

  /// `fleet`: at least one; the first makes tickets, all of them open. `process`: random. `lifetime` at least
  /// a second; fractions do not count.
  TlsTicketKeys(std::vector<Secret> fleet, const Secret& process, Duration lifetime);
  TlsTicketKeys(const TlsTicketKeys&) = delete;
  TlsTicketKeys& operator=(const TlsTicketKeys&) = delete;

  /// Makes tickets at `now`.
  Key current(Kind kind, UnixSeconds now);
  struct Found {
    Key key;
    bool current;  // else the client gets a new ticket
  };
  /// Opens the ticket that begins with `name`. Nothing: none of ours, or too old.
  std::optional<Found> find(Bytes name, UnixSeconds now);
  std::int64_t lifetime_s() const { return lifetime_s_; }

  /// The keys that are this process's alone, for the one that comes in its place.
  struct Own {
    std::int64_t lifetime_s = 0, period = 0;
    Secret process;                  // of this period; those of before cannot be computed from it
    std::optional<Key> before = {};  // of the period before, if it was used
  };
  Own own(UnixSeconds now);
  /// In the place of the random ones that it was made with; before it is asked for any. False, and nothing
  /// was done: they are of another lifetime.
  bool go_on_with(const Own& own);

 private:
  void advance(UnixSeconds now);
  void make_keys(std::int64_t period, const std::optional<Key>& before);
  bool has_key_of_before() const { return keys_.size() == 3 * fleet_.size() + 2; }
  static Secret derive(const Secret& from, std::string_view purpose, std::int64_t period);
  static Key key_of(const Secret& from, std::int64_t period);

  const std::int64_t lifetime_s_;
  const std::vector<Secret> fleet_;
  std::mutex mutex_;  // over all below, which is looked at once a handshake
  std::int64_t period_ = -1;
  Secret process_;
  std::vector<Found> keys_;  // of this period first: the fleet's, then the process's own; then the others
};

}  // namespace rejoin::io
