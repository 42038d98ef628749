// A small game client on rejoin::Client, for ../game_server behind a gateway: it plays a scene, walks, and
// keeps account of the numbered messages, so that a lost or doubled one is seen. Break its link, change its
// address, restart it: the scene goes on.
//
//   game_client URL [--save FILE] [--bind IP] [--seconds N] [--steps PER_SECOND]
//
// Lines of stdin (left, right, up, down, quit) are commands. SIGHUP: "the network has changed".
#include <fcntl.h>
#include <poll.h>
#include <rejoin/client.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using rejoin::Client;
using Clock = std::chrono::steady_clock;

volatile sig_atomic_t network_changed = 0;

struct Arguments {
  std::string url, save, bind;
  double seconds = 0;  // 0: until stdin ends and the scene is over
  int steps = 0;
};

class Game {
 public:
  explicit Game(const Arguments& arguments) : arguments_(arguments) {}

  int play() {
    Client::Options options;
    options.url = arguments_.url;
    options.identity = "example";
    options.bind = arguments_.bind;
    options.save_whole = true;  // so that a restart loses nothing either
    options.own_thread = false;
    if (!arguments_.save.empty()) {
      std::ifstream file(arguments_.save, std::ios::binary);
      options.saved.assign(std::istreambuf_iterator<char>(file), {});
    }
    Client::Handlers on;
    on.message = [this](std::string_view message, Client::Kind) { hear(std::string(message)); };
    on.state = [this](const Client::State& state) { tell(state); };
    on.save = [this](std::string_view saved) { save(saved); };
    Client::Made made = Client::make(options, on);
    if (!made) {
      std::fprintf(stderr, "game_client: %s\n", made.error.c_str());
      return 2;
    }
    client_ = std::move(made.client);
    client_->start();
    loop();
    const auto statistics = client_->statistics();
    std::printf(
        "account: %ld messages, %ld lost, %ld twice; %ld commands sent, %ld obeyed; %llu resumes in %llu "
        "dials, %s\n",
        seen_, lost_, twice_, commands_, obeyed_, static_cast<unsigned long long>(statistics.resumes),
        static_cast<unsigned long long>(statistics.dials), place_.c_str());
    return lost_ == 0 && twice_ == 0 && !failed_ ? 0 : 1;
  }

 private:
  /// "N tick T at X,Y" or "N did C WORD at X,Y"
  void hear(const std::string& message) {
    const long number = std::atol(message.c_str());
    ++seen_;
    if (next_ != 0 && number > next_) lost_ += number - next_;
    if (next_ != 0 && number < next_) ++twice_;
    next_ = number + 1;
    if (message.find(" did ") != std::string::npos) ++obeyed_;
    const auto at = message.find("at ");
    if (at != std::string::npos) place_ = message.substr(at);
    save(client_->snapshot());
  }

  void tell(const Client::State& state) {
    const char* name = Client::name(state.kind);
    switch (state.kind) {
      case Client::State::Kind::open:
        next_ = 0;
        std::printf("%s from %s: %d round trips, %u ms\n", name, state.local.c_str(), state.round_trips,
                    state.took_ms);
        break;
      case Client::State::Kind::resumed:
        if (!state.whole) next_ = 0;
        std::printf("%s from %s: %d round trips, %u ms, %llu to come, %llu sent again%s\n", name,
                    state.local.c_str(), state.round_trips, state.took_ms,
                    static_cast<unsigned long long>(state.to_come),
                    static_cast<unsigned long long>(state.sent_again), state.whole ? "" : ", with a gap");
        break;
      case Client::State::Kind::ended:
        over_ = true;
        failed_ = state.code != 1000 && state.code != 4410;  // 4410: the server ended the scene
        [[fallthrough]];
      default: std::printf("%s %s\n", name, state.reason.c_str());
    }
    std::fflush(stdout);
  }

  void save(std::string_view saved) {
    if (arguments_.save.empty()) return;
    if (saved.empty()) {
      std::remove(arguments_.save.c_str());
      return;
    }
    const std::string fresh = arguments_.save + ".new";
    const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool written = write(file, saved.data(), saved.size()) == static_cast<ssize_t>(saved.size());
    close(file);
    if (written) std::rename(fresh.c_str(), arguments_.save.c_str());
  }

  void command(const std::string& word) {
    if (Client::taken(client_->send(word, Client::Kind::text))) ++commands_;
  }

  void loop() {
    const auto start = Clock::now();
    const auto step = std::chrono::milliseconds(arguments_.steps > 0 ? 1000 / arguments_.steps : 0);
    auto next_step = start + step;
    bool leaving = false;
    pollfd wait[2] = {{client_->descriptor(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    while (!over_) {
      const int timeout = client_->timeout_ms();
      poll(wait, 2, timeout < 0 || timeout > 20 ? 20 : timeout);
      if (network_changed) client_->network_changed();
      network_changed = 0;
      client_->process();
      if ((wait[1].revents & (POLLIN | POLLHUP)) != 0 && !read_lines()) wait[1].fd = -1;
      const auto now = Clock::now();
      for (; arguments_.steps > 0 && !leaving && now >= next_step; next_step += step) command("right");
      const bool time_is_up =
          arguments_.seconds > 0 && now - start > std::chrono::duration<double>(arguments_.seconds);
      if (time_is_up && !leaving) {
        leaving = true;
        command("quit");  // the server ends the scene behind its answer
      }
    }
  }

  bool read_lines() {
    char block[512];
    const ssize_t got = read(STDIN_FILENO, block, sizeof block);
    if (got <= 0) return false;
    for (ssize_t i = 0; i < got; ++i) {
      if (block[i] != '\n') {
        line_ += block[i];
        continue;
      }
      command(line_);
      line_.clear();
    }
    return true;
  }

  const Arguments& arguments_;
  std::unique_ptr<Client> client_;
  long next_ = 0, seen_ = 0, lost_ = 0, twice_ = 0, commands_ = 0, obeyed_ = 0;
  std::string place_ = "nowhere", line_;
  bool over_ = false, failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (word.rfind("--", 0) != 0) {
      arguments.url = word;
      continue;
    }
    ++i;
    if (word == "--save") arguments.save = value;
    if (word == "--bind") arguments.bind = value;
    if (word == "--seconds") arguments.seconds = std::atof(value.c_str());
    if (word == "--steps") arguments.steps = std::atoi(value.c_str());
  }
  if (arguments.url.empty()) {
    std::fprintf(stderr, "game_client URL [--save FILE] [--bind IP] [--seconds N] [--steps PER_SECOND]\n");
    return 2;
  }
  signal(SIGHUP, [](int) { network_changed = 1; });
  signal(SIGPIPE, SIG_IGN);
  return Game(arguments).play();
}
