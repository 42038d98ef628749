// The command line of bench_ws_load.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ws_wire.h"

namespace bench {

enum class Speaks : std::uint8_t { websocket, greeted, rejoin, socketio };

/// What the command line says.
struct Options {
  std::string mode;
  Speaks speaks = Speaks::websocket;
  bool detach = false;
  sockaddr_in to{};
  std::vector<unsigned> connections = {50};
  unsigned concurrent = 32;
  unsigned returning = 0;
  std::size_t bytes = 64;
  double seconds = 2;
  std::uint64_t count = 0;
  bool wait = false;
  bool reset = false;
};

[[noreturn]] inline void usage(const char* what) {
  std::fprintf(
      stderr,
      "unknown or incomplete: %s\nusage: bench_ws_load echo|handshake|idle|storm --to ADDRESS:PORT ...\n",
      what);
  std::exit(2);
}

inline Options parse(int count, char** arguments) {
  Options options;
  if (count < 2) usage("mode");
  options.mode = arguments[1];
  if (options.mode != "echo" && options.mode != "handshake" && options.mode != "idle" &&
      options.mode != "storm")
    usage(arguments[1]);
  for (int i = 2; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--wait") {
      options.wait = true;
      continue;
    }
    if (name == "--reset") {
      options.reset = true;
      continue;
    }
    if (name == "--detach") {
      options.detach = true;
      continue;
    }
    if (i + 1 == count) usage(arguments[i]);
    const std::string value = arguments[++i];
    if (name == "--to") {
      options.to = parse_address(value);
    } else if (name == "--speak") {
      if (value == "websocket") options.speaks = Speaks::websocket;
      if (value == "greeted") options.speaks = Speaks::greeted;
      if (value == "rejoin") options.speaks = Speaks::rejoin;
      if (value == "socketio") options.speaks = Speaks::socketio;
    } else if (name == "--connections") {
      options.connections.clear();
      for (std::size_t at = 0; at < value.size(); at = std::min(value.find(',', at), value.size() - 1) + 1)
        options.connections.push_back(static_cast<unsigned>(std::atoi(value.c_str() + at)));
    } else if (name == "--concurrent") {
      options.concurrent = static_cast<unsigned>(std::atoi(value.c_str()));
    } else if (name == "--returning") {
      options.returning = static_cast<unsigned>(std::atoi(value.c_str()));
    } else if (name == "--bytes") {
      options.bytes = static_cast<std::size_t>(std::atoll(value.c_str()));
    } else if (name == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else if (name == "--count") {
      options.count = static_cast<std::uint64_t>(std::atoll(value.c_str()));
    } else {
      usage(arguments[i - 1]);
    }
  }
  const bool sane = options.to.sin_port != 0 && options.bytes > 0 && options.concurrent > 0 &&
                    options.seconds > 0 && !options.connections.empty() && options.connections.front() > 0;
  if (!sane) usage("--to ADDRESS:PORT, or a number that must be above 0");
  return options;
}

}  // namespace bench
