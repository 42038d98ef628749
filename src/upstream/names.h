// Names that become addresses: the question, the answer, and who answers. An interface, since a simulation
// has no DNS.
//
// Place: beside the path; the balancer's discovery asks. Resolver (resolver.h) is the one that asks DNS
// servers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"

namespace rejoin::upstream {

enum class NameKind : std::uint8_t { a, aaaa, srv };

struct NameQuery {
  std::string name;
  NameKind kind = NameKind::a;
  std::uint16_t port = 0;  // for a and aaaa, whose answers have none

  auto operator<=>(const NameQuery&) const = default;
};

struct FoundServer {
  Address address;           // with a port
  std::string host{};        // srv: the name that the address is of; else empty
  std::uint16_t weight = 1;  // srv: its own
  bool backup = false;       // srv: there are targets of a better priority

  auto operator<=>(const FoundServer&) const = default;
};

/// Sorted, each address once. Empty: the name has no such addresses, or is not there at all.
struct NameAnswer {
  std::vector<FoundServer> found;
  Duration ttl{};  // of the record that runs out first; zero when there is none
};

class Names {
 public:
  virtual ~Names() = default;
  /// Error: nobody who could know has answered (in time), or the answer is broken. Side::server. Ends soon
  /// when the program stops.
  virtual Task<Result<NameAnswer>> look_up(NameQuery query) = 0;
};

}  // namespace rejoin::upstream
