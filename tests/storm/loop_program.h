// What the programs of the storm share: a loop that ends at SIGTERM, arguments, and one line of JSON at the
// end.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/random.h"
#include "io/epoll_loop.h"

namespace storm {

[[noreturn]] inline void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

/// --name VALUE, each at most once or several times.
class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) given_.emplace_back(argv[i] + 2, argv[i + 1]);
  }
  std::vector<std::string> all(const std::string& name) const {
    std::vector<std::string> out;
    for (const auto& [key, value] : given_) {
      if (key == name) out.push_back(value);
    }
    return out;
  }
  std::string text(const std::string& name, const std::string& otherwise = {}) const {
    const auto found = all(name);
    if (found.empty() && otherwise.empty()) die("--" + name + " is missing");
    return found.empty() ? otherwise : found.front();
  }
  long number(const std::string& name, long otherwise) const {
    const auto found = all(name);
    return found.empty() ? otherwise : std::strtol(found.front().c_str(), nullptr, 10);
  }

 private:
  std::vector<std::pair<std::string, std::string>> given_;
};

inline rejoin::Address address(const std::string& text) {
  auto made = rejoin::Address::parse(text);
  if (!made) die(text + ": " + made.error().detail);
  return *made;
}

/// A loop of the product's own kind, with a World.
class Program {
 public:
  explicit Program(const char* name) : log_(rejoin::make_stderr_log(name, rejoin::LogLevel::warn)) {
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigprocmask(SIG_BLOCK, &ours, nullptr);
    signal(SIGPIPE, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    auto made = rejoin::io::EpollLoop::make(*log_);
    if (!made) die(made.error().detail);
    loop_ = std::move(*made);
    world_ = std::make_unique<rejoin::io::World>(loop_->world(random_, *log_));
    signals_ = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    loop_->watch(signals_, [this] { stopping_ = true; });
  }
  ~Program() { loop_->unwatch(signals_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  rejoin::io::World& world() { return *world_; }
  rejoin::io::EpollLoop& loop() { return *loop_; }
  bool stopping() const { return stopping_; }
  template <typename Done>
  void run_until(Done done) {
    while (!stopping_ && !done()) loop_->turn(std::chrono::milliseconds(50));
  }

 private:
  rejoin::SystemRandom random_;
  std::unique_ptr<rejoin::Log> log_;
  std::unique_ptr<rejoin::io::EpollLoop> loop_;
  std::unique_ptr<rejoin::io::World> world_;
  int signals_ = -1;
  bool stopping_ = false;
};

inline void say_listening(const rejoin::Address& at) {
  std::printf("listening on %s\n", at.text().c_str());
  std::fflush(stdout);
}

}  // namespace storm
