// The scene of the experiment: two gateways on one port of two loopback addresses, a balancer before them,
// and a client, all of them processes of this program, with their configurations and the client's cookie jar
// in a folder that vanishes at the end.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "apps/connect/account.h"
#include "apps/demo/children.h"
#include "base/address.h"
#include "base/result.h"

namespace rejoin::demo {

/// A new folder under /tmp (or $TMPDIR), only ours; removed with all that is in it when it dies.
class PrivateFolder {
 public:
  static Result<std::unique_ptr<PrivateFolder>> make();
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  std::string path(const std::string& file) const { return path_ + "/" + file; }
  /// Error: os.
  Status write(const std::string& file, const std::string& text) const;

 private:
  explicit PrivateFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

constexpr std::size_t kGateways = 2;

/// Two loopback addresses whose port 8000 is free: 127.0.1.1 and 127.0.1.2 if possible. Error: refused, none
/// was found.
Result<std::array<Address, kGateways>> free_gateway_addresses();

/// What differs from one part of the experiment to the next.
struct Setting {
  std::string affinity;          // the pool's, as TOML: `{ kind = "cookie-insert", name = "REJOIN" }`
  std::string mode;              // the listener's: "http" or "tcp"
  std::string gateway_cookie;    // empty: the gateways set none
  std::string game_server = {};  // its address; empty: an echo in its place
  std::vector<std::string> game_servers = {};  // one for each gateway, in the place of game_server
  std::string pages = {};                      // a folder in the private one, which the gateways serve
};

/// Everything of one part. Its processes end with it.
class Stage {
 public:
  Stage(Children& children, const PrivateFolder& folder, const std::array<Address, kGateways>& gateways);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /// Writes the configurations and starts all three; ok when each of them said `ready`. The errors of this
  /// class: `detail` has the last words of the process that failed.
  Status open(const Setting& setting);
  /// Without a word, as by a crash.
  void kill_gateway(std::size_t number);
  Status start_gateway(std::size_t number);

  const std::string& url() const { return url_; }
  const Address& gateway_address(std::size_t number) const { return addresses_[number]; }

  /// One connection of a client, dialled from `from`; `jar` is a file's name, empty for a client without a
  /// cookie jar. Not an error: an account that has one.
  Result<connect::Account> visit(const std::string& from, const std::string& jar);

 private:
  Result<Child*> start_server(const std::string& name, const std::string& command);
  Error failed(const std::string& what, const Child& child) const;

  Children& children_;
  const PrivateFolder& folder_;
  std::array<Address, kGateways> addresses_;
  std::array<Child*, kGateways> gateways_{};
  Child* balancer_ = nullptr;
  std::string url_;
};

/// "g1", "g2"
std::string gateway_name(std::size_t number);

}  // namespace rejoin::demo
