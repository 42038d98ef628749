// `rejoin demo --web`: the experiment as a small game in a browser. Everything of it runs on this machine: an
// arena server that knows nothing of Rejoin, two gateways, a balancer, and the network between the browser
// and the balancer (access_network.h), which the page's buttons break.
//
// Place: instead of the acts of the demo, until SIGINT or SIGTERM.
#pragma once

#include <array>
#include <string>

#include "apps/demo/children.h"
#include "apps/demo/stage.h"
#include "base/address.h"
#include "base/result.h"

namespace rejoin::demo {

/// Where the page is served when nobody says where.
inline constexpr const char* kPageAddress = "127.0.0.1:8088";

/// Serves the page at `at` and says so on stdout; the next free port when its port is taken and `at` is the
/// default. Returns when a signal ends it. Error: what could not be started.
Status serve_web_page(Children& children, const PrivateFolder& folder,
                      const std::array<Address, kGateways>& gateways, const std::string& at);

/// The page's files, by name, as they are in this program.
struct WebFile {
  std::string_view name;
  std::string_view bytes;
};
const std::array<WebFile, 4>& web_files();

}  // namespace rejoin::demo
