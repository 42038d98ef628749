#include "apps/config/nearest.h"

#include <algorithm>
#include <string>
#include <vector>

namespace rejoin::config {
namespace {

/// The usual slips that are no typing mistakes: "Round_Robin".
std::string plain(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-') c = '_';
  }
  return out;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cost((a.size() + 1) * width);
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i * width] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = cost[(i - 1) * width + j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      const std::size_t remove = cost[(i - 1) * width + j] + 1;
      const std::size_t insert = cost[i * width + j - 1] + 1;
      std::size_t best = std::min({replace, remove, insert});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, cost[(i - 2) * width + j - 2] + 1);
      }
      cost[i * width + j] = best;
    }
  }
  return cost.back();
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> words) {
  constexpr std::size_t kAwayMax = 3, kStartBytesMin = 3;
  std::string_view best;
  std::size_t best_away = kAwayMax + 1;
  for (const std::string_view candidate : words) {
    const std::size_t longer = std::max(word.size(), candidate.size());
    const std::size_t shorter = std::min(word.size(), candidate.size());
    const bool starts = shorter >= kStartBytesMin && word.substr(0, shorter) == candidate.substr(0, shorter);
    std::size_t away = kAwayMax + 1;
    if (starts) {
      away = std::min(longer - shorter, kAwayMax);
    } else if (longer - shorter <= kAwayMax) {
      away = edit_distance(plain(word), plain(candidate));
      if (away > std::min(kAwayMax, std::max<std::size_t>(1, longer / 3))) continue;
    }
    if (away < best_away) {
      best = candidate;
      best_away = away;
    }
  }
  return best;
}

}  // namespace rejoin::config
