#include "apps/serve/inheritance.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

namespace rejoin::serve {
namespace {

constexpr int kFirstOfSystemd = 3;  // SD_LISTEN_FDS_START

std::optional<int> number_of(std::string_view text) {
  int out = 0;
  const auto [at, wrong] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (wrong != std::errc() || at != text.data() + text.size() || out < 0) return std::nullopt;
  return out;
}

std::string taken_from_environment(const char* name) {
  const char* const value = std::getenv(name);
  std::string out = value != nullptr ? value : "";
  unsetenv(name);
  return out;
}

std::vector<std::string_view> parts(std::string_view text, char between) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(between), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool listens(int descriptor) {
  int on = 0;
  socklen_t length = sizeof on;
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) == 0 && on != 0;
}

bool spreads(int descriptor) {
  int on = 0;
  socklen_t length = sizeof on;
  return getsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, &length) == 0 && on != 0;
}

/// From its beginning, wherever it was written last.
SecretBytes read_whole(int file, Log& log) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || status.st_size <= 0) return {};
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes > kLegacyBytesMax) {
    log.warn("the process before leaves " + std::to_string(bytes) +
             " bytes, which is too much: it is forgotten");
    return {};
  }
  SecretBytes out(bytes);
  for (std::size_t at = 0; at < out.size();) {
    const ssize_t got = ::pread(file, out.data() + at, out.size() - at, static_cast<off_t>(at));
    if (got <= 0) {
      log.warn("what the process before leaves cannot be read: it is forgotten");
      return {};
    }
    at += static_cast<std::size_t>(got);
  }
  return out;
}

/// Ours alone from now on: neither a child's nor a blocking one.
void make_ours(int descriptor) {
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

}  // namespace

Inheritance Inheritance::from_environment(Log& log) {
  Inheritance out;
  const std::string given = taken_from_environment(kSocketsVariable);  // outlives its parts
  for (const std::string_view one : parts(given, ',')) {
    const std::size_t first = std::min(one.find(':'), one.size());
    const std::size_t second = std::min(one.find(':', first + 1), one.size());
    if (second == one.size()) continue;
    const auto worker = number_of(one.substr(0, first));
    const auto descriptor = number_of(one.substr(first + 1, second - first - 1));
    const auto address = Address::parse(one.substr(second + 1));
    if (worker && descriptor && address)
      out.add(log, *descriptor, static_cast<unsigned>(*worker), {}, *address);
  }
  if (const auto ready = number_of(taken_from_environment(kReadyVariable))) {
    make_ours(*ready);
    out.ready_ = *ready;
  }
  const std::string channels = taken_from_environment(kChannelsVariable);
  for (const std::string_view one : parts(channels, ',')) {
    const auto descriptor = number_of(one);
    if (!descriptor || fcntl(*descriptor, F_GETFD) < 0) continue;
    make_ours(*descriptor);
    out.channels_.push_back(*descriptor);
  }
  const std::string legacy = taken_from_environment(kLegacyVariable);
  const std::vector<std::string_view> of_legacy = parts(legacy, ',');
  const auto file = of_legacy.size() == 2 ? number_of(of_legacy[0]) : std::nullopt;
  const auto before = of_legacy.size() == 2 ? number_of(of_legacy[1]) : std::nullopt;
  if (file && before && fcntl(*before, F_GETFD) >= 0) {
    out.legacy_ = read_whole(*file, log);
    ::close(*file);
    make_ours(*before);
    out.predecessor_ = *before;
  }
  out.identity_ = taken_from_environment(kIdentityVariable);
  const auto process = number_of(taken_from_environment("LISTEN_PID"));
  const auto count = number_of(taken_from_environment("LISTEN_FDS"));
  const std::string names = taken_from_environment("LISTEN_FDNAMES");
  if (!process || *process != getpid() || !count) return out;  // meant for somebody else
  const std::vector<std::string_view> called = parts(names, ':');
  for (int i = 0; i < *count; ++i) {
    const auto place = static_cast<std::size_t>(i);
    out.add(log, kFirstOfSystemd + i, 0, std::string(place < called.size() ? called[place] : ""));
  }
  return out;
}

void Inheritance::add(Log& log, int descriptor, unsigned worker, std::string name, Address as) {
  const Address address = io::KernelLoop::address_of(descriptor);
  if (!listens(descriptor) || !address) {
    log.warn("descriptor " + std::to_string(descriptor) + " was given to us, and is no listening TCP socket");
    return;
  }
  make_ours(descriptor);
  sockets_.push_back({descriptor, worker, std::move(name), as ? as : address});
}

Inheritance::Inheritance(Inheritance&& other) noexcept
    : sockets_(std::exchange(other.sockets_, {})),
      ready_(std::exchange(other.ready_, -1)),
      channels_(std::exchange(other.channels_, {})),
      identity_(std::exchange(other.identity_, {})),
      legacy_(std::exchange(other.legacy_, {})),
      predecessor_(std::exchange(other.predecessor_, -1)) {}

Inheritance::~Inheritance() {
  for (const Socket& socket : sockets_) ::close(socket.descriptor);
  for (const int channel : channels_) {
    if (channel >= 0) ::close(channel);
  }
  if (ready_ >= 0) ::close(ready_);
  if (predecessor_ >= 0) ::close(predecessor_);
}

Status Inheritance::admits(const std::string& identity, unsigned workers) const {
  if (channels_.empty() || (identity == identity_ && workers == channels_.size())) return {};
  const auto of = [](const std::string& who, std::size_t count) {
    return (who.empty() ? std::string("nobody that sessions can move to") : '"' + who + '"') + " with " +
           std::to_string(count) + (count == 1 ? " worker" : " workers");
  };
  return Error{ErrorKind::config, Side::ours, Retry::no,
               "cannot take over: the process before this one is " + of(identity_, channels_.size()) +
                   ", and this configuration says " + of(identity, workers) +
                   "; change that back, or stop the old process and start anew"};
}

int Inheritance::take_channel(unsigned worker) {
  return worker < channels_.size() ? std::exchange(channels_[worker], -1) : -1;
}

void Inheritance::share_out(const std::vector<io::KernelLoop*>& loops,
                            const std::vector<ListenerPlace>& places) {
  for (const Socket& socket : std::exchange(sockets_, {})) {
    const auto named = std::find_if(places.begin(), places.end(), [&](const ListenerPlace& place) {
      return !socket.name.empty() && place.name == socket.name;
    });
    const Address as = named != places.end() && named->address.port != 0 ? named->address : socket.address;
    loops[socket.worker % loops.size()]->inherit(socket.descriptor, as);
    if (is_upgrade() || spreads(socket.descriptor)) continue;
    for (std::size_t i = 1; i < loops.size(); ++i) {
      const int same = fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 0);
      // The others are told to listen where the first one really does.
      if (same >= 0) loops[i]->inherit(same, socket.address);
    }
  }
}

void Inheritance::taken_over(const std::vector<int>& not_taken, Log& log) {
  std::string left;
  for (const int descriptor : not_taken) {
    if (is_upgrade()) {
      left += (left.empty() ? "" : ",") + std::to_string(descriptor);
    } else {
      log.warn("no listener is at " + io::KernelLoop::address_of(descriptor).text() +
               ", where a socket was opened for us");
    }
    ::close(descriptor);
  }
  if (!is_upgrade()) return;
  const std::string line = "ready " + left + "\n";
  (void)!::write(ready_, line.data(), line.size());  // it is gone: then it waits for nothing
  ::close(std::exchange(ready_, -1));
}

}  // namespace rejoin::serve
