// Schedulers keep what they need in order instead of looking at every server. Here the same servers, through
// whatever may happen to them, are put to the rules in their plain form, which do look at every server: each
// pick must be the same.
#include <gtest/gtest.h>

#include <deque>

#include "route/hash.h"
#include "route/maglev.h"
#include "route/route_test_support.h"
#include "route/scheduler.h"
#include "route/smooth_rotation.h"

namespace rejoin::route {
namespace {

// --- the rules ---

class PlainRotation {
 public:
  PlainRotation(const Pool& pool, unsigned turns_ahead) : balance_(pool.size(), 0) {
    for (unsigned i = 0; i < turns_ahead; ++i)
      turn(pool, TimePoint{}, [&](ServerIndex index) { return pool.weight(index) > 0; });
  }
  template <typename TakesPart>
  std::optional<ServerIndex> turn(const Pool& pool, TimePoint now, TakesPart takes_part) {
    std::int64_t earned = 0;
    std::optional<ServerIndex> richest;
    for (std::size_t i = 0; i < balance_.size(); ++i) {
      const auto index = static_cast<ServerIndex>(i);
      if (!takes_part(index)) continue;
      const auto weight = static_cast<std::int64_t>(pool.present_weight(index, now));
      balance_[i] += weight;
      earned += weight;
      if (!richest || balance_[i] > balance_[*richest]) richest = index;
    }
    if (richest) balance_[*richest] -= earned;
    return richest;
  }

 private:
  std::vector<std::int64_t> balance_;
};

class Plain {
 public:
  Plain(SchedulerKind kind, const Pool& pool, unsigned worker, std::uint64_t seed, MaglevShare& maglev)
      : kind_(kind),
        pool_(pool),
        rotation_(pool, worker),
        chance_(mix_bits(seed + worker)),
        share_(maglev),
        table_(maglev) {}

  std::optional<ServerIndex> pick(const Wanted& wanted) {
    std::vector<ServerIndex> may;
    for (std::size_t i = 0; i < pool_.size(); ++i) {
      if (wanted.may(pool_, static_cast<ServerIndex>(i))) may.push_back(static_cast<ServerIndex>(i));
    }
    switch (kind_) {
      case SchedulerKind::round_robin: return turn(may, wanted.now);
      case SchedulerKind::least_connections: return turn(least_of(may, wanted.now), wanted.now);
      case SchedulerKind::random_two: return one_of_two(may, wanted.now);
      case SchedulerKind::source_hash:
      case SchedulerKind::key_hash: return by_hash(may, wanted);
    }
    return std::nullopt;
  }
  bool lacks_room(const Wanted& wanted) const {
    for (std::size_t i = 0; i < pool_.size(); ++i) {
      const auto index = static_cast<ServerIndex>(i);
      if (pool_.server(index).backup == wanted.backups && !wanted.tried.contains(index) &&
          pool_.would_take_new(index, wanted.now))
        return true;
    }
    return false;
  }

 private:
  std::optional<ServerIndex> turn(const std::vector<ServerIndex>& among, TimePoint now) {
    return rotation_.turn(pool_, now, [&](ServerIndex index) {
      return std::find(among.begin(), among.end(), index) != among.end();
    });
  }

  std::vector<ServerIndex> least_of(const std::vector<ServerIndex>& may, TimePoint now) const {
    std::vector<ServerIndex> least;
    const auto load = [&](ServerIndex of, ServerIndex against) {
      return pool_.active(of) * pool_.present_weight(against, now);
    };
    for (const ServerIndex index : may) {
      if (!least.empty() && load(index, least[0]) > load(least[0], index)) continue;
      if (!least.empty() && load(index, least[0]) < load(least[0], index)) least.clear();
      least.push_back(index);
    }
    return least;
  }

