// Names by the operating system's resolver (hosts file, DNS, and whatever it is set up for), which blocks:
// each lookup has a thread of its own for as long as it takes, and its answer comes to the loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "clients/cpp/src/resolver.h"
#include "io/epoll_loop.h"

namespace rejoin::client {

/// Blocks. At most limits::kAddressesPerNameMax addresses, each once, in the system's order. `host` may be an
/// address.
Result<std::vector<Address>> look_up(const std::string& host, std::uint16_t port);

class SystemResolver final : public Resolver {
 public:
  /// `loop` outlives it. Lookups that are under way when it dies are not answered.
  explicit SystemResolver(io::EpollLoop& loop);
  ~SystemResolver() override;
  SystemResolver(const SystemResolver&) = delete;
  SystemResolver& operator=(const SystemResolver&) = delete;

  /// Who asks for a name that is being looked up waits for the same answer: a name server that does not
  /// answer costs one thread, however often a client tries.
  void resolve(const std::string& host, std::uint16_t port, Answer answer) override;

 private:
  struct Shared;
  void answered(const std::string& key, const Result<std::vector<Address>>& addresses);

  std::shared_ptr<Shared> shared_;
  std::map<std::string, std::vector<Answer>> waiting_;
};

}  // namespace rejoin::client
