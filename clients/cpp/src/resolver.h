// Names become addresses. The driver asks and is answered later, so that nobody waits for a name server on a
// loop's thread: system_resolver.h asks the operating system, simulations have a table.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace rejoin::client {

class Resolver {
 public:
  using Answer = std::function<void(Result<std::vector<Address>>)>;
  virtual ~Resolver() = default;
  /// `host` is a name (addresses are the driver's own to read). `answer` is called once, on the loop's
  /// thread: before this returns, or in a later turn. At least one address, or an Error.
  virtual void resolve(const std::string& host, std::uint16_t port, Answer answer) = 0;
};

/// Knows no name.
class NoResolver final : public Resolver {
 public:
  void resolve(const std::string& host, std::uint16_t, Answer answer) override {
    answer(Error{ErrorKind::unreachable, Side::ours, Retry::no, "no names here: " + host});
  }
};

}  // namespace rejoin::client
