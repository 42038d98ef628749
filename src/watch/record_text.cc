#include "watch/record_text.h"

#include <algorithm>
#include <chrono>

namespace rejoin::watch {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

std::string padded(unsigned value, std::size_t width) {
  std::string out = std::to_string(value);
  if (out.size() < width) out.insert(0, width - out.size(), '0');
  return out;
}

/// Bytes from outside become visible ASCII. `escape` writes one that cannot stand as it is.
template <typename Escape>
void append_safe(std::string& out, Bytes text, std::size_t most, Escape escape) {
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      escape(out, byte);
    } else {
      out += c;
    }
  }
  if (text.size() > most) out += "...";
}

void escape_json(std::string& out, unsigned char byte) {
  if (byte == '"' || byte == '\\') {
    out += '\\';
    out += static_cast<char>(byte);
    return;
  }
  out += "\\u00";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

void escape_line(std::string& out, unsigned char byte) {
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

std::string_view or_dash(std::string_view text) { return text.empty() ? "-" : text; }

}  // namespace

std::string time_text(std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(unix_ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss<milliseconds> time(at - day);
  return padded(static_cast<unsigned>(static_cast<int>(date.year())), 4) + '-' +
         padded(static_cast<unsigned>(date.month()), 2) + '-' + padded(static_cast<unsigned>(date.day()), 2) +
         'T' + padded(static_cast<unsigned>(time.hours().count()), 2) + ':' +
         padded(static_cast<unsigned>(time.minutes().count()), 2) + ':' +
         padded(static_cast<unsigned>(time.seconds().count()), 2) + '.' +
         padded(static_cast<unsigned>(time.subseconds().count()), 3) + 'Z';
}

std::string hex_text(std::uint64_t value) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = kDigits[value & 15];
  return out;
}

std::string ms_text(Duration time) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(time.count(), 0));
  return std::to_string(us / 1000) + "." + padded(static_cast<unsigned>(us % 1000), 3);
}

void JsonLine::text(std::string_view name, Bytes value, std::size_t most) {
  if (value.empty()) return nothing(name);
  begin(name);
  out_ += '"';
  append_safe(out_, value, most, escape_json);
  out_ += '"';
}

void JsonLine::plain(std::string_view name, std::string_view value) {
  begin(name);
  out_ += value;
}

void JsonLine::begin(std::string_view name) {
  out_ += first_ ? "{\"" : ",\"";
  first_ = false;
  out_ += name;
  out_ += "\":";
}

void WordLine::space() {
  if (!first_) out_ += ' ';
  first_ = false;
}

void WordLine::word(std::string_view text) {
  space();
  append_safe(out_, or_dash(text), kAccessTextBytesMax, escape_line);
}

void WordLine::quoted(Bytes text, std::size_t most) {
  space();
  out_ += '"';
  append_safe(out_, or_dash(text), most, escape_line);
  out_ += '"';
}

void WordLine::with(std::string_view text) {
  out_ += '/';
  append_safe(out_, or_dash(text), kAccessTextBytesMax, escape_line);
}

}  // namespace rejoin::watch
