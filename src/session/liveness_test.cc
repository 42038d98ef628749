#include "session/liveness.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rejoin::session {
namespace {

const TimePoint kStart = TimePoint(1000s);

/// A script of "ms:what", one after the other. Between them act() is asked at each moment that due() names;
/// what it answered is written down as "ms ping", and a PING that it asks for is sent (with the next number).
class Script {
 public:
  Script(Duration ping, Duration dead) { liveness_.opened(kStart, ping, dead); }

  void run_to(Duration until) {
    for (;;) {
      const TimePoint due = liveness_.due();
      if (due == kNever || due > kStart + until) break;
      act(due);
    }
    now_ = kStart + until;
  }
  void act(TimePoint now) {
    now_ = now;
    switch (liveness_.act(now)) {
      case Liveness::Act::nothing: note("nothing"); return;
      case Liveness::Act::ping: note("ping"); break;
      case Liveness::Act::dial: note("dial"); return;
      case Liveness::Act::dead: note("dead"); return;
    }
    liveness_.pinged(++number_, now);
  }
  Liveness& operator()(Duration at) {
    run_to(at);
    return liveness_;
  }
  TimePoint now() const { return now_; }
  std::uint64_t number() const { return number_; }
  std::string take() { return std::exchange(log_, {}); }

 private:
  void note(const char* what) {
    if (!log_.empty()) log_ += ", ";
    log_ += std::to_string((now_ - kStart) / 1ms) + " " + what;
  }

  Liveness liveness_;
  TimePoint now_ = kStart;
  std::uint64_t number_ = 0;
  std::string log_;
};

TEST(Liveness, a_gateway_that_says_nothing_is_asked_then_dialled_beside_then_given_up) {
  Script script(15s, 40s);
  script.run_to(120s);
  EXPECT_EQ(script.take(), "17000 ping, 19000 dial, 40000 dead");
}

TEST(Liveness, whoever_says_something_now_and_then_is_left_alone) {
  Script script(15s, 40s);
  for (Duration at = 15s; at < 600s; at += 15s) script(at).heard(kStart + at);
  EXPECT_EQ(script.take(), "");
}

TEST(Liveness, without_the_gateways_ping_and_dead_silence_is_fine) {
  Script script(0s, 0s);
  script.run_to(10h);
  EXPECT_EQ(script.take(), "");
  EXPECT_EQ(script(10h).due(), kNever);
}

TEST(Liveness, what_we_sent_is_answered_within_two_seconds_or_it_asks) {
  Script script(15s, 40s);
  script(1000ms).sent(script.now());
  script(2500ms).sent(script.now());  // the first one counts
  script(2900ms).heard(script.now());
  script(3000ms).sent(script.now());
  script.run_to(8s);
  EXPECT_EQ(script.take(), "5000 ping, 7000 dial");
}

TEST(Liveness, only_the_pong_of_the_last_ping_answers_a_doubt) {
  Script script(15s, 40s);
  script(1000ms).doubt(script.now());
  script(1500ms).heard(script.now());  // was under way
  script.run_to(1600ms);
  EXPECT_EQ(script.take(), "1000 ping");
  script(1700ms).doubt(script.now());
  script(1800ms).pong(script.number() - 1, script.now());
  script.run_to(4s);
  EXPECT_EQ(script.take(), "1700 ping, 3700 dial");
  EXPECT_TRUE(script(4s).in_doubt());
  script(4100ms).pong(script.number(), script.now());
  EXPECT_FALSE(script(4100ms).in_doubt());
  script.run_to(16s);
  EXPECT_EQ(script.take(), "");
}

TEST(Liveness, a_path_that_is_slow_gets_more_time_until_it_is_quick_again) {
  Script script(15s, 400s);
  script(1s).doubt(script.now());
  script(4s).pong(1, script.now());  // 3 s: late
  EXPECT_EQ(script.take(), "1000 ping, 3000 dial");
  script(5s).doubt(script.now());
  script(10s).pong(2, script.now());  // 5 s: within twice what it was
  EXPECT_EQ(script.take(), "5000 ping");
  script(20s).doubt(script.now());
  script.run_to(30s);  // but never more than 10 s
  EXPECT_EQ(script.take(), "20000 ping, 30000 dial");
  script(30s).doubt(script.now());
  script(30100ms).pong(4, script.now());
  script(31s).doubt(script.now());
  script.run_to(34s);
  EXPECT_EQ(script.take(), "30000 ping, 31000 ping, 33000 dial");
}

TEST(Liveness, after_a_sleep_it_asks_before_it_judges) {
  // act() comes this late, with that link before; what follows at once, and within the next seconds.
  const struct {
    Duration wakes;
    bool doubted;
    std::string_view log;
  } cases[] = {
      {17500ms, false, "17500 ping, 19500 dial, 40000 dead"},      // half a second late is not late
      {19000ms, false, "19000 ping, 21000 dial, 40000 dead"},      //
      {39s, false, "39000 ping, 41000 dial, 43000 dead"},          // the time to answer is given
      {3600s, false, "3600000 ping, 3602000 dial, 3604000 dead"},  //
      {3600s, true, "3600000 ping, 3602000 dial, 3604000 dead"},   // the PONG's time has passed in sleep
      {3500ms, true, "3500 dial, 40000 dead"},                     //
  };
  for (const auto& c : cases) {
    Script script(15s, 40s);
    if (c.doubted) {
      script(1s).doubt(script.now());
      script.run_to(1s);
      EXPECT_EQ(script.take(), "1000 ping");
    }
    script.act(kStart + c.wakes);
    script.run_to(c.wakes + 100s);
    EXPECT_EQ(script.take(), c.log) << c.wakes / 1ms << c.doubted;
  }
}

TEST(Liveness, a_new_link_starts_with_a_clean_slate) {
  Script script(15s, 40s);
  script(1s).doubt(script.now());
  script(2s).opened(script.now(), 15s, 40s);
  script.run_to(10s);
  EXPECT_EQ(script.take(), "1000 ping");
  script(10s).closed();
  EXPECT_EQ(script(10s).due(), kNever);
  script(10s).doubt(script.now());
  EXPECT_EQ(script(10s).due(), kNever);
}

}  // namespace
}  // namespace rejoin::session
