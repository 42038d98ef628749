// The text format that Prometheus scrapes (version 0.0.4), written piece by piece.
//
// A calculator; one thread. Names and help are ours and asserted, values of labels may be anything.
//
//   MetricsText out;
//   out.family("rejoin_gateway_links_total", MetricKind::counter, "Links that were opened.");
//   out.sample(17);
//   out.family("rejoin_gateway_sessions", MetricKind::gauge, "Sessions by phase.");
//   out.sample({{"phase", "attached"}}, 12);
//
// Families of many alike numbers come from tables: metrics_table.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "watch/histogram.h"

namespace rejoin::watch {

enum class MetricKind : std::uint8_t {
  counter,  // only grows; its name ends in _total
  gauge,
  histogram,  // of times; its name ends in _seconds
};

struct MetricLabel {
  std::string_view name, value;
};
using MetricLabels = std::span<const MetricLabel>;

class MetricsText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// HELP and TYPE; samples follow. Each name once.
  void family(std::string_view name, MetricKind kind, std::string_view help);
  /// One line of the latest family.
  void sample(std::uint64_t value) { sample(MetricLabels(), value); }
  void sample(std::initializer_list<MetricLabel> labels, std::uint64_t value) {
    sample(MetricLabels(labels.begin(), labels.size()), value);
  }
  void sample(MetricLabels labels, std::uint64_t value);
  /// A count of microseconds, told in seconds.
  void sample_seconds(MetricLabels labels, std::uint64_t us);
  /// All lines of one histogram; the latest family is one.
  void sample(MetricLabels labels, const HistogramView& of);

  std::string take() { return std::move(out_); }

 private:
  void line(std::string_view suffix, MetricLabels labels, std::string_view bound, std::string_view value);

  std::string out_, name_;
};

}  // namespace rejoin::watch
