// Numbers of structs, exported by tables: a new counter is a member of its struct and one line of its table.
//
//   struct Counts { std::uint64_t accepted = 0, refused = 0; watch::ShortTimes took; };
//   constexpr MetricRow<Counts> kRows[] = {
//       {&Counts::accepted, "accepted_total", "Connections accepted."},
//       {&Counts::refused, "refused_total", "Connections refused.", "reason", "full"},
//       {&Counts::took, "took_seconds", "How long it took."},
//   };
//   static_assert(numbers_shown(kRows) == numbers_of<Counts>, "a number of Counts is not shown");
//
// The structs hold nothing but 64-bit integers (arrays and histograms are such), so that the answers of all
// workers are added up without a line for each. Pure.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "watch/metrics_text.h"

namespace rejoin::watch {

/// How many integers a struct of nothing but integers has.
template <typename T>
inline constexpr std::size_t numbers_of = sizeof(T) / sizeof(std::uint64_t);

/// Adds a struct of nothing but counters to another one, member by member.
template <typename T>
void add_numbers(T& into, const T& more) {
  using Words = std::array<std::uint64_t, numbers_of<T>>;
  static_assert(sizeof(Words) == sizeof(T));
  auto words = std::bit_cast<Words>(into);
  const auto others = std::bit_cast<Words>(more);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] += others[i];
  into = std::bit_cast<T>(words);
}

/// One member of T, and the family that it belongs to. Rows of one family follow each other, differ in
/// `value`, and the first has the `help`.
template <typename T>
struct MetricRow {
  constexpr MetricRow(std::uint64_t T::*counter, std::string_view in, std::string_view says,
                      std::string_view label_name = {}, std::string_view label_value = {})
      : number(counter), family(in), help(says), label(label_name), value(label_value) {}
  constexpr MetricRow(ShortTimes T::*times, std::string_view in, std::string_view says)
      : short_times(times), family(in), help(says) {}
  constexpr MetricRow(Lives T::*times, std::string_view in, std::string_view says)
      : lives(times), family(in), help(says) {}

  std::uint64_t T::*number = nullptr;
  ShortTimes T::*short_times = nullptr;
  Lives T::*lives = nullptr;
  std::string_view family, help, label, value;
};

/// How many integers the rows show.
template <typename T, std::size_t N>
constexpr std::size_t numbers_shown(const MetricRow<T> (&rows)[N]) {
  std::size_t out = 0;
  for (const MetricRow<T>& row : rows) {
    if (row.number != nullptr) out += 1;
    if (row.short_times != nullptr) out += numbers_of<ShortTimes>;
    if (row.lives != nullptr) out += numbers_of<Lives>;
  }
  return out;
}

/// Somebody's numbers, and the labels that say whose.
template <typename T>
struct MetricsOf {
  std::vector<MetricLabel> labels;
  const T* numbers = nullptr;
};

/// Each family of the table, with a sample for each of `owners`. Without owners nothing is written. A name
/// that ends in _total is a counter's, one of a histogram a histogram's, every other one a gauge's.
template <typename T, std::size_t N>
void write_rows(MetricsText& out, std::string_view prefix, const MetricRow<T> (&rows)[N],
                std::span<const MetricsOf<T>> owners) {
  if (owners.empty()) return;
  for (std::size_t begin = 0; begin < N;) {
    std::size_t end = begin + 1;
    while (end < N && rows[end].family == rows[begin].family) ++end;
    const MetricRow<T>& first = rows[begin];
    const MetricKind kind = first.number == nullptr            ? MetricKind::histogram
                            : first.family.ends_with("_total") ? MetricKind::counter
                                                               : MetricKind::gauge;
    out.family(std::string(prefix) + std::string(first.family), kind, first.help);
    for (const MetricsOf<T>& owner : owners) {
      std::vector<MetricLabel> labels = owner.labels;
      for (std::size_t i = begin; i < end; ++i) {
        const MetricRow<T>& row = rows[i];
        labels.resize(owner.labels.size());
        if (!row.label.empty()) labels.push_back({row.label, row.value});
        if (row.short_times != nullptr) {
          out.sample(labels, HistogramView(owner.numbers->*row.short_times));
        } else if (row.lives != nullptr) {
          out.sample(labels, HistogramView(owner.numbers->*row.lives));
        } else {
          out.sample(labels, owner.numbers->*row.number);
        }
      }
    }
    begin = end;
  }
}
/// The numbers of the whole program.
template <typename T, std::size_t N>
void write_rows(MetricsText& out, std::string_view prefix, const MetricRow<T> (&rows)[N], const T& numbers) {
  const MetricsOf<T> owner{{}, &numbers};
  write_rows(out, prefix, rows, std::span<const MetricsOf<T>>(&owner, 1));
}

}  // namespace rejoin::watch
