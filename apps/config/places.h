// Where each key of a file stands, kept beside the values so that a check of two values can point at both.
//
// Filled by the parser, asked by cross_check(). Lives for one reading.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "apps/config/diagnostic.h"

namespace rejoin::config {

/// A key's place, and its name for people: "pool.server[1].weight". Items of a list of inline tables always
/// have their number, those of [[tables]] only when there are several.
struct Spot {
  Place place;
  std::string key;
};

class Places {
 public:
  /// `path` numbers every list: "pool[0].server[1].weight".
  void put(std::string path, Spot spot) { spots_.insert_or_assign(std::move(path), std::move(spot)); }
  bool has(std::string_view path) const { return spots_.find(path) != spots_.end(); }
  /// The value at `path` was wrong: config.h's struct holds the default instead.
  void refuse(std::string path) { refused_.insert(std::move(path)); }
  bool good(std::string_view path) const { return has(path) && refused_.find(path) == refused_.end(); }
  /// A key that is not in the file has its table's place, and the name that it would have.
  Spot at(std::string_view path) const;

 private:
  std::map<std::string, Spot, std::less<>> spots_;
  std::set<std::string, std::less<>> refused_;
};

}  // namespace rejoin::config
