#include "base/record_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace rejoin {
namespace {

struct Record {
  explicit Record(int n, int& count) : number(n), alive(count) { ++alive; }
  ~Record() { --alive; }
  int number;
  int& alive;
  char more[300] = {};
};

TEST(RecordPool, records_are_made_destroyed_and_made_again_in_the_same_memory) {
  RecordPool<Record> pool;
  int alive = 0;
  Record& first = pool.make(1, alive);
  EXPECT_EQ(alive, 1);
  const void* const where = &first;
  pool.destroy(first);
  EXPECT_EQ(alive, 0);
  Record& second = pool.make(2, alive);
  EXPECT_EQ(&second, where);
  EXPECT_EQ(second.number, 2);
  pool.destroy(second);
}

TEST(RecordPool, every_record_keeps_its_own_memory) {
  RecordPool<Record> pool;
  int alive = 0;
  std::vector<Record*> records;
  for (int i = 0; i < 1000; ++i) records.push_back(&pool.make(i, alive));
  EXPECT_EQ(std::set<Record*>(records.begin(), records.end()).size(), 1000u);
  for (int i = 0; i < 1000; i += 3) {
    pool.destroy(*records[static_cast<std::size_t>(i)]);
    records[static_cast<std::size_t>(i)] = &pool.make(-i, alive);
  }
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(records[static_cast<std::size_t>(i)]->number, i % 3 == 0 ? -i : i);
  EXPECT_EQ(pool.live(), 1000u);
  for (Record* record : records) pool.destroy(*record);
  EXPECT_EQ(alive, 0);
}

TEST(RecordPool, what_nobody_uses_any_more_goes_back_but_for_one_block) {
  RecordPool<Record> pool;
  int alive = 0;
  EXPECT_EQ(pool.bytes(), 0u);
  for (int round = 0; round < 2; ++round) {
    std::vector<Record*> records;
    for (int i = 0; i < 10'000; ++i) records.push_back(&pool.make(i, alive));
    const std::size_t full = pool.bytes();
    EXPECT_LE(full, 10'000 * sizeof(Record) * 102 / 100 + kRecordBlockBytes)
        << "hardly more than the records";
    // The older half goes: about half of the memory, whatever the order in which they go.
    for (std::size_t i = 0; i < 5000; ++i) pool.destroy(*records[(i * 7) % 5000]);
    EXPECT_NEAR(static_cast<double>(pool.bytes()), static_cast<double>(full) / 2, 2.0 * kRecordBlockBytes);
    for (std::size_t i = 5000; i < 10'000; ++i) pool.destroy(*records[i]);
    EXPECT_EQ(pool.bytes(), kRecordBlockBytes);
  }
}

TEST(RecordPool, blocks_with_holes_are_filled_before_a_new_one_is_taken) {
  RecordPool<Record> pool;
  int alive = 0;
  std::vector<Record*> records;
  for (int i = 0; i < 2000; ++i) records.push_back(&pool.make(i, alive));
  const std::size_t full = pool.bytes();
  for (std::size_t i = 0; i < 2000; i += 2) pool.destroy(*records[i]);
  for (std::size_t i = 0; i < 2000; i += 2) records[i] = &pool.make(0, alive);
  EXPECT_EQ(pool.bytes(), full);
  for (Record* record : records) pool.destroy(*record);
}

}  // namespace
}  // namespace rejoin
