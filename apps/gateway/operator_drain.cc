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
  timer_.cancel();
}

std::optional<Duration> OperatorDrain::ends_in() const {
  if (end_at_ == kNever) return std::nullopt;
  return std::max(Duration(0), end_at_ - worker_.world().clock.now());
}

// Of what is left, so that those which end by themselves meanwhile make the rest slower, not sooner over.
void OperatorDrain::on_time() {
  const TimePoint now = worker_.world().clock.now();
  const Duration left = std::max(Duration(0), end_at_ + order_.over - now);
  const auto steps = static_cast<std::size_t>(left / Duration(kDrainStepMs)) + 1;
  SessionTable& sessions = worker_.sessions();
  std::size_t now_ending = (sessions.size() + steps - 1) / steps;
  for (; now_ending != 0; --now_ending) {
    LiveSession* const session = sessions.oldest();
    if (session == nullptr) return;
    session->end_told(proto::LinkCode::restart, "the gateway is going away");
  }
  if (sessions.size() != 0) worker_.world().timers.arm(timer_, now + Duration(kDrainStepMs));
}

}  // namespace rejoin::gateway
