// Is a server up? A calculator: results of probes in, changes out; and the moments at which to probe.
//
// A server starts up, on probation: its first result decides alone. Starting down would answer 503 to
// everybody for `rise` intervals after each restart of a balancer; starting up with the full count of `fall`
// would send clients to a dead server for seconds. After that, `fall` failures in a row take it down, `rise`
// successes in a row bring it back.
//
// Besides, it is known since when a server is away: out of reach without a success that counts. With health
// checks off, where nothing is ever down, that is all that is known, and clients' connects are what tells.
//
// Place: the balancer's prober feeds it through Pool::observe(), and so do clients' connects.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"

namespace rejoin::route {

enum class HealthKind : std::uint8_t { off, tcp, http, tls };

/// From `first` to `last`, both included.
struct StatusRange {
  int first = 200;
  int last = 200;
  bool operator==(const StatusRange&) const = default;
};
/// Is `status` in one of them?
bool contains(const std::vector<StatusRange>& ranges, int status);
/// "200", "200-299 or 404": for people.
std::string to_string(const std::vector<StatusRange>& ranges);

/// What clients' connections tell of a server, without a probe: `failures` of them within `within` put it out
/// for `out`, as if it were down.
struct PassiveRules {
  std::uint16_t failures = 0;  // 0: nothing of it
  Duration within = 10s;
  Duration out = 30s;

  bool operator==(const PassiveRules&) const = default;
};

/// What the configuration says of a pool's health checks. This folder uses kind, rise, fall, every and
/// passive; the rest is for the prober.
struct HealthRules {
  HealthKind kind = HealthKind::off;
  std::string path = "/";
  std::string host;  // the Host field of a probe; empty: the server's address
  std::vector<StatusRange> expect = {StatusRange{}};  // the statuses that mean well
  /// Of an answer: "50%" or "50" is the share of its weight that the server wants. Empty: nobody looks.
  std::string weight_field = "Rejoin-Weight";
  Duration every = 2s;
  Duration timeout = 1s;
  std::uint16_t rise = 2;
  std::uint16_t fall = 3;
  Duration drain_time{0};  // of a server that says it drains: its own clients may come so long. 0: no bound
  PassiveRules passive;

  bool operator==(const HealthRules&) const = default;
};

/// Error: config, when a number is out of range (rise and fall 1 to 1000, every and timeout above 0, expect
/// 100 to 599 and not empty, passive failures at most 1000, within and out above 0) or the path does not
/// start with '/'.
Status check_health(const HealthRules& rules);

/// Milliseconds since some moment before the program began; never 0.
std::uint64_t monotonic_ms(TimePoint moment);

enum class ProbeResult : std::uint8_t {
  well,     // a probe got what it expected
  ill,      // a probe failed, timed out, or got another answer
  refused,  // a client's connect failed: counts like `ill`, without waiting for the next probe
  reached,  // a client's connect succeeded: a server that is up is not away. Brings none up, since the probe
            // may ask for more than a connection
};

enum class HealthChange : std::uint8_t { none, went_up, went_down };

/// Eight bytes without padding, so that all workers can share it as one lock-free atomic. Default: up, on
/// probation.
struct HealthState {
  std::uint64_t up : 1 = true;
  std::uint64_t probation : 1 = true;  // no result yet
  std::uint64_t streak : 14 = 0;       // results in a row that speak against the present state
  /// The first failure since the server was last up and well, in ms of the monotonic clock. 0: not away.
  std::uint64_t away_since_ms : 48 = 0;

  bool operator==(const HealthState&) const = default;
};
static_assert(sizeof(HealthState) == 8);

struct HealthStep {
  HealthState state;
  HealthChange change = HealthChange::none;
};

/// The state after `result`, which came at `now`. With kind off it is always up, and only `away_since_ms`
/// changes.
HealthStep observe(const HealthRules& rules, HealthState state, ProbeResult result, TimePoint now);
/// How long the server has been away; zero when it is not. Milliseconds.
Duration away_for(const HealthState& state, TimePoint now);

/// One server's failures of the last while. Any thread: failures are rare, so a lock is cheap enough.
class FailureWindow {
 public:
  explicit FailureWindow(const PassiveRules& rules);
  /// One more at `now`: is it one too many? Then counting begins anew.
  bool add(TimePoint now);
  /// Those that count at `now`, the oldest first; and counting goes on with some that were known elsewhere.
  std::vector<TimePoint> recent(TimePoint now);
  void put_back(const std::vector<TimePoint>& failures);

 private:
  Duration within_;
  std::mutex lock_;
  std::vector<TimePoint> last_;  // as many as are allowed; a ring, under the lock
  std::size_t next_ = 0;         // under the lock
};

/// What a server's answer says of the share that it wants: "75%", "75"; nothing when that is not a
/// percentage.
std::optional<std::uint8_t> read_percentage(Bytes text);

/// When to probe one server next. Each (worker,) server has its own, and an own random phase: probes neither
/// start together when the program does, nor drift into step later, in one process or over a fleet.
class ProbeSchedule {
 public:
  /// The first probe is due within min(every, 1 s) after `start`: soon, since until then the server is on
  /// probation.
  ProbeSchedule(const HealthRules& rules, TimePoint start, Random& random);

  /// kNever when health checks are off.
  TimePoint next_probe_at() const { return next_; }
  /// A probe begins at `now`: the next one is due `every`, give or take a sixteenth, later. Counted from the
  /// begin, so that a slow server is probed as often as a quick one.
  void probe_began(TimePoint now, Random& random);

 private:
  Duration every_;
  TimePoint next_;
};

}  // namespace rejoin::route
