// Clients on a network that fails by a seed: every message once and in order, both ways, whatever breaks; and
// a client that is destroyed, or whose every operation fails, at any moment.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "clients/cpp/src/driver_test_support.h"

namespace rejoin::client {
namespace {

using Kind = State::Kind;

/// One player: its program, and how much both ends have said.
struct Seat {
  io::SimHost* host = nullptr;
  std::unique_ptr<Application> app;
  std::string ticket;
  int said = 0, produced = 0;
};

std::string message(int number, Random& random) {
  return std::to_string(number) + ":" + std::string(random.below(random.below(8) == 0 ? 3000 : 60), 'x');
}

/// True if `got` is 1, 2, 3 ... n.
std::string out_of_order(const std::vector<std::string>& got) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::atoi(got[i].c_str()) != static_cast<int>(i + 1)) {
      return "message " + std::to_string(i + 1) + " is " + got[i].substr(0, 10);
    }
  }
  return {};
}

class Storm {
 public:
  Storm(std::uint64_t seed, session::Mistake mistake = session::Mistake::none)
      : sim_(seed),
        gateway_host_(sim_.add_host({.name = "gateway", .addresses = {"10.0.0.1"}})),
        gateway_(gateway_host_.world(), long_rules()) {
    gateway_.toy.options.mistake = mistake;
    gateway_.listen_websocket(gateway_host_.address(8000));
    gateway_.listen_tcp(gateway_host_.address(8001));
    for (int i = 0; i < 4; ++i) add_seat(i);
  }

