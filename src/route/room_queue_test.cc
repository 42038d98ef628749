#include "route/room_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "route/route_test_support.h"

namespace rejoin::route {
namespace {

constexpr TimePoint kStart{1h};

/// Says its name when it is woken.
struct Named final : RoomQueue::Place {
  Named(std::string& all, char own) : said(all), name(own) {}
  void wake() override { said += name; }
  std::string& said;
  char name;
};

struct Fixture {
  explicit Fixture(std::size_t most = 10, std::vector<std::uint32_t> limits = {1, 1})
      : pool(made(limits)), queue(*pool, most) {}
  static std::unique_ptr<Pool> made(const std::vector<std::uint32_t>& limits) {
    auto list = test::servers(std::vector<std::uint32_t>(limits.size(), 1));
    for (std::size_t i = 0; i < limits.size(); ++i) list[i].max_connections = limits[i];
    return std::move(*Pool::make("p", list, test::probed()));
  }
  /// 'A' and so on for server 0 by "A0"; a name alone waits for any.
  bool enter(std::string_view who) {
    places.emplace_back(woken, who[0]);
    if (who.size() == 1) return queue.enter(places.back(), std::nullopt);
    return queue.enter(places.back(), static_cast<ServerIndex>(who[1] - '0'));
  }
  Named& of(char name) {
    for (Named& place : places) {
      if (place.name == name) return place;
    }
    return places.front();
  }
  std::string take_woken() { return std::exchange(woken, {}); }

