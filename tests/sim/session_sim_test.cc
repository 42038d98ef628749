// Sessions on a bad network, over many seeds: balancer, gateways, game server and players together. A failure
// names its seed: `./dev sim --seed N` plays that one again.
#include <gtest/gtest.h>

#include "tests/sim/seeds.h"
#include "tests/sim/session_arena.h"

namespace rejoin::sim_test {
namespace {

/// What happens in a run besides the faults of the network: any of it, alone or together.
struct Mood {
  explicit Mood(std::uint64_t seed) {
    SeededRandom random(seed * 7919);
    if (random.below(3) == 0) return;  // nothing else
    restarts = random.below(3) == 0;
    kills = random.below(3) == 0;
    wild_game = random.below(3) == 0;
    short_grace = random.below(5) == 0;
    leaving = random.below(3) == 0;
  }
  bool restarts = false;     // players' programs
  bool kills = false;        // of a gateway
  bool wild_game = false;    // game servers that are slow, go away, and flood
  bool short_grace = false;  // sessions expire
  bool leaving = false;      // players leave and begin anew
};

class Storm {
 public:
  explicit Storm(std::uint64_t seed) : mood_(seed), arena_(options(seed, mood_)) {
    Random& random = arena_.sim().random();
    const std::size_t players = 2 + random.below(3);
    for (std::size_t i = 0; i < players; ++i) {
      Way way = static_cast<Way>(i == 0 ? seed / 8 % kWays : random.below(kWays));
      // Without peers a stray client comes home by luck alone, and two of them that dial in turn may never
      // do: round-robin deals each of them the other's gateway.
      const bool stray = way == Way::stray_web || way == Way::stray_raw;
      if (stray && !has_peers(seed)) way = way == Way::stray_web ? Way::direct_web : Way::direct_raw;
      arena_.add_player(way, random.below(4) == 0 ? session::Advertised::yes : session::Advertised::no);
    }
  }

  /// What went wrong; empty if nothing did.
  std::string play() {
    Random& random = arena_.sim().random();
    for (std::size_t i = 0; i < arena_.players(); ++i) arena_.player(i).start();
    io::Faults faults = io::Faults::from_seed(random);
    faults.roam_every = random.below(2) == 0 ? 4s : 0s;
    arena_.sim().set_faults(faults);
    const std::uint64_t rounds = 20 + random.below(50);
    kill_in_ = mood_.kills ? random.below(rounds) : rounds;
    for (std::uint64_t round = 0; round < rounds && arena_.ledger().wrong.empty(); ++round) {
      for (std::size_t i = 0; i < arena_.players(); ++i) act(arena_.player(i));
      if (round == kill_in_) arena_.kill_gateway(random.below(2), 100ms + Duration(random.below(2'000'000)));
      arena_.run_for(Duration(static_cast<std::int64_t>(random.below(300'000))));
    }
    arena_.settle();
    const std::string wrong = arena_.wrong();
    seen = arena_.seen();
    if (!wrong.empty()) return wrong;
    return arena_.end();
  }

  SessionArena& arena() { return arena_; }
  SessionArena::Seen seen;

 private:
  static bool has_peers(std::uint64_t seed) { return seed % 3 != 0; }
  static SessionArenaOptions options(std::uint64_t seed, const Mood& mood) {
    SessionArenaOptions options{.seed = seed};
    options.peers = has_peers(seed);
    options.game.speaks_first = seed % 5 == 0;
    options.game.messages = 15;
    options.game.slow = 0.2;
    if (mood.wild_game) {
      options.game.slow = 0.4;
      options.game.slow_max = 5s;
      options.game.gone = 0.3;
      options.game.flood = 0.4;
    }
    if (mood.short_grace) options.grace = 1500ms;
    return options;
  }

  void act(SessionPlayer& player) {
    Random& random = arena_.sim().random();
    if (player.over()) player.come_back();
    for (std::uint64_t count = random.below(3); count > 0; --count) player.say();
    if (random.below(25) == 0) {
      player.network_changed(random.below(2) == 0 ? client::Driver::Change::doubt
                                                  : client::Driver::Change::path_gone);
    }
    if (mood_.restarts && random.below(20) == 0) {
      player.start_again(random.below(3) == 0 ? session::Snapshot::light : session::Snapshot::whole);
    }
    if (mood_.leaving && random.below(25) == 0 && !player.leaving()) player.leave();
  }

  Mood mood_;
  SessionArena arena_;
  std::uint64_t kill_in_ = 0;
};

TEST(SessionSim, each_message_once_and_in_order_or_the_session_ends_aloud) {
  const Seeds seeds = Seeds::ordinary(5000);
  SessionArena::Seen seen;
  io::Counters faults;
  int failed = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    Storm storm(seed);
    const std::string wrong = storm.play();
    EXPECT_EQ(wrong, "");
    failed += wrong.empty() ? 0 : 1;
    ASSERT_LT(failed, 5);
    seen += storm.seen;
    const io::Counters& counters = storm.arena().sim().counters();
    faults.resets_injected += counters.resets_injected;
    faults.holes += counters.holes;
    faults.roams += counters.roams;
    faults.crashes += counters.crashes;
  }
  EXPECT_GT(seen.messages, 0u);
  if (seeds.count < 500) return;  // a few seeds need not have every kind of trouble
  EXPECT_GT(seen.resumes, seeds.count);
  EXPECT_GT(seen.sent_again, seeds.count / 4);
  EXPECT_GT(seen.replayed, seeds.count / 4);
  EXPECT_GT(seen.relayed, seeds.count / 8);
  EXPECT_GT(seen.replaced, seeds.count / 8);
  EXPECT_GT(seen.come_again, seeds.count / 16);
  EXPECT_GT(seen.lost, seeds.count / 32);
  EXPECT_GT(seen.expired, 0u);
  EXPECT_GT(seen.overflowed, 0u);
  EXPECT_GT(faults.resets_injected, 0u);
  EXPECT_GT(faults.holes, 0u);
  EXPECT_GT(faults.roams, 0u);
  if (std::getenv("REJOIN_SIM_TELL") != nullptr) {
    std::printf(
        "messages %lu resumes %lu again %lu replayed %lu duplicates %lu relayed %lu replaced %lu "
        "come again %lu lost %lu expired %lu overflowed %lu logins %lu\n",
        seen.messages, seen.resumes, seen.sent_again, seen.replayed, seen.duplicates, seen.relayed,
        seen.replaced, seen.come_again, seen.lost, seen.expired, seen.overflowed, seen.logins);
  }
}

TEST(SessionSim, the_same_seed_gives_the_same_run) {
  const auto trace = [](std::uint64_t seed) {
    Storm storm(seed);
    EXPECT_EQ(storm.play(), "");
    return storm.arena().sim().trace_hash();
  };
  const std::uint64_t seed = Seeds::ordinary(1).first;
  EXPECT_EQ(trace(seed), trace(seed));
}

}  // namespace
}  // namespace rejoin::sim_test
