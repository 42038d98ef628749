// Dates in cookies: read as leniently as RFC 6265 5.1.1 orders, written strictly. Declared in cookie.h.
#include <algorithm>
#include <array>
#include <chrono>

#include "proto/cookie.h"
#include "proto/http_names.h"

namespace rejoin::proto {
namespace {

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/// The delimiters of RFC 6265 5.1.1. ':' is none, so that a time stays one token.
bool is_delimiter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x09 || (byte >= 0x20 && byte <= 0x2f) || (byte >= 0x3b && byte <= 0x40) ||
         (byte >= 0x5b && byte <= 0x60) || (byte >= 0x7b && byte <= 0x7e);
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Reads `least` to `most` digits off the front of `text`. False if there are fewer, or more.
bool take_number(std::string_view& text, std::size_t least, std::size_t most, int& out) {
  std::size_t count = 0;
  int value = 0;
  while (count < text.size() && is_digit(text[count])) {
    if (count == most) return false;
    value = value * 10 + (text[count++] - '0');
  }
  if (count < least) return false;
  text.remove_prefix(count);
  out = value;
  return true;
}

/// Anything may follow the number of a token, if it does not begin with a digit.
bool number_token(std::string_view token, std::size_t least, std::size_t most, int& out) {
  return take_number(token, least, most, out);
}

struct Parts {
  int second = -1, minute = -1, hour = -1, day = -1, month = -1, year = -1;
};

bool time_token(std::string_view token, Parts& parts) {
  int hour, minute, second;
  if (!take_number(token, 1, 2, hour) || !token.starts_with(':')) return false;
  token.remove_prefix(1);
  if (!take_number(token, 1, 2, minute) || !token.starts_with(':')) return false;
  token.remove_prefix(1);
  if (!take_number(token, 1, 2, second)) return false;
  parts.hour = hour, parts.minute = minute, parts.second = second;
  return true;
}

int month_token(std::string_view token) {
  for (std::size_t i = 0; i < kMonths.size(); ++i) {
    if (equals_ignoring_case(token.substr(0, 3), kMonths[i])) return static_cast<int>(i) + 1;
  }
  return -1;
}

/// Each token is the first of time, day, month, year that is still missing and that it fits.
void take_token(std::string_view token, Parts& parts) {
  int number;
  if (parts.hour < 0 && time_token(token, parts)) return;
  if (parts.day < 0 && number_token(token, 1, 2, number)) {
    parts.day = number;
    return;
  }
  if (parts.month < 0 && (number = month_token(token)) > 0) {
    parts.month = number;
    return;
  }
  if (parts.year < 0 && number_token(token, 2, 4, number)) parts.year = number;
}

void append_padded(std::string& out, int value, std::size_t width) {
  const std::string digits = std::to_string(value);
  out.append(width > digits.size() ? width - digits.size() : 0, '0');
  out += digits;
}

}  // namespace

std::optional<UnixSeconds> parse_cookie_date(std::string_view text) {
  Parts parts;
  while (!text.empty()) {
    const auto end = std::find_if(text.begin(), text.end(), is_delimiter);
    const auto length = static_cast<std::size_t>(end - text.begin());
    if (length != 0) take_token(text.substr(0, length), parts);
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  if (parts.hour < 0 || parts.day < 0 || parts.month < 0 || parts.year < 0) return std::nullopt;
  if (parts.year >= 70 && parts.year <= 99) parts.year += 1900;
  if (parts.year <= 69) parts.year += 2000;
  if (parts.day < 1 || parts.year < 1601) return std::nullopt;
  if (parts.hour > 23 || parts.minute > 59 || parts.second > 59) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(parts.year),
                                         std::chrono::month(static_cast<unsigned>(parts.month)),
                                         std::chrono::day(static_cast<unsigned>(parts.day))};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86400 + parts.hour * 3600 + parts.minute * 60 + parts.second;
}

std::string cookie_date(UnixSeconds when) {
  constexpr UnixSeconds kEarliest = -11644473600, kLatest = 253402300799;  // 1601-01-01, 9999-12-31 23:59:59
  const std::chrono::sys_seconds moment{std::chrono::seconds(std::clamp(when, kEarliest, kLatest))};
  const auto midnight = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss time{moment - midnight};
  std::string out(kDays[std::chrono::weekday(midnight).c_encoding()]);
  out += ", ";
  append_padded(out, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  out += ' ';
  out += kMonths[static_cast<unsigned>(date.month()) - 1];
  out += ' ';
  append_padded(out, static_cast<int>(date.year()), 4);
  out += ' ';
  append_padded(out, static_cast<int>(time.hours().count()), 2);
  out += ':';
  append_padded(out, static_cast<int>(time.minutes().count()), 2);
  out += ':';
  append_padded(out, static_cast<int>(time.seconds().count()), 2);
  out += " GMT";
  return out;
}

}  // namespace rejoin::proto
