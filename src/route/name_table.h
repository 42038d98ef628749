// Host names and what belongs to them: whole names, and "*.example" for all names below one. The longest that
// fits wins, a whole name before any pattern.
//
// Made once, asked once a connection; immutable between, so any thread may ask.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

namespace rejoin::route {

class NameTable {
 public:
  /// `name` in any letters. What was added for it before stays.
  void add(std::string_view name, std::size_t value);
  bool empty() const { return names_.empty(); }
  /// `name` in small letters, without a final dot. nullptr: nothing fits.
  const std::size_t* find(std::string_view name) const;
  bool operator==(const NameTable&) const = default;

 private:
  std::unordered_map<std::string, std::size_t> names_;  // patterns without their "*": ".example"
};

}  // namespace rejoin::route