  std::unique_ptr<Pool> pool;
  RoomQueue queue;
  std::string woken;
  std::deque<Named> places;  // before the queue
};

TEST(RoomQueue, those_who_belong_there_are_woken_first_and_each_line_in_its_order) {
  Fixture f;
  for (const char* who : {"a", "B0", "c", "D0", "E1"}) EXPECT_TRUE(f.enter(who));
  f.queue.room_at(0);
  f.queue.room_at(0);
  EXPECT_EQ(f.take_woken(), "BD");
  f.queue.room_at(0);
  f.queue.room_at(1);
  f.queue.room_at(1);
  f.queue.room_at(1);
  EXPECT_EQ(f.take_woken(), "aEc") << "and nobody twice";
  f.places.clear();
  EXPECT_EQ(f.queue.waiting(), 0u);
}

TEST(RoomQueue, who_was_woken_in_vain_keeps_the_place) {
  Fixture f;
  for (const char* who : {"a", "b", "c"}) EXPECT_TRUE(f.enter(who));
  f.queue.room_at(0);
  f.queue.room_at(0);
  EXPECT_EQ(f.take_woken(), "ab");
  f.of('a').wait_on();
  f.of('b').wait_on();
  for (int i = 0; i < 3; ++i) f.queue.room_at(0);
  EXPECT_EQ(f.take_woken(), "abc");
  f.of('b').wait_on();
  f.of('a').wait_on();
  for (int i = 0; i < 3; ++i) f.queue.room_at(0);
  EXPECT_EQ(f.take_woken(), "ab");
  f.places.clear();
}

TEST(RoomQueue, who_leaves_is_not_woken) {
  Fixture f;
  for (const char* who : {"A0", "B0", "c"}) EXPECT_TRUE(f.enter(who));
  f.of('A').leave_queue();
  f.queue.room_at(0);
  f.queue.room_at(0);
  EXPECT_EQ(f.take_woken(), "Bc");
  EXPECT_EQ(f.queue.waiting(), 2u);
  f.places.clear();
}

TEST(RoomQueue, is_bounded_and_who_belongs_to_a_server_displaces_the_last_who_does_not) {
  Fixture f(2);
  EXPECT_TRUE(f.enter("a"));
  EXPECT_TRUE(f.enter("b"));
  EXPECT_FALSE(f.enter("c"));
  EXPECT_TRUE(f.enter("D0"));
  EXPECT_EQ(f.take_woken(), "b");
  EXPECT_TRUE(f.of('b').displaced());
  EXPECT_FALSE(f.of('b').in_queue());
  EXPECT_FALSE(f.of('a').displaced());
  EXPECT_TRUE(f.enter("E1"));
  EXPECT_FALSE(f.enter("F1")) << "nobody is left who could be displaced";
  EXPECT_EQ(f.queue.waiting(), 2u);
  f.places.clear();
}

TEST(RoomQueue, nobody_passes_those_who_wait) {
  Fixture f;
  EXPECT_FALSE(f.queue.must_queue(0, false));
  EXPECT_TRUE(f.enter("a"));
  EXPECT_TRUE(f.queue.must_queue(0, false));
  EXPECT_FALSE(f.queue.must_queue(0, true)) << "who belongs to a server passes those who do not";
  EXPECT_TRUE(f.enter("B0"));
  EXPECT_TRUE(f.queue.must_queue(0, true));
  EXPECT_FALSE(f.queue.must_queue(1, true));
  f.queue.room_at(0);
  EXPECT_TRUE(f.queue.must_queue(0, true)) << "woken, and has not had its turn";
  f.places.clear();
  EXPECT_FALSE(f.queue.must_queue(0, false));
}

TEST(RoomQueue, a_look_wakes_as_many_as_there_is_room_for_and_those_whose_server_takes_them_no_more) {
  Fixture f(10, {2, 1});
  ServerUse one(*f.pool, 0), two(*f.pool, 0), three(*f.pool, 1);
  for (const char* who : {"a", "B0", "C0", "d", "E1"}) EXPECT_TRUE(f.enter(who));
  f.queue.look(kStart);
  EXPECT_EQ(f.take_woken(), "");
  one.end();
  two.end();
  f.queue.look(kStart);
  EXPECT_EQ(f.take_woken(), "BC");
  f.of('B').leave_queue();
  f.of('C').leave_queue();
  f.queue.look(kStart);
  EXPECT_EQ(f.take_woken(), "ad");
  test::take_down(*f.pool, 1);
  f.queue.look(kStart);
  EXPECT_EQ(f.take_woken(), "E");
  f.places.clear();
}

/// Counts what it hears.
struct Ear final : RoomBell {
  void room_at(const ServerState&) override { ++heard; }
  std::atomic<int> heard{0};
};

TEST(RoomWatch, tells_of_ended_connections_only_while_somebody_waits) {
  Fixture f;
  Ear ear;
  f.pool->room_watch().add(ear);
  { const ServerUse use(*f.pool, 0); }
  EXPECT_EQ(ear.heard, 0);
  EXPECT_TRUE(f.enter("a"));
  { const ServerUse use(*f.pool, 0); }
  EXPECT_EQ(ear.heard, 1);
  f.places.clear();
  { const ServerUse use(*f.pool, 0); }
  EXPECT_EQ(ear.heard, 1);
  f.pool->room_watch().remove(ear);
}

TEST(ServerUse, takes_no_more_than_there_is_room_for_whoever_else_takes) {
  Fixture f(10, {7, 1});
  std::atomic<int> most{0}, taken{0};
  const auto take_and_give = [&] {
    for (int i = 0; i < 5000; ++i) {
      const ServerUse use = ServerUse::take(*f.pool, 0);
      if (!use) continue;
      ++taken;
      const int now = static_cast<int>(f.pool->active(0));
      int seen = most.load();
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
    }
  };
  std::vector<ServerUse> kept;
  for (int i = 0; i < 6; ++i) kept.push_back(ServerUse::take(*f.pool, 0));
  std::thread first(take_and_give), second(take_and_give);
  first.join();
  second.join();
  EXPECT_GT(taken, 0);
  EXPECT_EQ(most, 7);
  EXPECT_FALSE(f.pool->full(0));
  kept.push_back(ServerUse::take(*f.pool, 0));
  EXPECT_TRUE(f.pool->full(0));
  EXPECT_FALSE(ServerUse::take(*f.pool, 0));
}

}  // namespace
}  // namespace rejoin::route