  /// Empty, or what went wrong.
  std::string run() {
    for (Seat& seat : seats_) {
      seat.app->start();
      if (!sim_.run_until([&] { return seat.app->is(Kind::open); })) return "no first link";
      seat.ticket = seat.app->driver->session().ticket();
    }
    sim_.run_for(1s);  // every WELCOME is answered
    io::Faults faults = io::Faults::from_seed(sim_.random());
    faults.roam_every = 20s;
    sim_.set_faults(faults);
    for (int round = 0; round < 150; ++round) {
      for (Seat& seat : seats_) act(seat);
      sim_.run_for(Duration(static_cast<std::int64_t>(sim_.random().below(400'000))));
    }
    sim_.heal();
    for (Seat& seat : seats_) seat.app->driver->network_changed(Driver::Change::doubt);
    const bool settled = sim_.run_until(
        [&] { return std::all_of(seats_.begin(), seats_.end(), [&](Seat& s) { return done(s); }); }, 300s);
    for (Seat& seat : seats_) {
      const std::string down = out_of_order(seat.app->got), up = out_of_order(player(seat).got);
      if (!down.empty()) return "to the client: " + down;
      if (!up.empty()) return "to the game server: " + up;
      if (seat.app->driver->stats().logins != 1) return "a second login";
      resumes += seat.app->driver->stats().resumes;
      again += seat.app->driver->stats().sent_again;
    }
    if (!settled) return "it never settles";
    return end();
  }
  std::uint64_t resumes = 0, again = 0;

 private:
  static session::SessionRules long_rules() {
    session::SessionRules with = rules();
    with.grace = 3600s;
    with.ping = 5s;
    with.dead = 15s;
    with.pause_max = 3600s;
    return with;
  }
  void add_seat(int i) {
    Seat seat;
    const std::string net = "10.1." + std::to_string(i) + ".";
    seat.host = &sim_.add_host(
        {.name = "phone" + std::to_string(i), .addresses = {net + "1"}, .roam_to = {net + "2", net + "3"}});
    DriverOptions options;
    options.url = *proto::Url::parse(i % 2 == 0 ? "ws://10.0.0.1:8000/" : "tcp://10.0.0.1:8001");
    options.advertised = session::Advertised::yes;
    seat.app = std::make_unique<Application>(seat.host->world(), options);
    seats_.push_back(std::move(seat));
  }
  session::ToyGateway::Player& player(Seat& seat) { return *gateway_.toy.players.at(seat.ticket); }
  void act(Seat& seat) {
    Random& random = sim_.random();
    if (seat.app->send(message(seat.said + 1, random))) ++seat.said;
    if (gateway_.toy.produce(player(seat), message(seat.produced + 1, random))) ++seat.produced;
    if (random.below(30) == 0) {
      seat.app->driver->network_changed(random.below(2) == 0 ? Driver::Change::doubt
                                                             : Driver::Change::path_gone);
    }
    if (random.below(40) == 0 && player(seat).link != 0) {
      const auto code = number(proto::LinkCode::restart);
      const proto::Detach ways[] = {{code, proto::DetachAction::move, 2000, 0, {}, {}},
                                    {code, proto::DetachAction::again, 0, 0, {}, {}},
                                    {code, proto::DetachAction::again, 300, 0, {}, {}},
                                    {code, proto::DetachAction::again, 0, 0, "tcp://10.0.0.1:8001", {}}};
      gateway_.toy.detach(player(seat).link, ways[random.below(std::size(ways))]);
    }
  }
  bool done(Seat& seat) {
    return static_cast<int>(seat.app->got.size()) == seat.produced &&
           static_cast<int>(player(seat).got.size()) == seat.said &&
           seat.app->driver->session().window().held_messages() == 0 &&
           player(seat).session.window().held_messages() == 0;
  }
  std::string end() {
    for (Seat& seat : seats_) seat.app->driver->close(1000, "bye");
    if (!sim_.run_until([&] {
          return std::all_of(seats_.begin(), seats_.end(), [](Seat& s) { return s.app->is(Kind::ended); });
        })) {
      return "somebody cannot leave";
    }
    for (Seat& seat : seats_) {
      if (player(seat).ended != 1000) return "a goodbye that was not heard";
    }
    sim_.run_for(10s);
    seats_.clear();
    gateway_.stop();
    return sim_.leftovers_text();
  }

  io::Simulation sim_;
  io::SimHost& gateway_host_;
  FakeGateway gateway_;
  std::vector<Seat> seats_;
};

TEST(DriverSim, once_and_in_order_whatever_breaks) {
  std::uint64_t resumes = 0, again = 0;
  constexpr std::uint64_t kSeeds = 40;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Storm storm(seed);
    ASSERT_EQ(storm.run(), "") << "seed " << seed;
    resumes += storm.resumes;
    again += storm.again;
  }
  EXPECT_GT(resumes, kSeeds * 20);
  EXPECT_GT(again, kSeeds);
}

TEST(DriverSim, planted_mistakes_are_found) {
  for (const auto mistake : {session::Mistake::acks_one_too_much, session::Mistake::replays_one_less}) {
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 20 && wrong.empty(); ++seed) wrong = Storm(seed, mistake).run();
    EXPECT_NE(wrong, "") << static_cast<int>(mistake);
  }
}

/// A life with a bit of everything, cut off after so many steps of the simulation.
std::string live_until(std::uint64_t steps, bool& at_end) {
  SmallWorld world(7);
  {
    Application app(world.phone.world(), world.options());
    app.start();
    std::uint64_t left = steps;
    const auto go_on = [&](auto done) {
      while (left != 0 && !done()) {
        --left;
        if (!world.sim.step()) break;
      }
      return left != 0;
    };
    at_end = go_on([&] { return app.is(Kind::open); });
    if (at_end) {
      app.send("one");
      world.gateway->reset_all();
      at_end = go_on([&] { return app.is(Kind::resumed); });
    }
    if (at_end) {
      app.driver->network_changed(Driver::Change::path_gone);
      at_end = go_on([&] { return app.driver->stats().resumes == 2; });
    }
    if (at_end) {
      app.driver->close(1000, "");
      at_end = go_on([&] { return app.is(Kind::ended); });
    }
    if (at_end) at_end = go_on([&] { return world.phone.open_sockets() == 0; });
  }
  return world.phone.leftovers().none() ? "" : world.phone.leftovers().text();
}

TEST(DriverSim, destroyed_at_any_moment_it_leaves_nothing) {
  bool at_end = false;
  std::uint64_t steps = 0;
  for (; !at_end; ++steps) {
    ASSERT_EQ(live_until(steps, at_end), "") << steps;
    ASSERT_LT(steps, 2000u);
  }
  EXPECT_GT(steps, 15u);
}

TEST(DriverSim, each_operation_may_fail_once) {
  std::uint64_t operations = 1;
  for (std::uint64_t nth = 1; nth <= operations; ++nth) {
    SmallWorld world(3);
    Application app(world.phone.world(), world.options());
    world.phone.fail_operation(nth);
    app.start();
    ASSERT_TRUE(world.sim.run_until([&] { return app.driver->live(); })) << nth;
    for (int i = 1; i <= 3; ++i) {
      EXPECT_EQ(app.driver->send(std::to_string(i), true), Driver::Sent::taken);
      app.driver->flush();
      EXPECT_TRUE(
          world.toy().produce(*world.toy().players.at(app.driver->session().ticket()), std::to_string(i)));
      world.sim.run_for(50ms);
    }
    session::ToyGateway::Player& player = *world.toy().players.at(app.driver->session().ticket());
    ASSERT_TRUE(world.sim.run_until([&] { return app.got.size() == 3 && player.got.size() == 3; })) << nth;
    app.driver->close(1000, "");
    ASSERT_TRUE(world.until(app, Kind::ended)) << nth;
    EXPECT_EQ(out_of_order(app.got), "") << nth;
    EXPECT_EQ(out_of_order(player.got), "") << nth;
    world.sim.run_for(5s);
    EXPECT_EQ(world.phone.open_sockets(), 0u) << nth;
    if (nth == 1) operations = world.phone.operations();
  }
  EXPECT_GT(operations, 15u);
}

}  // namespace
}  // namespace rejoin::client
