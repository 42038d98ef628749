// What a cookie costs: one open per request of a pinned client, one seal per planted cookie.
#include <benchmark/benchmark.h>

#include "route/seal.h"

namespace rejoin::route {
namespace {

constexpr std::string_view kBound{"gateways\0REJOIN", 15};
constexpr std::string_view kPlaintext{"\x6a\x00\x00\x00\x6a\x00\x00\x00gateway-1", 17};

struct Ring {
  SystemRandom random;
  Seal seal{KeyRing(generate_key(random)), random};
};

void BM_seal(benchmark::State& state) {
  Ring ring;
  std::string out;
  for (auto _ : state) {
    out.clear();
    ring.seal.seal(Purpose::cookie, kBound, kPlaintext, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_seal);

void BM_open(benchmark::State& state) {
  Ring ring;
  std::string text, plaintext;
  ring.seal.seal(Purpose::cookie, kBound, kPlaintext, text);
  for (auto _ : state) {
    benchmark::DoNotOptimize(ring.seal.open(Purpose::cookie, kBound, text, plaintext));
  }
}
BENCHMARK(BM_open);

/// A forged cookie must not cost more than a good one, or it would be a way to load us.
void BM_open_forged(benchmark::State& state) {
  Ring ring;
  std::string text, plaintext;
  ring.seal.seal(Purpose::cookie, kBound, kPlaintext, text);
  text[40] = text[40] == 'A' ? 'B' : 'A';
  for (auto _ : state) {
    benchmark::DoNotOptimize(ring.seal.open(Purpose::cookie, kBound, text, plaintext));
  }
}
BENCHMARK(BM_open_forged);

void BM_open_foreign_value(benchmark::State& state) {
  Ring ring;
  std::string plaintext;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ring.seal.open(Purpose::cookie, kBound, "JSESSIONID-9f8e7d6c5b4a", plaintext));
  }
}
BENCHMARK(BM_open_foreign_value);

}  // namespace
}  // namespace rejoin::route
