// What the program says of itself. spdlog stands behind it, included by log.cc alone (its headers cost
// seconds a unit).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace rejoin {

enum class LogLevel : std::uint8_t { debug, info, warn, error, off };

/// One per process; safe from every thread. Secrets never go in: log a cookie or a ticket as short_hash() of
/// it.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view line) = 0;

  bool wants(LogLevel level) const { return level >= level_; }
  void set_level(LogLevel level) { level_ = level; }
  void debug(std::string_view line) { say(LogLevel::debug, line); }
  void info(std::string_view line) { say(LogLevel::info, line); }
  void warn(std::string_view line) { say(LogLevel::warn, line); }
  void error(std::string_view line) { say(LogLevel::error, line); }

 private:
  void say(LogLevel level, std::string_view line) {
    if (wants(level)) write(level, line);
  }
  LogLevel level_ = LogLevel::info;
};

/// Lines on stderr: "2026-11-23T10:00:00.000Z info  balancer: ...". `program` stands before each line.
std::unique_ptr<Log> make_stderr_log(std::string program, LogLevel level);

/// Swallows everything: for tests.
class NullLog final : public Log {
 public:
  NullLog() { set_level(LogLevel::off); }
  void write(LogLevel, std::string_view) override {}
};

/// Eight hex digits of the SHA-256 of a secret: enough to follow one through a log, too little to use it.
std::string short_hash(std::string_view secret);

}  // namespace rejoin
