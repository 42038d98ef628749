#include "apps/balancer/runtime_servers.h"

#include <algorithm>

namespace rejoin::balancer {
namespace {

std::optional<config::Server> find(const config::Config& in, const std::string& pool,
                                   const std::string& name) {
  const config::Pool* const of = in.find_pool(pool);
  if (of == nullptr) return std::nullopt;
  for (const config::Server& server : of->servers) {
    if (server.name == name) return server;
  }
  return std::nullopt;
}

}  // namespace

void RuntimeServers::put(const config::Config& file, const std::string& pool, const config::Server& server) {
  say(file, {pool, server.name, server, std::nullopt});
}

void RuntimeServers::remove(const config::Config& file, const std::string& pool, const std::string& server) {
  say(file, {pool, server, std::nullopt, std::nullopt});
}

void RuntimeServers::say(const config::Config& file, Word word) {
  std::erase_if(words_, [&](const Word& it) { return it.pool == word.pool && it.name == word.name; });
  word.in_file = find(file, word.pool, word.name);
  if (word.server != word.in_file) words_.push_back(std::move(word));
}

config::Config RuntimeServers::over(const config::Config& file) const {
  config::Config out = file;
  for (config::Pool& pool : out.pools) {
    for (const Word& word : words_) {
      if (word.pool != pool.name) continue;
      const auto at = std::find_if(pool.servers.begin(), pool.servers.end(),
                                   [&](const config::Server& it) { return it.name == word.name; });
      if (at == pool.servers.end()) {
        if (word.server) pool.servers.push_back(*word.server);
      } else if (word.server) {
        *at = *word.server;
      } else {
        pool.servers.erase(at);
      }
    }
  }
  return out;
}

std::vector<std::string> RuntimeServers::settle(const config::Config& file) {
  std::vector<std::string> overruled;
  std::erase_if(words_, [&](const Word& word) {
    const bool pool_stays = file.find_pool(word.pool) != nullptr;
    if (pool_stays && find(file, word.pool, word.name) == word.in_file) return false;
    overruled.push_back("server " + word.pool + '/' + word.name +
                        ": what was said at run time is over, the file says something new");
    return true;
  });
  return overruled;
}

}  // namespace rejoin::balancer
