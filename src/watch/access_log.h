// One worker's share of the access log: records become text at once, and leave in batches, so that a disk or
// a pipe that stalls never holds a connection up. What does not fit meanwhile is lost, and counted.
//
// Place: beside the path. Owner: a worker; its thread. The sink is shared by all workers of a process
// (access_file.h), or a test's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/timers.h"
#include "io/world.h"
#include "watch/access_record.h"
#include "watch/link_record.h"

namespace rejoin::watch {

/// What one worker keeps while the sink takes nothing.
inline constexpr std::size_t kAccessBufferBytesMax = 256 * 1024;
/// A batch leaves when it has so many bytes, or after this time.
inline constexpr std::size_t kAccessBatchBytes = 32 * 1024;
inline constexpr std::chrono::milliseconds kAccessFlushMs{100};

/// A flood of connections that are turned away must not become one of lines: a worker tells of so many a
/// second, and then how many it did not tell of.
inline constexpr unsigned kRefusedLinesPerSecondMax = 100;

/// Where batches go. Safe from every thread; never waits.
class AccessSink {
 public:
  virtual ~AccessSink() = default;
  /// Takes `lines`, whole ones, which is empty then. False: not now, and `lines` is as before.
  virtual bool offer(std::string& lines) = 0;
  /// The same for the last lines of a worker that ends: what is not taken now never is.
  virtual bool offer_last(std::string& lines) { return offer(lines); }
  /// The wall's clock, in milliseconds since 1970.
  virtual std::int64_t unix_ms() const = 0;
};

class AccessLog {
 public:
  /// World and sink outlive it.
  AccessLog(io::World& world, AccessSink& sink, const AccessRules& rules);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// The views in the record are not looked at later.
  void add(const AccessRecord& record);
  void add(const LinkRecord& record);
  /// The same for one that was turned away, within kRefusedLinesPerSecondMax. What is left out is said in a
  /// Record of its own when the second is over (`left_out`).
  template <typename Record>
  void add_refused(const Record& record) {
    if (!may_tell_refusal()) {
      say_left_out_ = [](AccessLog& log, TimePoint began, std::uint64_t count) {
        Record left_out;
        left_out.kind = Record::Kind::refused;
        left_out.began = began;
        left_out.total = log.world_.clock.now() - began;
        left_out.left_out = count;
        log.add(left_out);
      };
      return;
    }
    add(record);
  }
  /// Offers what is there now.
  void flush();

  struct Counts {
    std::uint64_t records = 0;  // that were written down
    std::uint64_t lost = 0;     // for want of room
  };
  const Counts& counts() const { return counts_; }

 private:
  template <typename Record, typename Append>
  void write(const Record& record, Append append);
  bool may_tell_refusal();
  void say_left_out();

  io::World& world_;
  AccessSink& sink_;
  AccessRules rules_;
  Timer due_;
  std::string lines_;
  Counts counts_;
  // of connections that were turned away, in the second that began then
  TimePoint refusals_from_ = kNever;
  unsigned refusals_told_ = 0;
  std::uint64_t refusals_left_out_ = 0;
  void (*say_left_out_)(AccessLog& log, TimePoint began, std::uint64_t count) = nullptr;
  Timer refusals_due_;
};

}  // namespace rejoin::watch
