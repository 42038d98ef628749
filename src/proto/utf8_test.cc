#include "proto/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace rejoin::proto {
namespace {

/// The definition, character by character: decode, then ask whether the code point may be encoded so.
bool slow_is_utf8(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    std::size_t more = 0;
    std::uint32_t point = 0;
    if (byte(i) < 0x80) {
      point = byte(i);
    } else if ((byte(i) & 0xe0) == 0xc0) {
      more = 1, point = byte(i) & 0x1f;
    } else if ((byte(i) & 0xf0) == 0xe0) {
      more = 2, point = byte(i) & 0x0f;
    } else if ((byte(i) & 0xf8) == 0xf0) {
      more = 3, point = byte(i) & 0x07;
    } else {
      return false;
    }
    if (i + more >= text.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
      point = point << 6 | (byte(i + k) & 0x3f);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

struct Case {
  const char* what;
  std::string text;
  bool good;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> table{
      {"empty", "", true},
      {"ascii", "hello", true},
      {"NUL", std::string(1, '\0'), true},
      {"two bytes, least", "\xc2\x80", true},
      {"two bytes, most", "\xdf\xbf", true},
      {"three bytes, least", "\xe0\xa0\x80", true},
      {"three bytes, most", "\xef\xbf\xbf", true},
      {"before the surrogates", "\xed\x9f\xbf", true},
      {"behind the surrogates", "\xee\x80\x80", true},
      {"four bytes, least", "\xf0\x90\x80\x80", true},
      {"U+10FFFF", "\xf4\x8f\xbf\xbf", true},
      {"greek", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
      {"continuation alone", "\x80", false},
      {"two continuations", "\xbf\xbf", false},
      {"overlong slash, 2", "\xc0\xaf", false},
      {"overlong, c1", "\xc1\xbf", false},
      {"overlong, 3", "\xe0\x9f\xbf", false},
      {"overlong, 4", "\xf0\x8f\xbf\xbf", false},
      {"first surrogate", "\xed\xa0\x80", false},
      {"last surrogate", "\xed\xbf\xbf", false},
      {"U+110000", "\xf4\x90\x80\x80", false},
      {"f5", "\xf5\x80\x80\x80", false},
      {"fe", "\xfe", false},
      {"ff", "\xff", false},
      {"cut, 2", "a\xc3", false},
      {"cut, 3", "a\xe2\x82", false},
      {"cut, 4", "a\xf0\x9f\x98", false},
      {"lead behind lead", "\xc3\xc3\xa4", false},
      {"ascii inside a character", "\xe2\x82z", false},
      {"RFC 6455 8.1 by Autobahn",
       "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
       "edited",
       false},
  };
  return table;
}

TEST(Utf8, TableWholeAndCutInThreeAtEveryByte) {
  for (const Case& c : cases()) {
    for (const std::size_t pad : {0, 7, 8, 61, 64, 200}) {  // both paths, and the borders between them
      const std::string text = std::string(pad, 'x') + c.text + (pad == 200 ? std::string(70, 'y') : "");
      const bool good = pad == 200 ? slow_is_utf8(text) : c.good;
      EXPECT_EQ(is_utf8(text), good) << c.what << " behind " << pad;
      EXPECT_EQ(slow_is_utf8(text), good) << c.what;
      const std::size_t from = pad > 4 ? pad - 4 : 0;
      for (std::size_t i = from; i <= text.size(); ++i) {
        for (std::size_t j = i; j <= text.size(); ++j) {
          Utf8Validator validator;
          bool fed = validator.feed(Bytes(text).substr(0, i));
          fed = validator.feed(Bytes(text).substr(i, j - i)) && fed;
          fed = validator.feed(Bytes(text).substr(j)) && fed;
          ASSERT_EQ(fed && validator.complete(), good) << c.what << " cut at " << i << " and " << j;
        }
      }
    }
  }
}

TEST(Utf8, AWrongByteIsFoundInThePieceThatBringsIt) {
  const std::vector<std::vector<std::string>> wrong{
      {"a", "\xff"},
      {"\xed", "\xa0"},
      {"\xf4", "\x90"},
      {"\xe2", "\x82", "z"},
      {"\xf0", "\x9f", "\x98", "z"},
      {"\xe0\x9f"},
      {"\xf0\x9f", "\xc2"},
      {"ok \xf5"},
  };
  for (const auto& pieces : wrong) {
    Utf8Validator validator;
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i)
      EXPECT_TRUE(validator.feed(pieces[i])) << pieces.front();
    EXPECT_FALSE(validator.feed(pieces.back())) << pieces.front();
    EXPECT_FALSE(validator.feed("then nothing helps"));
    EXPECT_FALSE(validator.complete());
    validator.reset();
    EXPECT_TRUE(validator.feed("new") && validator.complete());
  }
}

TEST(Utf8, AgreesWithTheSlowDefinitionOnRandomBytes) {
  SeededRandom random(20);
  const char* bits[] = {"a",    "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                        "\x80", "\xed",     "\xf4",         "longer ascii text"};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    const std::uint64_t count = random.below(30);
    for (std::uint64_t i = 0; i < count; ++i) text += bits[random.below(round % 2 == 0 ? 8 : 4)];
    if (!text.empty() && round % 3 == 0)
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    ASSERT_EQ(is_utf8(text), slow_is_utf8(text)) << testing::PrintToString(text);
    Utf8Validator validator;
    bool good = true;
    for (Bytes rest = text; !rest.empty();) {
      const std::size_t take = std::min<std::size_t>(1 + random.below(round % 5 == 0 ? 100 : 5), rest.size());
      good = validator.feed(rest.substr(0, take)) && good;
      rest.remove_prefix(take);
    }
    ASSERT_EQ(good && validator.complete(), slow_is_utf8(text)) << testing::PrintToString(text);
  }
}

TEST(Utf8, CutsAtTheBorderOfACharacter) {
  EXPECT_EQ(utf8_cut("abc", 5), 3u);
  EXPECT_EQ(utf8_cut("abc", 2), 2u);
  EXPECT_EQ(utf8_cut("a\xe2\x82\xac", 4), 4u);
  EXPECT_EQ(utf8_cut("a\xe2\x82\xac", 3), 1u);
  EXPECT_EQ(utf8_cut("a\xe2\x82\xac", 2), 1u);
  EXPECT_EQ(utf8_cut("a\xe2\x82\xac", 1), 1u);
  EXPECT_EQ(utf8_cut("\xf0\x9f\x98\x80", 3), 0u);
}

}  // namespace
}  // namespace rejoin::proto
