#include "apps/balancer/bequest.h"

#include <gtest/gtest.h>

#include "apps/config/config.h"
#include "base/random.h"

namespace rejoin::balancer {
namespace {

using route::ProbeResult;
using route::ServerOrder;

constexpr TimePoint kThen(1000s);

config::Config config_of(const std::string& servers, const std::string& more = {}) {
  const std::string text =
      "[[listener]]\nname = \"in\"\nlisten = \"127.0.0.1:1\"\npool = \"p\"\n[[pool]]\nname = \"p\"\nserver = "
      "[ " +
      servers + " ]\n" + more;
  auto config = config::parse_config(text, "test");
  EXPECT_TRUE(config) << (config ? "" : config.error().detail);
  return *config;
}
const std::string kHealth =
    "health = { kind = \"tcp\", passive = { failures = 3, within = \"10s\", out = \"30s\" } }\n";
const std::string kA = "{ name = \"a\", address = \"10.0.0.1:80\" }",
                  kB = "{ name = \"b\", address = \"10.0.0.2:80\" }",
                  kC = "{ name = \"c\", address = \"10.0.0.3:80\" }";
const std::string kAll = kA + ", " + kB + ", " + kC;
const std::string kD = ", { name = \"d\", address = \"10.0.0.4:80\" }";

std::shared_ptr<const Plan> plan_of(const config::Config& config, std::uint64_t seed = 1) {
  SeededRandom random(seed);
  auto plan = make_plan(config, route::KeyRing(route::generate_key(random)), random);
  EXPECT_TRUE(plan.ok());
  return *plan;
}
route::Pool& pool(const std::shared_ptr<const Plan>& plan) { return *plan->pools[0]->route->pool; }

/// What a process knows of a plan in which operators and probes have said something about each server.
Knowledge knowledge(const config::Config& config) {
  const auto plan = plan_of(config);
  route::Pool& of = pool(plan);
  of.set_order(0, ServerOrder::drain);
  of.set_weight(1, 5);
  of.observe(2, ProbeResult::ill, kThen - 7s);
  of.set_share_percent(1, 40);
  return knowledge_of(*plan, {}, {}, {{"p/a", {2'000'000, true}}}, kThen, 0);
}

TEST(Bequest, words_and_health_go_over) {
  const config::Config file = config_of(kAll, kHealth);
  const auto after = plan_of(file);
  const TakenOver taken = take_over(knowledge(file), *after, kThen + 3s);
  EXPECT_EQ(taken.servers, 3u);
  EXPECT_TRUE(taken.over.empty());
  route::Pool& of = pool(after);
  EXPECT_EQ(of.order(0), ServerOrder::drain);
  EXPECT_EQ(taken.drain_ends, (DrainEnds{{"p/a", {2'000'000, true}}}));
  EXPECT_EQ(of.weight(1), 5u);
  EXPECT_EQ(of.share_percent(1), 40);
  EXPECT_FALSE(of.up(2));
  EXPECT_EQ(of.away_for(2, kThen + 3s), 10s);
  EXPECT_EQ(of.standing(2, kThen + 3s), route::Standing::down);
  // It goes on from there: a server that is down needs `rise` probes.
  EXPECT_EQ(of.observe(2, ProbeResult::well, kThen + 4s), route::HealthChange::none);
  EXPECT_EQ(of.observe(2, ProbeResult::well, kThen + 5s), route::HealthChange::went_up);
}

TEST(Bequest, passive_marks_and_a_slow_start_go_over) {
  const config::Config file = config_of(kAll + kD, kHealth + "slow_start = \"100s\"\n");
  const auto before = plan_of(file), after = plan_of(file);
  for (int i = 0; i < 3; ++i) pool(before).mark_failure(0, kThen);
  for (int i = 0; i < 2; ++i) pool(before).mark_failure(1, kThen - 1s);
  pool(before).observe(2, ProbeResult::ill, kThen - 60s);
  for (int i = 0; i < 2; ++i) pool(before).observe(2, ProbeResult::well, kThen - 50s);
  take_over(knowledge_of(*before, {}, {}, {}, kThen, 0), *after, kThen + 1s);
  route::Pool& of = pool(after);
  EXPECT_TRUE(of.out(0, kThen + 29s));
  EXPECT_FALSE(of.out(0, kThen + 30s));
  EXPECT_TRUE(of.mark_failure(1, kThen + 1s)) << "the third";
  EXPECT_EQ(of.present_weight(2, kThen), route::Pool::kWeightUnits / 2);
}

// As at a reload.
TEST(Bequest, the_file_has_the_last_word_where_it_says_something_new) {
  const std::string heavier = "{ name = \"b\", address = \"10.0.0.2:80\", weight = 2 }",
                    moved = "{ name = \"c\", address = \"10.0.0.9:80\" }";
  const auto after = plan_of(config_of(heavier + ", " + moved, kHealth));
  const TakenOver taken = take_over(knowledge(config_of(kAll, kHealth)), *after, kThen);
  EXPECT_EQ(taken.servers, 1u);
  EXPECT_TRUE(taken.drain_ends.empty());
  EXPECT_EQ(pool(after).weight(0), 2u);
  EXPECT_EQ(pool(after).share_percent(0), 40) << "health holds: it is the same server";
  EXPECT_TRUE(pool(after).up(1)) << "another server of this name";
  ASSERT_EQ(taken.over.size(), 2u);
  EXPECT_EQ(taken.over[0],
            "server p/a: \"drain\" was said at run time and is dropped, there is no such server any more");
  EXPECT_EQ(taken.over[1],
            "server p/b: \"weight 5\" was said at run time and is over, the file says something new");
}

TEST(Bequest, of_a_pool_that_is_gone_words_are_dropped_aloud) {
  config::Config file = config_of(kA);
  file.pools[0].name = "other";
  file.listeners[0].pool = "other";
  const TakenOver taken = take_over(knowledge(config_of(kAll)), *plan_of(file), kThen);
  EXPECT_EQ(taken.servers, 0u);
  EXPECT_EQ(taken.over.size(), 2u);
}

TEST(Bequest, health_told_by_other_checks_means_nothing) {
  const auto after = plan_of(config_of(kAll, "health = { kind = \"off\" }\n"));
  take_over(knowledge(config_of(kAll, kHealth)), *after, kThen);
  EXPECT_TRUE(pool(after).up(2));
  EXPECT_EQ(pool(after).order(0), ServerOrder::drain) << "words hold";
}

TEST(Bequest, on_another_clock_what_was_a_while_ago_is_as_long_ago) {
  const config::Config file = config_of(kAll, kHealth);
  for (const Duration later : {Duration(-900s), Duration(100h)}) {
    const auto after = plan_of(file);
    const TakenOver taken = take_over(knowledge(file), *after, kThen + later);
    EXPECT_EQ(pool(after).away_for(2, kThen + later), 7s);
    EXPECT_EQ(taken.drain_ends.at("p/a").at, route::monotonic_ms(TimePoint(2000s) + later));
  }
}

TEST(Bequest, keys_go_over_where_nobody_has_configured_any) {
  const config::Config file = config_of(kA);
  config::Config with_keys = file;
  with_keys.keys.seal.push_back({config::KeySource::Kind::env, "KEY", {}});
  const auto before = plan_of(file, 1);
  const route::KeyRing ours = plan_of(file, 2)->keys;
  const auto first_id = [](const route::KeyRing& ring) { return ring.keys().front().id(); };
  const Knowledge known = knowledge_of(*before, {}, {}, {}, kThen, 0);
  EXPECT_EQ(first_id(keys_to_use(known, file, ours)), first_id(before->keys));
  EXPECT_EQ(first_id(keys_to_use(known, with_keys, ours)), first_id(ours));
  EXPECT_EQ(first_id(keys_to_use({}, file, ours)), first_id(ours));
  const Knowledge of_configured = knowledge_of(*plan_of(with_keys), {}, {}, {}, kThen, 0);
  EXPECT_TRUE(of_configured.made_up_keys.empty()) << "a configured key stays where it is";
}

TEST(Bequest, keys_of_tls_tickets_go_over_with_the_keys_that_they_are_made_of) {
  using Kind = io::TlsTicketKeys::Kind;
  const config::Config file = config_of(kA);
  const auto before = plan_of(file, 1);
  const auto key = before->tickets->current(Kind::of_process, 1'000'000);
  const auto name_of = [](const io::TlsTicketKeys::Key& of) { return as_bytes(of.name); };
  const Knowledge known = knowledge_of(*before, {}, {}, {}, kThen, 1'000'100);
  SeededRandom random(77);
  const auto same = *make_plan(file, before->keys, random), other = plan_of(file, 2);
  EXPECT_TRUE(take_over(known, *same, kThen).tickets);
  EXPECT_TRUE(same->tickets->find(name_of(key), 1'000'200));
  EXPECT_FALSE(take_over(known, *other, kThen).tickets);
  EXPECT_FALSE(other->tickets->find(name_of(key), 1'000'200));
}

}  // namespace
}  // namespace rejoin::balancer
