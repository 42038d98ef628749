#include "session/conversation.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace rejoin::session {
namespace {

using Ack = SendWindow::Ack;
using Seen = ReceiveCounts::Seen;
using Due = AckDebt::Due;

constexpr std::uint64_t kTurn = std::uint64_t{1} << 32;

TEST(Unwrap, TakesTheNearestCount) {
  struct Case {
    std::uint32_t wire;
    std::uint64_t near, expected;
  };
  const Case cases[] = {
      {0, 0, 0},
      {5, 3, 5},
      {3, 5, 3},
      {0xffffffff, 0, 0xffffffff},  // minus one was never counted
      {0xffffffff, 1, 0xffffffff},
      {0xffffffff, kTurn, kTurn - 1},
      {0, kTurn - 1, kTurn},
      {1, kTurn - 1, kTurn + 1},
      {0x7fffffff, 0, 0x7fffffff},
      {0x80000001, 2 * kTurn, kTurn + 0x80000001},
      {0x7fffffff, 2 * kTurn, 2 * kTurn + 0x7fffffff},
  };
  for (const Case& it : cases) {
    EXPECT_EQ(unwrap(it.wire, it.near), it.expected) << it.wire << " near " << it.near;
  }
}

std::string all_from(const SendWindow& window, std::uint64_t seq) {
  std::string out;
  for (SendWindow::Cursor cursor = window.at(seq); window.more(cursor);) {
    const SendWindow::Held held = window.take(cursor);
    out += std::to_string(held.seq) + (held.text ? "t" : "b") + std::string(held.payload) + " ";
  }
  return out;
}

TEST(SendWindow, HoldsUntilAcknowledged) {
  SendWindow window({.bytes = 10, .messages = 3});
  EXPECT_EQ(window.push("abc", true), 1u);
  EXPECT_EQ(window.push("", false), 2u);
  EXPECT_EQ(window.push("defg", false), 3u);
  EXPECT_EQ(all_from(window, 1), "1tabc 2b 3bdefg ");
  EXPECT_EQ(all_from(window, 3), "3bdefg ");
  EXPECT_EQ(all_from(window, 4), "");
  EXPECT_FALSE(window.has_room(0)) << "three messages";
  EXPECT_EQ(window.acknowledge(1), Ack::freed);
  EXPECT_EQ(window.acknowledge(1), Ack::nothing);
  EXPECT_EQ(window.acknowledge(0), Ack::nothing) << "a lower one is ignored";
  EXPECT_EQ(window.acknowledge(4), Ack::beyond);
  EXPECT_EQ(all_from(window, 2), "2b 3bdefg ");
  EXPECT_TRUE(window.has_room(6));
  EXPECT_FALSE(window.has_room(7)) << "ten bytes";
  EXPECT_EQ(window.acknowledge(3), Ack::freed);
  EXPECT_EQ(window.held_bytes(), 0u);
  EXPECT_TRUE(window.has_room(10));
  EXPECT_FALSE(window.has_room(11)) << "never more than the window";
}

TEST(SendWindow, ACursorOutlivesPushesAndAcknowledgements) {
  SendWindow window({});
  SendWindow::Cursor cursor = window.end();
  EXPECT_FALSE(window.more(cursor));
  for (int i = 1; i <= 100; ++i) window.push(std::to_string(i), false);
  for (int i = 1; i <= 40; ++i) EXPECT_EQ(window.take(cursor).payload, std::to_string(i));
  EXPECT_EQ(window.acknowledge(30), Ack::freed);
  EXPECT_EQ(window.take(cursor).payload, "41");
  EXPECT_EQ(window.acknowledge(60), Ack::freed) << "the other end has them from an earlier link";
  EXPECT_EQ(window.take(cursor).payload, "61");
  EXPECT_EQ(window.acknowledge(100), Ack::freed);
  EXPECT_FALSE(window.more(cursor));
  window.push("new", true);
  EXPECT_EQ(window.take(cursor).payload, "new");
}

TEST(SendWindow, IdleWindowsHoldNoMemory) {
  SendWindow window({});
  EXPECT_EQ(window.memory_bytes(), 0u);
  window.push(std::string(100'000, 'x'), false);
  EXPECT_GE(window.memory_bytes(), 100'000u);
  window.acknowledge(1);
  EXPECT_EQ(window.memory_bytes(), 0u);
  window.push("x", false);
  window.shrink();
  EXPECT_NE(window.memory_bytes(), 0u) << "not under a message";
  window.acknowledge(2);
  EXPECT_EQ(window.memory_bytes(), 0u);
}

TEST(SendWindow, GoesOnOverThe32BitWrap) {
  SendWindow window({.bytes = 1000, .messages = 10}, kTurn - 3);
  for (int i = 0; i < 6; ++i) window.push(std::to_string(i), false);
  EXPECT_EQ(window.sent(), kTurn + 3);
  EXPECT_EQ(window.acknowledge(4), Ack::beyond);
  EXPECT_EQ(window.acknowledge(0xfffffffe), Ack::freed);
  EXPECT_EQ(window.acknowledge(1), Ack::freed);
  EXPECT_EQ(window.acked(), kTurn + 1);
  EXPECT_EQ(window.acknowledge(0xffffffff), Ack::nothing);
  EXPECT_EQ(all_from(window, kTurn + 2),
            std::to_string(kTurn + 2) + "b4 " + std::to_string(kTurn + 3) + "b5 ");
}

TEST(SendWindow, StaysCompactWhileItIsNeverEmpty) {
  SendWindow window({.bytes = 4096, .messages = 64});
  SeededRandom random(7);
  for (int i = 1; i < 20'000; ++i) {
    window.push(std::string(random.below(100), 'x'), false);
    if (i > 10) window.acknowledge(static_cast<std::uint32_t>(i - 10));
    ASSERT_LE(window.memory_bytes(), 4096u);
  }
}

TEST(ReceiveCounts, TakesEachOnceAndInOrder) {
  ReceiveCounts counts;
  EXPECT_EQ(counts.observe(2), Seen::ahead);
  EXPECT_EQ(counts.observe(0), Seen::duplicate) << "0 was never a number";
  EXPECT_EQ(counts.observe(1), Seen::expected);
  EXPECT_EQ(counts.observe(1), Seen::duplicate);
  EXPECT_EQ(counts.observe(2), Seen::expected);
  EXPECT_EQ(counts.pending(), 2u);
  counts.accept();
  EXPECT_EQ(counts.accepted(), 1u);
  EXPECT_EQ(counts.observe(2), Seen::duplicate) << "by what was read, not by what was accepted";
  EXPECT_EQ(counts.observe(3), Seen::expected);
}

TEST(ReceiveCounts, GoesOnOverThe32BitWrap) {
  ReceiveCounts counts(kTurn - 2);
  EXPECT_EQ(counts.observe(0xffffffff), Seen::expected);
  EXPECT_EQ(counts.observe(1), Seen::ahead);
  EXPECT_EQ(counts.observe(0), Seen::expected);
  EXPECT_EQ(counts.observe(0xffffffff), Seen::duplicate);
  EXPECT_EQ(counts.observe(1), Seen::expected);
  EXPECT_EQ(counts.read(), kTurn + 1);
}

Due due_after(WindowLimits window, int messages, std::size_t bytes_each) {
  Conversation talk(window);
  for (int i = 1; i <= messages; ++i) {
    talk.in.observe(static_cast<std::uint32_t>(i));
    talk.in.accept();
    talk.debt.owe(bytes_each);
  }
  return talk.ack_due();
}

TEST(AckDebt, IsPaidByNumberByBytesOrLater) {
  EXPECT_EQ(due_after({}, 0, 0), Due::nothing);
  EXPECT_EQ(due_after({}, 1, 10), Due::later);
  EXPECT_EQ(due_after({}, 31, 10), Due::later);
  EXPECT_EQ(due_after({}, 32, 10), Due::now);
  EXPECT_EQ(due_after({}, 1, 16 * 1024), Due::now);
  EXPECT_EQ(due_after({.bytes = 4000, .messages = 100}, 1, 1000), Due::now) << "a quarter of the window";
  EXPECT_EQ(due_after({.bytes = 4000, .messages = 8}, 2, 1), Due::now);
  EXPECT_EQ(due_after({.bytes = 4000, .messages = 1}, 1, 1), Due::now);
}

TEST(AckDebt, ANewLinkOwesItsAcksAnew) {
  Conversation talk({});
  talk.in.observe(1);
  talk.in.accept();
  talk.debt.owe(1);
  talk.debt.told(talk.in.accepted());
  EXPECT_EQ(talk.ack_due(), Due::nothing);
  talk.debt.new_link();
  EXPECT_EQ(talk.ack_due(), Due::later) << "the frame that told it may have been lost with the older link";
}

// Two ends over a wire that breaks: everything arrives once and in order, whatever is lost.
struct End {
  explicit End(WindowLimits window, std::uint64_t start) : talk(window, start, start) {}
  Conversation talk;
  SendWindow::Cursor cursor = talk.out.end();
  std::uint64_t next_value = 0, expected_value = 0;
  std::deque<std::pair<std::uint32_t, std::string>>
      inbox;  // seq (0: only an ack) and payload, with ack in front
};

void run_ends(std::uint64_t seed, std::uint64_t start) {
  SeededRandom random(seed);
  const WindowLimits window{.bytes = 200, .messages = 1 + static_cast<std::uint32_t>(random.below(8))};
  End ends[2] = {End(window, start), End(window, start)};
  const auto send_all = [&](End& from, End& to) {
    while (from.talk.out.more(from.cursor)) {
      const SendWindow::Held held = from.talk.out.take(from.cursor);
      std::string frame(4, '\0');
      store_u32(frame.data(), static_cast<std::uint32_t>(from.talk.in.accepted()));
      to.inbox.emplace_back(static_cast<std::uint32_t>(held.seq), frame + std::string(held.payload));
    }
  };
  for (int step = 0; step < 2000 || ends[0].talk.out.held_messages() + ends[1].talk.out.held_messages() != 0;
       ++step) {
    ASSERT_LT(step, 20'000) << "does not settle";
    const bool settle = step > 1000;
    const unsigned who = static_cast<unsigned>(random.below(2));
    End &one = ends[who], &other = ends[1 - who];
    switch (random.below(settle ? 3 : 5)) {
      case 0:
        if (!settle && one.talk.out.has_room(8)) {
          char value[8];
          store_u64(value, one.next_value++);
          one.talk.out.push(Bytes(value, 8), false);
        }
        send_all(one, other);
        break;
      case 1: {  // something arrives
        if (one.inbox.empty()) break;
        const auto [seq, frame] = one.inbox.front();
        one.inbox.pop_front();
        ASSERT_NE(one.talk.out.acknowledge(load_u32(frame.data())), Ack::beyond);
        if (seq == 0 && frame.size() == 4) break;
        const Seen seen = one.talk.in.observe(seq);
        ASSERT_NE(seen, Seen::ahead);
        if (seen == Seen::expected) {
          ASSERT_EQ(load_u64(frame.data() + 4), one.expected_value++);
        }
        break;
      }
      case 2: {  // accepts what it has read, and says so
        one.talk.in.accept(random.below(one.talk.in.pending() + 1));
        if (settle) one.talk.in.accept(one.talk.in.pending());
        std::string frame(4, '\0');
        store_u32(frame.data(), static_cast<std::uint32_t>(one.talk.in.accepted()));
        other.inbox.emplace_back(0, frame);
        break;
      }
      default: {  // the link breaks: the rest of each direction is lost, and both go on from what was read
        if (random.below(10) != 0) break;
        for (End& end : ends) end.inbox.clear();
        for (unsigned i = 0; i < 2; ++i) {
          const std::uint64_t received = ends[1 - i].talk.in.read();
          ASSERT_GE(received, ends[i].talk.out.acked());
          ends[i].cursor = ends[i].talk.out.at(received + 1);
        }
      }
    }
  }
  for (unsigned i = 0; i < 2; ++i) ASSERT_EQ(ends[i].next_value, ends[1 - i].expected_value);
}

TEST(Conversation, EachMessageOnceAndInOrderOverBreakingLinks) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    run_ends(seed, seed % 3 == 0 ? kTurn - 20 : 0);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace rejoin::session
