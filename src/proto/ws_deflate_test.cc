// Deflating and inflating: RFC 7692's examples, messages that Python's zlib made, every cut, bombs, what is
// corrupt.
#include "proto/ws_deflate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace rejoin::proto {
namespace {

using Verdict = Inflater::Verdict;
constexpr std::size_t kMax = 1 << 20;
constexpr DeflateSide kKeeps{15, Takeover::yes}, kForgets{15, Takeover::no};

std::string hex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return out;
}

/// What a message inflates to when it comes in pieces of at most `step` bytes, each in memory of its own; or
/// the verdict.
std::string inflate(Inflater& inflater, Bytes message, std::size_t step, std::size_t max = kMax) {
  GrowingBlock out;
  bool first = true;
  do {
    const std::string piece(message.substr(0, step));
    message.remove_prefix(piece.size());
    const Verdict verdict = inflater.feed(piece, std::exchange(first, false), message.empty(), out, max);
    EXPECT_LE(out.memory_bytes(), std::max<std::size_t>(max, 1));
    if (verdict != Verdict::good)
      return verdict == Verdict::corrupt ? "corrupt" : verdict == Verdict::too_big ? "too big" : "no memory";
  } while (!message.empty());
  return std::string(out.view());
}

/// Messages one behind the other, with every cut of each in two, and byte by byte.
void expect(const char* what, const std::vector<std::string>& payloads,
            const std::vector<std::string>& messages, DeflateSide side = kKeeps) {
  std::size_t longest = 1;
  for (const std::string& payload : payloads) longest = std::max(longest, payload.size());
  for (std::size_t step = 1; step <= longest; ++step) {
    Inflater inflater(side);
    for (std::size_t i = 0; i < payloads.size(); ++i)
      EXPECT_EQ(inflate(inflater, payloads[i], step), messages[i])
          << what << ", message " << i << " by " << step;
  }
}

TEST(Inflater, ExamplesOfRfc7692Section723) {
  const std::string hello = hex("f248cdc9c90700");
  expect("one block", {hello}, {"Hello"});
  expect("sharing the window", {hello, hex("f200110000")}, {"Hello", "Hello"});
  expect("no takeover, and yet the second alone", {hello, hello}, {"Hello", "Hello"}, kForgets);
  expect("without compression", {hex("000500faff48656c6c6f00")}, {"Hello"});
  expect("BFINAL", {hex("f348cdc9c9070000")}, {"Hello"});
  expect("two blocks", {hex("f24805000000ffffcac9c90700")}, {"Hello"});
  expect("empty", {hex("00"), hello, hex("00")}, {"", "Hello", ""});
  expect("empty in zlib's other form", {hex("0200"), hello}, {"", "Hello"});
}