  std::uint64_t below(std::uint64_t bound) {
    chance_ += 0x9e3779b97f4a7c15ULL;
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<Wide>(mix_bits(chance_)) * bound >> 64);
  }
  ServerIndex drawn(const std::vector<ServerIndex>& of, TimePoint now) {
    std::uint64_t sum = 0;
    for (const ServerIndex index : of) sum += pool_.present_weight(index, now);
    std::uint64_t at = below(sum);
    for (const ServerIndex index : of) {
      if (at < pool_.present_weight(index, now)) return index;
      at -= pool_.present_weight(index, now);
    }
    return of.back();
  }
  std::optional<ServerIndex> one_of_two(std::vector<ServerIndex> may, TimePoint now) {
    if (may.empty()) return std::nullopt;
    const ServerIndex first = drawn(may, now);
    if (may.size() == 1) return first;
    std::erase(may, first);
    const ServerIndex second = drawn(may, now);
    return pool_.active(second) * pool_.present_weight(first, now) <
                   pool_.active(first) * pool_.present_weight(second, now)
               ? second
               : first;
  }

  std::optional<ServerIndex> by_hash(const std::vector<ServerIndex>& may, const Wanted& wanted) {
    const MaglevShare::Current current = share_.current(wanted.now);
    for (int place = 0; !current.table->empty() && place < kMaglevTriesMax; ++place) {
      const ServerIndex index = current.table->at(wanted.hash, place);
      if (wanted.may(pool_, index)) return index;
    }
    std::optional<ServerIndex> best;
    const auto rank = [&](ServerIndex of) { return mix_bits(wanted.hash ^ share_.name_hash(of)); };
    for (const ServerIndex index : may) {
      if (!best || rank(index) > rank(*best)) best = index;
    }
    return best;
  }

  SchedulerKind kind_;
  const Pool& pool_;
  PlainRotation rotation_;
  std::uint64_t chance_;
  MaglevShare& share_;
  MaglevReader table_;
};

// --- what happens to servers ---

struct Shape {
  std::size_t servers;
  std::uint32_t weight_max;  // 1: all are equal
  int events_each;           // between two picks, on average
  bool may_go_back = false;  // the clock of picks
};

std::vector<Server> many_servers(const Shape& shape, SeededRandom& random) {
  std::vector<Server> out;
  for (std::size_t i = 0; i < shape.servers; ++i) {
    Server server;
    server.name = "s" + std::to_string(i);
    server.address = test::address("10.0." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250));
    server.weight = 1 + static_cast<std::uint32_t>(random.below(shape.weight_max));
    server.backup = random.below(8) == 0;
    if (random.below(3) == 0) server.max_connections = 1 + static_cast<std::uint32_t>(random.below(4));
    out.push_back(std::move(server));
  }
  return out;
}

