#include "watch/access_log.h"

namespace rejoin::watch {

AccessLog::AccessLog(io::World& world, AccessSink& sink, const AccessRules& rules)
    : world_(world),
      sink_(sink),
      rules_(rules),
      due_([](void* self) { static_cast<AccessLog*>(self)->flush(); }, this) {}

AccessLog::~AccessLog() {
  due_.cancel();
  if (!lines_.empty()) (void)sink_.offer_last(lines_);
}

void AccessLog::add(const AccessRecord& record) {
  if (lines_.size() >= kAccessBufferBytesMax) {
    flush();
    if (!lines_.empty()) {
      ++counts_.lost;
      return;
    }
  }
  const auto ago =
      std::chrono::duration_cast<std::chrono::milliseconds>(world_.clock.now() - record.began).count();
  append_access_record(lines_, record, sink_.unix_ms() - ago, rules_);
  ++counts_.records;
  if (lines_.size() >= kAccessBatchBytes) {
    flush();
  } else if (!due_.armed()) {
    world_.timers.arm(due_, world_.clock.now() + kAccessFlushMs);
  }
}

void AccessLog::flush() {
  due_.cancel();
  if (lines_.empty() || sink_.offer(lines_)) return;
  world_.timers.arm(due_, world_.clock.now() + kAccessFlushMs);
}

}  // namespace rejoin::watch
