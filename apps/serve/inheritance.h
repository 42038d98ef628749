// Listening sockets that were open before the process began: those of the process in whose place it comes (an
// upgrade, upgrade.h), or those that systemd opened for it (socket activation, sd_listen_fds(3)).
//
// Read once, on the main thread, before other threads begin; the environment is rid of it then.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "io/kernel_loop.h"

namespace rejoin::serve {

/// One listener of the configuration, as far as sockets can be matched with it.
struct ListenerPlace {
  std::string name;
  Address address;
};

/// In the environment of the process that an upgrade starts: `WORKER:DESCRIPTOR:ADDRESS` of each socket, with
/// commas between (the address as its listener was configured); and the pipe on which it says that it has
/// taken over.
inline constexpr const char* kSocketsVariable = "REJOIN_SOCKETS";
inline constexpr const char* kReadyVariable = "REJOIN_READY";
/// Where there is something to know (WorkerProgram::bequeath()): the descriptors of a file with it, and of a
/// pipe that ends with the process before.
inline constexpr const char* kLegacyVariable = "REJOIN_LEGACY";
/// And, where what the program has goes over too (WorkerProgram::hand_on()): the descriptor of each worker's
/// channel to its predecessor, with commas between; and who the next process has to be.
inline constexpr const char* kChannelsVariable = "REJOIN_CHANNELS";
inline constexpr const char* kIdentityVariable = "REJOIN_IDENTITY";

/// A longer legacy is as if there were none.
inline constexpr std::size_t kLegacyBytesMax = 1024 * 1024 * 1024;

class Inheritance {
 public:
  /// What the environment says. What is no listening socket is left alone, with a warning.
  static Inheritance from_environment(Log& log);
  ~Inheritance();
  Inheritance(Inheritance&& other) noexcept;
  Inheritance& operator=(Inheritance&&) = delete;

  /// Gives each of `loops` (worker 0 first) its share: of an upgrade the sockets that the same worker had, of
  /// systemd every one to the first worker, and to the others too where the kernel does not spread
  /// connections over several sockets (without ReusePort=). By address; a socket of systemd whose name
  /// (FileDescriptorName=) is a listener's is that listener's, whatever its address.
  void share_out(const std::vector<io::KernelLoop*>& loops, const std::vector<ListenerPlace>& places);
  /// All workers listen: tells the process before us which of its sockets we took. `not_taken` are what the
  /// loops have left over; they are closed, and those of systemd are named on the log.
  void taken_over(const std::vector<int>& not_taken, Log& log);

  bool is_upgrade() const { return ready_ >= 0; }
  /// Is a program of this identity, with so many workers, who the process before hands on to? One that hands
  /// nothing on does not mind. Error: config.
  Status admits(const std::string& identity, unsigned workers) const;
  /// The caller's from now on; -1: the worker before hands nothing on.
  int take_channel(unsigned worker);
  /// What WorkerProgram::inherit() is told; empty: nothing.
  Bytes legacy() const { return view(legacy_); }
  /// There may be keys in it.
  void forget_legacy() { SecretBytes().swap(legacy_); }  // "= {}" would keep the block
  /// Can be read at its end when the process before has ended; -1: there is none. Stays ours.
  int predecessor() const { return predecessor_; }

 private:
  struct Socket {
    int descriptor;
    unsigned worker;
    std::string name;  // as systemd calls it
    Address address;   // of the listener that it is for
  };
  Inheritance() = default;
  void add(Log& log, int descriptor, unsigned worker, std::string name, Address as = {});

  std::vector<Socket> sockets_;
  int ready_ = -1;
  std::vector<int> channels_;  // by worker; -1: taken
  std::string identity_;
  SecretBytes legacy_;
  int predecessor_ = -1;
};

}  // namespace rejoin::serve
