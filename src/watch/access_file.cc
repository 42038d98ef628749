#include "watch/access_file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace rejoin::watch {
namespace {

/// How long one look at a pipe or terminal that takes nothing lasts, before the thread looks whether it is to
/// end.
constexpr int kLookMs = 100;

struct Target {
  int descriptor = -1;
  bool ours = false;      // to close
  bool may_poll = false;  // a pipe, terminal or socket; a write to a file cannot be waited for
};

Result<Target> open_target(const std::string& path) {
  Target out;
  if (path.empty()) {
    out.descriptor = STDOUT_FILENO;
  } else {
    // Not blocking: a FIFO without a reader is an error now rather than a start that hangs.
    out.descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
    out.ours = true;
  }
  struct stat status {};
  if (out.descriptor < 0 || ::fstat(out.descriptor, &status) != 0) {
    const int errnum = errno;
    return Error{
        ErrorKind::config, Side::ours, Retry::no,
        "access log: " + (path.empty() ? "stdout" : path) + " cannot be opened: " + std::strerror(errnum)};
  }
  out.may_poll = !S_ISREG(status.st_mode);
  return out;
}

/// Of what may be written at once: whole lines, if one ends in it.
std::size_t chunk_of(Bytes rest, bool may_poll) {
  // A pipe that can be written takes PIPE_BUF bytes without waiting, and does not mix them with others'.
  if (!may_poll || rest.size() <= PIPE_BUF) return rest.size();
  const std::size_t end = rest.rfind('\n', PIPE_BUF - 1);
  return end == Bytes::npos ? PIPE_BUF : end + 1;
}

}  // namespace

struct AccessFile::Shared {
  Shared(std::string at, Log& to, Target opened) : path(std::move(at)), log(to), target(opened) {}
  ~Shared() {
    if (target.ours) ::close(target.descriptor);
  }

  /// The thread.
  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return !queue.empty() || reopening || ending; });
      if (std::exchange(reopening, false)) {
        lock.unlock();
        open_again();
        lock.lock();
        continue;
      }
      if (queue.empty()) break;
      const std::string lines = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      write(lines);
      lock.lock();
      queued -= lines.size();
    }
    ended = true;
    changed.notify_all();
  }

  void open_again() {
    if (path.empty()) return;
    Result<Target> opened = open_target(path);
    if (!opened) {
      say(LogLevel::error, opened.error().detail + "; going on with the old file");
      return;
    }
    ::close(target.descriptor);
    target = *opened;
  }

  void write(Bytes rest) {
    while (!rest.empty()) {
      if (target.may_poll && !becomes_writable()) return lose(rest, ETIMEDOUT);
      const ssize_t taken = ::write(target.descriptor, rest.data(), chunk_of(rest, target.may_poll));
      if (taken < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (taken < 0) return lose(rest, errno);
      if (std::exchange(failing, false)) say(LogLevel::info, "access log: is written again");
      rest.remove_prefix(static_cast<std::size_t>(taken));
    }
  }

  /// False: the program's end did not wait for it any more.
  bool becomes_writable() {
    for (;;) {
      pollfd look{target.descriptor, POLLOUT, 0};
      if (::poll(&look, 1, kLookMs) > 0) return true;
      const std::lock_guard lock(mutex);
      if (given_up) return false;
    }
  }

  void lose(Bytes lines, int errnum) {
    failed.fetch_add(static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')),
                     std::memory_order_relaxed);
    if (std::exchange(failing, true)) return;  // said
    say(LogLevel::error, std::string("access log: cannot be written: ") + std::strerror(errnum));
  }

  /// Not once the program has gone on without this thread: the log may be gone.
  void say(LogLevel level, const std::string& line) {
    const std::lock_guard lock(mutex);
    if (!given_up && log.wants(level)) log.write(level, line);
  }

  const std::string path;
  Log& log;
  std::atomic<std::uint64_t> failed{0};
  // Of the thread alone.
  Target target;
  bool failing = false;
  // Under the mutex, which is never held while anything is written.
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> queue;
  std::size_t queued = 0;  // bytes, with what is being written
  bool reopening = false;
  bool ending = false;    // when the queue is empty
  bool given_up = false;  // at once, and in silence
  bool ended = false;
};

Result<std::unique_ptr<AccessFile>> AccessFile::open(std::string path, Log& log) {
  Result<Target> target = open_target(path);
  if (!target) return std::move(target.error());
  auto shared = std::make_shared<Shared>(std::move(path), log, *target);
  // Signals are for the program's own threads; this one inherits that it takes none.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread([shared] { shared->run(); }).detach();  // not joined: see ~AccessFile()
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return std::unique_ptr<AccessFile>(new AccessFile(std::move(shared)));
}

AccessFile::~AccessFile() {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  const auto over = [this] { return shared_->ended; };
  if (shared_->changed.wait_for(lock, kAccessEndMs, over)) return;
  shared_->given_up = true;
  for (const std::string& lines : shared_->queue) {
    shared_->failed.fetch_add(static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')),
                              std::memory_order_relaxed);
  }
  shared_->queue.clear();
  if (shared_->log.wants(LogLevel::warn))
    shared_->log.write(LogLevel::warn, "access log: its last lines could not be written in time");
}

bool AccessFile::take(std::string& lines, bool whatever_waits) {
  std::unique_lock lock(shared_->mutex, std::defer_lock);
  if (whatever_waits) {
    lock.lock();
  } else if (!lock.try_lock()) {
    return false;  // in a moment
  }
  if (!whatever_waits && shared_->queued + lines.size() > kAccessQueueBytesMax) return false;
  shared_->queued += lines.size();
  shared_->queue.push_back(std::move(lines));
  lines.clear();
  lock.unlock();
  shared_->changed.notify_all();
  return true;
}

bool AccessFile::offer(std::string& lines) { return take(lines, false); }
bool AccessFile::offer_last(std::string& lines) { return take(lines, true); }

std::int64_t AccessFile::unix_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void AccessFile::reopen() {
  const std::lock_guard lock(shared_->mutex);
  shared_->reopening = true;
  shared_->changed.notify_all();
}

std::uint64_t AccessFile::failed() const { return shared_->failed.load(std::memory_order_relaxed); }

}  // namespace rejoin::watch