TEST(Inflater, StreamsThatEnd) {
  const std::string hello = hex("f248cdc9c90700"), final_hello = hex("f348cdc9c9070000");
  expect("a final block, then another", {hex("f348cdc9c90700") + hex("f348cdc9c9070000")}, {"HelloHello"});
  expect("nothing behind the final block", {hex("f348cdc9c90700"), hello}, {"Hello", "Hello"});
  // The window of RFC 7692 does not end with a block, whatever zlib thinks of it.
  expect("reaches back over the end", {hello, final_hello, hex("f200110000")}, {"Hello", "Hello", "Hello"});
  std::string many = hello + hex("0000ffff");
  for (int i = 0; i < 100'000; ++i) many += hex("0300");
  Inflater inflater(kKeeps);
  EXPECT_EQ(inflate(inflater, many, 1000), "Hello") << "ends 100,000 times";
  EXPECT_EQ(inflate(inflater, hex("f200110000"), 1000), "Hello");
}

TEST(Inflater, WhatSomeSendersMakeOfAnEmptyMessage) {
  expect("no byte at all", {"", hex("f248cdc9c90700"), "", hex("f200110000")}, {"", "Hello", "", "Hello"});
}

// zlib.compressobj(level, DEFLATED, -window_bits, memory_level, strategy), flushed with Z_SYNC_FLUSH.
TEST(Inflater, MessagesOfPythonsZlib) {
  const std::vector<std::string> messages = {R"({"t":17,"x":1.25,"y":-3,"hp":100})",
                                             R"({"t":18,"x":1.5,"y":-3,"hp":100})",
                                             R"({"t":19,"x":1.75,"y":-3,"hp":93})",
                                             "gr\xc3\xb6\xc3\x9f"
                                             "er \xe2\x82\xac\xf0\x9f\x98\x80"};
  expect(
      "15 bits, level 6",
      {hex("aa562a51b23234d751aa00527a46a63a4a954a56bac63a4a1905400103835a0000"), hex("aa062bb0802ac0940700"),
       hex("82c85b42e5cd5115581ad70200"), hex("4a2f3abcedf0fcd42285474d6b3ecc9fd10000")},
      messages);
  expect("level 0: stored blocks",
         {hex("002100deff7b2274223a31372c2278223a312e32352c2279223a2d332c226870223a3130307d00"),
          hex("002000dfff7b2274223a31382c2278223a312e352c2279223a2d332c226870223a3130307d00"),
          hex("002000dfff7b2274223a31392c2278223a312e37352c2279223a2d332c226870223a39337d00"),
          hex("001000efff6772c3b6c39f657220e282acf09f988000")},
         messages);
  expect("Huffman codes alone",
         {hex("aa562a51b23234d751aa50b232d43332d551aa54b2d235d651ca2850b2323430a80500"),
          hex("aa562a51b232b4d051aa50b232d433d551aa54b2d235d651ca2850b2323430a80500"),
          hex("aa562a51b232b4d451aa50b232d43337d551aa54b2d235d651ca2850b2b234ae0500"),
          hex("4a2f3abcedf0fcd42285474d6b3ecc9fd10000")},
         messages);
  expect("Z_FINISH", {hex("ab562a51b23234d751aa00527a46a63a4a954a56bac63a4a1905400103835a00")},
         {messages[0]});
  expect("Z_FULL_FLUSH inside", {hex("4a4c4a240a02000000ffff4a4c4a240a0200")},
         {"abababababababababababababababababababababababababababababababababababababababab"});
}

TEST(Inflater, WhatIsCorrupt) {
  const std::string hello = hex("f248cdc9c90700");
  struct Case {
    const char* what;
    std::string payload;
  };
  const Case cases[] = {
      {"a block of the reserved type", hex("07")},
      {"a stored block whose length is not confirmed", hex("000500fafe48656c6c6f00")},
      {"a stored block cut short", hex("000500faff48656c6c")},
      {"reaches back before the beginning", hex("f200110000")},
      {"ones", std::string(64, '\xff')},
      {"a zlib header", hex("789cf348cdc9c90700058c01f5")},
      {"more behind the message", hello + hex("ff")},
      // Codes of 1 to 15 bits: the mark that we add is taken for 16 symbols and the end, and one bit is left
      // over.
      {"a block that ends inside our mark", hex("04e00182244992244902128b9a4756cfdeff9f7b00")},
  };
  for (const Case& it : cases) {
    for (std::size_t step = 1; step <= it.payload.size(); ++step) {
      for (const DeflateSide side : {kKeeps, kForgets}) {
        Inflater inflater(side);
        EXPECT_EQ(inflate(inflater, it.payload, step), "corrupt") << it.what << " by " << step;
        // With takeover nothing can follow: its window is unknown. Without, every message stands alone.
        EXPECT_EQ(inflate(inflater, hello, step), side.takeover == Takeover::yes ? "corrupt" : "Hello");
      }
    }
  }
  for (std::size_t size = 1; size < hello.size(); ++size) {
    Inflater inflater(kKeeps);
    EXPECT_EQ(inflate(inflater, hello.substr(0, size), 100), "corrupt") << "cut short to " << size;
  }
}

/// A shared inflater must not let one player read what another sent.
TEST(Inflater, WithoutTakeoverNoMessageReachesIntoAnother) {
  Inflater inflater(kForgets);
  EXPECT_EQ(inflate(inflater, hex("f248cdc9c90700"), 100), "Hello");
  EXPECT_EQ(inflate(inflater, hex("f200110000"), 100), "corrupt");
  EXPECT_EQ(inflate(inflater, hex("f348cdc9c90700"), 100), "Hello") << "by a final block";
  EXPECT_EQ(inflate(inflater, hex("f200110000"), 100), "corrupt");
  EXPECT_EQ(inflate(inflater, hex("f248cdc9c90700"), 100), "Hello");
}

/// 1,000,000 zeros in 4 kB.
TEST(Inflater, Bombs) {
  const std::string zeros(1'000'000, '\0');
  Deflater deflater({15, Takeover::no}, 8);
  GrowingBlock out;
  const auto deflated = deflater.deflate(zeros, out);
  ASSERT_TRUE(deflated);
  const std::string bomb(*deflated);
  EXPECT_LT(bomb.size(), 5000u);
  for (const std::size_t step : {std::size_t{1}, std::size_t{10}, bomb.size()}) {
    for (const std::size_t max : {0, 1, 2, 4095, 4096, 4097, 65'536, 999'999}) {
      Inflater inflater(kKeeps);
      EXPECT_EQ(inflate(inflater, bomb, step, max), "too big") << max << " by " << step;
      EXPECT_EQ(inflate(inflater, bomb, step), "too big") << "and so for ever";
    }
    for (const std::size_t max : {1'000'000, 1'000'001}) {
      Inflater inflater(kKeeps);
      EXPECT_EQ(inflate(inflater, bomb, step, max), zeros) << max << " by " << step;
    }
  }
  // It is said as soon as the bound is passed, and not when the message ends.
  Inflater inflater(kKeeps);
  GrowingBlock small;
  EXPECT_EQ(inflater.feed(Bytes(bomb).substr(0, 30), true, false, small, 1000), Verdict::too_big);
  EXPECT_LE(small.memory_bytes(), 1000u);
}

std::vector<std::string> messages_of_many_kinds() {
  SeededRandom random(1);
  std::vector<std::string> out;
  for (const std::size_t size : {1, 2, 63, 64, 173, 511, 512, 513, 4096, 5000, 40'000}) {
    std::string noise(size, '\0'), text;
    random.fill(noise);
    while (text.size() < size) text += R"({"id":)" + std::to_string(random.below(1000)) + R"(,"x":1.5},)";
    text.resize(size);
    out.insert(out.end(), {noise, text, std::string(size, 'x'), noise, ""});
  }
  return out;
}

TEST(Deflater, WhatItSaysIsUnderstood) {
  const std::vector<std::string> messages = messages_of_many_kinds();
  for (std::uint8_t bits = kDeflaterWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    for (const int memory : {1, 5, 9}) {
      if (memory != 5 && bits % 3 != 0) continue;
      for (const Takeover takeover : {Takeover::no, Takeover::yes}) {
        // Piecewise, so that the inflater has nothing but its window, of the same size: no reference may be
        // longer.
        Deflater deflater({bits, takeover}, memory);
        Inflater inflater({bits, takeover});
        GrowingBlock out;
        for (std::size_t i = 0; i < messages.size(); ++i) {
          const auto payload = deflater.deflate(messages[i], out);
          ASSERT_TRUE(payload);
          ASSERT_FALSE(payload->empty());
          // Bytes that do not shrink cost little: limits::kDeflateExpansionDivisor counts on it.
          EXPECT_LE(payload->size(), messages[i].size() + messages[i].size() / 8 + 64);
          const std::size_t step = messages[i].size() > 1000 ? 97 : 1;
          ASSERT_TRUE(inflate(inflater, *payload, step) == messages[i])
              << int{bits} << '/' << memory << ", message " << i;
        }
      }
    }
  }
}

TEST(Deflater, TakeoverMakesTheSecondOfTwoAlikeShorter) {
  const std::string message = R"({"type":"move","player":4711,"x":12.5,"y":-3.25,"facing":"north-west"})";
  GrowingBlock out;
  Deflater keeps({12, Takeover::yes}, 5), forgets({12, Takeover::no}, 5);
  const std::size_t first = keeps.deflate(message, out)->size();
  const std::size_t second = keeps.deflate(message, out)->size();
  EXPECT_LT(second, first / 4);
  const std::string alone(*forgets.deflate(message, out));
  EXPECT_EQ(alone, *forgets.deflate(message, out)) << "nothing of the first is in the second";
  keeps.forget();
  EXPECT_EQ(keeps.deflate(message, out)->size(), first);
}

/// The receiver keeps its window when the sender forgets its own: no harm.
TEST(Deflater, ForgetsAtAnyTime) {
  const std::vector<std::string> messages = messages_of_many_kinds();
  Deflater deflater({10, Takeover::yes}, 4);
  Inflater inflater({10, Takeover::yes});
  GrowingBlock out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i % 3 == 0) deflater.forget();
    EXPECT_EQ(deflater.memory_bytes() == 0, i % 3 == 0);
    const auto payload = deflater.deflate(messages[i], out);
    ASSERT_TRUE(payload && inflate(inflater, *payload, 1000) == messages[i]) << i;
    if (messages[i].empty()) deflater.deflate("x", out), inflate(inflater, out.view(), 1000);
  }
}

