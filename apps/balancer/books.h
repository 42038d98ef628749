// A worker's numbers by the names of listeners, pools and servers. They outlive generations (generation.h):
// what was counted goes on when a reload puts another plan in the place of the one before.
//
// Owner: a worker; its thread.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "apps/balancer/counts.h"
#include "base/local_ptr.h"

namespace rejoin::balancer {

struct ListenerBook : LocalCounted {
  Counts counts;
  EndCounts requests_ended, tunnels_ended;
  std::size_t connections = 0;  // that are served by a coroutine now
  std::size_t tunnels = 0;      // that are open now
};
struct PoolBook : LocalCounted {
  PoolCounts counts;
};
struct ServerBook : LocalCounted {
  ServerCounts counts;
};

class Books {
 public:
  /// The one of that name, made if there is none.
  LocalPtr<ListenerBook> listener(const std::string& name) { return in(listeners_, name); }
  LocalPtr<PoolBook> pool(const std::string& name) { return in(pools_, name); }
  /// "pool/server", as route::ServerState::name has it.
  LocalPtr<ServerBook> server(const std::string& name) { return in(servers_, name); }
  /// nullptr: it is in no plan any more.
  ServerBook* find_server(const std::string& name) {
    const auto at = servers_.find(name);
    return at == servers_.end() ? nullptr : at->second.get();
  }
  /// Forgets whom nobody holds any more: names come and go with plans.
  void forget_unused() {
    const auto unused = [](const auto& named) { return named.second.holders() == 1; };
    std::erase_if(listeners_, unused);
    std::erase_if(pools_, unused);
    std::erase_if(servers_, unused);
  }

 private:
  template <typename T>
  using ByName = std::unordered_map<std::string, LocalPtr<T>>;
  template <typename T>
  static LocalPtr<T> in(ByName<T>& books, const std::string& name) {
    LocalPtr<T>& book = books[name];
    if (!book) book = make_local<T>();
    return book;
  }

  ByName<ListenerBook> listeners_;
  ByName<PoolBook> pools_;
  ByName<ServerBook> servers_;
};

}  // namespace rejoin::balancer
