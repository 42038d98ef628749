// OpenSSL's chance from a seed, so that a simulation with TLS in it plays the same run again: the length of a
// session ticket, for one, is a matter of chance. For tests only, and for the whole process while it lives.
#pragma once

#include <openssl/rand.h>

#include "base/random.h"

namespace rejoin::io {

class SeededOpenssl {
 public:
  explicit SeededOpenssl(std::uint64_t seed) : before_(get()) {
    random() = SeededRandom(seed);
    static const RAND_METHOD method{nullptr, fill, nullptr, nullptr, fill, [] { return 1; }};
    set(&method);
  }
  ~SeededOpenssl() { set(before_); }
  SeededOpenssl(const SeededOpenssl&) = delete;
  SeededOpenssl& operator=(const SeededOpenssl&) = delete;

 private:
  // OpenSSL 3 would rather have a provider; its old way still leads to every RAND_bytes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  static const RAND_METHOD* get() { return RAND_get_rand_method(); }
  static void set(const RAND_METHOD* method) { RAND_set_rand_method(method); }
#pragma GCC diagnostic pop
  static SeededRandom& random() {
    static SeededRandom one(0);
    return one;
  }
  static int fill(unsigned char* out, int count) {
    random().fill({reinterpret_cast<char*>(out), static_cast<std::size_t>(count)});
    return 1;
  }

  const RAND_METHOD* before_;
};

}  // namespace rejoin::io
