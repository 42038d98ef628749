// The balancer on a bad network, over many seeds. A failure names its seed: `./dev sim --seed N` plays that
// one again.
#include <gtest/gtest.h>

#include "tests/sim/arena.h"
#include "tests/sim/seeds.h"

namespace rejoin::sim_test {
namespace {

TEST(BalancerSim, on_a_good_network_every_message_comes_back_and_every_pin_holds) {
  const Seeds seeds = Seeds::ordinary(60);
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    Arena arena({.seed = seed, .faults = io::Faults::harmless()});
    ASSERT_TRUE(arena.play());
    const Tally& tally = arena.tally();
    EXPECT_EQ(tally.crossed, 0u);
    EXPECT_EQ(tally.strayed, 0u);
    EXPECT_EQ(tally.opened, tally.dials);
    EXPECT_GT(tally.echoes, 0u);
    EXPECT_GT(tally.returned, 0u);
    for (const auto& [status, count] : tally.statuses)
      EXPECT_TRUE(status == 101 || status == 200) << status << " x " << count;
    EXPECT_EQ(arena.web(0).bad() + arena.web(1).bad(), 0u);
    ASSERT_EQ(arena.end(), "");
  }
}

TEST(BalancerSim, over_tls_on_both_sides_it_is_the_same) {
  const Seeds seeds = Seeds::ordinary(60);
  std::uint64_t resumed = 0, echoes = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    SeededRandom random(seed);
    const bool calm = seed % 3 == 0;
    ArenaOptions options{.seed = seed,
                         .faults = calm ? io::Faults::harmless() : io::Faults::from_seed(random)};
    options.tls = true;
    Arena arena(options);
    ASSERT_TRUE(arena.play());
    const Tally& tally = arena.tally();
    EXPECT_EQ(tally.crossed, 0u);
    EXPECT_EQ(arena.web(0).bad() + arena.web(1).bad(), 0u);
    if (calm) {
      EXPECT_EQ(tally.strayed, 0u);
      EXPECT_EQ(tally.opened, tally.dials);
    }
    echoes += tally.echoes;
    resumed += arena.balancer().counts().tls_resumed;
    ASSERT_EQ(arena.end(), "");
  }
  EXPECT_GT(echoes, 0u);
  EXPECT_GT(resumed, 0u);
}

TEST(BalancerSim, on_a_bad_network_nothing_is_left_behind_and_no_bytes_cross) {
  const Seeds seeds = Seeds::ordinary(1000);
  io::Counters seen;
  std::uint64_t echoes = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(replay(seed));
    SeededRandom random(seed);
    ArenaOptions options{.seed = seed, .faults = io::Faults::from_seed(random)};
    options.players_of_each_kind = 2;
    Arena arena(options);
    ASSERT_TRUE(arena.play());
    EXPECT_EQ(arena.tally().crossed, 0u);
    EXPECT_EQ(arena.web(0).bad() + arena.web(1).bad(), 0u);
    const io::Counters& counters = arena.sim().counters();
    seen.resets_injected += counters.resets_injected;
    seen.holes += counters.holes;
    seen.short_writes += counters.short_writes;
    seen.refusals_injected += counters.refusals_injected;
    seen.full_writes += counters.full_writes;
    echoes += arena.tally().echoes;
    ASSERT_EQ(arena.end(), "");
  }
  EXPECT_GT(echoes, 0u);
  if (seeds.count < 100) return;  // a single seed need not have every kind of fault
  EXPECT_GT(seen.resets_injected, 0u);
  EXPECT_GT(seen.holes, 0u);
  EXPECT_GT(seen.short_writes, 0u);
  EXPECT_GT(seen.refusals_injected, 0u);
  EXPECT_GT(seen.full_writes, 0u);
}

TEST(BalancerSim, the_same_seed_gives_the_same_run) {
  const auto trace = [](std::uint64_t seed) {
    SeededRandom random(seed);
    Arena arena({.seed = seed, .faults = io::Faults::from_seed(random)});
    arena.play();
    const std::string left = arena.end();
    EXPECT_EQ(left, "");
    return arena.sim().trace_hash();
  };
  const std::uint64_t seed = Seeds::ordinary(1).first;
  EXPECT_EQ(trace(seed), trace(seed));
  EXPECT_NE(trace(seed), trace(seed + 1));
}

TEST(BalancerSim, when_a_gateway_dies_its_players_are_sent_to_the_other_one) {
  ArenaOptions options{.seed = 7};
  options.player.connections = 8;
  Arena arena(options);
  arena.sim().at(arena.sim().now() + 600ms, [&arena] { arena.gateway_host(0).crash(io::Crash::killed); });
  ASSERT_TRUE(arena.play());
  EXPECT_GT(arena.tally().strayed, 0u);  // those who belonged to it
  for (const auto& [status, count] : arena.tally().statuses)
    EXPECT_TRUE(status == 101 || status == 200) << status << " x " << count;
  EXPECT_EQ(arena.tally().crossed, 0u);
  ASSERT_EQ(arena.end(), "");
}

}  // namespace
}  // namespace rejoin::sim_test
