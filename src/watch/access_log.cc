#include "watch/access_log.h"

#include <utility>

namespace rejoin::watch {

AccessLog::AccessLog(io::World& world, AccessSink& sink, const AccessRules& rules)
    : world_(world),
      sink_(sink),
      rules_(rules),
      due_([](void* self) { static_cast<AccessLog*>(self)->flush(); }, this),
      refusals_due_([](void* self) { static_cast<AccessLog*>(self)->say_left_out(); }, this) {}

AccessLog::~AccessLog() {
  say_left_out();
  due_.cancel();
  if (!lines_.empty()) (void)sink_.offer_last(lines_);
}

template <typename Record, typename Append>
void AccessLog::write(const Record& record, Append append) {
  if (lines_.size() >= kAccessBufferBytesMax) {
    flush();
    if (!lines_.empty()) {
      ++counts_.lost;
      return;
    }
  }
  const auto ago =
      std::chrono::duration_cast<std::chrono::milliseconds>(world_.clock.now() - record.began).count();
  append(lines_, record, sink_.unix_ms() - ago, rules_);
  ++counts_.records;
  if (lines_.size() >= kAccessBatchBytes) {
    flush();
  } else if (!due_.armed()) {
    world_.timers.arm(due_, world_.clock.now() + kAccessFlushMs);
  }
}

bool AccessLog::may_tell_refusal() {
  const TimePoint now = world_.clock.now();
  if (refusals_from_ == kNever || now >= refusals_from_ + 1s) {
    say_left_out();
    refusals_from_ = now;
    refusals_told_ = 0;
  }
  if (refusals_told_ < kRefusedLinesPerSecondMax) {
    ++refusals_told_;
    return true;
  }
  if (refusals_left_out_++ == 0) world_.timers.arm(refusals_due_, refusals_from_ + 1s);
  return false;
}

void AccessLog::say_left_out() {
  refusals_due_.cancel();
  if (refusals_left_out_ == 0) return;
  say_left_out_(*this, refusals_from_, std::exchange(refusals_left_out_, 0));
}

void AccessLog::add(const AccessRecord& record) { write(record, append_access_record); }
void AccessLog::add(const LinkRecord& record) { write(record, append_link_record); }

void AccessLog::flush() {
  due_.cancel();
  if (lines_.empty() || sink_.offer(lines_)) return;
  world_.timers.arm(due_, world_.clock.now() + kAccessFlushMs);
}

}  // namespace rejoin::watch
