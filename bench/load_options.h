// The command line of bench_load: whom it dials and how its clients speak. What they do comes by stdin
// (load.cc).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ws_wire.h"

namespace bench {

enum class Transport : std::uint8_t { websocket, tcp };

/// echo: what is said comes back. greeted: the same behind a greeting, from a gateway with plain messages.
/// rejoin: the resume protocol (spec/resume.md). socketio: the text framing of Socket.IO 4.
enum class Speaks : std::uint8_t { echo, greeted, rejoin, socketio };

constexpr std::size_t message_bytes_min = 64;  // a Socket.IO message spells its stamp in 56 letters
constexpr std::size_t message_bytes_max = 1024 * 1024;

struct Options {
  Transport transport = Transport::websocket;
  Speaks speaks = Speaks::echo;
  sockaddr_in to{};
  std::size_t bytes = message_bytes_min;
  unsigned sources = 200;
  std::string tls{};  // a PEM file of certificates that are trusted; empty: plain
  std::string tls_name = "play.example";
};

[[noreturn]] inline void usage(const std::string& what) {
  std::fprintf(
      stderr,
      "unknown or incomplete: %s\n"
      "usage: bench_load --to ADDRESS:PORT [--transport websocket|tcp] [--speak "
      "echo|greeted|rejoin|socketio]\n"
      "                  [--bytes 64] [--sources 200] [--tls TRUSTED.PEM [--tls-name play.example]]\n"
      "and commands on stdin: see bench/load.cc\n",
      what.c_str());
  std::exit(2);
}

inline Speaks parse_speaks(const std::string& name) {
  if (name == "echo") return Speaks::echo;
  if (name == "greeted") return Speaks::greeted;
  if (name == "rejoin") return Speaks::rejoin;
  if (name == "socketio") return Speaks::socketio;
  usage("--speak " + name);
}

inline Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (i + 1 == count) usage(name);
    const std::string value = arguments[++i];
    if (name == "--to") {
      options.to = parse_address(value);
    } else if (name == "--transport") {
      if (value != "websocket" && value != "tcp") usage("--transport " + value);
      options.transport = value == "tcp" ? Transport::tcp : Transport::websocket;
    } else if (name == "--speak") {
      options.speaks = parse_speaks(value);
    } else if (name == "--bytes") {
      options.bytes = static_cast<std::size_t>(std::strtoull(value.c_str(), nullptr, 10));
    } else if (name == "--tls") {
      options.tls = value;
    } else if (name == "--tls-name") {
      options.tls_name = value;
    } else if (name == "--sources") {
      options.sources = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
    } else {
      usage(name);
    }
  }
  if (options.to.sin_port == 0) usage("--to ADDRESS:PORT");
  if (options.bytes < message_bytes_min || options.bytes > message_bytes_max)
    usage("--bytes is from 64 to 1048576");
  if (options.sources < 1 || options.sources > 60'000) usage("--sources is from 1 to 60000");
  if (options.transport == Transport::tcp && options.speaks == Speaks::socketio)
    usage("Socket.IO speaks WebSocket only");
  return options;
}

}  // namespace bench
