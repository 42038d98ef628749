#include "apps/config/units.h"

#include <gtest/gtest.h>

#include "apps/config/diagnostic.h"
#include "apps/config/nearest.h"

namespace rejoin::config {
namespace {

TEST(Units, durations) {
  const struct {
    std::string_view text;
    std::optional<Duration> is;
  } cases[] = {
      {"0s", 0s},
      {"1ms", 1ms},
      {"1500ms", 1500ms},
      {"10s", 10s},
      {"30m", 30min},
      {"24h", 24h},
      {"365d", 24h * 365},
      {"007s", 7s},
      {"", {}},
      {"s", {}},
      {"10", {}},
      {"10 s", {}},
      {" 10s", {}},
      {"10s ", {}},
      {"10S", {}},
      {"+10s", {}},
      {"-10s", {}},
      {"1.5s", {}},
      {"1h30m", {}},
      {"10sec", {}},
      {"0x10s", {}},
      {"106751991d", 24h * 106751991},
      {"106751992d", {}},
      {"18446744073709551616ms", {}},
  };
  for (const auto& it : cases) EXPECT_EQ(parse_duration(it.text), it.is) << it.text;
}

TEST(Units, durations_are_shown_with_the_largest_unit_that_divides) {
  const struct {
    Duration duration;
    std::string_view text;
  } cases[] = {{0s, "0s"},  {1ms, "1ms"},   {1s, "1s"},  {90s, "90s"},
               {60s, "1m"}, {90min, "90m"}, {24h, "1d"}, {25h, "25h"}};
  for (const auto& it : cases) {
    EXPECT_EQ(duration_text(it.duration), it.text);
    EXPECT_EQ(parse_duration(it.text), it.duration);
  }
}

TEST(Units, sizes) {
  const struct {
    std::string_view text;
    std::optional<std::uint64_t> is;
  } cases[] = {
      {"0B", 0},
      {"1B", 1},
      {"64KiB", 65536},
      {"1MiB", 1048576},
      {"17592186044415MiB", 18446744073708503040u},
      {"", {}},
      {"1", {}},
      {"1MB", {}},
      {"1mib", {}},
      {"1 MiB", {}},
      {"-1B", {}},
      {"1.5MiB", {}},
      {"1GiB", {}},
      {"17592186044416MiB", {}},
  };
  for (const auto& it : cases) EXPECT_EQ(parse_size(it.text), it.is) << it.text;
  EXPECT_EQ(size_text(0), "0B");
  EXPECT_EQ(size_text(1023), "1023B");
  EXPECT_EQ(size_text(1024), "1KiB");
  EXPECT_EQ(size_text(3 * 1024 * 1024), "3MiB");
}

TEST(Nearest, edit_distance) {
  const struct {
    std::string_view a, b;
    std::size_t is;
  } cases[] = {{"", "", 0},      {"", "abc", 3},          {"abc", "abc", 0}, {"abc", "abd", 1},
               {"abc", "ab", 1}, {"listen", "lisetn", 1}, {"abc", "cab", 2}, {"kitten", "sitting", 3}};
  for (const auto& it : cases) {
    EXPECT_EQ(edit_distance(it.a, it.b), it.is) << it.a << ' ' << it.b;
    EXPECT_EQ(edit_distance(it.b, it.a), it.is) << it.b << ' ' << it.a;
  }
}

TEST(Nearest, near_enough_or_nothing) {
  constexpr std::string_view words[] = {"listen",       "mode",         "pool",
                                        "head_timeout", "idle_timeout", "round-robin"};
  const struct {
    std::string_view word, is;
  } cases[] = {{"listen", "listen"},
               {"lisetn", "listen"},
               {"Listen", "listen"},
               {"listening", "listen"},
               {"list", "listen"},
               {"mod", "mode"},
               {"pol", "pool"},
               {"pools", "pool"},
               {"head-timeout", "head_timeout"},
               {"idel_timeout", "idle_timeout"},
               {"Round_Robin", "round-robin"},
               {"xyz", ""},
               {"", ""},
               {"node_x", ""},
               {"timeout", ""}};
  for (const auto& it : cases) EXPECT_EQ(nearest(it.word, words), it.is) << it.word;
  EXPECT_EQ(nearest(std::string(1 << 20, 'x'), words), "") << "and at once";
}

TEST(Diagnostic, text) {
  Diagnostic it{"play.toml", {12, 9}, "pool.affinity[0].kind", "is not a kind"};
  EXPECT_EQ(it.text(), "play.toml:12:9: pool.affinity[0].kind: is not a kind");
  it.severity = Severity::warning;
  EXPECT_EQ(it.text(), "play.toml:12:9: warning: pool.affinity[0].kind: is not a kind");
  it.key.clear();
  it.severity = Severity::note;
  it.place = {};
  EXPECT_EQ(it.text(), "play.toml: note: is not a kind");
}

TEST(Diagnostic, what_is_quoted_stays_one_short_line) {
  EXPECT_EQ(in_quotes("a\"b\\c\n\x7f"), R"("a\"b\\c\u000a\u007f")");
  EXPECT_EQ(in_quotes(std::string(64, 'x')), '"' + std::string(64, 'x') + '"');
  EXPECT_EQ(in_quotes(std::string(65, 'x')), '"' + std::string(64, 'x') + "...\"");
  EXPECT_EQ(in_quotes(std::string(63, 'x') + "\u00e4"), '"' + std::string(63, 'x') + "...\"")
      << "no half characters";
  EXPECT_EQ(key_text("head_timeout"), "head_timeout");
  EXPECT_EQ(key_text("head timeout"), "\"head timeout\"");
  EXPECT_EQ(key_text(""), "\"\"");
}

}  // namespace
}  // namespace rejoin::config
