// The binary is replaced while it serves: a new process of it is started with our listening sockets, and when
// it says that it serves, we take nobody new and end with our last client.
//
// Both have the same sockets, so the queues of the kernel are never without an owner and nobody is refused.
// A new process that fails (a bad configuration, a broken binary, no answer in time) changes nothing here.
//
// Owner: run_workers, on the main thread and its loop.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "base/result.h"
#include "base/timers.h"
#include "io/kernel_loop.h"

namespace rejoin::serve {

/// For the new process to say that it serves.
inline constexpr std::chrono::seconds kUpgradeS{30};
/// And to end, once it has closed the pipe without a word.
inline constexpr std::chrono::seconds kFailedS{3};

class Upgrade {
 public:
  /// It serves.
  struct Successor {
    pid_t process = 0;
    std::vector<int> left;      // listening sockets of ours that it did not take
    std::vector<int> channels;  // to each of its workers, if there are some; the receiver's to close
  };
  using Done = std::function<void(const Successor&)>;

  /// `loop` is the calling thread's; both outlive it. `failed`: what begin() started does not serve, and is
  /// gone.
  Upgrade(io::KernelLoop& loop, Log& log, Done done, std::function<void()> failed);
  ~Upgrade();
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  struct Given {
    unsigned worker;
    int descriptor;  // in the calling thread's table; which socket it is, also when it is closed
    Address address;
    int of_worker;  // the same in the worker's table
    /// Of a copy that was made for this; until begin() has come back. nullptr: the worker's own.
    std::shared_ptr<const void> copy;
  };
  /// Starts this program anew, with the arguments that it was started with. With an `identity` there is a
  /// channel (a unix socket) to each of `workers`, and a new process that says otherwise of itself refuses to
  /// serve. `legacy`: what it is to know (WorkerProgram::inherit()); it goes through a file
  /// without a name, which nobody else can open. Error: it could not be started. What
  /// follows is told to `done`, or to the log.
  Status begin(const std::vector<Given>& sockets, const std::string& identity, unsigned workers,
               Bytes legacy);
  bool under_way() const { return child_ != 0; }
  /// At SIGCHLD: did it end before it served?
  void look_after_child();
  /// Of a process, by what waitpid() said: "ended with status 1", "was killed by signal 9".
  static std::string end_of(int status);

 private:
  Status start(const std::vector<Given>& sockets, const std::string& identity,
               const std::vector<int>& channels, const std::vector<int>& legacy);
  void hear();
  void too_late();
  void failed(const std::string& why);
  void close_pipe();
  void close_channels();

  io::KernelLoop& loop_;
  Log& log_;
  Done done_;
  std::function<void()> on_failure_;
  Timer deadline_;
  pid_t child_ = 0;
  int pipe_ = -1;
  std::string heard_;
  std::vector<int> channels_;
  int lives_ = -1;  // the end of a pipe that closes with this process, which the new one sees
};

}  // namespace rejoin::serve
