// The processes that the demo starts: this same program as gateway, balancer and client.
//
// One thread, no signal handlers: what the children say and the signals that end the demo are waited for by
// poll(). Every child dies with the demo, also when the demo is killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace rejoin::demo {

class Child;

/// Owns the children and reads what they say.
class Children {
 public:
  /// Called for every line that a child says on stderr. nullptr: lines are only kept for Child::said().
  using OnLine = std::function<void(const std::string& child, std::string_view line)>;

  /// Takes SIGINT and SIGTERM over for the rest of the process: wait() says `cancelled` after one.
  explicit Children(OnLine on_line);
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  /// Starts `rejoin ARGUMENTS...`. Error: os, exhausted.
  Result<Child*> start(std::string name, std::vector<std::string> arguments);

  /// Until `done()` is true, asked after each thing that a child did. Errors: timed_out; cancelled after a
  /// signal.
  Status wait(const std::function<bool()>& done, std::chrono::milliseconds at_most);

  /// Ends `child`, by force if `signal` is SIGKILL or it takes longer than a second, and forgets it.
  void end(Child& child, int signal);

 private:
  void read(Child& child, bool from_stdout);
  void reap();

  OnLine on_line_;
  std::vector<std::unique_ptr<Child>> children_;
  int signals_ = -1;
  bool interrupted_ = false;
};

/// One process. Owned by Children.
class Child {
 public:
  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  /// Its exit status, once it has ended and all that it said was read; 128 and the signal's number if one
  /// ended it.
  std::optional<int> ended() const { return out_ < 0 && err_ < 0 ? status_ : std::nullopt; }
  /// Lines on stderr so far, at most the last hundred.
  const std::vector<std::string>& said() const { return said_; }
  /// The first line of said() that contains `text`; nullptr: none.
  const std::string* find(std::string_view text) const;
  const std::string& output() const { return output_; }

 private:
  friend class Children;
  std::string name_;
  std::string output_, error_line_;
  std::vector<std::string> said_;
  std::optional<int> status_;
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
};

}  // namespace rejoin::demo
