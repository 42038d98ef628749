#include "watch/metrics_text.h"

#include <algorithm>
#include <cassert>

namespace rejoin::watch {
namespace {

[[maybe_unused]] bool is_name(std::string_view name) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), good);
}

void escape(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

/// "0.0025", "60": microseconds in seconds, without zeros that say nothing.
std::string seconds_text(std::uint64_t us) {
  std::string out = std::to_string(us / 1'000'000);
  std::string rest = std::to_string(us % 1'000'000);
  rest.insert(0, 6 - rest.size(), '0');
  while (!rest.empty() && rest.back() == '0') rest.pop_back();
  return rest.empty() ? out : out + "." + rest;
}

std::string_view type_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::counter: return "counter";
    case MetricKind::gauge: return "gauge";
    case MetricKind::histogram: return "histogram";
  }
  return "untyped";
}

}  // namespace

void MetricsText::family(std::string_view name, MetricKind kind, std::string_view help) {
  assert(is_name(name));
  assert(name.ends_with("_total") == (kind == MetricKind::counter));
  assert(name.ends_with("_seconds") || kind != MetricKind::histogram);
  name_ = name;
  out_ += "# HELP " + name_ + " ";
  escape(out_, help, false);
  out_ += "\n# TYPE " + name_ + " ";
  out_ += type_of(kind);
  out_ += '\n';
}

void MetricsText::sample(MetricLabels labels, std::uint64_t value) {
  line({}, labels, {}, std::to_string(value));
}

void MetricsText::sample_seconds(MetricLabels labels, std::uint64_t us) {
  line({}, labels, {}, seconds_text(us));
}

void MetricsText::sample(MetricLabels labels, const HistogramView& of) {
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < of.bounds.size(); ++i) {
    so_far += of.counts[i];
    line("_bucket", labels, seconds_text(static_cast<std::uint64_t>(of.bounds[i].count())),
         std::to_string(so_far));
  }
  const std::string all = std::to_string(so_far + of.counts[of.bounds.size()]);
  line("_bucket", labels, "+Inf", all);
  line("_sum", labels, {}, seconds_text(of.sum_us));
  line("_count", labels, {}, all);
}

void MetricsText::line(std::string_view suffix, MetricLabels labels, std::string_view bound,
                       std::string_view value) {
  assert(!name_.empty());
  out_ += name_;
  out_ += suffix;
  char before = '{';
  const auto add = [&](const MetricLabel& label) {
    assert(is_name(label.name));
    out_ += before;
    out_ += label.name;
    out_ += "=\"";
    escape(out_, label.value, true);
    out_ += '"';
    before = ',';
  };
  for (const MetricLabel& label : labels) add(label);
  if (!bound.empty()) add({"le", bound});
  if (before == ',') out_ += '}';
  out_ += ' ';
  out_ += value;
  out_ += '\n';
}

}  // namespace rejoin::watch
