// The access log's file, pipe or terminal, and the thread that waits for it, so that no loop has to.
//
// Place: beside the path; one per process. Workers hand over batches of whole lines (access_log.h); the
// thread writes them in the order in which they came. A write may stall for as long as it likes: batches
// queue up to a bound, and the workers keep and then lose what comes on top.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "watch/access_log.h"

namespace rejoin::watch {

/// Batches that wait for the thread, of all workers together.
inline constexpr std::size_t kAccessQueueBytesMax = 4 * 1024 * 1024;
/// At the end of the program what is queued has this long to be written; then it is lost.
inline constexpr std::chrono::milliseconds kAccessEndMs{2000};

class AccessFile final : public AccessSink {
 public:
  /// `path`: made if it is not there (mode 0640), and written behind its end; empty: stdout. `log` outlives
  /// it. Error: config, why it cannot be opened.
  static Result<std::unique_ptr<AccessFile>> open(std::string path, Log& log);
  ~AccessFile() override;

  bool offer(std::string& lines) override;
  bool offer_last(std::string& lines) override;
  std::int64_t unix_ms() const override;

  /// Opens the path anew, for logrotate: what comes from now on goes to the file that has the name then. If
  /// it cannot be opened the old one stays, and the log says so. Any thread; does not wait.
  void reopen();

  /// Lines that could not be written (a full disk, a pipe that nobody reads any more). Any thread.
  std::uint64_t failed() const;

 private:
  struct Shared;
  explicit AccessFile(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  bool take(std::string& lines, bool whatever_waits);

  // The thread has it, too: where a write never comes back, the program ends without it.
  std::shared_ptr<Shared> shared_;
};

}  // namespace rejoin::watch
