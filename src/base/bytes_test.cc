#include "base/bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace rejoin {
namespace {

TEST(Bytes, numbers_are_big_endian) {
  char at[8];
  store_u16(at, 0x0102);
  EXPECT_EQ(Bytes(at, 2), Bytes("\x01\x02", 2));
  EXPECT_EQ(load_u16(at), 0x0102);
  store_u32(at, 0xfffefdfcu);
  EXPECT_EQ(Bytes(at, 4), Bytes("\xff\xfe\xfd\xfc", 4));
  EXPECT_EQ(load_u32(at), 0xfffefdfcu);
  store_u64(at, 0x0102030405060708ull);
  EXPECT_EQ(Bytes(at, 8), Bytes("\x01\x02\x03\x04\x05\x06\x07\x08", 8));
  EXPECT_EQ(load_u64(at), 0x0102030405060708ull);
  EXPECT_EQ(load_u16(at + 1), 0x0203) << "also where nothing is aligned";
}

TEST(Buffer, one_without_memory_has_no_room) {
  Buffer none;
  EXPECT_FALSE(none);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.room(), 0u);
  EXPECT_EQ(none.append("x"), 0u);
  EXPECT_EQ(none.view(), "");
  none.release();
  none.compact();
  none.clear();
}

TEST(Buffer, fills_consumes_and_compacts) {
  BufferPool pool(8);
  Buffer buffer = pool.borrow();
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer.room(), 8u);
  EXPECT_EQ(buffer.append("abcdef"), 6u);
  EXPECT_EQ(buffer.append("ghij"), 2u) << "as many as there is room for";
  EXPECT_EQ(buffer.view(), "abcdefgh");
  EXPECT_EQ(buffer.room(), 0u);
  buffer.consume(3);
  EXPECT_EQ(buffer.view(), "defgh");
  EXPECT_EQ(buffer.room(), 0u) << "room is behind, until compacted";
  buffer.compact();
  EXPECT_EQ(buffer.view(), "defgh");
  EXPECT_EQ(buffer.room(), 3u);
  std::memcpy(buffer.tail().data(), "xy", 2);
  buffer.commit(2);
  EXPECT_EQ(buffer.view(), "defghxy");
  buffer.consume(7);
  EXPECT_EQ(buffer.room(), 8u) << "all gone: all the room is there again";
  buffer.append("12");
  buffer.clear();
  EXPECT_TRUE(buffer.empty());
}

TEST(Buffer, moves_and_swaps_without_losing_blocks) {
  BufferPool pool(16);
  Buffer a = pool.borrow(), b = pool.borrow();
  a.append("a");
  b.append("b");
  a.swap(b);
  EXPECT_EQ(a.view(), "b");
  Buffer c = std::move(a);
  EXPECT_FALSE(a);
  EXPECT_EQ(pool.lent(), 2u);
  b = std::move(c);
  EXPECT_EQ(b.view(), "b");
  EXPECT_EQ(pool.lent(), 1u) << "what b held has gone back";
  Buffer& self = b;
  b = std::move(self);
  EXPECT_EQ(b.view(), "b");
  b.release();
  EXPECT_FALSE(b);
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(BufferPool, keeps_at_most_so_many_idle_blocks) {
  BufferPool pool(32, 2);
  EXPECT_EQ(pool.block_bytes(), 32u);
  for (int round = 0; round < 3; ++round) {
    Buffer held[5];
    for (Buffer& one : held) one = pool.borrow();
    EXPECT_EQ(pool.lent(), 5u);
    for (Buffer& one : held) {
      EXPECT_TRUE(one.empty()) << "a block that was used before comes back empty";
      one.append("used");
    }
  }
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(BufferPoolDeathTest, says_so_when_a_buffer_outlives_it) {
  EXPECT_DEATH(
      {
        auto pool = std::make_unique<BufferPool>(16);
        Buffer buffer = pool->borrow();
        pool.reset();
      },
      "outlives its pool");
}

}  // namespace
}  // namespace rejoin
