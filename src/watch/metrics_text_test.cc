#include "watch/metrics_text.h"

#include <gtest/gtest.h>

#include "watch/metrics_table.h"

namespace rejoin::watch {
namespace {

TEST(MetricsText, has_the_form_that_prometheus_reads) {
  MetricsText out;
  out.family("rejoin_links_total", MetricKind::counter, "Links.");
  out.sample(17);
  out.family("rejoin_sessions", MetricKind::gauge, "Back\\slash,\nand \"quotes\".");
  out.sample({{"phase", "attached"}, {"pool", "a\"b\\c\nd"}}, 18446744073709551615u);
  out.sample({{"phase", "detached"}}, 0);
  EXPECT_EQ(out.take(),
            "# HELP rejoin_links_total Links.\n"
            "# TYPE rejoin_links_total counter\n"
            "rejoin_links_total 17\n"
            "# HELP rejoin_sessions Back\\\\slash,\\nand \"quotes\".\n"
            "# TYPE rejoin_sessions gauge\n"
            "rejoin_sessions{phase=\"attached\",pool=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n"
            "rejoin_sessions{phase=\"detached\"} 0\n");
}

TEST(MetricsText, a_histogram_is_told_in_seconds_and_grows_from_bucket_to_bucket) {
  Lives lives;
  lives.add(1s);
  lives.add(3s);
  lives.add(3500ms);
  lives.add(1000h);
  MetricsText out;
  out.family("life_seconds", MetricKind::histogram, "Lives.");
  const MetricLabel label{"listener", "web"};
  out.sample(MetricLabels(&label, 1), HistogramView(lives));
  const std::string text = out.take();
  EXPECT_TRUE(
      text.starts_with("# HELP life_seconds Lives.\n# TYPE life_seconds histogram\n"
                       "life_seconds_bucket{listener=\"web\",le=\"1\"} 1\n"
                       "life_seconds_bucket{listener=\"web\",le=\"5\"} 3\n"
                       "life_seconds_bucket{listener=\"web\",le=\"15\"} 3\n"))
      << text;
  EXPECT_TRUE(
      text.ends_with("life_seconds_bucket{listener=\"web\",le=\"604800\"} 3\n"
                     "life_seconds_bucket{listener=\"web\",le=\"+Inf\"} 4\n"
                     "life_seconds_sum{listener=\"web\"} 3600007.5\n"
                     "life_seconds_count{listener=\"web\"} 4\n"))
      << text;
}

struct Numbers {
  std::uint64_t small = 0, large = 0, now = 0;
  ShortTimes took;
};
constexpr MetricRow<Numbers> kRows[] = {
    {&Numbers::small, "sizes_total", "Sizes.", "size", "small"},
    {&Numbers::large, "sizes_total", "", "size", "large"},
    {&Numbers::now, "now", "At this moment."},
    {&Numbers::took, "took_seconds", "How long."},
};
static_assert(numbers_shown(kRows) == numbers_of<Numbers>);

TEST(MetricsTable, has_a_family_once_with_all_of_its_owners) {
  Numbers a, b;
  a.small = 1;
  a.large = 2;
  b.small = 3;
  b.now = 4;
  b.took.add(2ms);
  const std::vector<MetricsOf<Numbers>> owners{{{{"pool", "a"}}, &a}, {{{"pool", "b"}}, &b}};
  MetricsText out;
  write_rows(out, "x_", kRows, std::span<const MetricsOf<Numbers>>(owners));
  const std::string text = out.take();
  EXPECT_TRUE(
      text.starts_with("# HELP x_sizes_total Sizes.\n"
                       "# TYPE x_sizes_total counter\n"
                       "x_sizes_total{pool=\"a\",size=\"small\"} 1\n"
                       "x_sizes_total{pool=\"a\",size=\"large\"} 2\n"
                       "x_sizes_total{pool=\"b\",size=\"small\"} 3\n"
                       "x_sizes_total{pool=\"b\",size=\"large\"} 0\n"
                       "# HELP x_now At this moment.\n"
                       "# TYPE x_now gauge\n"
                       "x_now{pool=\"a\"} 0\n"
                       "x_now{pool=\"b\"} 4\n"
                       "# HELP x_took_seconds How long.\n"
                       "# TYPE x_took_seconds histogram\n"
                       "x_took_seconds_bucket{pool=\"a\",le=\"0.0005\"} 0\n"))
      << text;
  EXPECT_NE(text.find("x_took_seconds_bucket{pool=\"b\",le=\"0.0025\"} 1\n"), std::string::npos);
  MetricsText none;
  write_rows(none, "x_", kRows, std::span<const MetricsOf<Numbers>>());
  EXPECT_EQ(none.take(), "");
}

TEST(MetricsTable, adds_every_number) {
  Numbers a, b;
  a.large = 2;
  a.took.add(2ms);
  b.large = 40;
  b.took.add(1h);
  add_numbers(a, b);
  EXPECT_EQ(a.large, 42u);
  EXPECT_EQ(a.took.counts[2], 1u);
  EXPECT_EQ(a.took.counts[15], 1u);
  EXPECT_EQ(a.took.sum_us, 3'600'002'000u);
}

}  // namespace
}  // namespace rejoin::watch
