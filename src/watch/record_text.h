// How the values of a line of the access log are written: bytes from outside can neither break a line nor
// leave ASCII. access_record.cc and link_record.cc say which values a line has.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"

namespace rejoin::watch {

/// A longer text of a client is cut there, and ends in "...".
inline constexpr std::size_t kAccessPathBytesMax = 1024;
inline constexpr std::size_t kAccessTextBytesMax = 256;

/// "2026-11-26T01:53:27.042Z" (RFC 3339).
std::string time_text(std::int64_t unix_ms);
/// 16 digits.
std::string hex_text(std::uint64_t value);
/// "12.345": milliseconds, to the microsecond.
std::string ms_text(Duration time);

/// Members of one JSON object on a line of its own, each name once; what is not there is null. A byte from
/// 0x80 on is read as Latin-1: what a client sends need be no UTF-8, and a line must be JSON.
class JsonLine {
 public:
  explicit JsonLine(std::string& out) : out_(out) {}
  /// Empty: null.
  void text(std::string_view name, Bytes value, std::size_t most = kAccessTextBytesMax);
  /// As it stands.
  void plain(std::string_view name, std::string_view value);
  void time(std::string_view name, const std::optional<Duration>& value) {
    value ? plain(name, ms_text(*value)) : nothing(name);
  }
  void number(std::string_view name, std::uint64_t value) { plain(name, std::to_string(value)); }
  void number(std::string_view name, const std::optional<std::uint64_t>& value) {
    value ? number(name, *value) : nothing(name);
  }
  /// 0: null.
  void count(std::string_view name, std::uint64_t value) { value != 0 ? number(name, value) : nothing(name); }
  void nothing(std::string_view name) { plain(name, "null"); }
  void end() { out_ += "}\n"; }

 private:
  void begin(std::string_view name);
  std::string& out_;
  bool first_ = true;
};

/// Words in a line, with spaces between them and "-" for what is not there.
class WordLine {
 public:
  explicit WordLine(std::string& out) : out_(out) {}
  void word(std::string_view text);
  void number(std::uint64_t value) { word(std::to_string(value)); }
  void number(const std::optional<std::uint64_t>& value) { value ? number(*value) : word({}); }
  void quoted(Bytes text, std::size_t most = kAccessTextBytesMax);
  /// Right behind the word before, with a slash.
  void with(std::string_view text);
  void end() { out_ += '\n'; }

 private:
  void space();
  std::string& out_;
  bool first_ = true;
};

}  // namespace rejoin::watch
