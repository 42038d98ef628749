#include "base/local_ptr.h"

#include <gtest/gtest.h>

namespace rejoin {
namespace {

struct Thing : LocalCounted {
  explicit Thing(int& alive_count) : alive(alive_count) { ++alive; }
  Thing(const Thing& other) : LocalCounted(other), alive(other.alive) { ++alive; }
  ~Thing() { --alive; }
  int& alive;
};

TEST(LocalPtr, the_last_holder_deletes) {
  int alive = 0;
  LocalPtr<Thing> first = make_local<Thing>(alive);
  {
    const LocalPtr<Thing> second = first;
    EXPECT_EQ(second, first);
    first = {};
    EXPECT_FALSE(first);
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

TEST(LocalPtr, moving_neither_doubles_nor_drops) {
  int alive = 0;
  LocalPtr<Thing> first = make_local<Thing>(alive);
  LocalPtr<Thing> second = std::move(first);
  EXPECT_FALSE(first);
  second = std::move(second);  // of itself
  EXPECT_EQ(alive, 1);
  second = make_local<Thing>(alive);
  EXPECT_EQ(alive, 1);
}

TEST(LocalPtr, a_copy_of_the_thing_is_held_by_nobody_yet) {
  int alive = 0;
  const LocalPtr<Thing> first = make_local<Thing>(alive);
  {
    const LocalPtr<Thing> copy = make_local<Thing>(*first);
    EXPECT_NE(copy, first);
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 1);
}

static_assert(sizeof(LocalPtr<Thing>) == 8);

}  // namespace
}  // namespace rejoin
