#include "apps/demo/children.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace rejoin::demo {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kLinesKept = 100;
constexpr milliseconds kEndGrace{1000};

// What waits for the child's end beside its words: SIGCHLD, SIGINT and SIGTERM, as something to read.
sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&set, number);
  return set;
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(char* const arguments[], pid_t parent, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before we asked to be told
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(127);
  execv("/proc/self/exe", arguments);
  _exit(127);
}

}  // namespace

const std::string* Child::find(std::string_view text) const {
  const auto at = std::find_if(said_.begin(), said_.end(),
                               [&](const std::string& line) { return line.find(text) != std::string::npos; });
  return at == said_.end() ? nullptr : &*at;
}

Children::Children(OnLine on_line) : on_line_(std::move(on_line)) {
  const sigset_t set = watched_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

Children::~Children() {
  while (!children_.empty()) end(*children_.back(), SIGKILL);
  ::close(signals_);
}

Result<Child*> Children::start(std::string name, std::vector<std::string> arguments) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  if (pipe2(err, O_CLOEXEC) != 0) {
    Error error = Error::from_errno(errno, "pipe");
    ::close(out[0]);
    ::close(out[1]);
    return error;
  }
  arguments.insert(arguments.begin(), "rejoin");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  const int fork_errno = errno;
  if (pid == 0) become(pointers.data(), parent, out[1], err[1]);
  ::close(out[1]);
  ::close(err[1]);
  if (pid < 0) {
    ::close(out[0]);
    ::close(err[0]);
    return Error::from_errno(fork_errno, "fork");
  }
  auto child = std::make_unique<Child>();
  child->name_ = std::move(name);
  child->pid_ = pid;
  child->out_ = out[0];
  child->err_ = err[0];
  children_.push_back(std::move(child));
  return children_.back().get();
}

Status Children::wait(const std::function<bool()>& done, milliseconds at_most) {
  const Clock::time_point deadline = Clock::now() + at_most;
  while (!done()) {
    if (interrupted_) return Error{ErrorKind::cancelled, Side::ours, Retry::no, "interrupted"};
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return Error{ErrorKind::timed_out, Side::ours, Retry::no, "waited in vain"};
    struct Source {
      Child* child;
      bool from_stdout;
    };
    std::vector<pollfd> asked{{signals_, POLLIN, 0}};
    std::vector<Source> sources{{nullptr, false}};
    for (const auto& child : children_) {
      for (const bool from_stdout : {true, false}) {
        const int descriptor = from_stdout ? child->out_ : child->err_;
        if (descriptor < 0) continue;
        asked.push_back({descriptor, POLLIN, 0});
        sources.push_back({child.get(), from_stdout});
      }
    }
    if (poll(asked.data(), asked.size(), static_cast<int>(left.count())) < 0) continue;  // EINTR: look again
    for (std::size_t i = 1; i < asked.size(); ++i) {
      if (asked[i].revents != 0) read(*sources[i].child, sources[i].from_stdout);
    }
    if (asked[0].revents != 0) reap();
  }
  return {};
}

void Children::read(Child& child, bool from_stdout) {
  int& descriptor = from_stdout ? child.out_ : child.err_;
  char block[4096];
  const ssize_t got = ::read(descriptor, block, sizeof block);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) {
    ::close(descriptor);
    descriptor = -1;
    return;
  }
  const std::string_view text(block, static_cast<std::size_t>(got));
  if (from_stdout) {
    child.output_ += text;
    return;
  }
  child.error_line_ += text;
  std::size_t end;
  while ((end = child.error_line_.find('\n')) != std::string::npos) {
    std::string line = child.error_line_.substr(0, end);
    child.error_line_.erase(0, end + 1);
    if (on_line_) on_line_(child.name_, line);
    if (child.said_.size() == kLinesKept) child.said_.erase(child.said_.begin());
    child.said_.push_back(std::move(line));
  }
}

void Children::reap() {
  signalfd_siginfo info;
  while (::read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD) interrupted_ = true;
  }
  for (const auto& child : children_) {
    int status = 0;
    if (child->status_ || waitpid(child->pid_, &status, WNOHANG) != child->pid_) continue;
    child->status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

void Children::end(Child& child, int signal) {
  if (!child.status_) {
    kill(child.pid_, signal);
    const auto gone = [&] { return child.status_.has_value(); };
    const bool interrupted = std::exchange(interrupted_, false);  // an ending is waited for all the same
    if (!wait(gone, kEndGrace)) {
      kill(child.pid_, SIGKILL);
      (void)wait(gone, kEndGrace);
    }
    interrupted_ = interrupted_ || interrupted;
  }
  if (child.out_ >= 0) ::close(child.out_);
  if (child.err_ >= 0) ::close(child.err_);
  std::erase_if(children_, [&](const auto& one) { return one.get() == &child; });
}

}  // namespace rejoin::demo
