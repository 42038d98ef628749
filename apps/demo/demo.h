// `rejoin demo`: the experiment, from two gateways to the client that changes its address, in one command.
//
// run_demo() is defined in demo.cc; that file's presence puts the sub-command into the binary.
#pragma once

#include <cstdint>
#include <string>

namespace rejoin::demo {

/// Which affinity is shown. `all`: the cookies insert, rewrite and prefix, one after the other. Layer-4
/// persistence (source_ip) follows every one of them, as the contrast.
enum class ShownAffinity : std::uint8_t { insert, rewrite, prefix, source_ip, all };

/// Which acts are played: the way back to one's gateway, the scene that goes on, or both.
enum class ShownActs : std::uint8_t { both, way_back, scene };

/// `verbose` lets the logs of the balancer and the gateways through.
enum class Detail : std::uint8_t { account, verbose };

struct DemoOptions {
  ShownAffinity affinity = ShownAffinity::all;
  ShownActs acts = ShownActs::both;
  Detail detail = Detail::account;
  /// Not the acts but a page to play with in a browser, served at `web_at` (IP:PORT) until a signal.
  bool web = false;
  std::string web_at;
  /// Not a demo: be a part of one. The demo starts itself so.
  std::string game_server_at;     // IP:PORT
  std::string arena_server_at;    // IP:PORT,IP:PORT...
  std::string access_network_at;  // IP:PORT of its own, comma, of the balancer
};

/// Prints a readable account on stdout. Returns the exit status: 0 only if every claim held.
int run_demo(const DemoOptions& options);

}  // namespace rejoin::demo
