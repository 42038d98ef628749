#include "apps/serve/upgrade.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

extern char** environ;

namespace rejoin::serve {
namespace {

Error wrong(const std::string& what) {
  return {ErrorKind::bad_input, Side::ours, Retry::no,
          std::string(kInheritVariable) + ": " + what + " (it is set by a running process for the next one)"};
}

bool close_on_exec(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0; }

}  // namespace

// One line each:
//   identity TEXT
//   name NAME ADDRESS          of each listener, in order; ADDRESS may be "-"
//   worker DESCRIPTOR          its channel
//   listener DESCRIPTOR ADDRESS  of that worker
std::string Inheritance::text() const {
  std::ostringstream out;
  out << "identity " << identity << '\n';
  for (std::size_t i = 0; i < names.size(); ++i)
    out << "name " << names[i] << ' ' << (addresses[i] ? addresses[i].text() : "-") << '\n';
  for (const InheritedWorker& worker : workers) {
    out << "worker " << worker.channel << '\n';
    for (const InheritedWorker::Listener& listener : worker.listeners)
      out << "listener " << listener.descriptor << ' ' << listener.at.text() << '\n';
  }
  return out.str();
}

Result<Inheritance> Inheritance::parse(const std::string& text) {
  Inheritance out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::string what, address;
    in >> what;
    if (what == "identity") {
      in >> std::ws;
      std::getline(in, out.identity);
    } else if (what == "name") {
      std::string name;
      if (!(in >> name >> address)) return wrong("\"" + line + "\" is no listener's name");
      out.names.push_back(name);
      Address at;
      if (address != "-") {
        const auto parsed = Address::parse(address);
        if (!parsed) return wrong("\"" + line + "\": " + parsed.error().detail);
        at = *parsed;
      }
      out.addresses.push_back(at);
    } else if (what == "worker") {
      InheritedWorker worker;
      if (!(in >> worker.channel)) return wrong("\"" + line + "\" is no worker");
      out.workers.push_back(std::move(worker));
    } else if (what == "listener" && !out.workers.empty()) {
      InheritedWorker::Listener listener;
      if (!(in >> listener.descriptor >> address)) return wrong("\"" + line + "\" is no listener");
      const auto parsed = Address::parse(address);
      if (!parsed) return wrong("\"" + line + "\": " + parsed.error().detail);
      listener.at = *parsed;
      out.workers.back().listeners.push_back(listener);
    } else {
      return wrong("\"" + line + "\" is not known");
    }
  }
  if (out.workers.empty()) return wrong("it names no worker");
  return out;
}

std::optional<Result<Inheritance>> take_inheritance() {
  const char* const text = std::getenv(kInheritVariable);
  if (text == nullptr) return std::nullopt;
  Result<Inheritance> inheritance = Inheritance::parse(text);
  unsetenv(kInheritVariable);
  if (!inheritance) return inheritance;
  for (const InheritedWorker& worker : inheritance->workers) {
    bool there = close_on_exec(worker.channel);
    for (const InheritedWorker::Listener& listener : worker.listeners)
      there &= close_on_exec(listener.descriptor);
    if (!there) return Result<Inheritance>(wrong("a descriptor that it names is not open"));
  }
  return inheritance;
}

Result<CommandLine> present_command_line() {
  CommandLine out;
  char path[4096];
  const ssize_t bytes = readlink("/proc/self/exe", path, sizeof path);
  if (bytes < 0) return Error::from_errno(errno, "/proc/self/exe");
  out.path.assign(path, static_cast<std::size_t>(bytes));
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\0', at), all.size());
    out.arguments.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  if (out.arguments.empty()) return Error::from_errno(EINVAL, "/proc/self/cmdline");
  return out;
}

Result<pid_t> start_next_process(const CommandLine& command, const Inheritance& inheritance) {
  std::vector<std::string> environment;
  for (char** one = environ; *one != nullptr; ++one) environment.emplace_back(*one);
  environment.push_back(std::string(kInheritVariable) + "=" + inheritance.text());
  std::vector<char*> arguments, variables;
  for (const std::string& one : command.arguments) arguments.push_back(const_cast<char*>(one.c_str()));
  for (const std::string& one : environment) variables.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  variables.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // A descriptor that is duplicated onto itself loses close-on-exec in the child.
  for (const InheritedWorker& worker : inheritance.workers) {
    posix_spawn_file_actions_adddup2(&actions, worker.channel, worker.channel);
    for (const InheritedWorker::Listener& listener : worker.listeners)
      posix_spawn_file_actions_adddup2(&actions, listener.descriptor, listener.descriptor);
  }
  // We block the signals that we read from a descriptor; the next process does that for itself.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int errnum =
      posix_spawn(&pid, command.path.c_str(), &actions, &attributes, arguments.data(), variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (errnum != 0) return Error::from_errno(errnum, "start " + command.path);
  return pid;
}

}  // namespace rejoin::serve
