// Text that a client keeps for us, and can neither read nor change: the value of a cookie, a ticket.
//
//   base64url, unpadded:  version (1 byte, 0x01) | key id (4) | nonce (12) | ciphertext (as long as the
//   plaintext) | tag (16)
//
// AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. Associated data: version, key id, the purpose's
// word, and `bound`, whatever the text must not be moved away from (for a cookie: the pool's and the cookie's
// name). So a cookie never opens as a ticket, nor a cookie of one pool in another.
//
// Place: under the cookie affinities, and later under tickets. Owner: one worker; a Seal is used on its
// thread only. One cipher context per key is made here once and kept: 200 ns a seal, where a new context
// costs 700.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/random.h"
#include "route/key_ring.h"

namespace rejoin::route {

/// What a sealed text is for. Each has a word of its own in the associated data.
enum class Purpose : std::uint8_t { cookie, ticket };

enum class Opened : std::uint8_t {
  ok,
  malformed,    // not of our form: not base64url, too short or long, another version
  unknown_key,  // our form, and a key id that the ring does not have (rotated away, or of another
                // installation)
  forged,  // a key of ours, and the tag does not match: changed, or sealed for another purpose, pool or name
};
std::string_view to_string(Opened opened);

class Seal {
 public:
  /// version, key id, nonce and tag: bytes that sealing adds before base64url.
  static constexpr std::size_t kOverheadBytes = 1 + 4 + 12 + 16;

  /// `random` outlives the Seal, and is fit for nonces (SystemRandom outside of tests). The keys are copied
  /// into the cipher contexts, so the ring need not live on. Aborts the process when OpenSSL refuses
  /// AES-256-GCM.
  Seal(const KeyRing& ring, Random& random, std::uint64_t new_key_after = limits::kSealsPerWorkerWarn);
  ~Seal();
  Seal(const Seal&) = delete;
  Seal& operator=(const Seal&) = delete;

  /// Appends the sealed text of `plaintext` to `out`: text_bytes(plaintext.size()) characters out of A-Z a-z
  /// 0-9 - _. `plaintext` has at most limits::kSealedPlainBytesMax bytes; aborts otherwise (it is ours).
  void seal(Purpose purpose, std::string_view bound, std::string_view plaintext, std::string& out);

  /// Opens what seal() made with any key of the ring. ok: `plaintext` holds what was sealed. Else it is
  /// empty, and the answer says why. Any input is allowed; there is exactly one text that opens to a given
  /// nonce and plaintext (base64url with stray bits is malformed). Time does not depend on where a forged
  /// text differs.
  ///
  /// What was opened lately is remembered with its whole text, as a client on a kept connection shows the
  /// same cookie with every request: 3,600 instructions less.
  Opened open(Purpose purpose, std::string_view bound, std::string_view text, std::string& plaintext);

  /// Of a text that open() has just opened: whether its key is one of the ring's behind the first, so that it
  /// should be sealed anew before that key is taken away.
  bool is_of_older_key(std::string_view text) const;

  /// From now on with the keys of `ring`. Texts sealed under a key that it does not have open no more.
  void use(const KeyRing& ring);
  /// Opens what the keys of `ring` sealed as well, until the next use(): for a moment in which other workers
  /// have them already.
  void open_also(const KeyRing& ring);

  /// Texts sealed by this object, under the present first key. Random nonces allow 2^32 under one key, over
  /// all workers and balancers that have it.
  std::uint64_t seals() const { return seals_; }
  /// True from `new_key_after` of them on: tell the operator to rotate the key. Sealing goes on.
  bool wants_new_key() const { return seals_ >= new_key_after_; }

  static constexpr std::size_t text_bytes(std::size_t plain_bytes) {
    return ((plain_bytes + kOverheadBytes) * 4 + 2) / 3;
  }

 private:
  struct Slot;  // one key's id and cipher contexts
  /// A text that was opened, and what was in it.
  struct Remembered {
    std::string text, bound, plaintext;
    Purpose purpose = Purpose::cookie;
  };
  static constexpr std::size_t kRememberedMax = 256;
  Opened open_anew(Purpose purpose, std::string_view bound, std::string_view text, std::string& plaintext);
  Remembered& place_of(std::string_view text);
  const Slot* slot_of(const char* key_id) const;

  Random& random_;
  const std::uint64_t new_key_after_;
  std::vector<Slot> slots_;             // in the ring's order; the first seals
  std::size_t ring_keys_ = 0;           // of them: what stands behind came with open_also()
  std::vector<Remembered> remembered_;  // each at the place that its nonce says; empty before the first
  std::uint64_t seals_ = 0;
};

}  // namespace rejoin::route
