// Columns of text for a terminal. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "watch/json.h"

namespace rejoin::ctl {

inline std::int64_t number(const watch::Json& value) { return value.integer().value_or(0); }

/// A value in a cell: its text, its number, "-" for null. Nothing that could move a terminal's cursor.
inline std::string cell(const watch::Json& value) {
  if (const auto integer = value.integer()) return std::to_string(*integer);
  if (const auto flag = value.boolean()) return *flag ? "yes" : "no";
  std::string text = value.text().value_or("-");
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

/// Columns as wide as they must be; the last one is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        out += row[i];
        if (i + 1 < row.size()) out += std::string(widths[i] - row[i].size() + 2, ' ');
      }
      out += '\n';
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace rejoin::ctl
