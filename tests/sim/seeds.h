// Which seeds a simulation test plays: `./dev sim --seeds N` asks for more than the ordinary run has,
// `./dev sim --seed S` for one again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace rejoin::sim_test {

inline std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == 0 ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Seeds FIRST to FIRST + COUNT - 1, or the one of REJOIN_SIM_SEED.
struct Seeds {
  std::uint64_t first, count;
  static Seeds ordinary(std::uint64_t count) {
    if (std::getenv("REJOIN_SIM_SEED") != nullptr) return {from_environment("REJOIN_SIM_SEED", 1), 1};
    // REJOIN_SIM_SHARE=5: a fifth of each test's own number, for runs that take long (sanitizers).
    const std::uint64_t share = std::max<std::uint64_t>(1, from_environment("REJOIN_SIM_SHARE", 1));
    const std::uint64_t own = std::max<std::uint64_t>(1, count / share);
    return {1, from_environment("REJOIN_SIM_SEEDS", own)};
  }
};

inline std::string replay(std::uint64_t seed) {
  return "seed " + std::to_string(seed) + ": ./dev sim --seed " + std::to_string(seed);
}

}  // namespace rejoin::sim_test