TEST(Deflater, EmptyMessagesInARow) {
  Deflater deflater(kKeeps, 8);
  GrowingBlock out;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*deflater.deflate("", out), hex("00"));
  EXPECT_EQ(*deflater.deflate("Hello", out), hex("f248cdc9c90700"));
  EXPECT_EQ(*deflater.deflate("", out), hex("00"));
  EXPECT_EQ(*deflater.deflate("Hello", out), hex("f200110000")) << "as in RFC 7692 7.2.3.2";
}

TEST(Deflater, LeavesAMessageOf1GiBAlone) {
  Deflater deflater(kKeeps, 8);
  GrowingBlock out;
  EXPECT_FALSE(deflater.deflate(Bytes("", std::size_t{1} << 30), out));  // not looked at
}

/// The figures of docs and of the configuration.
TEST(DeflateMemory, IsTakenWhenNeededAndCounted) {
  Deflater deflater({12, Takeover::yes}, 5);
  Inflater small({12, Takeover::yes}), large({15, Takeover::no});
  EXPECT_EQ(deflater.memory_bytes() + small.memory_bytes() + large.memory_bytes(), 0u);
  GrowingBlock out;
  const std::string payload(*deflater.deflate(std::string(10'000, 'x'), out));
  inflate(small, payload, 100);
  inflate(large, payload, 100);
  EXPECT_GT(deflater.memory_bytes(), 38'000u);
  EXPECT_LT(deflater.memory_bytes(), 40'000u);
  EXPECT_GT(small.memory_bytes(), 11'000u);
  EXPECT_LT(small.memory_bytes(), 12'000u);
  EXPECT_GT(large.memory_bytes(), 39'000u);
  EXPECT_LT(large.memory_bytes(), 41'000u);
  EXPECT_GE(out.memory_bytes(), 10'000u);
  out.shrink(100'000);
  EXPECT_GE(out.memory_bytes(), 10'000u);
  out.shrink(100);
  EXPECT_EQ(out.memory_bytes(), 0u);
}

}  // namespace
}  // namespace rejoin::proto
