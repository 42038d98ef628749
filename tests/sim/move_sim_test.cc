// Gateways are upgraded under way: sessions go from process to process, with their game servers' connections,
// while links break, players come and go, and processes die. A failure names its seed.
#include <gtest/gtest.h>

#include "tests/sim/seeds.h"
#include "tests/sim/session_arena.h"

namespace rejoin::sim_test {
namespace {

/// What befalls a run besides upgrades.
struct Weather {
  explicit Weather(std::uint64_t seed) {
    SeededRandom random(seed * 104'729);
    calm = random.below(4) == 0;
    if (calm) return;
    restarts = random.below(3) == 0;
    wild_game = random.below(3) == 0;
    short_grace = random.below(6) == 0;
    leaving = random.below(3) == 0;
    kills = random.below(3) == 0;
  }
  bool calm = false;         // no fault at all
  bool restarts = false;     // players' programs
  bool wild_game = false;    // game servers that are slow, go away, and flood
  bool short_grace = false;  // sessions expire
  bool leaving = false;      // players leave and begin anew
  bool kills = false;        // of new and old processes, in the middle
};

class Moves {
 public:
  explicit Moves(std::uint64_t seed) : weather_(seed), arena_(options(seed, weather_)) {
    Random& random = arena_.sim().random();
    const std::size_t players = 2 + random.below(3);
    for (std::size_t i = 0; i < players; ++i) {
      const auto way = static_cast<Way>(i == 0 ? seed % kWays : random.below(kWays));
      arena_.add_player(way, random.below(4) == 0 ? session::Advertised::yes : session::Advertised::no);
    }
  }

  std::string play() {
    Random& random = arena_.sim().random();
    for (std::size_t i = 0; i < arena_.players(); ++i) arena_.player(i).start();
    if (!weather_.calm) {
      io::Faults faults = io::Faults::from_seed(random);
      faults.roam_every = random.below(2) == 0 ? 4s : 0s;
      arena_.sim().set_faults(faults);
    }
    const std::uint64_t rounds = 20 + random.below(50);
    for (std::uint64_t round = 0; round < rounds && arena_.ledger().wrong.empty(); ++round) {
      for (std::size_t i = 0; i < arena_.players(); ++i) act(arena_.player(i));
      if (random.below(8) == 0) upgrades += arena_.upgrade_gateway(random.below(2)) ? 1 : 0;
      if (weather_.kills && random.below(10) == 0) {
        const std::size_t gateway = random.below(2);
        const bool killed = random.below(2) == 0 ? arena_.kill_next(gateway) : arena_.kill_old(gateway);
        kills += killed ? 1 : 0;
      }
      arena_.run_for(Duration(static_cast<std::int64_t>(random.below(300'000))));
    }
    arena_.settle();
    std::string wrong = arena_.wrong();
    seen = arena_.seen();
    if (wrong.empty() && weather_.calm && seen.lost != 0)
      wrong = "sessions were lost, and nothing had happened\n";
    // Nobody is left behind: the old processes end.
    const bool ended =
        wrong.empty() &&
        arena_.run_until([&] { return arena_.old_processes(0) + arena_.old_processes(1) == 0; }, 90s);
    moves = arena_.moves();
    if (!wrong.empty()) return wrong;
    if (!ended) return "an old process does not end\n" + arena_.wrong();
    return arena_.end();
  }

  SessionArena::Seen seen;
  gateway::MoveCounts moves;
  std::uint64_t upgrades = 0, kills = 0;

 private:
  static SessionArenaOptions options(std::uint64_t seed, const Weather& weather) {
    SessionArenaOptions options{.seed = seed};
    options.game.speaks_first = seed % 5 == 0;
    options.game.messages = 30;
    options.game.slow = 0.2;
    if (weather.wild_game) {
      options.game.slow = 0.4;
      options.game.slow_max = 5s;
      options.game.gone = 0.3;
      options.game.flood = 0.4;
    }
    if (weather.calm) options.game = {};
    if (weather.short_grace) options.grace = 1500ms;
    return options;
  }

  void act(SessionPlayer& player) {
    Random& random = arena_.sim().random();
    if (player.over()) player.come_back();
    for (std::uint64_t count = random.below(3); count > 0; --count) player.say();
    if (!weather_.calm && random.below(25) == 0) {
      player.network_changed(random.below(2) == 0 ? client::Driver::Change::doubt
                                                  : client::Driver::Change::path_gone);
    }
    if (weather_.restarts && random.below(20) == 0) {
      player.start_again(random.below(3) == 0 ? session::Snapshot::light : session::Snapshot::whole);
    }
    if (weather_.leaving && random.below(25) == 0 && !player.leaving()) player.leave();
  }

  Weather weather_;
  SessionArena arena_;
};

TEST(MoveSim, upgrades_in_the_middle_of_everything_lose_nothing) {
  const Seeds seeds = Seeds::ordinary(1000);
  std::uint64_t upgrades = 0, kills = 0, out = 0, in = 0, told = 0, passed = 0, failed = 0;
  int wrongs = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    Moves moves(seed);
    const std::string wrong = moves.play();
    EXPECT_EQ(wrong, "");
    wrongs += wrong.empty() ? 0 : 1;
    ASSERT_LT(wrongs, 5);
    upgrades += moves.upgrades;
    kills += moves.kills;
    out += moves.moves.out;
    in += moves.moves.in;
    told += moves.moves.told;
    passed += moves.moves.connections;
    failed += moves.moves.failed;
  }
  EXPECT_EQ(failed, 0u) << "sessions that could not go";
  if (std::getenv("REJOIN_SIM_TELL") != nullptr) {
    std::printf("upgrades %lu kills %lu moved out %lu in %lu told %lu connections passed on %lu\n", upgrades,
                kills, out, in, told, passed);
  }
  if (seeds.count < 200) return;
  EXPECT_GT(upgrades, seeds.count);
  EXPECT_GT(out, seeds.count);
  EXPECT_GT(told, seeds.count);
  EXPECT_GT(kills, seeds.count / 16);
}

TEST(MoveSim, the_same_seed_gives_the_same_run) {
  const std::uint64_t seed = Seeds::ordinary(1).first;
  const auto trace = [](std::uint64_t of) {
    Moves moves(of);
    EXPECT_EQ(moves.play(), "");
    return std::pair(moves.moves.out, moves.seen.messages);
  };
  EXPECT_EQ(trace(seed), trace(seed));
}

}  // namespace
}  // namespace rejoin::sim_test
