// A keyed hash of addresses, for tables that strangers fill: without the key nobody can choose addresses that
// fall into one bucket (SipHash-1-3, Aumasson and Bernstein 2012: one round a word, three at the end).
//
// A value: 16 bytes, made once per table. Any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/address.h"
#include "base/random.h"

namespace rejoin {

class AddressHash {
 public:
  explicit AddressHash(Random& random) : key0_(random.u64()), key1_(random.u64()) {}
  AddressHash(std::uint64_t key0, std::uint64_t key1) : key0_(key0), key1_(key1) {}

  /// Of the IP address, its family and its port.
  std::size_t operator()(const Address& address) const noexcept {
    std::uint64_t words[3];
    std::memcpy(words, address.ip.data(), 16);
    // The last word of SipHash bears the length of the input in its highest byte; ours is always 19.
    words[2] = std::uint64_t{19} << 56 | std::uint64_t{address.port} << 8 |
               static_cast<std::uint64_t>(address.family);
    State s{key0_ ^ 0x736f6d6570736575, key1_ ^ 0x646f72616e646f6d, key0_ ^ 0x6c7967656e657261,
            key1_ ^ 0x7465646279746573};
    for (const std::uint64_t word : words) {
      s.v3 ^= word;
      s.round();
      s.v0 ^= word;
    }
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; ++i) s.round();
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
  }

 private:
  struct State {
    std::uint64_t v0, v1, v2, v3;
    void round() {
      v0 += v1, v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1, v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  };
  std::uint64_t key0_, key1_;
};

}  // namespace rejoin
