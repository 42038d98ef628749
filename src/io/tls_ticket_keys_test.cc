#include "io/tls_ticket_keys.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace rejoin::io {
namespace {

using Kind = TlsTicketKeys::Kind;

TlsTicketKeys::Secret secret(unsigned char fill) {
  TlsTicketKeys::Secret out;
  out.bytes.fill(fill);
  return out;
}
Bytes name_of(const TlsTicketKeys::Key& key) {
  return {reinterpret_cast<const char*>(key.name.data()), key.name.size()};
}
bool same(const TlsTicketKeys::Key& a, const TlsTicketKeys::Key& b) {
  return a.name == b.name && a.cipher.bytes == b.cipher.bytes && a.mac.bytes == b.mac.bytes;
}

constexpr UnixSeconds kBegin = 1'000'000LL * 7200;  // of a period of two hours

TEST(TlsTicketKeys, a_fleet_has_the_same_keys_and_each_process_others_beside_them) {
  TlsTicketKeys one({secret(1)}, secret(10), 2h), other({secret(1)}, secret(11), 2h);
  const auto key = one.current(Kind::of_fleet, kBegin);
  EXPECT_TRUE(same(key, other.current(Kind::of_fleet, kBegin + 7199)));
  const auto own = one.current(Kind::of_process, kBegin);
  EXPECT_FALSE(same(own, other.current(Kind::of_process, kBegin)));
  EXPECT_FALSE(same(own, key));
  const auto found = other.find(name_of(key), kBegin + 100);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->current);
  EXPECT_TRUE(same(found->key, key));
  EXPECT_FALSE(other.find(name_of(own), kBegin));
  EXPECT_TRUE(one.find(name_of(own), kBegin));
  EXPECT_NE(key.cipher.bytes, key.mac.bytes);
}

TEST(TlsTicketKeys, keys_change_with_the_period_and_open_for_one_more) {
  for (const Kind kind : {Kind::of_fleet, Kind::of_process}) {
    TlsTicketKeys keys({secret(1)}, secret(10), 2h);
    const auto key = keys.current(kind, kBegin + 10);
    EXPECT_TRUE(same(key, keys.current(kind, kBegin + 7199)));
    EXPECT_TRUE(keys.find(name_of(key), kBegin + 7199)->current);
    EXPECT_FALSE(same(key, keys.current(kind, kBegin + 7200)));
    const auto old = keys.find(name_of(key), kBegin + 14399);
    ASSERT_TRUE(old);
    EXPECT_FALSE(old->current);
    EXPECT_TRUE(same(old->key, key));
    EXPECT_FALSE(keys.find(name_of(key), kBegin + 14400));
  }
}

TEST(TlsTicketKeys, of_a_process_that_slept_nothing_old_opens) {
  TlsTicketKeys keys({secret(1)}, secret(10), 2h);
  const auto key = keys.current(Kind::of_process, kBegin);
  (void)keys.current(Kind::of_process, kBegin + 3 * 7200);
  EXPECT_FALSE(keys.find(name_of(key), kBegin + 3 * 7200));
  // Not even when the clock is set back.
  EXPECT_FALSE(keys.find(name_of(key), kBegin));
}

TEST(TlsTicketKeys, a_colleague_whose_clock_is_ahead_is_understood) {
  TlsTicketKeys ahead({secret(1)}, secret(10), 2h), here({secret(1)}, secret(11), 2h);
  const auto key = ahead.current(Kind::of_fleet, kBegin + 7200);
  const auto found = here.find(name_of(key), kBegin + 7199);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->current);
}

TEST(TlsTicketKeys, the_secrets_of_a_fleet_can_be_rotated) {
  TlsTicketKeys before({secret(1)}, secret(10), 2h), between({secret(2), secret(1)}, secret(11), 2h),
      after({secret(2)}, secret(12), 2h);
  const auto old = before.current(Kind::of_fleet, kBegin);
  const auto fresh = between.current(Kind::of_fleet, kBegin);
  EXPECT_FALSE(same(old, fresh));
  EXPECT_FALSE(between.find(name_of(old), kBegin)->current);
  EXPECT_TRUE(between.find(name_of(fresh), kBegin)->current);
  EXPECT_TRUE(after.find(name_of(fresh), kBegin)->current);
  EXPECT_FALSE(after.find(name_of(old), kBegin));
}

TEST(TlsTicketKeys, of_a_process_in_the_place_of_another_go_on) {
  const UnixSeconds now = kBegin + 7200 + 5;
  TlsTicketKeys before({secret(1)}, secret(10), 2h);
  const auto older = before.current(Kind::of_process, kBegin);
  const auto key = before.current(Kind::of_process, now);
  TlsTicketKeys after({secret(1)}, secret(11), 2h), next({secret(1), secret(2)}, secret(12), 2h);
  ASSERT_TRUE(after.go_on_with(before.own(now)));
  ASSERT_TRUE(next.go_on_with(after.own(now + 1))) << "and the one after that, with another key beside";
  for (TlsTicketKeys* const one : {&after, &next}) {
    EXPECT_TRUE(same(key, one->current(Kind::of_process, now)));
    EXPECT_TRUE(one->find(name_of(older), now)) << "of the period before";
    EXPECT_TRUE(same(before.current(Kind::of_fleet, now), one->current(Kind::of_fleet, now)));
    // They change when they would have.
    const auto found = one->find(name_of(key), now + 7200);
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->current);
    EXPECT_FALSE(one->find(name_of(older), now + 7200));
    EXPECT_FALSE(one->find(name_of(key), now + 14400));
  }
  EXPECT_TRUE(
      same(after.current(Kind::of_process, now + 14400), next.current(Kind::of_process, now + 14400)));
  // One that was never asked has keys, too, and none of before.
  TlsTicketKeys fresh({secret(1)}, secret(13), 2h);
  EXPECT_FALSE(fresh.own(now).before);
  TlsTicketKeys shorter({secret(1)}, secret(14), 1h);
  EXPECT_FALSE(shorter.go_on_with(before.own(now + 14400)));
}

TEST(TlsTicketKeys, names_differ_and_others_are_unknown) {
  TlsTicketKeys keys({secret(1), secret(2)}, secret(10), 1s);
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.emplace(name_of(keys.current(Kind::of_fleet, 1000 + i)));
    names.emplace(name_of(keys.current(Kind::of_process, 1000 + i)));
  }
  EXPECT_EQ(names.size(), 200u);
  EXPECT_FALSE(keys.find(std::string(16, 'x'), 1100));
  EXPECT_FALSE(keys.find("", 1100));
}

}  // namespace
}  // namespace rejoin::io
