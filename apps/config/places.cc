#include "apps/config/places.h"

namespace rejoin::config {

Spot Places::at(std::string_view path) const {
  if (const auto found = spots_.find(path); found != spots_.end()) return found->second;
  const auto dot = path.rfind('.');
  if (dot == path.npos) return {{1, 1}, std::string(path)};
  Spot table = at(path.substr(0, dot));
  table.key += path.substr(dot);
  return table;
}

}  // namespace rejoin::config
