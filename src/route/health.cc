#include "route/health.h"

#include <algorithm>

namespace rejoin::route {
namespace {

constexpr std::uint16_t kCountMax = 1000;

Error config_error(std::string detail) {
  return {ErrorKind::config, Side::ours, Retry::no, std::move(detail)};
}

}  // namespace

std::uint64_t monotonic_ms(TimePoint moment) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(moment.time_since_epoch()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, ms));
}

bool contains(const std::vector<StatusRange>& ranges, int status) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const StatusRange& it) { return it.first <= status && status <= it.last; });
}

std::string to_string(const std::vector<StatusRange>& ranges) {
  std::string out;
  for (const StatusRange& range : ranges) {
    if (!out.empty()) out += " or ";
    out += std::to_string(range.first);
    if (range.last != range.first) out += '-' + std::to_string(range.last);
  }
  return out;
}

Status check_health(const HealthRules& rules) {
  if (rules.rise < 1 || rules.rise > kCountMax) return config_error("rise must be 1 to 1000");
  if (rules.fall < 1 || rules.fall > kCountMax) return config_error("fall must be 1 to 1000");
  if (rules.every <= 0s) return config_error("every must be longer than nothing");
  if (rules.timeout <= 0s) return config_error("timeout must be longer than nothing");
  if (rules.expect.empty()) return config_error("expect needs a status");
  for (const StatusRange& range : rules.expect) {
    if (range.first < 100 || range.last > 599 || range.first > range.last)
      return config_error("expect must be statuses, 100 to 599");
  }
  if (rules.passive.failures > kCountMax) return config_error("failures must be 0 to 1000");
  if (rules.passive.within <= 0s) return config_error("within must be longer than nothing");
  if (rules.passive.out <= 0s) return config_error("out must be longer than nothing");
  if (rules.path.empty() || rules.path.front() != '/') return config_error("path must start with '/'");
  return {};
}

HealthStep observe(const HealthRules& rules, HealthState state, ProbeResult result, TimePoint now) {
  const bool well = result == ProbeResult::well || result == ProbeResult::reached;
  if (!well && state.away_since_ms == 0) state.away_since_ms = monotonic_ms(now);
  if (well && state.up) state.away_since_ms = 0;
  if (rules.kind == HealthKind::off || result == ProbeResult::reached) return {state, HealthChange::none};

  const bool was_probation = state.probation;
  state.probation = false;
  if (well == (state.up != 0)) {  // as it was: what spoke against it was an exception
    state.streak = 0;
    return {state, HealthChange::none};
  }
  ++state.streak;
  const std::uint16_t needed = well ? rules.rise : was_probation ? std::uint16_t{1} : rules.fall;
  if (state.streak < needed) return {state, HealthChange::none};
  state.up = well;
  state.streak = 0;
  if (well) state.away_since_ms = 0;
  return {state, well ? HealthChange::went_up : HealthChange::went_down};
}

Duration away_for(const HealthState& state, TimePoint now) {
  if (state.away_since_ms == 0) return Duration(0);
  // A worker's clock stands still for a turn, so another one's failure may lie ahead of it.
  const std::uint64_t now_ms = std::max<std::uint64_t>(monotonic_ms(now), state.away_since_ms);
  return std::chrono::milliseconds(now_ms - state.away_since_ms);
}

FailureWindow::FailureWindow(const PassiveRules& rules)
    : within_(rules.within), last_(rules.failures, TimePoint::min()) {}

bool FailureWindow::add(TimePoint now) {
  const std::lock_guard hold(lock_);
  last_[next_] = now;
  next_ = (next_ + 1) % last_.size();
  const TimePoint oldest = last_[next_];
  if (oldest == TimePoint::min() || now - oldest > within_) return false;
  std::fill(last_.begin(), last_.end(), TimePoint::min());
  return true;
}

std::vector<TimePoint> FailureWindow::recent(TimePoint now) {
  const std::lock_guard hold(lock_);
  std::vector<TimePoint> out;
  for (std::size_t i = 0; i < last_.size(); ++i) {
    const TimePoint at = last_[(next_ + i) % last_.size()];
    if (at != TimePoint::min() && now - at <= within_) out.push_back(at);
  }
  return out;
}

// One less than are too many: the next one decides, and another number of them may be allowed here.
void FailureWindow::put_back(const std::vector<TimePoint>& failures) {
  const std::lock_guard hold(lock_);
  const std::size_t skipped = failures.size() - std::min(failures.size(), last_.size() - 1);
  for (std::size_t i = skipped; i < failures.size(); ++i) {
    last_[next_] = failures[i];
    next_ = (next_ + 1) % last_.size();
  }
}

std::optional<std::uint8_t> read_percentage(Bytes text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  if (text.empty() || text.size() > 3) return std::nullopt;
  unsigned percent = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    percent = percent * 10 + static_cast<unsigned>(c - '0');
  }
  if (percent > 100) return std::nullopt;
  return static_cast<std::uint8_t>(percent);
}

ProbeSchedule::ProbeSchedule(const HealthRules& rules, TimePoint start, Random& random)
    : every_(rules.kind == HealthKind::off ? Duration::zero() : rules.every), next_(kNever) {
  if (every_ == Duration::zero()) return;
  const Duration spread = std::min<Duration>(every_, 1s);
  next_ = start + Duration(random.below(static_cast<std::uint64_t>(spread.count())));
}

void ProbeSchedule::probe_began(TimePoint now, Random& random) {
  if (every_ == Duration::zero()) return;
  const auto eighth = static_cast<std::uint64_t>(every_.count() / 8);
  next_ = now + every_ - every_ / 16 + Duration(random.below(eighth + 1));
}

}  // namespace rejoin::route
