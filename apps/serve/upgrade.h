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
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/timers.h"
#include "io/epoll_loop.h"

namespace rejoin::serve {

/// For the new process to say that it serves.
inline constexpr std::chrono::seconds kUpgradeS{30};

class Upgrade {
 public:
  /// `done(process, left)`: it serves. `left` are descriptors of ours that it did not take.
  using Done = std::function<void(pid_t process, const std::vector<int>& left)>;

  /// `loop` is the calling thread's; both outlive it.
  Upgrade(io::EpollLoop& loop, Log& log, Done done);
  ~Upgrade();
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  struct Given {
    unsigned worker;
    int descriptor;
    Address address;
  };
  /// Starts this program anew, with the arguments that it was started with. Error: it could not be started.
  /// What follows is told to `done`, or to the log.
  Status begin(const std::vector<Given>& sockets);
  bool under_way() const { return child_ != 0; }

 private:
  void hear();
  void failed(const std::string& why);
  void close_pipe();

  io::EpollLoop& loop_;
  Log& log_;
  Done done_;
  Timer deadline_;
  pid_t child_ = 0;
  int pipe_ = -1;
  std::string heard_;
};

}  // namespace rejoin::serve
