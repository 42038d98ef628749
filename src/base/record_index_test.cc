#include "base/record_index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "base/random.h"

namespace rejoin {
namespace {

struct Record : IndexNode<Record> {
  explicit Record(std::uint64_t its) : key(its) {}
  std::uint64_t key;
};
struct ByKey {
  static const std::uint64_t& key(const Record& record) { return record.key; }
  static std::size_t hash(const std::uint64_t& key) { return key; }
};
/// All in one chain.
struct ByNothing {
  static const std::uint64_t& key(const Record& record) { return record.key; }
  static std::size_t hash(const std::uint64_t&) { return 7; }
};

TEST(RecordIndex, finds_what_was_put_in_while_it_grows) {
  RecordIndex<Record, ByKey> index;
  std::deque<Record> records;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    index.insert(records.emplace_back(key * 3));
    EXPECT_EQ(index.size(), key + 1);
    for (std::uint64_t other = 0; other <= key; other += 37) {
      ASSERT_EQ(index.find(other * 3), &records[other]) << key;
      ASSERT_EQ(index.find(other * 3 + 1), nullptr);
    }
  }
}

TEST(RecordIndex, erases_anywhere_in_a_chain_and_only_once) {
  for (const std::size_t first : {0u, 1u, 2u}) {
    RecordIndex<Record, ByNothing> index;
    std::deque<Record> records;
    for (std::uint64_t key = 0; key < 3; ++key) index.insert(records.emplace_back(key));
    EXPECT_TRUE(index.erase(records[first]));
    EXPECT_FALSE(index.erase(records[first]));
    for (std::uint64_t key = 0; key < 3; ++key)
      EXPECT_EQ(index.find(key), key == first ? nullptr : &records[key]);
    EXPECT_EQ(index.size(), 2u);
    index.insert(records[first]);
    EXPECT_EQ(index.find(std::uint64_t{first}), &records[first]);
  }
}

TEST(RecordIndex, holds_what_a_map_holds_whatever_comes_and_goes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SeededRandom random(seed);
    RecordIndex<Record, ByKey> index;
    std::deque<Record> records;
    std::unordered_map<std::uint64_t, Record*> model;
    for (int i = 0; i < 500; ++i) records.emplace_back(random.u64());
    for (int step = 0; step < 3000; ++step) {
      Record& record = records[random.below(records.size())];
      if (model.contains(record.key)) {
        EXPECT_TRUE(index.erase(record));
        model.erase(record.key);
      } else {
        EXPECT_FALSE(index.erase(record));
        index.insert(record);
        model[record.key] = &record;
      }
      ASSERT_EQ(index.size(), model.size());
    }
    for (Record& record : records)
      EXPECT_EQ(index.find(record.key), model.contains(record.key) ? &record : nullptr);
  }
}

}  // namespace
}  // namespace rejoin
