// What a configuration says wrong, and where: one line that a person can act upon.
//
// Made by the readers of this folder, printed by `rejoin check` and by the programs when they refuse to
// start. Plain values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rejoin::config {

/// Line and column count from 1, columns in characters. Line 0: the file as a whole.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  auto operator<=>(const Place&) const = default;
};

/// Where something stands in its file, which says nothing about what it says.
struct StandsAt {
  Place place;
  bool operator==(const StandsAt&) const { return true; }
};

enum class Severity : std::uint8_t {
  error,    // the program does not start
  warning,  // it starts, and probably does not do what was meant
  note,     // worth knowing
};

struct Diagnostic {
  std::string file;
  Place place;
  std::string key;      // "pool.affinity[0].kind"; empty for a syntax error
  std::string message;  // says what would be right. Never a secret.
  Severity severity = Severity::error;

  /// `play.toml:12:9: pool.affinity[0].kind: "cookie-inserts" is not a kind; did you mean "cookie-insert"?`
  /// Warnings and notes have the word behind the place: `play.toml:12:9: warning: pool.name: ...`.
  std::string text() const;
};

bool has_errors(const std::vector<Diagnostic>& diagnostics);
/// By place; equal places keep their order.
void sort_by_place(std::vector<Diagnostic>& diagnostics);
/// One text() a line, each ended by '\n'.
std::string to_text(const std::vector<Diagnostic>& diagnostics);

/// `text` in double quotes for a message: control characters escaped, cut at 64 bytes. Never for secrets.
std::string in_quotes(std::string_view text);
/// The key as TOML would have it: bare when it can be, else in_quotes().
std::string key_text(std::string_view key);

}  // namespace rejoin::config
