// The secrets behind cookies and tickets, as a value: the first key seals, all of them open.
//
// To rotate: add the new key behind on every balancer, then put it in front (cookies of the old one are
// sealed anew as their clients show them), then take the old one away. Two balancers with the same ring
// understand each other's cookies and share nothing else.
//
// Made while the configuration is read (exceptions are not needed: every failure is a Result). Afterwards it
// is constant and may be read from every thread; each worker makes its own Seal of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"

namespace rejoin::route {

/// The first four bytes of the SHA-256 of the key: says which key of a ring sealed a text, and nothing of the
/// key.
using KeyId = std::array<std::uint8_t, 4>;

/// 32 bytes for AES-256, wiped from memory when it dies. Never logged, never compared with anything a client
/// sent.
class Key {
 public:
  static constexpr std::size_t kBytes = 32;

  explicit Key(const std::array<std::uint8_t, kBytes>& bytes) : bytes_(bytes) {}
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();

  const std::array<std::uint8_t, kBytes>& bytes() const { return bytes_; }
  KeyId id() const;
  /// 64 hex digits, as parse_key_hex reads them: for writing a new key to a file of mode 0600. Wipe it after
  /// use.
  std::string hex() const;

 private:
  std::array<std::uint8_t, kBytes> bytes_;
};

/// Exactly 64 hex digits of either case; spaces, tabs and line ends before and behind are ignored, since keys
/// live in files. Error: config, the detail says what is wrong and never repeats the text.
Result<Key> parse_key_hex(std::string_view text);

/// A new key from `random`, which must be fit for secrets (SystemRandom) outside of tests.
Key generate_key(Random& random);

class KeyRing {
 public:
  /// A ring of one key.
  explicit KeyRing(const Key& key) { keys_.push_back(key); }

  /// The first of `keys` seals. Error: config, when there is none, more than kKeysMax, or two with the same
  /// id (the same key written twice, in practice).
  static Result<KeyRing> make(const std::vector<Key>& keys);

  const std::vector<Key>& keys() const { return keys_; }

 private:
  KeyRing() = default;
  std::vector<Key> keys_;
};

}  // namespace rejoin::route
