// A TCP relay that breaks each connection at a moment of chance, with a RST to both sides: the weather of a
// storm.
//
//   storm_cut_relay --to ADDRESS:PORT [--to ...] --mean MS    each --to gets a listener of its own, in order
//
// SIGUSR1 breaks all at once. At the end it says how many connections there were, and how many it broke.
#include <memory>
#include <vector>

#include "base/record_pool.h"
#include "tests/storm/loop_program.h"
#include "upstream/relay.h"

namespace storm {
namespace {

using rejoin::Duration;

class CutRelay final : public rejoin::upstream::RelayOwner {
 public:
  CutRelay(Program& program, long mean_ms) : program_(program), mean_ms_(mean_ms) {}

  void listen(const rejoin::Address& to) {
    entrances_.push_back(std::make_unique<Entrance>(*this, to));
    auto made =
        program_.world().network.listen(*rejoin::Address::parse_ip("127.0.0.1"), {}, *entrances_.back());
    if (!made) die(made.error().detail);
    entrances_.back()->listener = std::move(*made);
    say_listening(entrances_.back()->listener->address());
  }

  void cut_all() {
    open_.for_each([this](rejoin::upstream::Relay& relay) {
      ++cut_;
      relay.cancel();
    });
  }
  std::size_t connections() const { return connections_; }
  std::size_t cut() const { return cut_; }

 private:
  struct Entrance final : rejoin::io::AcceptEvents {
    Entrance(CutRelay& o, const rejoin::Address& t) : owner(o), to(t) {}
    void on_accept(rejoin::io::Socket socket, const rejoin::Address&) override {
      owner.begin(std::move(socket), to);
    }
    CutRelay& owner;
    rejoin::Address to;
    std::unique_ptr<rejoin::io::Listener> listener;
  };
  struct Cut final : rejoin::upstream::Relay {
    Cut(rejoin::io::World& world, CutRelay& owner, rejoin::io::Socket client, rejoin::io::Socket server)
        : Relay(world, owner, std::move(client), std::move(server), {std::chrono::hours(1)}),
          timer([](void* self) { static_cast<Cut*>(self)->cut(); }, this),
          relay(owner) {}
    void cut() {
      ++relay.cut_;
      cancel();
    }
    rejoin::Timer timer;
    CutRelay& relay;
  };

  void begin(rejoin::io::Socket socket, const rejoin::Address& to) {
    auto server = program_.world().network.connect(to, {});
    if (!server) return;
    ++connections_;
    Cut& cut = pool_.make(program_.world(), *this, std::move(socket), std::move(*server));
    open_.push_back(cut);
    if (mean_ms_ > 0) {
      const auto after =
          std::chrono::milliseconds(program_.world().random.below(static_cast<std::uint64_t>(2 * mean_ms_)));
      program_.world().timers.arm(cut.timer, program_.world().clock.now() + after);
    }
    cut.start();
  }
  void relay_ended(rejoin::upstream::Relay& relay, rejoin::upstream::RelayEnd) override {
    pool_.destroy(static_cast<Cut&>(relay));
  }

  Program& program_;
  long mean_ms_;
  rejoin::RecordPool<Cut> pool_;
  rejoin::List<rejoin::upstream::Relay> open_;
  std::vector<std::unique_ptr<Entrance>> entrances_;
  std::size_t connections_ = 0, cut_ = 0;
};

volatile sig_atomic_t cut_all_asked = 0;

}  // namespace
}  // namespace storm

int main(int argc, char** argv) {
  using namespace storm;
  const Arguments arguments(argc, argv);
  Program program("cut relay");
  CutRelay relay(program, arguments.number("mean", 0));
  for (const std::string& to : arguments.all("to")) relay.listen(address(to));
  signal(SIGUSR1, [](int) { cut_all_asked = 1; });
  program.run_until([&] {
    if (cut_all_asked != 0) {
      cut_all_asked = 0;
      relay.cut_all();
    }
    return false;
  });
  std::printf("{\"connections\":%zu,\"cut\":%zu}\n", relay.connections(), relay.cut());
  std::fflush(stdout);
  _exit(0);  // with whatever is still open
}
