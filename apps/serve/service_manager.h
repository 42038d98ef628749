// What systemd is told of the process (sd_notify(3)): ready, reloading, stopping, who is the main process.
//
// A line of text in a datagram to the socket that NOTIFY_SOCKET names; without one nothing is said. By hand,
// since it is all that we would need libsystemd for. Main thread.
#pragma once

#include <string>
#include <string_view>

namespace rejoin::serve {

class ServiceManager {
 public:
  /// Where NOTIFY_SOCKET says. The variable stays, for the process that an upgrade starts.
  static ServiceManager from_environment();

  void ready(std::string_view status) const;
  /// ready() follows when it is over.
  void reloading() const;
  void stopping(std::string_view status) const;
  /// The unit's process is another one from now on.
  void main_process(int process) const;

 private:
  explicit ServiceManager(std::string path) : path_(std::move(path)) {}
  void say(std::string_view lines) const;

  std::string path_;  // empty: nobody listens
};

}  // namespace rejoin::serve
