// The load generator: clients of WebSocket or of length-framed TCP in one thread on one epoll, which do what
// a script tells them by stdin, one command a line, each answered by one line of JSON. So the script reads
// the subject's clocks and memory between two commands, while connections are held.
//
// clang-format off
//   bench_load --to ADDRESS:PORT [--transport websocket|tcp] [--speak echo|greeted|rejoin|socketio]
//              [--bytes 64] [--sources 200] [--tls TRUSTED.PEM [--tls-name play.example]]
//
//   hold count=N [concurrent=64]                      open N more connections, one message on each; hold them
//   echo seconds=S|count=N [window=W] [links=K]       closed loop over those that are held
//   rate per_second=R seconds=S [links=K]             open loop; latencies from when a message was due
//   visit count=N [concurrent=64] [players=P] [say=K] [reset=1]
//                                                     handshakes (say=0) and churn: connect, say K, leave
//   fan seconds=S|count=N                             one message in, one out on every one that is held
//   storm                                             all that are held break by RST and come back at once
//   break                                             all that are held break by RST, and stay away
//   close                                             all that are held are closed by FIN
// clang-format on
//
// An answer: units, held, wall_s and cpu_s (of the generator), errors, moved (players that came back to
// another server), latency and late (see load_scenarios.h): p50 to max in us, and the buckets of histogram.h
// that are not empty. The end of stdin ends it. It speaks rejoin.v1 and Socket.IO by code of its own, so that
// a fault in src/ is not measured against itself.
#include <charconv>
#include <csignal>
#include <iostream>
#include <sstream>

#include "load_scenarios.h"

namespace bench {
namespace {

template <class Number>
Number number_of(const std::string& text) {
  Number number{};
  const auto end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end) usage("a number, not " + text);
  return number;
}

Order parse_order(const std::string& line) {
  std::istringstream words(line);
  Order order;
  words >> order.command;
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const auto value = equals == std::string::npos ? std::string() : word.substr(equals + 1);
    if (name == "count") {
      order.count = number_of<std::uint64_t>(value);
    } else if (name == "seconds") {
      order.seconds = number_of<double>(value);
    } else if (name == "per_second") {
      order.per_second = number_of<double>(value);
    } else if (name == "window") {
      order.window = number_of<std::uint32_t>(value);
    } else if (name == "links") {
      order.links = number_of<std::uint32_t>(value);
    } else if (name == "concurrent") {
      order.concurrent = std::max(1u, number_of<std::uint32_t>(value));
    } else if (name == "players") {
      order.players = number_of<std::uint32_t>(value);
    } else if (name == "say") {
      order.say = number_of<std::uint32_t>(value);
    } else if (name == "reset") {
      order.reset = value == "1";
    } else {
      usage("the parameter " + word);
    }
  }
  return order;
}

/// What a command cannot do without; a script that forgets it would wait for ever.
void check_order(const Order& order, std::size_t held) {
  const bool talks = order.command == "echo" || order.command == "fan" || order.command == "rate";
  if (talks && held == 0) usage(order.command + " without a connection that is held");
  if ((order.command == "echo" || order.command == "fan") && order.count == 0 && order.seconds <= 0)
    usage(order.command + " needs count= or seconds=");
  if (order.command == "rate" && (order.per_second <= 0 || order.seconds <= 0))
    usage("rate needs per_second= and seconds=");
}

Outcome obey(Crowd& crowd, const Order& order) {
  check_order(order, crowd.held());
  if (order.command == "hold") return crowd.hold(order);
  if (order.command == "echo") return crowd.echo(order);
  if (order.command == "rate") return crowd.rate(order);
  if (order.command == "visit") return crowd.visit(order);
  if (order.command == "fan") return crowd.fan(order);
  if (order.command == "storm") return crowd.storm(order);
  if (order.command == "break") return crowd.break_all(order);
  if (order.command == "close") return crowd.close_all(order);
  usage("the command " + order.command);
}

void print_text(const char* name, const std::string& text) {
  std::printf(",\"%s\":\"", name);
  for (const char c : text)
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 32) std::putchar(c);
  std::putchar('"');
}

void print_histogram(const char* name, const Histogram& histogram) {
  if (histogram.count() == 0) return;
  std::printf(",\"%s\":{\"count\":%llu", name, static_cast<unsigned long long>(histogram.count()));
  const std::pair<const char*, double> parts[] = {
      {"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}, {"max_us", 1.0}};
  for (const auto& [label, part] : parts)
    std::printf(",\"%s\":%.3f", label, static_cast<double>(histogram.percentile_ns(part)) / 1e3);
  std::printf(",\"buckets\":[");
  const char* between = "";
  for (std::size_t index = 0; index < Histogram::buckets; ++index) {
    if (histogram.at(index) == 0) continue;
    std::printf("%s[%zu,%llu]", between, index, static_cast<unsigned long long>(histogram.at(index)));
    between = ",";
  }
  std::printf("]}");
}

void print_outcome(const Order& order, const Outcome& outcome, const Crowd& crowd) {
  const auto wall_ns = nanoseconds(CLOCK_MONOTONIC) - outcome.start_ns;
  const auto cpu_ns = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - outcome.start_cpu_ns;
  const Counts& counts = crowd.counts();
  std::printf(
      "{\"command\":\"%s\",\"units\":%llu,\"held\":%zu,\"wall_s\":%.6f,\"cpu_s\":%.6f,\"errors\":%llu,"
      "\"moved\":%llu",
      order.command.c_str(), static_cast<unsigned long long>(outcome.units), crowd.held(),
      static_cast<double>(wall_ns) / 1e9, static_cast<double>(cpu_ns) / 1e9,
      static_cast<unsigned long long>(counts.errors), static_cast<unsigned long long>(counts.moved));
  print_text("first_error", counts.first_error);
  print_text("first_moved", counts.first_moved);
  print_histogram("latency", *outcome.latency);
  print_histogram("late", *outcome.late);
  std::printf("}\n");
  std::fflush(stdout);
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets without MSG_NOSIGNAL
  bench::Crowd crowd(bench::parse(count, arguments));
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    const auto order = bench::parse_order(line);
    const auto outcome = bench::obey(crowd, order);
    bench::print_outcome(order, outcome, crowd);
  }
  return crowd.counts().errors == 0 ? 0 : 1;
}
