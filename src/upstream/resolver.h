// Asks DNS servers, by c-ares: retries, several servers and TCP for answers that are too long are its own.
//
// Its sockets are in an epoll set of ours, which is itself one descriptor that the loop watches: c-ares may
// want to write, and a loop watches for reading only. Its time-outs are a timer of the loop.
//
// Owner: one worker; its loop's thread. Names are asked for as they are written: absolute, without search
// domains. /etc/hosts is not looked at, since it has no TTL.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/scope.h"
#include "io/kernel_loop.h"
#include "upstream/names.h"

namespace rejoin::upstream {

struct ResolverRules {
  std::vector<Address> servers;  // port 0: 53. Empty: those of /etc/resolv.conf
  Duration timeout = 2s;         // for a server's first answer; longer for each further try
  int tries = 3;                 // of each server
};

/// Addresses in one answer; more are left out. SRV targets whose addresses are asked for, too.
inline constexpr std::size_t kFoundServersMax = 1024, kSrvTargetsMax = 256;

class Resolver final : public Names {
 public:
  /// Error: config, for servers that c-ares does not take. `loop` is the calling thread's. All outlive it.
  static Result<std::unique_ptr<Resolver>> make(io::KernelLoop& loop, io::World& world,
                                                const ResolverRules& rules, Stop& stop);
  /// Nobody waits for an answer by now.
  ~Resolver() override;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  Task<Result<NameAnswer>> look_up(NameQuery query) override;

 private:
  struct Channel;
  struct Asked;
  Resolver(io::KernelLoop& loop, io::World& world, Stop& stop);
  Task<Result<std::string>> ask(std::string name, int type);
  Task<Status> add_addresses(std::string name, NameKind kind, FoundServer like, NameAnswer& out);
  Task<Status> add_targets(std::string name, NameAnswer& out);
  void on_sockets();
  void on_time();
  void arm();

  io::KernelLoop& loop_;
  io::World& world_;
  Stop& stop_;
  int sockets_ = -1;  // an epoll descriptor
  std::unique_ptr<Channel> channel_;
  Timer timer_;
};

}  // namespace rejoin::upstream
