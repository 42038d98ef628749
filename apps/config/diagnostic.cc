#include "apps/config/diagnostic.h"

#include <algorithm>
#include <cstdio>

namespace rejoin::config {
namespace {

constexpr std::size_t kQuotedBytesMax = 64;

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

std::string Diagnostic::text() const {
  std::string out = file;
  if (place.line != 0) {
    out += ':' + std::to_string(place.line) + ':' + std::to_string(place.column);
  }
  out += ": ";
  if (severity == Severity::warning) out += "warning: ";
  if (severity == Severity::note) out += "note: ";
  if (!key.empty()) out += key + ": ";
  out += message;
  return out;
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& it) { return it.severity == Severity::error; });
}

void sort_by_place(std::vector<Diagnostic>& diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return a.place < b.place; });
}

std::string to_text(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& it : diagnostics) out += it.text() + '\n';
  return out;
}

std::string in_quotes(std::string_view text) {
  std::string_view rest;
  if (text.size() > kQuotedBytesMax) {
    std::size_t cut = kQuotedBytesMax;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80)
      --cut;  // not inside a character
    text = text.substr(0, cut);
    rest = "...";
  }
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  out += rest;
  out += '"';
  return out;
}

std::string key_text(std::string_view key) {
  if (!key.empty() && std::all_of(key.begin(), key.end(), is_bare)) {
    if (key.size() <= kQuotedBytesMax) return std::string(key);
  }
  return in_quotes(key);
}

}  // namespace rejoin::config
