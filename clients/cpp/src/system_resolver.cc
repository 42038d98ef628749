#include "clients/cpp/src/system_resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/limits.h"
#include "io/sockaddr.h"

namespace rejoin::client {

Result<std::vector<Address>> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failed != 0) {
    return Error{ErrorKind::unreachable, Side::server, Retry::yes,
                 "resolve " + host + ": " + gai_strerror(failed)};
  }
  std::vector<Address> out;
  for (const addrinfo* at = list; at != nullptr && out.size() < limits::kAddressesPerNameMax;
       at = at->ai_next) {
    sockaddr_storage storage{};
    std::copy_n(reinterpret_cast<const char*>(at->ai_addr), at->ai_addrlen,
                reinterpret_cast<char*>(&storage));
    const Address address = io::from_sockaddr(storage);
    if (address && std::find(out.begin(), out.end(), address) == out.end()) out.push_back(address);
  }
  freeaddrinfo(list);
  return out;
}

// What a lookup's thread holds on to: the resolver may die before it is done.
struct SystemResolver::Shared {
  std::mutex mutex;
  io::EpollLoop* loop;       // nullptr once the resolver is gone
  SystemResolver* resolver;  // to be touched on the loop's thread only
};

SystemResolver::SystemResolver(io::EpollLoop& loop) : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->resolver = this;
}

SystemResolver::~SystemResolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
  shared_->resolver = nullptr;
}

void SystemResolver::resolve(const std::string& host, std::uint16_t port, Answer answer) {
  std::string key = host + ':' + std::to_string(port);
  std::vector<Answer>& waiting = waiting_[key];
  waiting.push_back(std::move(answer));
  if (waiting.size() > 1) return;
  const auto work = [shared = shared_, key, host, port] {
    Result<std::vector<Address>> found = look_up(host, port);
    const std::lock_guard lock(shared->mutex);
    if (shared->loop == nullptr) return;
    shared->loop->post([shared, key, found = std::move(found)] {
      if (shared->resolver != nullptr) shared->resolver->answered(key, found);
    });
  };
  try {
    std::thread(work).detach();
  } catch (const std::system_error&) {  // no more threads
    answered(key, Error{ErrorKind::exhausted, Side::ours, Retry::yes, "no thread to resolve " + host});
  }
}

void SystemResolver::answered(const std::string& key, const Result<std::vector<Address>>& addresses) {
  const auto at = waiting_.find(key);
  if (at == waiting_.end()) return;
  const std::vector<Answer> answers = std::move(at->second);
  waiting_.erase(at);
  for (const Answer& answer : answers) answer(addresses);
}

}  // namespace rejoin::client
