#include "apps/serve/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace rejoin::serve {

ServiceManager ServiceManager::from_environment() {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  return ServiceManager(path != nullptr ? path : "");
}

void ServiceManager::ready(std::string_view status) const { say("READY=1\nSTATUS=" + std::string(status)); }

void ServiceManager::reloading() const {
  // Since systemd 253 the time tells it which reload this is.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long us = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void ServiceManager::stopping(std::string_view status) const {
  say("STOPPING=1\nSTATUS=" + std::string(status));
}

void ServiceManager::main_process(int process) const { say("MAINPID=" + std::to_string(process)); }

void ServiceManager::say(std::string_view lines) const {
  sockaddr_un to{};
  if (path_.empty() || path_.size() >= sizeof to.sun_path) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path_.data(), path_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // an abstract name
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return;
  // Nothing depends on the answer: a manager that does not listen hears nothing.
  (void)sendto(socket, lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
               static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size()));
  ::close(socket);
}

}  // namespace rejoin::serve
