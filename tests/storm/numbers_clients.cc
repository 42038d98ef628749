// Players for the storm: many clients of rejoin.v1 in one process, each the library's own driver. Each counts
// aloud, one message each --every MS up to --count, and expects its game server to do so, too: 1, 2, 3, ...
// once and in order, whatever becomes of its links.
//
//   storm_numbers_clients --url URL [--url ...] --clients N --every MS --count N --patience S [--ca FILE]
//
// Ends when all have said and heard all, or after --patience; says in one line of JSON what came of it.
#include <algorithm>
#include <memory>
#include <vector>

#include "clients/cpp/src/driver.h"
#include "io/tls_network.h"
#include "proto/url.h"
#include "tests/storm/loop_program.h"

namespace storm {
namespace {

using rejoin::client::Driver;
using rejoin::client::State;

struct Totals {
  std::uint64_t heard = 0, said = 0, lost = 0, twice = 0, complete = 0, logins = 0, resumes = 0, gaps = 0;
  std::uint64_t sessions_lost = 0, ended = 0;
  std::vector<double> resume_ms;
};

struct Rules {
  rejoin::Duration every;
  std::uint64_t count;
};

class Player final : public rejoin::client::DriverEvents {
 public:
  // `secure`: the Network for wss and tls; nullptr: there is none.
  Player(Program& program, rejoin::io::Network* secure, const std::string& url, const Rules& rules,
         Totals& totals, std::uint64_t number)
      : world_(program.world()),
        rules_(rules),
        totals_(totals),
        timer_([](void* self) { static_cast<Player*>(self)->speak(); }, this) {
    auto parsed = rejoin::proto::Url::parse(url);
    if (!parsed) die(url + ": " + parsed.error().detail);
    rejoin::client::DriverOptions options;
    options.url = *parsed;
    options.identity = "player " + std::to_string(number);
    options.link.bind = *rejoin::Address::parse_ip("127.1." + std::to_string(number / 250) + "." +
                                                   std::to_string(1 + number % 250));
    auto made = Driver::make(world_, secure, names_, std::move(options), *this);
    if (!made) die(made.error().detail);
    driver_ = std::move(*made);
    driver_->start();
  }

  void on_message(rejoin::Bytes message, bool) override {
    if (message.size() != 8) return;
    const std::uint64_t number = rejoin::load_u64(message.data());
    ++totals_.heard;
    if (number <= heard_) {
      ++totals_.twice;
      return;
    }
    totals_.lost += number - heard_ - 1;
    heard_ = number;
    check_complete();
  }
  void on_state(const State& state) override {
    switch (state.kind) {
      case State::Kind::open:
        ++totals_.logins;
        world_.timers.arm(timer_,
                          world_.clock.now() + rejoin::Duration(static_cast<std::int64_t>(world_.random.below(
                                                   static_cast<std::uint64_t>(rules_.every.count())))));
        break;
      case State::Kind::resumed:
        ++totals_.resumes;
        totals_.gaps += state.whole ? 0 : 1;
        totals_.resume_ms.push_back(static_cast<double>(state.took.count()) / 1000.0);
        break;
      case State::Kind::lost: ++totals_.sessions_lost; break;
      case State::Kind::ended: ++totals_.ended; break;
      default: break;
    }
  }
  void on_room() override {}
  void on_save(const std::string&) override {}

 private:
  void speak() {
    if (said_ == rules_.count) return;
    char message[8];
    rejoin::store_u64(message, said_ + 1);
    if (driver_->send(rejoin::Bytes(message, sizeof message), false) == Driver::Sent::taken) {
      ++said_;
      ++totals_.said;
    }
    driver_->flush();
    check_complete();
    if (said_ < rules_.count) world_.timers.arm(timer_, world_.clock.now() + rules_.every);
  }
  void check_complete() {
    if (complete_ || said_ != rules_.count || heard_ != rules_.count) return;
    complete_ = true;
    ++totals_.complete;
  }

  rejoin::io::World& world_;
  const Rules& rules_;
  Totals& totals_;
  rejoin::client::NoResolver names_;
  std::unique_ptr<Driver> driver_;
  rejoin::Timer timer_;
  std::uint64_t said_ = 0, heard_ = 0;
  bool complete_ = false;
};

double percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

}  // namespace
}  // namespace storm

int main(int argc, char** argv) {
  using namespace storm;
  const Arguments arguments(argc, argv);
  Program program("numbers clients");
  const Rules rules{std::chrono::milliseconds(arguments.number("every", 1000)),
                    static_cast<std::uint64_t>(arguments.number("count", 60))};
  Totals totals;
  const std::vector<std::string> urls = arguments.all("url");
  const auto clients = static_cast<std::size_t>(arguments.number("clients", 100));
  std::unique_ptr<rejoin::io::TlsNetwork> secure;
  rejoin::io::World world = program.world();
  if (const std::vector<std::string> ca = arguments.all("ca"); !ca.empty()) {
    auto context = rejoin::io::TlsContext::make(rejoin::io::TlsClientOptions{{}, ca.front(), {}});
    if (!context) die(context.error().detail);
    secure = std::make_unique<rejoin::io::TlsNetwork>(world, rejoin::io::TlsContexts{.client = *context});
  }
  std::vector<std::unique_ptr<Player>> players;
  for (std::size_t i = 0; i < clients; ++i) {
    players.push_back(
        std::make_unique<Player>(program, secure.get(), urls[i % urls.size()], rules, totals, i));
    // A few at a time: the beginning is not the storm.
    if (i % 50 == 49) program.loop().turn(std::chrono::milliseconds(5));
  }
  const auto until = program.loop().now() + std::chrono::seconds(arguments.number("patience", 120));
  program.run_until([&] { return totals.complete == clients || program.loop().now() >= until; });
  // The last acknowledgements still travel: the server must have all before it is asked.
  const auto linger = program.loop().now() + std::chrono::milliseconds(500);
  program.run_until([&] { return program.loop().now() >= linger; });
  std::printf(
      "{\"clients\":%zu,\"complete\":%lu,\"heard\":%lu,\"said\":%lu,\"lost\":%lu,\"twice\":%lu,\"logins\":%"
      "lu,"
      "\"resumes\":%lu,\"gaps\":%lu,\"sessions_lost\":%lu,\"ended\":%lu,\"resume_ms_p50\":%.1f,\"resume_ms_"
      "p99\":%.1f}\n",
      clients, totals.complete, totals.heard, totals.said, totals.lost, totals.twice, totals.logins,
      totals.resumes, totals.gaps, totals.sessions_lost, totals.ended, percentile(totals.resume_ms, 0.5),
      percentile(totals.resume_ms, 0.99));
  std::fflush(stdout);
  _exit(totals.complete == clients ? 0 : 1);
}
