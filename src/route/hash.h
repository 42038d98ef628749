// A hash that balancers agree on: the same text gives the same number on every machine and in every run.
//
// For consistent hashing (maglev.h), where two balancers before the same servers must send a key to the same
// one. So it has no secret in it: who may choose keys may choose their server, as with every balancer's hash.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace rejoin::route {

/// Every bit of the result depends on every bit of `value` (the finalizer of MurmurHash3).
constexpr std::uint64_t mix_bits(std::uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ value >> 33;
}

/// FNV-1a over 64 bits, then mixed. `seed` gives independent hashes of one text.
constexpr std::uint64_t hash_of(Bytes text, std::uint64_t seed = 0) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ mix_bits(seed);
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return mix_bits(hash);
}

}  // namespace rejoin::route