class Story {
 public:
  Story(const Shape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {
    HealthRules rules = test::probed();
    rules.passive = {.failures = 1, .within = 10s, .out = 3s};
    rules_ = rules;
    pool_ = std::move(*Pool::make("p", many_servers(shape, random_), rules_, nullptr, slow_start()));
  }
  Pool& pool() { return *pool_; }
  TimePoint now() const { return now_; }

  void goes_on() {
    for (std::uint64_t i = random_.below(2 * static_cast<std::uint64_t>(shape_.events_each) + 1); i > 0; --i)
      happens();
    // Some picks fall into the same millisecond, some are seconds apart.
    if (random_.below(3) == 0) now_ += Duration(random_.below(300'000));
    if (random_.below(50) == 0) now_ += 5s;
    if (shape_.may_go_back && random_.below(40) == 0) now_ -= 2s;
  }
  Tried some_tried() {
    Tried tried;
    for (std::uint64_t n = random_.below(4) == 0 ? random_.below(4) : 0; n > 0; --n) {
      const ServerIndex index = any();
      if (!tried.contains(index)) tried.add(index);
    }
    return tried;
  }
  void connected(ServerIndex index) {
    if (random_.below(4) == 0) return;
    if (ServerUse use = ServerUse::take(*pool_, index)) uses_.push_back(std::move(use));
  }
  std::uint64_t number() { return random_.u64(); }
  bool chance(std::uint64_t one_in) { return random_.below(one_in) == 0; }
  /// The next list: some servers go, some come, some are described anew.
  std::unique_ptr<Pool> reload() {
    std::vector<Server> servers;
    for (std::size_t i = 0; i < pool_->size(); ++i) {
      if (random_.below(10) == 0 && pool_->size() > 2) continue;
      servers.push_back(pool_->server(static_cast<ServerIndex>(i)));
      if (random_.below(5) == 0)
        servers.back().max_connections = static_cast<std::uint32_t>(random_.below(4));
      if (random_.below(5) == 0) servers.back().weight = static_cast<std::uint32_t>(random_.below(5));
    }
    std::swap(servers.front(), servers.back());
    auto next = std::move(*Pool::make("p", servers, rules_, pool_.get(), slow_start()));
    next->take_effect();
    std::swap(next, pool_);
    return next;
  }

 private:
  ServerIndex any() { return static_cast<ServerIndex>(random_.below(pool_->size())); }
  Duration slow_start() const { return 2s; }

  void happens() {
    const ServerIndex index = any();
    switch (random_.below(12)) {
      case 0:
        pool_->set_weight(index, static_cast<std::uint32_t>(random_.below(shape_.weight_max + 1)));
        return;
      case 1: pool_->set_share_percent(index, static_cast<std::uint8_t>(random_.below(101))); return;
      case 2: pool_->set_order(index, static_cast<ServerOrder>(random_.below(3))); return;
      case 3: pool_->set_order(index, ServerOrder::ready); return;
      case 4: pool_->set_draining(index, random_.below(2) == 0, now_ + 1s); return;
      case 5:
        for (int i = 0; i < 4; ++i) pool_->observe(index, ProbeResult::ill, now_);
        return;
      case 6:
      case 7:
        for (int i = 0; i < 4; ++i) pool_->observe(index, ProbeResult::well, now_);
        return;
      case 8: pool_->mark_failure(index, now_); return;
      case 9: uses_.emplace_back(*pool_, index); return;
      default:
        if (uses_.empty()) return;
        std::swap(uses_[random_.below(uses_.size())], uses_.back());
        uses_.pop_back();
        return;
    }
  }

  Shape shape_;
  SeededRandom random_;
  HealthRules rules_;
  std::unique_ptr<Pool> pool_;
  std::deque<ServerUse> uses_;
  TimePoint now_{100h};
};

class EveryScheduler : public testing::TestWithParam<SchedulerKind> {};

/// How many picks found somebody.
std::uint64_t picked_the_same(SchedulerKind kind, const Shape& shape, std::uint64_t seed, int picks) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Story story(shape, seed);
  MaglevShare maglev(story.pool());
  const auto worker = static_cast<unsigned>(seed % 7);
  const auto scheduler = make_scheduler(kind, story.pool(), worker, seed, &maglev);
  Plain plain(kind, story.pool(), worker, seed, maglev);
  std::uint64_t found = 0;
  for (int i = 0; i < picks; ++i) {
    story.goes_on();
    const Tried tried = story.some_tried();
    const Wanted wanted{
        .tried = tried, .now = story.now(), .hash = story.number(), .backups = story.chance(6)};
    const auto expected = plain.pick(wanted);
    const auto picked = scheduler->pick(wanted);
    EXPECT_EQ(picked, expected) << "pick " << i;
    if (picked != expected) break;
    if (!picked) {
      EXPECT_EQ(scheduler->lacks_room(wanted), plain.lacks_room(wanted)) << "pick " << i;
      continue;
    }
    ++found;
    story.connected(*picked);
  }
  return found;
}

TEST_P(EveryScheduler, picks_as_the_rule_that_looks_at_every_server) {
  const Shape shapes[] = {
      {.servers = 1, .weight_max = 3, .events_each = 1},
      {.servers = 2, .weight_max = 2, .events_each = 1},
      {.servers = 3, .weight_max = 1, .events_each = 1},
      {.servers = 7, .weight_max = 9, .events_each = 1},
      {.servers = 16, .weight_max = 1, .events_each = 2},
      {.servers = 40, .weight_max = 5, .events_each = 2},
      {.servers = 100, .weight_max = 60'000, .events_each = 3},
      {.servers = 33, .weight_max = 1, .events_each = 400},  // more than the log holds
      {.servers = 12, .weight_max = 9, .events_each = 0},    // nothing happens but connections
      {.servers = 9, .weight_max = 4, .events_each = 1, .may_go_back = true},
  };
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(std::to_string(shape.servers) + " servers");
    const bool many = shape.events_each > 100, hashes = GetParam() == SchedulerKind::source_hash;
    const std::uint64_t seeds = many ? 2 : hashes ? 4 : 12;  // a new table costs more than all picks
    std::uint64_t found = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed)
      found += picked_the_same(GetParam(), shape, seed, many ? 200 : 600);
    EXPECT_GT(found, seeds * 30) << "stories in which nobody takes anybody tell nothing";
  }
}

TEST_P(EveryScheduler, picks_so_after_a_reload_too_which_others_see_change) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Story story({.servers = 12, .weight_max = 3, .events_each = 2}, seed);
    std::vector<std::unique_ptr<Pool>> before;
    for (int round = 0; round < 5; ++round) {
      {
        MaglevShare maglev(story.pool());
        const auto scheduler = make_scheduler(GetParam(), story.pool(), 1, seed, &maglev);
        Plain plain(GetParam(), story.pool(), 1, seed, maglev);
        for (int i = 0; i < 200; ++i) {
          story.goes_on();
          const Tried tried = story.some_tried();
          const Wanted wanted{.tried = tried, .now = story.now(), .hash = story.number()};
          const auto expected = plain.pick(wanted);
          ASSERT_EQ(scheduler->pick(wanted), expected) << "round " << round << " pick " << i;
          if (expected) story.connected(*expected);
        }
      }
      before.push_back(story.reload());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(all, EveryScheduler,
                         testing::Values(SchedulerKind::round_robin, SchedulerKind::least_connections,
                                         SchedulerKind::random_two, SchedulerKind::source_hash),
                         [](const auto& of) {
                           switch (of.param) {
                             case SchedulerKind::round_robin: return "round_robin";
                             case SchedulerKind::least_connections: return "least_connections";
                             case SchedulerKind::random_two: return "random_two";
                             default: return "hash";
                           }
                         });

TEST(SmoothRotation, counts_from_zero_again_now_and_then_and_nobody_notices) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeededRandom random(seed);
    const std::size_t servers = 1 + random.below(40);
    SmoothRotation often(servers, 5), never(servers);
    SmoothRotation::Group of_often, of_never;
    std::vector<bool> in(servers, false);
    for (int i = 0; i < 2000; ++i) {
      const auto index = static_cast<ServerIndex>(random.below(servers));
      const std::uint64_t weight = 1 + random.below(i < 1000 ? 3 : 0xffffffff);
      if (random.below(3) == 0 && in[index]) {
        often.leave(of_often, index);
        never.leave(of_never, index);
        in[index] = false;
      } else if (random.below(3) == 0 && !in[index]) {
        often.join(of_often, index, weight);
        never.join(of_never, index, weight);
        in[index] = true;
      }
      const auto next = never.next(of_never);
      ASSERT_EQ(often.next(of_often), next) << "seed " << seed << " turn " << i;
      if (!next) continue;
      often.turn(of_often, *next);
      never.turn(of_never, *next);
    }
  }
}

}  // namespace
}  // namespace rejoin::route
