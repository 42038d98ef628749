#include "route/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace rejoin::route {
namespace {

Address at(const std::string& text) { return *Address::parse_ip(text, 4711); }

PrefixSet networks(std::vector<std::string> list) { return *PrefixSet::parse(list); }

/// What a connection from there comes to; those that are let in stay in `inside`.
struct Door {
  explicit Door(AdmissionRules rules) : admission(std::move(rules), random) {}
  Refusal knock(const std::string& from) {
    Admission::Pass pass;
    Refusal refusal = admission.enter(pass);
    if (refusal == Refusal::none) refusal = admission.name(pass, at(from), now);
    if (refusal == Refusal::none) inside.push_back(std::move(pass));
    return refusal;
  }
  SeededRandom random{1};
  Admission admission;
  TimePoint now{1h};
  std::deque<Admission::Pass> inside;
};

TEST(Admission, goes_by_its_lists_and_denies_first) {
  AdmissionRules rules;
  rules.allow = networks({"10.0.0.0/8", "2001:db8::/32"});
  rules.deny = networks({"10.6.0.0/16"});
  Door door(std::move(rules));
  EXPECT_EQ(door.knock("10.1.2.3"), Refusal::none);
  EXPECT_EQ(door.knock("10.6.2.3"), Refusal::denied);
  EXPECT_EQ(door.knock("11.1.2.3"), Refusal::denied);
  EXPECT_EQ(door.knock("2001:db8::7"), Refusal::none);
  EXPECT_EQ(door.knock("2001:db9::7"), Refusal::denied);
  EXPECT_EQ(door.admission.connections(), 2u);
  EXPECT_EQ(door.admission.sources(), 0u) << "nobody is remembered where nobody is counted";
}

TEST(Admission, without_a_list_of_the_allowed_everybody_is) {
  AdmissionRules rules;
  rules.deny = networks({"10.6.0.0/16"});
  Door door(std::move(rules));
  EXPECT_EQ(door.knock("192.0.2.1"), Refusal::none);
  EXPECT_EQ(door.knock("10.6.0.1"), Refusal::denied);
}

TEST(Admission, takes_so_many_connections_in_all_and_one_more_when_one_goes) {
  AdmissionRules rules;
  rules.connections_max = 3;
  Door door(std::move(rules));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(door.knock("10.0.0." + std::to_string(i)), Refusal::none);
  EXPECT_EQ(door.knock("10.0.0.9"), Refusal::full);
  door.inside.pop_front();
  EXPECT_EQ(door.knock("10.0.0.9"), Refusal::none);
  EXPECT_EQ(door.knock("10.0.0.9"), Refusal::full);
}

TEST(Admission, takes_so_many_connections_of_one_client_whatever_its_port) {
  AdmissionRules rules;
  rules.connections_per_client = 2;
  rules.prefix = 24;
  Door door(std::move(rules));
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::none);
  EXPECT_EQ(door.knock("10.0.0.2"), Refusal::none);
  EXPECT_EQ(door.knock("10.0.0.3"), Refusal::client_full);
  EXPECT_EQ(door.knock("10.0.1.1"), Refusal::none) << "another /24";
  EXPECT_EQ(door.knock("2001:db8:0:1::1"), Refusal::none);
  EXPECT_EQ(door.knock("2001:db8:0:1::2"), Refusal::none);
  EXPECT_EQ(door.knock("2001:db8:0:1:ffff::3"), Refusal::client_full) << "a /64 is one client";
  EXPECT_EQ(door.knock("2001:db8:0:2::1"), Refusal::none);
  EXPECT_EQ(door.admission.connections(), 6u) << "who is refused does not count";
  door.inside.pop_front();
  EXPECT_EQ(door.knock("10.0.0.3"), Refusal::none);
}

TEST(Admission, takes_a_clients_handshakes_at_a_rate_and_a_second_of_them_at_once) {
  AdmissionRules rules;
  rules.handshakes_per_second = 10;
  Door door(std::move(rules));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(door.knock("10.0.0.1"), Refusal::none) << i;
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::client_too_fast);
  EXPECT_EQ(door.knock("10.0.0.2"), Refusal::none);
  door.inside.clear();
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::client_too_fast)
      << "a connection that closed has begun all the same";
  door.now += 99ms;
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::client_too_fast);
  door.now += 1ms;
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::none);
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::client_too_fast);
  for (int i = 0; i < 1000; ++i) (void)door.knock("10.0.0.1");
  door.now += 100ms;
  EXPECT_EQ(door.knock("10.0.0.1"), Refusal::none) << "a flood does not run up debts";
}

TEST(Admission, forgets_whoever_has_nothing_open_and_owes_nothing) {
  AdmissionRules rules;
  rules.connections_per_client = 5;
  rules.handshakes_per_second = 10;
  Door door(std::move(rules));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(door.knock("10.0.0." + std::to_string(i)), Refusal::none);
  EXPECT_EQ(door.admission.sources(), 200u);
  door.inside.clear();
  door.now += 10s;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(door.knock("10.1.0." + std::to_string(i)), Refusal::none);
    door.inside.clear();
    door.now += 1s;
  }
  EXPECT_LT(door.admission.sources(), 64u);
}

TEST(Admission, lets_in_uncounted_when_it_can_remember_no_more) {
  AdmissionRules rules;
  rules.connections_per_client = 1;
  rules.sources_max = 64;
  Door door(std::move(rules));
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(door.knock("10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250)), Refusal::none);
  EXPECT_LE(door.admission.sources(), 64u);
  EXPECT_GE(door.admission.uncounted(), 1000u - 64u);
  door.inside.clear();
  EXPECT_EQ(door.admission.connections(), 0u);
  EXPECT_EQ(door.knock("10.9.9.9"), Refusal::none);
  EXPECT_EQ(door.knock("10.9.9.9"), Refusal::client_full) << "there is room again";
}

TEST(Admission, a_full_table_forgets_those_who_left_longest_ago) {
  AdmissionRules rules;
  rules.handshakes_per_second = 1;
  rules.sources_max = 64;
  Door door(std::move(rules));
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_EQ(door.knock("10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250)), Refusal::none);
    door.inside.clear();
  }
  EXPECT_LE(door.admission.sources(), 64u);
  EXPECT_EQ(door.admission.uncounted(), 0u);
}

TEST(Admission, is_shared_by_threads) {
  AdmissionRules rules;
  rules.connections_max = 50;
  rules.connections_per_client = 20;
  SeededRandom random(1);
  Admission admission(std::move(rules), random);
  std::atomic<int> too_many = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      SeededRandom mine(static_cast<std::uint64_t>(t));
      std::deque<Admission::Pass> inside;
      for (int i = 0; i < 5000; ++i) {
        Admission::Pass pass;
        Refusal refusal = admission.enter(pass);
        const Address from = at("10.0.0." + std::to_string(mine.below(4)));
        if (refusal == Refusal::none) refusal = admission.name(pass, from, TimePoint(1h));
        if (refusal == Refusal::none) inside.push_back(std::move(pass));
        if (admission.connections() > 50 + 4) ++too_many;  // each thread may be about to take one back
        if (!inside.empty() && mine.below(2) == 0) inside.pop_front();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(too_many, 0);
  EXPECT_EQ(admission.connections(), 0u);
}

}  // namespace
}  // namespace rejoin::route
