// A small game client on rejoin::Client, for ../game_server behind a gateway: it walks through a scene and
// keeps account of each tick and each step, so that a lost or doubled one is seen. Break its link, change its
// address, restart it with the same --save: the scene goes on.
//
//   game_client URL [--save FILE] [--bind IP] [--seconds N] [--steps PER_SECOND] [--leave]
//
// After --seconds it ends the session; with --leave it only goes, and the next run with the same --save goes
// on. SIGHUP: "the network has changed".
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
  double seconds = 10;
  int steps = 10;
  bool leave = false;
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
        "account: scene %d, %d ticks, %d lost, %d twice; %d steps, at x %d, %d faults; %d resumes, %d "
        "dials\n",
        scene_, ticks_, lost_, twice_, steps_, x_, faults_, static_cast<int>(statistics.resumes),
        static_cast<int>(statistics.dials));
    return lost_ == 0 && twice_ == 0 && faults_ == 0 && !failed_ ? 0 : 1;
  }

 private:
  /// "scene 7 tick 41 x 12", or "fault ...": a step came out of order.
  void hear(const std::string& message) {
    int scene = 0, tick = 0, x = 0;
    if (std::sscanf(message.c_str(), "scene %d tick %d x %d", &scene, &tick, &x) == 3) {
      const bool first = scene != scene_ || expected_ == 0;
      if (!first && tick > expected_) lost_ += tick - expected_;
      if (!first && tick < expected_) ++twice_;
      if (first) steps_ = x;  // a restarted client walks on from where it is
      scene_ = scene;
      expected_ = tick + 1;
      x_ = x;
      ++ticks_;
    } else {
      ++faults_;
      std::printf("%s\n", message.c_str());
    }
    save(client_->snapshot());
  }

  void tell(const Client::State& state) {
    std::printf("%s", Client::name(state.kind));
    switch (state.kind) {
      case Client::State::Kind::open:
      case Client::State::Kind::resumed:
        if (!state.whole) expected_ = 0;
        std::printf(" from %s: round trips %d, %u ms, %d to come, %d sent again%s\n", state.local.c_str(),
                    state.round_trips, state.took_ms, static_cast<int>(state.to_come),
                    static_cast<int>(state.sent_again), state.whole ? "" : ", with a gap");
        break;
      case Client::State::Kind::ended:
        over_ = true;
        failed_ = state.code != 1000;
        [[fallthrough]];
      default: std::printf(" %s\n", state.reason.c_str());
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

  void step() {
    if (expected_ == 0) return;  // where are we?
    if (!Client::taken(client_->send("step " + std::to_string(steps_ + 1), Client::Kind::text))) return;
    ++steps_;
    save(client_->snapshot());
  }

  void loop() {
    const auto start = Clock::now();
    const std::chrono::milliseconds between(arguments_.steps > 0 ? 1000 / arguments_.steps : 0);
    auto next_step = start + between;
    bool leaving = false;
    pollfd wait{client_->descriptor(), POLLIN, 0};
    while (!over_) {
      const int timeout = client_->timeout_ms();
      poll(&wait, 1, timeout < 0 || timeout > 10 ? 10 : timeout);
      if (network_changed) client_->network_changed();
      network_changed = 0;
      client_->process();
      const auto now = Clock::now();
      for (; arguments_.steps > 0 && !leaving && now >= next_step; next_step += between) step();
      // Not before the server has told of the last step.
      leaving = leaving || now - start > std::chrono::duration<double>(arguments_.seconds);
      if (!leaving || (x_ != steps_ && now - start < std::chrono::duration<double>(arguments_.seconds + 60)))
        continue;
      if (arguments_.leave) return;
      client_->close();
    }
  }

  const Arguments& arguments_;
  std::unique_ptr<Client> client_;
  int scene_ = 0, expected_ = 0, ticks_ = 0, lost_ = 0, twice_ = 0, steps_ = 0, x_ = 0, faults_ = 0;
  bool over_ = false, failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--leave") {
      arguments.leave = true;
    } else if (word.rfind("--", 0) != 0) {
      arguments.url = word;
    } else {
      ++i;
      if (word == "--save") arguments.save = value;
      if (word == "--bind") arguments.bind = value;
      if (word == "--seconds") arguments.seconds = std::atof(value.c_str());
      if (word == "--steps") arguments.steps = std::atoi(value.c_str());
    }
  }
  if (arguments.url.empty()) {
    std::fprintf(stderr,
                 "game_client URL [--save FILE] [--bind IP] [--seconds N] [--steps PER_SECOND] [--leave]\n");
    return 2;
  }
  signal(SIGHUP, [](int) { network_changed = 1; });
  signal(SIGPIPE, SIG_IGN);
  return Game(arguments).play();
}
