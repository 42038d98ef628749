// Bytes that nobody shall find in memory afterwards: wiped when they are given back, also by a growing one
// that moves.
#pragma once

#include <openssl/crypto.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace rejoin {

template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename Other>
  explicit WipingAllocator(const WipingAllocator<Other>&) {}

  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* at, std::size_t count) {
    OPENSSL_cleanse(at, count * sizeof(T));
    std::allocator<T>().deallocate(at, count);
  }
  bool operator==(const WipingAllocator&) const = default;
};

/// Not a std::string, which keeps short ones inside itself, where no allocator wipes them.
using SecretBytes = std::vector<char, WipingAllocator<char>>;

inline Bytes view(const SecretBytes& of) { return {of.data(), of.size()}; }
inline void append(SecretBytes& to, Bytes some) { to.insert(to.end(), some.begin(), some.end()); }

}  // namespace rejoin
