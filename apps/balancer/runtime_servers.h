// What operators said about servers while the program ran: added, removed, moved. A layer over what the file
// says. Pure.
//
// The rule: such a word holds until the file says something else about a server of that pool and name than it
// did when the word was given (its entry is changed, added or removed). A reload of an unchanged file takes
// nothing back, and the file has the last word where it speaks.
//
// Weight and order (drain, maintenance) are not here: they are in the server's live state, where the same
// rule holds (route::Pool::take_effect).
//
// Owner: Operations, on worker 0.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/config.h"

namespace rejoin::balancer {

class RuntimeServers {
 public:
  struct Word {
    std::string pool, name;
    std::optional<config::Server> server;   // none: removed
    std::optional<config::Server> in_file;  // what the file said when the word was given

    bool operator==(const Word&) const = default;
  };
  RuntimeServers() = default;
  /// What was said to the process in whose place we come; settle() is next.
  explicit RuntimeServers(std::vector<Word> words) : words_(std::move(words)) {}
  const std::vector<Word>& words() const { return words_; }

  /// `file` is what the file says now. `server`: how it is from now on; its name is the word's.
  void put(const config::Config& file, const std::string& pool, const config::Server& server);
  /// It is gone from now on.
  void remove(const config::Config& file, const std::string& pool, const std::string& server);

  /// The file's configuration with the words over it.
  config::Config over(const config::Config& file) const;

  /// The file was read again. Forgets the words that it overrules; a line for each.
  std::vector<std::string> settle(const config::Config& file);

  bool empty() const { return words_.empty(); }

 private:
  void say(const config::Config& file, Word word);

  std::vector<Word> words_;
};

}  // namespace rejoin::balancer
