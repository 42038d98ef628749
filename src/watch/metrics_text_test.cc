#include "watch/metrics_text.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace rejoin::watch
