// Chance comes in through Random: OpenSSL's generator in production, a seed in tests and simulations.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace rejoin {

/// One per worker, used on its thread only.
class Random {
 public:
  virtual ~Random() = default;
  /// Fills `out` with random bytes. SystemRandom's are fit for keys and nonces.
  virtual void fill(MutableBytes out) = 0;

  std::uint64_t u64();
  /// Uniform in [0, bound); 0 when bound is 0.
  std::uint64_t below(std::uint64_t bound);
};

/// RAND_bytes, fetched 4 KiB at a time: a call for 12 bytes costs 650 ns, from the pool 4 ns (shared facts,
/// section 4). Aborts the process when OpenSSL has no entropy: going on with guessable keys would be worse.
class SystemRandom final : public Random {
 public:
  ~SystemRandom() override;
  void fill(MutableBytes out) override;

 private:
  char pool_[4096];
  std::size_t left_ = 0;
};

/// splitmix64 from a seed: the same seed gives the same bytes for ever. Never for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes out) override;

 private:
  std::uint64_t state_;
};

}  // namespace rejoin
