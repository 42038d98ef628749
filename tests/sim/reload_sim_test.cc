// Reloads in the middle of everything: requests, tunnels, leases, probes. Nobody may notice.
#include <gtest/gtest.h>

#include "tests/sim/arena.h"
#include "tests/sim/seeds.h"

namespace rejoin::sim_test {
namespace {

/// Reloads again and again, to variants of the configuration that change nothing for players.
class Restless {
 public:
  Restless(Arena& arena, std::uint64_t seed) : arena_(arena), random_(seed) { next(); }
  std::uint64_t reloads() const { return reloads_; }
  void rest() { resting_ = true; }

 private:
  void next() {
    arena_.sim().at(arena_.sim().now() + Duration(1ms) * random_.below(40), [this] {
      if (resting_) return;
      const auto variant = static_cast<unsigned>(random_.below(Arena::kVariants));
      arena_.reload(variant, random_.below(4) == 0 ? Arena::Reload::abandon : Arena::Reload::commit);
      ++reloads_;
      next();
    });
  }

  Arena& arena_;
  SeededRandom random_;
  std::uint64_t reloads_ = 0;
  bool resting_ = false;
};

TEST(ReloadSim, nobody_notices_reloads_on_a_good_network) {
  const Seeds seeds = Seeds::ordinary(40);
  std::uint64_t reloads = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    Arena arena({.seed = seed, .faults = io::Faults::harmless()});
    Restless restless(arena, seed);
    ASSERT_TRUE(arena.play());
    restless.rest();
    reloads += restless.reloads();
    const Tally& tally = arena.tally();
    EXPECT_EQ(tally.crossed, 0u);
    EXPECT_EQ(tally.strayed, 0u);
    EXPECT_EQ(tally.opened, tally.dials);
    EXPECT_GT(tally.echoes, 0u);
    for (const auto& [status, count] : tally.statuses)
      EXPECT_TRUE(status == 101 || status == 200) << status << " x " << count;
    EXPECT_EQ(arena.web(0).bad() + arena.web(1).bad(), 0u);
    ASSERT_EQ(arena.end(), "");
  }
  EXPECT_GT(reloads, seeds.count * 10);
}

TEST(ReloadSim, on_a_bad_network_reloads_leave_nothing_behind) {
  const Seeds seeds = Seeds::ordinary(200);
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    SeededRandom random(seed);
    ArenaOptions options{.seed = seed, .faults = io::Faults::from_seed(random)};
    options.players_of_each_kind = 2;
    Arena arena(options);
    Restless restless(arena, seed);
    ASSERT_TRUE(arena.play());
    restless.rest();
    EXPECT_EQ(arena.tally().crossed, 0u);
    EXPECT_EQ(arena.web(0).bad() + arena.web(1).bad(), 0u);
    ASSERT_EQ(arena.end(), "");
  }
}

}  // namespace
}  // namespace rejoin::sim_test
