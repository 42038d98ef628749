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

}  // namespace

void MetricsText::family(std::string_view name, MetricKind kind, std::string_view help) {
  assert(is_name(name));
  assert(name.ends_with("_total") == (kind == MetricKind::counter));
  name_ = name;
  out_ += "# HELP " + name_ + " ";
  escape(out_, help, false);
  out_ += "\n# TYPE " + name_ + (kind == MetricKind::counter ? " counter\n" : " gauge\n");
}

void MetricsText::sample(std::initializer_list<MetricLabel> labels, std::uint64_t value) {
  assert(!name_.empty());
  out_ += name_;
  char before = '{';
  for (const MetricLabel& label : labels) {
    assert(is_name(label.name));
    out_ += before;
    out_ += label.name;
    out_ += "=\"";
    escape(out_, label.value, true);
    out_ += '"';
    before = ',';
  }
  if (labels.size() != 0) out_ += '}';
  out_ += " " + std::to_string(value) + "\n";
}

}  // namespace rejoin::watch
