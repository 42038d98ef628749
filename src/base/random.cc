#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

namespace rejoin {

__extension__ using Wide = unsigned __int128;  // GCC and clang have it; -Wpedantic wants to be told

std::uint64_t Random::u64() {
  std::uint64_t value;
  fill(MutableBytes(reinterpret_cast<char*>(&value), sizeof value));
  return value;
}

std::uint64_t Random::below(std::uint64_t bound) {
  // Multiply-shift (Lemire): the bias is below 2^-32 for every bound that is used here.
  return static_cast<std::uint64_t>((static_cast<Wide>(u64()) * bound) >> 64);
}

SystemRandom::~SystemRandom() { OPENSSL_cleanse(pool_, sizeof pool_); }

void SystemRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    if (left_ == 0) {
      if (RAND_bytes(reinterpret_cast<unsigned char*>(pool_), sizeof pool_) != 1) std::abort();
      left_ = sizeof pool_;
    }
    const std::size_t count = std::min(left_, out.size());
    char* from = pool_ + sizeof pool_ - left_;
    std::memcpy(out.data(), from, count);
    OPENSSL_cleanse(from, count);  // what was handed out must not be found in memory again
    left_ -= count;
    out = out.subspan(count);
  }
}

void SeededRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    const std::size_t count = std::min(sizeof z, out.size());
    std::memcpy(out.data(), &z, count);
    out = out.subspan(count);
  }
}

}  // namespace rejoin
