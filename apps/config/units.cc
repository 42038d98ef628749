#include "apps/config/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace rejoin::config {
namespace {

struct Unit {
  std::string_view word;
  std::uint64_t worth;
  std::string_view slips;  // what people write instead, in lower case, each between spaces
};

// Largest last: *_text looks for the largest that divides.
constexpr std::array<Unit, 5> kDurationUnits{{
    {"ms", 1'000, " msec msecs millis milliseconds "},
    {"s", 1'000'000, " sec secs second seconds "},
    {"m", 60'000'000, " min mins minute minutes "},
    {"h", 3'600'000'000, " hr hrs hour hours "},
    {"d", 86'400'000'000, " day days "},
}};
constexpr std::array<Unit, 3> kSizeUnits{{
    {"B", 1, " b byte bytes "},
    {"KiB", 1024, " k kb kib "},
    {"MiB", 1024 * 1024, " m mb mib "},
}};

/// Number times unit, or nothing. `most` bounds the product.
std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return std::nullopt;
  const std::string_view word = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : units) {
    if (word != unit.word) continue;
    if (number > most / unit.worth) return std::nullopt;
    return number * unit.worth;
  }
  return std::nullopt;
}

std::string format(std::uint64_t amount, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (amount != 0 && amount % unit.worth == 0) best = &unit;
  }
  if (amount == 0 && units.size() > 1) best = &units[1];  // "0s" reads better than "0ms"
  return std::to_string(amount / best->worth) + std::string(best->word);
}

/// `text` with the usual slips put right ("10 Sec" to "10s"), or nothing when no digit leads or the unit is
/// strange.
std::optional<std::string> put_right(std::string_view text, std::span<const Unit> units) {
  std::string number, word;
  for (char c : text) {
    if (c == ' ' || c == '_') continue;
    if (c >= '0' && c <= '9' && word.empty()) {
      number += c;
      continue;
    }
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    word += c;
  }
  if (number.empty() || number.size() > 12 || word.empty()) return std::nullopt;
  for (const Unit& unit : units) {
    if (word == unit.word || unit.slips.find(' ' + word + ' ') != unit.slips.npos) {
      return number + std::string(unit.word);
    }
  }
  return std::nullopt;
}

constexpr auto kDurationMost = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());
constexpr auto kSizeMost = std::numeric_limits<std::uint64_t>::max();

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  const auto amount = parse(text, kDurationUnits, kDurationMost);
  if (!amount) return std::nullopt;
  return Duration(static_cast<Duration::rep>(*amount));
}

std::string duration_text(Duration duration) {
  return format(static_cast<std::uint64_t>(duration.count()), kDurationUnits);
}

std::string duration_hint(std::string_view text) {
  const auto better = put_right(text, kDurationUnits);
  if (better && parse_duration(*better)) return "did you mean \"" + *better + "\"?";
  return "write an integer and one of ms, s, m, h, d, such as \"10s\"";
}

std::optional<std::uint64_t> parse_size(std::string_view text) { return parse(text, kSizeUnits, kSizeMost); }

std::string size_text(std::uint64_t bytes) {
  return bytes == 0 ? std::string("0B") : format(bytes, kSizeUnits);
}

std::string size_hint(std::string_view text) {
  const auto better = put_right(text, kSizeUnits);
  if (better && parse_size(*better)) return "did you mean \"" + *better + "\"?";
  return "write an integer and one of B, KiB, MiB, such as \"64KiB\"";
}

}  // namespace rejoin::config
