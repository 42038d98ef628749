// Durations and sizes as the configuration and the command line write them: "10s", "64KiB".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace rejoin::config {

/// An integer and one of ms, s, m, h, d, with nothing between or around: "1500ms", "30m". Nothing for all
/// else, for negative numbers, and for what a Duration cannot hold.
std::optional<Duration> parse_duration(std::string_view text);
/// With the largest unit that divides it: 30min is "30m", 90s is "90s". `duration` is whole milliseconds.
std::string duration_text(Duration duration);
/// What to say of a text that parse_duration refused: `did you mean "10s"?` or how a duration is written.
std::string duration_hint(std::string_view text);

/// An integer and one of B, KiB, MiB: "64KiB". Bytes; nothing for all else and for what 64 bits cannot hold.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string size_text(std::uint64_t bytes);
/// As duration_hint.
std::string size_hint(std::string_view text);

}  // namespace rejoin::config
