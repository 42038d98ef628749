#include "session/liveness.h"

#include <algorithm>

#include "base/limits.h"

namespace rejoin::session {
namespace {

TimePoint later(TimePoint from, Duration by) { return from == kNever ? kNever : from + by; }

}  // namespace

void Liveness::opened(TimePoint now, Duration ping, Duration dead) {
  phase_ = Phase::quiet;
  ping_ = ping;
  dead_ = dead;
  heard_ = now;
  unanswered_ = kNever;
}

void Liveness::heard(TimePoint now) {
  heard_ = now;
  unanswered_ = kNever;
}

void Liveness::sent(TimePoint now) {
  if (unanswered_ == kNever) unanswered_ = now;
}

void Liveness::doubt(TimePoint now) {
  if (phase_ == Phase::off) return;
  // A PONG that is under way may have left before the change.
  phase_ = Phase::ask;
  ask_at_ = now;
}

void Liveness::pinged(std::uint64_t number, TimePoint now) {
  if (phase_ == Phase::off) return;
  phase_ = Phase::asked;
  number_ = number;
  asked_ = now;
}

void Liveness::pong(std::uint64_t number, TimePoint now) {
  heard(now);
  if ((phase_ != Phase::asked && phase_ != Phase::late) || number < number_) return;
  phase_ = Phase::quiet;
  patience_ = std::clamp<Duration>(2 * (now - asked_), limits::kPongS, limits::kPongMaxS);
}

TimePoint Liveness::next_question() const {
  TimePoint at = later(unanswered_, patience_);
  if (ping_ > 0us) at = std::min(at, heard_ + ping_ + patience_);
  return at;
}

TimePoint Liveness::due() const {
  TimePoint at = kNever;
  switch (phase_) {
    case Phase::off: return kNever;
    case Phase::quiet: at = next_question(); break;
    case Phase::ask: at = ask_at_; break;
    case Phase::asked: at = asked_ + patience_; break;
    case Phase::late: break;
  }
  return dead_ > 0us ? std::min(at, heard_ + dead_) : at;
}

Liveness::Act Liveness::act(TimePoint now) {
  const TimePoint at = due();
  if (at > now) return Act::nothing;
  if (now - at > limits::kLateTimerS) {
    // We slept, and what came meanwhile is still to be read.
    if (dead_ > 0us) heard_ = std::max(heard_, now - dead_ + 2 * patience_);
    unanswered_ = kNever;
    phase_ = Phase::ask;
    ask_at_ = now;
    return Act::ping;
  }
  if (dead_ > 0us && now >= heard_ + dead_) {
    phase_ = Phase::off;
    return Act::dead;
  }
  switch (phase_) {
    case Phase::quiet:
    case Phase::ask: return Act::ping;
    case Phase::asked: phase_ = Phase::late; return Act::dial;
    case Phase::off:
    case Phase::late: break;
  }
  return Act::nothing;
}

}  // namespace rejoin::session
