#include "route/health.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace rejoin::route {
namespace {

ProbeResult result_of(char c) {
  switch (c) {
    case '+': return ProbeResult::well;
    case '-': return ProbeResult::ill;
    case 'c': return ProbeResult::reached;
    default: return ProbeResult::refused;
  }
}

/// '+' a probe went well, '-' ill, '!' a client's connect failed, 'c' succeeded. Answers: '.' no change, 'U'
/// went up, 'D' went down.
std::string changes(const HealthRules& rules, std::string_view results) {
  std::string out;
  HealthState state;
  for (const char c : results) {
    const HealthStep step = observe(rules, state, result_of(c), TimePoint(1h));
    state = step.state;
    out.push_back(step.change == HealthChange::none ? '.' : step.change == HealthChange::went_up ? 'U' : 'D');
  }
  return out + (state.up ? " up" : " down");
}

TEST(Health, rises_and_falls) {
  const struct {
    std::uint16_t rise, fall;
    std::string_view results, expected;
  } cases[] = {
      {2, 3, "", " up"},                  // on probation: better one client too many than 503 to all
      {2, 3, "+", ". up"},                //
      {2, 3, "-", "D down"},              // the first result decides alone
      {2, 3, "!", "D down"},              // a client's too
      {2, 3, "+--", "... up"},            //
      {2, 3, "+---", "...D down"},        //
      {2, 3, "+--+--", "...... up"},      // only failures in a row count
      {2, 3, "+--+---", "......D down"},  //
      {2, 3, "+-!-", "...D down"},        // a client's failure is one of them
      {2, 3, "+!!!", "...D down"},        //
      {2, 3, "-+", "D. down"},            //
      {2, 3, "-++", "D.U up"},            //
      {2, 3, "-+-++", "D...U up"},        // only successes in a row count
      {2, 3, "-+!+", "D... down"},        // and a client's failure breaks the row
      {2, 3, "-++---++", "D.U..D.U up"},  // after probation it needs three again
      {1, 1, "+-+-+-", ".DUDUD down"},    //
      {2, 3, "cc-", "..D down"},          // a client's success neither ends probation
      {2, 3, "-c+c+", "D...U up"},        // nor brings a server up, nor breaks the row of those that do
      {2, 3, "+--c-", "....D down"},      // nor of those that take it down
      {3, 1, "+-++-+++", ".D.....U up"},  //
      {2, 3, "+----------++", "...D........U up"},  // more failures change nothing and are not saved up
  };
  for (const auto& c : cases) {
    HealthRules rules;
    rules.kind = HealthKind::http;
    rules.rise = c.rise;
    rules.fall = c.fall;
    EXPECT_EQ(changes(rules, c.results), c.expected) << c.rise << " " << c.fall << " " << c.results;
  }
}

TEST(Health, off_means_up_whatever_clients_meet) {
  EXPECT_EQ(changes(HealthRules{}, "!!!!----c"), "......... up");
}

TEST(Health, a_server_is_away_from_the_first_failure_until_it_is_up_and_well) {
  // One result a second. `expected`: for how many seconds it is away, a digit after each of them.
  const struct {
    HealthKind kind;
    std::string results, expected;
  } cases[] = {
      {HealthKind::tcp, "+++", "000"},     {HealthKind::tcp, "---", "012"},
      {HealthKind::tcp, "+!!!!", "00123"},  // before it is down, too
      {HealthKind::tcp, "+-+-", "0000"},    // an exception, and another
      {HealthKind::tcp, "-+-++", "01230"},  // rise is 2: one success alone proves nothing
      {HealthKind::tcp, "+-c-", "0000"},    // up, and a client reached it
      {HealthKind::tcp, "-c+c+", "01230"},  // down: what a client reached may be ill all the same
      {HealthKind::off, "!!c!", "0100"},    // clients are all that tells
      {HealthKind::off, "c!--+", "00120"},
  };
  for (const auto& c : cases) {
    HealthRules rules;
    rules.kind = c.kind;
    HealthState state;
    TimePoint now(1h);
    std::string away;
    for (const char result : c.results) {
      now += 1s;
      state = observe(rules, state, result_of(result), now).state;
      away += std::to_string(away_for(state, now) / 1s);
      EXPECT_EQ(away_for(state, now - 1h), 0s) << "another worker's clock may lie behind";
    }
    EXPECT_EQ(away, c.expected) << c.results;
  }
}

TEST(Health, away_is_counted_in_milliseconds_from_any_moment_of_the_clock) {
  for (const Duration start :
       {Duration(0), Duration(1), Duration(999), Duration(1h), Duration(24h * 365 * 100)}) {
    const TimePoint then(start);
    const HealthState state = observe({}, {}, ProbeResult::refused, then).state;
    EXPECT_NE(state.away_since_ms, 0u);
    EXPECT_EQ(away_for(state, then), 0ms);
    EXPECT_EQ(away_for(state, then + 1500ms) / 1s, 1);
    EXPECT_EQ(away_for(state, then + 24h) / 1min, start < 1ms ? 1439 : 1440);
  }
}

TEST(Health, numbers_out_of_range_are_refused) {
  const auto is_good = [](auto change) {
    HealthRules rules;
    change(rules);
    return check_health(rules).ok();
  };
  EXPECT_TRUE(is_good([](HealthRules&) {}));
  EXPECT_TRUE(is_good([](HealthRules& r) { r.rise = r.fall = 1000; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.rise = 0; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.fall = 0; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.fall = 1001; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.every = 0s; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.timeout = -1s; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.expect = {{99, 200}}; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.expect = {{200, 600}}; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.expect = {{300, 200}}; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.expect = {}; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.passive.failures = 1001; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.passive.within = 0s; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.passive.out = 0s; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.path = ""; }));
  EXPECT_FALSE(is_good([](HealthRules& r) { r.path = "healthz"; }));
}

TEST(StatusRange, contains_and_reads_aloud) {
  const std::vector<StatusRange> ranges{{200, 299}, {304, 304}};
  for (const int status : {200, 204, 299, 304}) EXPECT_TRUE(contains(ranges, status)) << status;
  for (const int status : {199, 300, 303, 305, 500}) EXPECT_FALSE(contains(ranges, status)) << status;
  EXPECT_EQ(to_string(ranges), "200-299 or 304");
}

TEST(Percentage, is_read_strictly) {
  const struct {
    const char* text;
    int percent;  // -1: none
  } cases[] = {{"0%", 0}, {"50%", 50}, {"100%", 100}, {"7", 7},    {"101%", -1}, {"", -1},
               {"%", -1}, {"-1%", -1}, {"5 %", -1},   {"1e1", -1}, {"050", 50}};
  for (const auto& c : cases) {
    const auto read = read_percentage(c.text);
    EXPECT_EQ(read ? int{*read} : -1, c.percent) << c.text;
  }
}

TEST(FailureWindow, one_too_many_within_the_time) {
  FailureWindow window({.failures = 3, .within = 10s, .out = 30s});
  const TimePoint start(1h);
  EXPECT_FALSE(window.add(start));
  EXPECT_FALSE(window.add(start + 5s));
  EXPECT_FALSE(window.add(start + 11s)) << "the first is too old";
  EXPECT_TRUE(window.add(start + 15s)) << "5, 11, 15";
  EXPECT_FALSE(window.add(start + 15s)) << "counting begins anew";
  EXPECT_FALSE(window.add(start + 15s));
  EXPECT_TRUE(window.add(start + 15s));
  FailureWindow one({.failures = 1, .within = 1s, .out = 1s});
  EXPECT_TRUE(one.add(start));
  EXPECT_TRUE(one.add(start));
}

TEST(FailureWindow, counts_on_elsewhere) {
  const PassiveRules rules{.failures = 3, .within = 10s, .out = 30s};
  const TimePoint start(1h);
  FailureWindow window(rules);
  window.add(start);
  window.add(start + 5s);
  EXPECT_EQ(window.recent(start + 10s), (std::vector<TimePoint>{start, start + 5s}));
  EXPECT_EQ(window.recent(start + 11s), (std::vector<TimePoint>{start + 5s}));
  FailureWindow other(rules), fewer({.failures = 2, .within = 10s, .out = 30s}), one({.failures = 1});
  for (FailureWindow* const it : {&other, &fewer, &one}) it->put_back(window.recent(start + 9s));
  EXPECT_TRUE(other.add(start + 9s));
  EXPECT_TRUE(fewer.add(start + 9s)) << "one too many, and not already";
  EXPECT_TRUE(one.add(start + 9s));
}

TEST(ProbeSchedule, the_first_probe_comes_within_a_second_and_the_rest_about_every) {
  HealthRules rules;
  rules.kind = HealthKind::tcp;
  rules.every = 2s;
  SeededRandom random(7);
  const TimePoint start{100s};
  std::set<TimePoint> firsts;
  for (int i = 0; i < 100; ++i) {
    ProbeSchedule schedule(rules, start, random);
    TimePoint due = schedule.next_probe_at();
    EXPECT_GE(due, start);
    EXPECT_LT(due, start + 1s);
    firsts.insert(due);
    for (int probe = 0; probe < 20; ++probe) {
      schedule.probe_began(due, random);
      const Duration pause = schedule.next_probe_at() - due;
      EXPECT_GE(pause, 1875ms);
      EXPECT_LE(pause, 2125ms);
      due = schedule.next_probe_at();
    }
  }
  EXPECT_GT(firsts.size(), 95u) << "probes of a hundred servers must not begin together";
}

TEST(ProbeSchedule, a_short_interval_bounds_the_first_wait_and_off_never_probes) {
  HealthRules rules;
  rules.kind = HealthKind::tcp;
  rules.every = 50ms;
  SeededRandom random(7);
  for (int i = 0; i < 100; ++i)
    EXPECT_LT(ProbeSchedule(rules, TimePoint{}, random).next_probe_at(), TimePoint{50ms});

  rules.kind = HealthKind::off;
  ProbeSchedule schedule(rules, TimePoint{}, random);
  EXPECT_EQ(schedule.next_probe_at(), kNever);
  schedule.probe_began(TimePoint{1s}, random);
  EXPECT_EQ(schedule.next_probe_at(), kNever);
}

}  // namespace
}  // namespace rejoin::route
