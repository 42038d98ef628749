// The player of the second act: a client of the resume protocol on this process's own loop, who walks through
// a scene and counts all that it hears.
//
// Owner: a part of the demo; one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "clients/cpp/src/driver.h"
#include "io/epoll_loop.h"

namespace rejoin::demo {

/// What the walker has heard and said so far.
struct Walk {
  int scene = 0;         // of the first message
  int other_scenes = 0;  // messages of another scene: must stay 0
  int ticks = 0;         // heard
  int last_tick = 0;
  int lost = 0, twice = 0;  // ticks that are missing, or came again
  int steps = 0;            // said
  int x = 0;                // where the game server says that we are
  int faults = 0;           // steps that came to it in another order than they were said
};

class Walker final : private client::DriverEvents {
 public:
  /// Dials `url` from `from`. Error: what Driver::make() or the loop says.
  static Result<std::unique_ptr<Walker>> make(const std::string& url, const Address& from,
                                              session::Advertised advertised);
  ~Walker();

  /// Walks on, a step each 100 ms.
  void walk_for(std::chrono::milliseconds time);
  /// Until the game server has told of every step that was said. False: it has not within `at_most`.
  bool catch_up(std::chrono::milliseconds at_most);
  /// The network is gone: the link breaks now, in the middle of whatever it carries, and no dial succeeds.
  void lose_network();
  /// There is another one, with another address, and the program is told so.
  void find_network(const Address& from);
  /// Walks on until the session goes on. False: it does not within `at_most`.
  bool wait_resumed(std::chrono::milliseconds at_most);

  const Walk& walk() const { return walk_; }
  /// How the last link came to be, and how many of each kind there were.
  const client::State& state() const { return state_; }
  int logins() const { return logins_; }
  int resumes() const { return resumes_; }
  /// What stood in the way, for the account of a failure.
  const std::string& trouble() const { return trouble_; }

 private:
  Walker();
  void on_message(Bytes message, bool text) override;
  void on_state(const client::State& state) override;
  void on_room() override {}
  void on_save(const std::string&) override {}
  void step();
  template <typename Done>
  bool turn_until(Done done, std::chrono::milliseconds at_most);

  SystemRandom random_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<io::EpollLoop> loop_;
  std::unique_ptr<io::World> world_;
  client::NoResolver names_;
  std::unique_ptr<client::Driver> driver_;
  Timer step_timer_;
  Walk walk_;
  client::State state_;
  std::string trouble_;
  int logins_ = 0, resumes_ = 0;
  bool walking_ = false;
};

}  // namespace rejoin::demo
