#include "apps/gateway/operator_drain.h"

#include <algorithm>

#include "apps/gateway/live_session.h"
#include "apps/gateway/worker.h"

namespace rejoin::gateway {

OperatorDrain::OperatorDrain(Worker& worker)
    : worker_(worker), timer_([](void* self) { static_cast<OperatorDrain*>(self)->on_time(); }, this) {}

void OperatorDrain::begin(const DrainOrder& order) {
  take_back();
  on_ = true;
  order_ = order;
  if (!order.end_after) return;
  end_at_ = worker_.world().clock.now() + *order.end_after;
  worker_.world().timers.arm(timer_, end_at_);
}

void OperatorDrain::take_back() {
  on_ = false;
  end_at_ = kNever;
  at_first_ = 0;
  timer_.cancel();
}

std::optional<Duration> OperatorDrain::ends_in() const {
  if (end_at_ == kNever) return std::nullopt;
  return std::max(Duration(0), end_at_ - worker_.world().clock.now());
}

// So many may be left as the time that is left allows: sessions that end by themselves meanwhile count.
void OperatorDrain::on_time() {
  const TimePoint now = worker_.world().clock.now();
  SessionTable& sessions = worker_.sessions();
  if (at_first_ == 0) at_first_ = sessions.size();
  const Duration left = std::max(Duration(0), end_at_ + order_.over - now);
  const double share = left == Duration(0) ? 0 : std::chrono::duration<double>(left) / order_.over;
  const auto may_be_left = static_cast<std::size_t>(static_cast<double>(at_first_) * share);
  while (sessions.size() > may_be_left) {
    LiveSession* const session = sessions.oldest();
    if (session == nullptr) return;
    session->end_told(proto::LinkCode::restart, "the gateway is going away", EndCause::stopped);
  }
  if (sessions.size() != 0) worker_.world().timers.arm(timer_, now + Duration(kDrainStepMs));
}

}  // namespace rejoin::gateway
