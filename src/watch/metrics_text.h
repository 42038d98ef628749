// The text format that Prometheus scrapes (version 0.0.4), written piece by piece.
//
// A calculator; one thread. Names and help are ours and asserted, values of labels may be anything.
//
//   MetricsText out;
//   out.family("rejoin_gateway_links_total", MetricKind::counter, "Links that were opened.");
//   out.sample(17);
//   out.family("rejoin_gateway_sessions", MetricKind::gauge, "Sessions by phase.");
//   out.sample({{"phase", "attached"}}, 12);
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace rejoin::watch {

enum class MetricKind : std::uint8_t {
  counter,  // only grows; its name ends in _total
  gauge,
};

struct MetricLabel {
  std::string_view name, value;
};

class MetricsText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// HELP and TYPE; samples follow. Each name once.
  void family(std::string_view name, MetricKind kind, std::string_view help);
  /// One line of the latest family.
  void sample(std::uint64_t value) { sample({}, value); }
  void sample(std::initializer_list<MetricLabel> labels, std::uint64_t value);

  std::string take() { return std::move(out_); }

 private:
  std::string out_, name_;
};

}  // namespace rejoin::watch
