#include "apps/serve/upgrade.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "apps/serve/inheritance.h"
#include "io/kernel_passing.h"

namespace rejoin::serve {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024;

/// The arguments of this process, as the kernel keeps them.
std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string> out;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\0', at), all.size());
    out.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> out;
  for (char** at = environ; *at != nullptr; ++at) out.emplace_back(*at);
  return out;
}

void close_all(std::vector<int>& descriptors) {
  for (const int descriptor : descriptors) ::close(descriptor);
  descriptors.clear();
}

/// Ours into `ours`, the other process's into `theirs`, of `count` channels.
Status open_channels(unsigned count, std::vector<int>& ours, std::vector<int>& theirs) {
  for (unsigned i = 0; i < count; ++i) {
    const auto ends = io::KernelPassChannel::make_pair();
    if (!ends) return ends.error();
    ours.push_back(ends->first);
    theirs.push_back(ends->second);
  }
  return {};
}

/// A file without a name, with `text` in it, and a pipe: `ours` closes with us. `theirs`: what the other
/// process is given.
Status open_legacy(Bytes text, int& ours, std::vector<int>& theirs) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  const int file = memfd_create("rejoin legacy", MFD_CLOEXEC);
  ours = ends[1];
  theirs = {file, ends[0]};
  if (file < 0) return Error::from_errno(errno, "memfd_create");
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t put = ::write(file, text.data() + at, text.size() - at);
    if (put < 0) return Error::from_errno(errno, "write what the next process is to know");
    at += static_cast<std::size_t>(put);
  }
  return {};
}

std::vector<char*> pointers(std::vector<std::string>& to) {
  std::vector<char*> out;
  for (std::string& text : to) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// posix_spawn's two objects, of a child that has the signals and descriptors that it needs.
struct Spawn {
  Spawn() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    // What is sent to every process of our name (a hook of certbot, logrotate) must not end one that does not
    // listen to signals yet: it waits until it is read.
    sigset_t waits, ignored;
    sigemptyset(&waits);
    for (const int number : {SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&waits, number);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &waits);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Spawn() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  /// Under the same number; glibc takes FD_CLOEXEC off then.
  void keep(int descriptor) { posix_spawn_file_actions_adddup2(&files, descriptor, descriptor); }

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

}  // namespace

std::string Upgrade::end_of(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

Upgrade::Upgrade(io::KernelLoop& loop, Log& log, Done done, std::function<void()> failed)
    : loop_(loop),
      log_(log),
      done_(std::move(done)),
      on_failure_(std::move(failed)),
      deadline_([](void* self) { static_cast<Upgrade*>(self)->too_late(); }, this) {}

Upgrade::~Upgrade() {
  close_pipe();
  close_channels();
  if (lives_ >= 0) ::close(lives_);
}

Status Upgrade::begin(const std::vector<Given>& sockets, const std::string& identity, unsigned workers,
                      Bytes legacy) {
  std::vector<int> theirs, left;
  Status begun = open_channels(identity.empty() ? 0 : workers, channels_, theirs);
  if (lives_ >= 0) ::close(std::exchange(lives_, -1));  // of one that failed
  if (begun && !legacy.empty()) begun = open_legacy(legacy, lives_, left);
  if (begun) begun = start(sockets, identity, theirs, left);
  close_all(theirs);
  close_all(left);
  if (!begun) close_channels();
  return begun;
}

Status Upgrade::start(const std::vector<Given>& sockets, const std::string& identity,
                      const std::vector<int>& channels, const std::vector<int>& legacy) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Error::from_errno(errno, "pipe");
  Spawn spawn;
  std::string list;
  for (const Given& given : sockets) {
    spawn.keep(given.descriptor);
    list += (list.empty() ? "" : ",") + std::to_string(given.worker) + ':' +
            std::to_string(given.descriptor) + ':' + given.address.text();
  }
  spawn.keep(ends[1]);
  std::string channel_list;
  for (const int channel : channels) {
    spawn.keep(channel);
    channel_list += (channel_list.empty() ? "" : ",") + std::to_string(channel);
  }
  std::vector<std::string> arguments = own_arguments(), environment = own_environment();
  environment.push_back(std::string(kSocketsVariable) + '=' + list);
  environment.push_back(std::string(kReadyVariable) + '=' + std::to_string(ends[1]));
  if (!channels.empty()) {
    environment.push_back(std::string(kChannelsVariable) + '=' + channel_list);
    environment.push_back(std::string(kIdentityVariable) + '=' + identity);
  }
  if (!legacy.empty()) {
    for (const int one : legacy) spawn.keep(one);
    environment.push_back(std::string(kLegacyVariable) + '=' + std::to_string(legacy[0]) + ',' +
                          std::to_string(legacy[1]));
  }
  const std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &spawn.files, &spawn.attributes, argv.data(), envp.data());
  ::close(ends[1]);
  if (failed != 0) {
    ::close(ends[0]);
    return Error::from_errno(failed, "start " + arguments[0]);
  }
  child_ = child;
  pipe_ = ends[0];
  heard_.clear();
  loop_.watch(pipe_, [this] { hear(); });
  loop_.timers().arm(deadline_, loop_.now() + Duration(kUpgradeS));
  log_.info("upgrade: process " + std::to_string(child_) + " starts, with " + std::to_string(sockets.size()) +
            " listening sockets");
  return {};
}

void Upgrade::hear() {
  char bytes[4096];
  const ssize_t got = ::read(pipe_, bytes, sizeof bytes);
  if (got < 0) return;  // nothing yet
  heard_.append(bytes, static_cast<std::size_t>(got));
  const std::size_t end = heard_.find('\n');
  if (end == heard_.npos) {
    if (got != 0 && heard_.size() <= kAnswerBytesMax) return;
    close_pipe();
    loop_.timers().arm(deadline_, loop_.now() + Duration(kFailedS));
    return look_after_child();
  }
  constexpr std::string_view kReady = "ready ";
  std::string_view line = std::string_view(heard_).substr(0, end);
  if (!line.starts_with(kReady)) {
    kill(child_, SIGKILL);
    return failed("said what nobody understands");
  }
  Successor successor;
  for (const char* at = line.data() + kReady.size(); at < line.data() + line.size(); ++at) {
    int number = 0;
    const auto [behind, wrong] = std::from_chars(at, line.data() + line.size(), number);
    if (wrong != std::errc()) break;
    successor.left.push_back(number);
    at = behind;
  }
  close_pipe();
  successor.process = std::exchange(child_, 0);
  successor.channels = std::exchange(channels_, {});
  done_(successor);
}

void Upgrade::look_after_child() {
  int status = 0;
  if (child_ != 0 && waitpid(child_, &status, WNOHANG) == child_) failed(end_of(status));
}

// It must not live on beside us.
void Upgrade::too_late() {
  const bool silent = pipe_ >= 0;
  kill(child_, SIGKILL);
  failed(silent ? "did not say within " + std::to_string(kUpgradeS.count()) + " s that it serves"
                : "gave up and did not end");
}

void Upgrade::failed(const std::string& why) {
  close_pipe();
  close_channels();
  waitpid(child_, nullptr, 0);  // it has ended, or is killed; at once either way
  log_.error("upgrade: process " + std::to_string(child_) + ' ' + why +
             " before it served; this one goes on");
  child_ = 0;
  on_failure_();
}

void Upgrade::close_channels() { close_all(channels_); }

void Upgrade::close_pipe() {
  deadline_.cancel();
  if (pipe_ < 0) return;
  loop_.unwatch(pipe_);
  ::close(std::exchange(pipe_, -1));
}

}  // namespace rejoin::serve
