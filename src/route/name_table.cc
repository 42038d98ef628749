#include "route/name_table.h"

namespace rejoin::route {

void NameTable::add(std::string_view name, std::size_t value) {
  std::string key(name.starts_with("*.") ? name.substr(1) : name);
  for (char& c : key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  names_.emplace(std::move(key), value);
}

const std::size_t* NameTable::find(std::string_view name) const {
  if (name.empty()) return nullptr;
  std::string key(name);
  for (;;) {
    const auto at = names_.find(key);
    if (at != names_.end()) return &at->second;
    const std::size_t dot = key.find('.', 1);  // from ".b.c" to ".c", from "a.b" to ".b"
    if (dot == key.npos) return nullptr;
    key.erase(0, dot);
  }
}

}  // namespace rejoin::route
